//! Every case by way of SQL and of the evaluation program: lowered, resolved, planned and run by DataFusion.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use coterie::evaluation::{Asked, LaidOut, Members, Tables, prepare};
use coterie::planner::members;
use coterie::pql;
use coterie::profile::Bound;
use coterie::resolve::{Program, resolve};
use coterie::segment::Language;
use coterie::session::Registered;
use coterie::statement::Dialect;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use futures::future::{BoxFuture, ready};

use crate::cases::{Case, cases};
use crate::fixture::{NoSegments, context, now, store, table};
use crate::generator::query;
use crate::interpreter::{members as members_as_interpreted, profiles};
use crate::random_data::Data;
use crate::shrink::plain;

fn session() -> SessionContext {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    coterie_udfs::register_all(&ctx).unwrap();
    for name in ["profiles", "events"] {
        let batch = table(name);
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        ctx.register_table(name, Arc::new(table)).unwrap();
    }
    ctx
}

fn parse(sql: &str) -> Result<Statement, DataFusionError> {
    let dialect = Dialect::default();
    DFParserBuilder::new(sql).with_dialect(&dialect).with_recursion_limit(400).build()?.parse_statement()
}

/// Where names in an evaluation lead: to the fixture.
struct Fixture {
    ctx: SessionContext,
    state: SessionState,
}

impl Tables for Fixture {
    fn state(&self) -> &SessionState {
        &self.state
    }

    fn plan<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, coterie::error::Result<LogicalPlan>> {
        Box::pin(async move { Ok(self.state.statement_to_plan(parse(sql)?).await?) })
    }

    fn provider<'a>(
        &'a self,
        table: &'a str,
    ) -> BoxFuture<'a, coterie::error::Result<Arc<dyn TableProvider>>> {
        Box::pin(async move { Ok(self.ctx.table_provider(table).await?) })
    }

    fn laid_out<'a>(
        &'a self,
        _: &'a Bound,
        _: usize,
    ) -> BoxFuture<'a, coterie::error::Result<Option<LaidOut>>> {
        Box::pin(ready(Ok(None)))
    }
}

/// The members by way of the evaluation program; `None` where it refuses the rule.
async fn evaluated(fixture: &Fixture, program: Program) -> Result<Option<Vec<String>>, String> {
    let prepared = prepare(fixture, &Arc::new(program)).await.map_err(|error| error.to_string())?;
    if !prepared.refused().is_empty() {
        return Ok(None);
    }
    let asked = Asked { orphans: true, ..Asked::default() };
    let outcome = prepared.run(fixture, asked).await.map_err(|error| error.to_string())?;
    let keys = arrow::compute::cast(&outcome.keys().unwrap(), &DataType::Utf8).unwrap();
    let Members::Positions(members) = &outcome.members[0].1 else { panic!("members are counted") };
    let mut ids: Vec<String> =
        members.iter().map(|at| keys.as_string::<i32>().value(at as usize).to_owned()).collect();
    ids.sort();
    Ok(Some(ids))
}

/// A case's rule over the fixture's store.
fn program(case: &Case, store: &Arc<Bound>, state: &SessionState) -> Result<Program, String> {
    let language = if case.json { Language::PqlJson } else { Language::Pql };
    let context = context(store);
    let query = pql::compile(&case.pql, language, &context).map_err(|faults| format!("{faults:?}"))?;
    let rule = pql::lower(&query, &context).map_err(|fault| fault.to_string())?;
    let context = coterie::resolve::Context {
        store,
        functions: &Registered(state),
        segments: &NoSegments,
        now: now(),
        as_of: false,
    };
    resolve(&case.id, &rule, context).map_err(|fault| fault.to_string())
}

async fn run(ctx: &SessionContext, sql: &str) -> Result<Vec<String>, String> {
    let batches = async {
        let plan = ctx.state().statement_to_plan(parse(sql)?).await?;
        ctx.execute_logical_plan(plan).await?.collect().await
    };
    let batches = batches.await.map_err(|error: DataFusionError| error.to_string())?;
    let mut ids: Vec<String> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned))
        .collect();
    ids.sort();
    Ok(ids)
}

#[tokio::test]
async fn cases_hold_as_sql() {
    let ctx = session();
    let store = store();
    let state = ctx.state();
    let only = std::env::var("PQL_CASE").ok();
    let fixture = Fixture { ctx: ctx.clone(), state: ctx.state() };
    let mut wrong = vec![];
    let (mut right, mut in_program) = (0, 0);
    for case in cases() {
        if case.error.is_some() || only.as_ref().is_some_and(|only| !case.id.starts_with(only.as_str())) {
            continue;
        }
        let program = match program(&case, &store, &state) {
            Ok(program) => program,
            Err(error) => {
                wrong.push(format!("{}: {}\n  {error}", case.id, case.pql));
                continue;
            }
        };
        let sql = members(&program);
        if only.is_some() {
            println!("{}: {}\n{sql}\n", case.id, case.pql);
        }
        match run(&ctx, &sql).await {
            Ok(found) if found == case.expect => right += 1,
            Ok(found) => wrong.push(format!(
                "{}: {}\n{sql}\n  found {found:?}\n  expected {:?}",
                case.id, case.pql, case.expect
            )),
            Err(error) => wrong.push(format!("{}: {}\n{sql}\n  {error}", case.id, case.pql)),
        }
        match evaluated(&fixture, program).await {
            Ok(None) => {}
            Ok(Some(found)) if found == case.expect => in_program += 1,
            Ok(Some(found)) => wrong.push(format!(
                "{}: {}\n  the program found {found:?}\n  expected {:?}",
                case.id, case.pql, case.expect
            )),
            Err(error) => wrong.push(format!("{}: {}\n  the program: {error}", case.id, case.pql)),
        }
    }
    println!("{in_program} of {right} by the evaluation program");
    assert!(in_program > right / 2, "{in_program} of {right} by the evaluation program");
    assert!(wrong.is_empty(), "{right} right, {} wrong\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Queries that nobody wrote: as SQL and as interpreted they must have the same members.
#[tokio::test]
async fn random_queries_agree() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (seed, count) = (number("PQL_SEED", 1), number("PQL_RANDOM", 120));
    let ctx = session();
    let store = store();
    let state = ctx.state();
    let profiles = profiles(&Data::fixture());
    let fixture = Fixture { ctx: ctx.clone(), state: ctx.state() };
    let mut wrong = vec![];
    for seed in seed..seed + count {
        let case = Case { id: format!("random {seed}"), pql: plain(&query(seed)), ..Case::default() };
        let expected = members_as_interpreted(&pql::parse(&case.pql).unwrap(), &profiles);
        let program = program(&case, &store, &state);
        let found = match &program {
            Ok(program) => {
                let sql = members(program);
                run(&ctx, &sql).await.map_err(|error| format!("{error}\n{sql}"))
            }
            Err(error) => Err(error.clone()),
        };
        if let Ok(program) = program {
            match evaluated(&fixture, program).await {
                Ok(None) => {}
                Ok(Some(found)) if found == expected => {}
                other => wrong.push(format!(
                    "{}: {}\n  the program found {other:?}\n  expected {expected:?}",
                    case.id, case.pql
                )),
            }
        }
        if found.as_ref() != Ok(&expected) {
            wrong.push(format!("{}: {}\n  found {found:?}\n  expected {expected:?}", case.id, case.pql));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong.join("\n\n"));
}
