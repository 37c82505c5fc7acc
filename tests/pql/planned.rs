//! Every case by way of SQL: lowered, resolved, planned and run by DataFusion.

use std::sync::Arc;

use arrow::array::AsArray;
use coterie::planner::members;
use coterie::profile::Bound;
use coterie::resolve::{Member, Segments, resolve};
use coterie::segment::Language;
use coterie::session::Registered;
use coterie::statement::Dialect;
use coterie::{diagnostic, pql};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::DFParserBuilder;

use crate::cases::{Case, cases};
use crate::fixture::{context, now, store, table};
use crate::generator::query;
use crate::interpreter::{members as members_as_interpreted, profiles};

struct NoSegments;

impl Segments for NoSegments {
    fn rule(&self, _: &str) -> Option<diagnostic::Result<Member>> {
        None
    }

    fn names(&self) -> Vec<String> {
        vec![]
    }
}

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

fn sql(case: &Case, store: &Arc<Bound>, state: &SessionState) -> Result<String, String> {
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
    let program = resolve(&case.id, &rule, context).map_err(|fault| fault.to_string())?;
    Ok(members(&program))
}

async fn run(ctx: &SessionContext, sql: &str) -> Result<Vec<String>, String> {
    let batches = async {
        let dialect = Dialect::default();
        let statement = DFParserBuilder::new(sql)
            .with_dialect(&dialect)
            .with_recursion_limit(400)
            .build()?
            .parse_statement()?;
        let plan = ctx.state().statement_to_plan(statement).await?;
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
    let mut wrong = vec![];
    let mut right = 0;
    for case in cases() {
        if case.error.is_some() || only.as_ref().is_some_and(|only| !case.id.starts_with(only.as_str())) {
            continue;
        }
        let sql = match sql(&case, &store, &state) {
            Ok(sql) => sql,
            Err(error) => {
                wrong.push(format!("{}: {}\n  {error}", case.id, case.pql));
                continue;
            }
        };
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
    }
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
    let profiles = profiles();
    let mut wrong = vec![];
    for seed in seed..seed + count {
        let case = Case { id: format!("random {seed}"), pql: query(seed), ..Case::default() };
        let expected = members_as_interpreted(&pql::parse(&case.pql).unwrap(), &profiles);
        let found = match sql(&case, &store, &state) {
            Ok(sql) => run(&ctx, &sql).await.map_err(|error| format!("{error}\n{sql}")),
            Err(error) => Err(error),
        };
        if found.as_ref() != Ok(&expected) {
            wrong.push(format!("{}: {}\n  found {found:?}\n  expected {expected:?}", case.id, case.pql));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong.join("\n\n"));
}
