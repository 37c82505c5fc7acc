//! `EVALUATE`: many rules, one instant, one pass, one commit.

mod members;
mod report;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use chrono::{DateTime, SubsecRound, Utc};
use datafusion::common::runtime::SpawnedTask;
use datafusion::physical_plan::displayable;
use futures::FutureExt;

use crate::audience::{Change, Run};
use crate::diagnostic::Kind;
use crate::error::{Error, Result};
use crate::evaluation;
use crate::planner;
use crate::profile::Bound;
use crate::resolve::Program;
use crate::segment::{Expr, Segment};
use crate::session::instant;
use crate::statement::EvaluateSegments;
use crate::warehouse;

use super::Session;
use super::scope::{Scope, parse_rule, source_of};
use super::tables::ScopeTables;

use members::Members;

pub use report::{Figures, Outcome, Progress, Report};

/// Fewer rules are not worth another thread.
const FEW: usize = 128;

/// The columns of `EVALUATE`.
pub(super) fn schema() -> SchemaRef {
    report::schema()
}

/// Runs `EVALUATE`, or `EXPLAIN EVALUATE`.
pub(super) async fn statement(
    session: &Session,
    run: &EvaluateSegments,
    explain: bool,
) -> Result<RecordBatch> {
    let names: Vec<String> = run.names.iter().map(|name| name.value.clone()).collect();
    let as_of = match &run.as_of {
        None => None,
        Some((text, span)) => Some(instant(text).map_err(|error| match error {
            Error::Wrong(faults) => Error::Wrong(faults.into_iter().map(|fault| fault.at(*span)).collect()),
            failed => failed,
        })?),
    };
    // A name nobody knows is refused before anything runs.
    let scope = session.scope().await?;
    for name in &run.names {
        if scope.segment(&name.value)?.is_none() {
            return Err(scope.unknown_segment(&name.value).at(name.span).into());
        }
    }
    if explain {
        return session.explain_evaluation(&names, as_of).boxed().await;
    }
    report::rows(&session.evaluate(&names, as_of, run.dry_run).boxed().await?)
}

/// The rules of one store that take part.
struct Batch {
    bound: Arc<Bound>,
    rules: Vec<(Arc<Segment>, Expr)>,
}

impl Session {
    /// Evaluates segments, all of them if none is named: `now()` or `as_of` is the instant, and `as_of` hides later
    /// events. Unless it is a dry run the memberships are kept, one commit a profile store. A rule that fails is
    /// reported and the others go on.
    pub async fn evaluate(
        &self,
        names: &[String],
        as_of: Option<DateTime<Utc>>,
        dry_run: bool,
    ) -> Result<Report> {
        let scope = self.scope_at(as_of).await?;
        let mut report = Report::new(scope.now.trunc_subsecs(6), dry_run);
        let stores = prepare(&scope, names, &mut report).await?;
        for batch in stores.into_values() {
            self.evaluate_store(&scope, batch, as_of.is_some(), &mut report).boxed().await?;
        }
        report.sort();
        Ok(report)
    }

    async fn evaluate_store(
        &self,
        scope: &Arc<Scope>,
        batch: Batch,
        as_of: bool,
        report: &mut Report,
    ) -> Result<()> {
        let started = Instant::now();
        let progress = self.remembered(|state| state.progress.clone());
        let Batch { bound, mut rules } = batch;
        let tables = ScopeTables::new(scope);
        let (program, prepared, rest) = loop {
            let program = resolve(scope, &bound, &mut rules, as_of, report);
            if program.rules.is_empty() {
                return Ok(());
            }
            let program = Arc::new(program);
            let prepared = evaluation::prepare(&tables, &program).await?;
            // What the program cannot say is left to the general plan. Planning fails for all of it at once: each
            // rule alone tells whose fault it is.
            let rest =
                part(scope, &bound, &rules, &program, prepared.refused().iter().map(|(at, _)| *at), as_of);
            if !rest.rules.is_empty()
                && let Err(error) = plans(scope, &rest).await
            {
                let before = rules.len();
                drop_unplannable(scope, &bound, &mut rules, report).await;
                if rules.len() == before {
                    return Err(error);
                }
                continue;
            }
            break (program, prepared, rest);
        };
        let audiences = self.engine.audiences(&bound).await?;
        let stored = if report.dry_run { Some(audiences.stored().await?) } else { None };
        let mut members = Members::default();
        let mut pending = vec![rest];
        if prepared.rules().next().is_some() {
            match members.run(&tables, &prepared, &program, stored.as_ref(), progress.as_deref()).await {
                Ok(()) => {}
                // The general plan says which rule it is, and evaluates the others.
                Err(error) if matches!(error.kind(), Kind::Execution | Kind::Unsupported) => {
                    pending = vec![Arc::unwrap_or_clone(program)];
                }
                Err(error) => return Err(error),
            }
        }
        pending.retain(|program| !program.rules.is_empty());
        while let Some(program) = pending.pop() {
            match members.collect(scope, &program, progress.as_deref()).await {
                Ok(()) => {}
                Err(error) if error.kind() == Kind::Execution && program.rules.len() > 1 => {
                    // One rule fails on some value: halve until it is alone.
                    let (left, right) = halves(scope, &bound, &rules, &program, as_of);
                    pending.extend([right, left]);
                }
                Err(error) if error.kind() == Kind::Execution => {
                    report.failed(&program.rules[0].name, &error);
                }
                Err(error) => return Err(error),
            }
        }
        for (segment, members) in members.counts() {
            report.evaluated(segment, *members, *members, 0);
        }
        let (keys, bitmaps, mut figures) = members.finish(&bound);
        figures.seconds = started.elapsed().as_secs_f64();
        figures.store.clone_from(&bound.store.name);
        if let Some(progress) = &progress {
            progress.finished(&figures);
        }
        let run = Run {
            id: uuid::Uuid::new_v4().to_string(),
            as_of: report.as_of,
            keys,
            members: bitmaps,
            figures: serde_json::to_value(&figures)
                .map_err(|error| crate::bug!("an evaluation's figures are not JSON: {error}"))?,
        };
        report.runs.push(figures);
        let outcomes = if report.dry_run {
            audiences.compare(&run).boxed().await?
        } else {
            audiences.commit(&run).boxed().await?
        };
        for outcome in outcomes {
            match outcome.change {
                Ok(Change { members, entered, exited }) => {
                    report.evaluated(&outcome.segment, members, entered, exited);
                }
                Err(error) => report.failed(&outcome.segment, &error),
            }
        }
        Ok(())
    }

    async fn explain_evaluation(
        &self,
        names: &[String],
        as_of: Option<DateTime<Utc>>,
    ) -> Result<RecordBatch> {
        let scope = self.scope_at(as_of).await?;
        let mut report = Report::new(scope.now, true);
        let mut rows = vec![];
        for mut batch in prepare(&scope, names, &mut report).await?.into_values() {
            let program = resolve(&scope, &batch.bound, &mut batch.rules, as_of.is_some(), &mut report);
            if program.rules.is_empty() {
                continue;
            }
            let program = Arc::new(program);
            let tables = ScopeTables::new(&scope);
            let prepared = evaluation::prepare(&tables, &program).await?;
            rows.push(("program", prepared.describe(&tables).await?));
            let refused = prepared.refused().iter().map(|(at, _)| *at);
            let rest = part(&scope, &batch.bound, &batch.rules, &program, refused, as_of.is_some());
            if rest.rules.is_empty() {
                continue;
            }
            let sql = planner::evaluation(&rest);
            let state = scope.state();
            let plan = state.optimize(&scope.plan_sql(&sql).await?)?;
            let physical = state.create_physical_plan(&plan).await?;
            rows.push(("sql", sql));
            rows.push(("logical_plan", plan.display_indent().to_string()));
            rows.push(("physical_plan", displayable(physical.as_ref()).indent(false).to_string()));
        }
        report::plan_rows(&rows)
    }
}

/// The rules to evaluate, parsed, by their store. What cannot be parsed, or whose store cannot be opened, fails.
async fn prepare(
    scope: &Arc<Scope>,
    names: &[String],
    report: &mut Report,
) -> Result<BTreeMap<String, Batch>> {
    let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        wanted = scope.names(warehouse::Kind::Segment);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let (mut stores, mut asked): (BTreeMap<String, Batch>, _) = (BTreeMap::new(), vec![]);
    for name in wanted {
        let Some(segment) = scope.segment(name)? else { return Err(scope.unknown_segment(name).into()) };
        let bound = match scope.bound(&segment.store).await {
            Ok(bound) => bound,
            Err(error) => {
                report.failed(name, &error);
                continue;
            }
        };
        asked.push((segment, bound));
    }
    for (segment, bound, rule) in parsed(scope, &asked).await? {
        match rule {
            Ok(rule) => {
                let batch = stores.entry(segment.store.clone()).or_insert(Batch { bound, rules: vec![] });
                batch.rules.push((segment, rule));
            }
            Err(error) => report.failed(&segment.name, &error.in_source(&source_of(&segment))),
        }
    }
    Ok(stores)
}

/// A segment, its store, and its rule.
type Parsed = (Arc<Segment>, Arc<Bound>, Result<Expr>);

/// Parses rules, by several threads if there are many.
async fn parsed(scope: &Arc<Scope>, asked: &[(Arc<Segment>, Arc<Bound>)]) -> Result<Vec<Parsed>> {
    let n_each = asked.len().div_ceil(scope.options().execution.target_partitions.max(1)).max(FEW);
    let parts = asked.chunks(n_each).map(|part| {
        let (scope, part) = (Arc::clone(scope), part.to_vec());
        SpawnedTask::spawn_blocking(move || {
            let parse = |(segment, bound): (Arc<Segment>, Arc<Bound>)| {
                let rule = parse_rule(&scope, &segment, &bound);
                (segment, bound, rule)
            };
            part.into_iter().map(parse).collect::<Vec<Parsed>>()
        })
    });
    // All of them are at work before the first is waited for.
    let parts: Vec<_> = parts.collect();
    let mut all = vec![];
    for part in parts {
        all.append(&mut part.join().await.map_err(|error| crate::bug!("rules are not parsed: {error}"))?);
    }
    Ok(all)
}

/// The program of all rules that resolve; the others fail and leave.
fn resolve(
    scope: &Scope,
    bound: &Arc<Bound>,
    rules: &mut Vec<(Arc<Segment>, Expr)>,
    as_of: bool,
    report: &mut Report,
) -> Program {
    scope.with_resolver(bound, as_of, |mut resolver| {
        rules.retain(|(segment, rule)| match resolver.add(&segment.name, rule) {
            Ok(()) => true,
            Err(fault) => {
                report.failed(&segment.name, &Error::from(fault.in_source(&source_of(segment))));
                false
            }
        });
        resolver.finish()
    })
}

/// Whether the program's statement plans and all rules are boolean.
async fn plans(scope: &Arc<Scope>, program: &Program) -> Result<()> {
    let plan = scope.plan_sql(&planner::evaluation(program)).await?;
    for (at, rule) in program.rules.iter().enumerate() {
        let field = plan.schema().field_with_unqualified_name(&planner::rule_column(at))?;
        if !matches!(field.data_type(), DataType::Boolean | DataType::Null) {
            return Err(Error::new(Kind::Type, format!("the rule of `{}` is not boolean", rule.name)));
        }
    }
    Ok(())
}

/// Drops the rules that do not plan alone.
async fn drop_unplannable(
    scope: &Arc<Scope>,
    bound: &Arc<Bound>,
    rules: &mut Vec<(Arc<Segment>, Expr)>,
    report: &mut Report,
) {
    let mut kept = vec![];
    for (segment, rule) in rules.drain(..) {
        let checked = match scope.resolve(&segment.name, &rule, bound) {
            Ok(program) => scope.check(&program).await,
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => kept.push((segment, rule)),
            Err(error) => report.failed(&segment.name, &error.in_source(&source_of(&segment))),
        }
    }
    *rules = kept;
}

/// Two programs with half of the rules each.
fn halves(
    scope: &Scope,
    bound: &Arc<Bound>,
    rules: &[(Arc<Segment>, Expr)],
    program: &Program,
    as_of: bool,
) -> (Program, Program) {
    let (n, half) = (program.rules.len(), program.rules.len() / 2);
    let part = |range: std::ops::Range<usize>| part(scope, bound, rules, program, range, as_of);
    (part(0..half), part(half..n))
}

/// The program of some of a program's rules.
fn part(
    scope: &Scope,
    bound: &Arc<Bound>,
    rules: &[(Arc<Segment>, Expr)],
    program: &Program,
    wanted: impl Iterator<Item = usize>,
    as_of: bool,
) -> Program {
    let wanted: HashSet<&str> = wanted.map(|at| program.rules[at].name.as_str()).collect();
    let mut part: Vec<_> =
        rules.iter().filter(|(segment, _)| wanted.contains(segment.name.as_str())).cloned().collect();
    // All of them have resolved before.
    resolve(scope, bound, &mut part, as_of, &mut Report::new(scope.now, true))
}
