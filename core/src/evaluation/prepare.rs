//! Compiled rules with everything bound that DataFusion has to compute.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::datatypes::DataType;
use hashbrown::HashMap;

use crate::bug;
use crate::compile::{Evaluation, Leaf, Of, Questions, Refusals, Test, compile};
use crate::error::Result;
use crate::profile::Referrer;
use crate::resolve::{Feature, Program};
use crate::segment::{Expr, Relation};

use super::bind::{Binder, BoundAggregate, Input, RowExpr};
use super::channel::Channel;
use super::classes::Bound;
use super::keys::joinable;
use super::table::MAX_CHANNELS;
use super::{LaidOut, Tables};

/// Rules that are ready to run.
#[derive(Debug)]
pub struct Prepared {
    pub(super) evaluation: Arc<Evaluation>,
    pub(super) program: Arc<Program>,
    pub(super) profiles: BoundQuestions,
    pub(super) tables: Vec<BoundTable>,
    pub(super) values: Vec<RowExpr>,
    /// What profiles are ordered by.
    pub(super) ranks: Vec<RowExpr>,
}

/// Questions with their expressions bound.
#[derive(Clone, Debug, Default)]
pub(super) struct BoundQuestions {
    /// For each subject, for each test, its expression over the subject alone.
    pub(super) tests: Vec<Vec<Option<Bound>>>,
    /// For each subject that is a row's expression, the expression.
    pub(super) rows: HashMap<usize, RowExpr>,
}

/// What one event table's evaluation needs of DataFusion.
#[derive(Debug)]
pub(super) struct BoundTable {
    pub(super) questions: BoundQuestions,
    /// The channels' expressions.
    pub(super) channels: Vec<RowExpr>,
    pub(super) aggregates: Vec<BoundAggregate>,
}

/// Compiles a program's rules and binds them. Rules that cannot take part are in [`Prepared::refused`].
pub async fn prepare(tables: &dyn Tables, program: &Arc<Program>) -> Result<Prepared> {
    let mut refusals = Refusals::default();
    let binder = Binder { tables, program };
    loop {
        let evaluation = compile(program, &refusals);
        let before = refusals.features.len() + refusals.exprs.len();
        let prepared = bind(&binder, program, evaluation, &mut refusals).await?;
        match prepared {
            Some(prepared) => return Ok(prepared),
            None if refusals.features.len() + refusals.exprs.len() > before => {}
            None => return Ok(nothing(program, "it cannot be bound to the tables")),
        }
    }
}

/// A program in which no rule takes part.
fn nothing(program: &Arc<Program>, why: &str) -> Prepared {
    let mut evaluation =
        compile(&Program { rules: vec![], ..program.as_ref().clone() }, &Refusals::default());
    evaluation.refused = (0..program.rules.len()).map(|at| (at, why.to_owned())).collect();
    Prepared {
        evaluation: Arc::new(evaluation),
        program: Arc::clone(program),
        profiles: BoundQuestions::default(),
        tables: vec![],
        values: vec![],
        ranks: vec![],
    }
}

async fn bind(
    binder: &Binder<'_>,
    program: &Arc<Program>,
    evaluation: Evaluation,
    refusals: &mut Refusals,
) -> Result<Option<Prepared>> {
    let store = &program.store;
    let mut tables = vec![];
    for table in &evaluation.tables {
        let events = &store.store.events[table.events];
        let schema = &store.events[table.events];
        let key =
            schema.field_with_name(&events.key).map_err(|error| bug!("event keys: {error}"))?.data_type();
        if !joinable(&store.key_type(), key) {
            let why =
                format!("profile keys of type {} are joined to events' of type {key}", store.key_type());
            return Ok(Some(nothing(program, &why)));
        }
        if table.channels.len() > MAX_CHANNELS {
            let why = format!("the rules need more than {MAX_CHANNELS} values of each event");
            return Ok(Some(nothing(program, &why)));
        }
        let home = Relation::Events(table.events);
        let Some(questions) = bind_questions(binder, home, &table.questions, refusals).await? else {
            return Ok(None);
        };
        let exprs: Vec<&Expr> = table.channels.iter().collect();
        let Some(channels) = bind_rows(binder, home, &exprs, refusals).await else { return Ok(None) };
        let mut fits = true;
        for (expr, bound) in exprs.iter().zip(&channels) {
            if Channel::new(bound.clone()).is_none() {
                let why = format!("values of type {} are not kept of events", bound.data_type);
                refusals.exprs.insert((*expr).clone(), why);
                fits = false;
            }
        }
        let all: Vec<_> = table.aggregates.iter().collect();
        let mut aggregates = vec![];
        match binder.aggregates(table.events, &all).await {
            Ok(bound) => aggregates = bound,
            // One of them cannot be planned: each alone tells which.
            Err(_) => {
                for aggregate in all {
                    if let Err(error) = binder.aggregates(table.events, &[aggregate]).await {
                        refusals.features.insert(aggregate.feature, error.message());
                    }
                }
                fits = false;
            }
        }
        if !fits {
            return Ok(None);
        }
        tables.push(BoundTable { questions, channels, aggregates });
    }
    let Some(profiles) = bind_questions(binder, Relation::Profiles, &evaluation.profiles, refusals).await?
    else {
        return Ok(None);
    };
    let exprs = evaluation.values.iter().collect();
    let Some(values) = bind_values(binder, exprs, is_boolean, "it is not boolean", refusals).await else {
        return Ok(None);
    };
    let exprs = evaluation.ranks.iter().map(|rank| &rank.by).collect();
    let nested = "profiles are ordered by lists or structs";
    let Some(ranks) = bind_values(binder, exprs, |by| !by.data_type.is_nested(), nested, refusals).await
    else {
        return Ok(None);
    };
    let (evaluation, program) = (Arc::new(evaluation), Arc::clone(program));
    Ok(Some(Prepared { evaluation, program, profiles, tables, values, ranks }))
}

/// Binds expressions about profiles and features, all or none: those that cannot be, or do not fit for the given reason,
/// are refused.
async fn bind_values(
    binder: &Binder<'_>,
    exprs: Vec<&Expr>,
    fits: impl Fn(&RowExpr) -> bool,
    unfit: &str,
    refusals: &mut Refusals,
) -> Option<Vec<RowExpr>> {
    let program = binder.program;
    match binder.values(&exprs, &features_of(program, &exprs)).await {
        Ok(values) if values.iter().all(&fits) => return Some(values),
        _ => {}
    }
    // Each alone tells which one it is.
    for expr in exprs {
        match binder.values(&[expr], &features_of(program, &[expr])).await {
            Ok(bound) if bound.iter().all(&fits) => {}
            Ok(_) => drop(refusals.exprs.insert(expr.clone(), unfit.to_owned())),
            Err(error) => drop(refusals.exprs.insert(expr.clone(), error.message())),
        }
    }
    None
}

/// The features that expressions are about, with their event tables.
fn features_of(program: &Program, exprs: &[&Expr]) -> Vec<(usize, usize)> {
    let mut features = std::collections::BTreeSet::new();
    for expr in exprs {
        crate::segment::walk(expr, &mut |part| {
            if let crate::segment::Node::Feature(at) = part.node
                && let Some(Feature::Aggregate { events, .. }) = program.features.get(at)
            {
                features.insert((*events, at));
            }
            true
        });
    }
    features.into_iter().collect()
}

fn is_boolean(expr: &RowExpr) -> bool {
    matches!(expr.data_type, DataType::Boolean | DataType::Null)
}

async fn bind_questions(
    binder: &Binder<'_>,
    home: Relation,
    questions: &Questions,
    refusals: &mut Refusals,
) -> Result<Option<BoundQuestions>> {
    let mut bound = BoundQuestions::default();
    let mut exprs: Vec<(usize, usize, &Expr)> = vec![];
    for (at, subject) in questions.subjects.iter().enumerate() {
        bound.tests.push(vec![None; subject.tests.len()]);
        match &subject.of {
            Of::Row(expr) => exprs.push((at, 0, expr)),
            Of::Text(_) => {
                exprs.extend(subject.tests.iter().enumerate().filter_map(|(test, asked)| match asked {
                    Test::Expr(expr) => Some((at, test, &**expr)),
                    _ => None,
                }))
            }
            Of::Lookup(lookup) => {
                let lookup = &binder.program.store.store.lookups[*lookup];
                let events = match lookup.on {
                    Referrer::Events(at) => binder.program.store.events.get(at),
                    Referrer::Profiles => None,
                };
                let on = events.and_then(|schema| schema.field_with_name(&lookup.column).ok());
                if !on.is_some_and(|field| joinable(field.data_type(), field.data_type())) {
                    for test in &subject.tests {
                        if let Test::Expr(expr) = test {
                            refusals
                                .exprs
                                .insert((**expr).clone(), "its lookup has keys of another sort".into());
                        }
                    }
                    return Ok(None);
                }
            }
            Of::Ordered(_) | Of::Boolean(_) | Of::Elements(_) => {}
        }
    }
    let all: Vec<&Expr> = exprs.iter().map(|(.., expr)| *expr).collect();
    let Some(rows) = bind_rows(binder, home, &all, refusals).await else { return Ok(None) };
    let mut fits = true;
    for ((subject, test, expr), row) in exprs.into_iter().zip(rows) {
        if !is_boolean(&row) {
            refusals.exprs.insert(expr.clone(), "it is not boolean".into());
            fits = false;
        }
        if matches!(questions.subjects[subject].of, Of::Row(_)) {
            bound.rows.insert(subject, row);
        } else if row.inputs.len() == 1 {
            let (expr, schema) = row.parts();
            bound.tests[subject][test] = Some(Bound { expr: Arc::clone(expr), schema: Arc::clone(schema) });
        } else {
            refusals.exprs.insert(expr.clone(), "it does not depend on its column".into());
            fits = false;
        }
    }
    Ok(fits.then_some(bound))
}

/// Binds expressions about rows, all or none: those that cannot be are refused.
async fn bind_rows(
    binder: &Binder<'_>,
    home: Relation,
    exprs: &[&Expr],
    refusals: &mut Refusals,
) -> Option<Vec<RowExpr>> {
    let before = refusals.exprs.len();
    let bound = match binder.rows(home, exprs).await {
        Ok(bound) => bound,
        Err(_) => {
            let mut bound = vec![];
            for expr in exprs {
                match binder.rows(home, &[expr]).await {
                    Ok(row) => bound.extend(row),
                    Err(error) => {
                        refusals.exprs.insert((*expr).clone(), error.message());
                    }
                }
            }
            bound
        }
    };
    let lookups = &binder.program.store.store.lookups;
    for (expr, row) in exprs.iter().zip(&bound) {
        let own = |lookup: usize| match (lookups[lookup].on, home) {
            (Referrer::Events(at), Relation::Events(events)) => at == events,
            _ => false,
        };
        if row.inputs.iter().any(|input| matches!(input, Input::Lookup(at, _) if !own(*at))) {
            refusals.exprs.insert((*expr).clone(), "it is about a lookup of the profile".into());
        }
    }
    (refusals.exprs.len() == before && bound.len() == exprs.len()).then_some(bound)
}

impl Prepared {
    /// The rules that do not take part, by position in the resolved program, and why.
    pub fn refused(&self) -> &[(usize, String)] {
        &self.evaluation.refused
    }

    /// The rules that take part, by position in the resolved program.
    pub fn rules(&self) -> impl Iterator<Item = usize> {
        self.evaluation.rules.iter().map(|rule| rule.at)
    }

    /// Whether any event table is read.
    pub fn reads_events(&self) -> bool {
        !self.evaluation.tables.is_empty()
    }

    /// The program in a few words.
    pub(super) fn summary(&self) -> String {
        let Evaluation { rules, leaves, tables, .. } = &*self.evaluation;
        let atoms: usize = tables.iter().map(|table| table.atoms.len()).sum();
        format!("rules={}, facts={}, event conditions={atoms}", rules.len(), leaves.len())
    }

    /// The program in words: what is asked of rows, what is counted, what is left to the general plan.
    pub async fn describe(&self, tables: &dyn Tables) -> Result<String> {
        let mut copies = vec![];
        for table in &self.evaluation.tables {
            let copy = tables.laid_out(&self.program.store, table.events).await?;
            copies.push(match copy {
                None => "",
                Some(LaidOut { register: None, .. }) => ", read from its laid-out copy",
                Some(_) => ", read from its laid-out copy, whose profiles are registered",
            });
        }
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&copies, &mut out);
        Ok(out)
    }

    fn write(&self, copies: &[&str], out: &mut String) -> std::fmt::Result {
        let Evaluation { rules, leaves, values, ranks, refused, tables, profiles, .. } = &*self.evaluation;
        let count = |f: fn(&Leaf) -> bool| leaves.iter().filter(|leaf| f(leaf)).count();
        writeln!(out, "rules in the program: {}", rules.len())?;
        writeln!(
            out,
            "facts about a profile: {} ({} attributes, {} counts, {} sums, {} counts of groups, {} values of {} expressions, {} ranks)",
            leaves.len(),
            count(|leaf| matches!(leaf, Leaf::Attribute(_))),
            count(|leaf| matches!(leaf, Leaf::Count { .. })),
            count(|leaf| matches!(leaf, Leaf::Below { .. })),
            count(|leaf| matches!(leaf, Leaf::Groups { .. })),
            count(|leaf| matches!(leaf, Leaf::Value { .. })),
            values.len(),
            ranks.len(),
        )?;
        writeln!(out, "profile columns read: {}", columns(profiles).join(", "))?;
        for (table, from) in tables.iter().zip(copies) {
            let events = &self.program.store.store.events[table.events];
            let tests: usize = table.questions.subjects.iter().map(|subject| subject.tests.len()).sum();
            let terms: usize = table.atoms.iter().map(|atom| atom.terms.len()).sum();
            writeln!(out, "event table {}{from}:", events.table)?;
            writeln!(
                out,
                "  conditions: {} atoms of {terms} terms over {tests} tests of {} subjects",
                table.atoms.len(),
                table.questions.subjects.len()
            )?;
            writeln!(
                out,
                "  counters: {} (of these {} of events that others follow), sums: {}, aggregates: {}, group rules: {}, values kept of an event: {}",
                table.counters.len(),
                table.counters.iter().filter(|counter| counter.sequel.is_some()).count(),
                table.measures.len(),
                table.aggregates.len(),
                table.groups.len(),
                table.channels.len()
            )?;
            writeln!(out, "  columns that decide: {}", columns(&table.questions).join(", "))?;
            writeln!(
                out,
                "  bytes an event that matters: 14, and 8 for each value kept; bytes a profile once finished: 0"
            )?;
        }
        for (at, why) in refused {
            writeln!(out, "general plan: {}, because {why}", self.program.rules[*at].name)?;
        }
        Ok(())
    }
}

/// The columns that questions are about.
fn columns(questions: &Questions) -> Vec<String> {
    questions
        .subjects
        .iter()
        .map(|subject| match &subject.of {
            Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path) => path.join("."),
            Of::Lookup(at) => format!("lookup {at}"),
            Of::Row(_) => "an expression".to_owned(),
        })
        .collect()
}
