//! What is asked of an event table, in the order in which rows are asked it, with all that the answers need.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use hashbrown::HashMap;

use crate::bug;
use crate::compile::{Arg, Of, Test};
use crate::error::Result;
use crate::segment::Expr;
use crate::statement::quote;

use super::Tables;
use super::bind::{Binder, Input};
use super::bits::small;
use super::channel::Channel;
use super::classes::LookupRows;
use super::families::{Asked, families};
use super::prepare::{BoundTable, Prepared};
use super::signature::{Signatures, Term, Terms};
use super::table::{EventTable, Level, Lookup, column};
use super::uses::atom_uses;

impl Prepared {
    /// What is asked of an event table, ready to be asked.
    pub(super) async fn event_table(&self, tables: &dyn Tables, at: usize) -> Result<EventTable> {
        let bound = &self.tables[at];
        let store = &self.program.store;
        let table = &self.evaluation.tables[at];
        let declared = self.events(at);
        let time_type = store.events[table.events].field_with_name(&declared.timestamp);
        let time_type = time_type.map_err(|error| bug!("timestamps: {error}"))?.data_type().clone();
        let until = if self.program.as_of { Some(last_tick(self.program.now, &time_type)?) } else { None };
        let questions = &table.questions;
        let position = questions.places();
        let channels = self.channels(at, bound)?;
        let (uses, edges) = atom_uses(&self.evaluation, at, &channels);
        // What most terms ask about is read first: most rows end there.
        let mut asked = vec![0_usize; questions.subjects.len()];
        for literal in table.atoms.iter().flat_map(|atom| atom.terms.iter().flatten()) {
            asked[questions.literals[*literal].subject] += 1;
        }
        let mut order: Vec<usize> = (0..questions.subjects.len()).collect();
        order.sort_by_key(|subject| {
            let late = matches!(questions.subjects[*subject].of, Of::Row(_));
            (late, usize::MAX - asked[*subject])
        });
        let (mut levels, mut level_of) = (vec![], vec![0; questions.subjects.len()]);
        for subject in order {
            level_of[subject] = levels.len();
            levels.push(match &questions.subjects[subject].of {
                Of::Row(_) => {
                    let expr = bound.questions.rows.get(&subject).cloned();
                    Level::Row { subject, expr: expr.ok_or_else(|| bug!("an expression is not bound"))? }
                }
                Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path) => {
                    Level::Column { subject, path: path.clone() }
                }
                Of::Lookup(lookup) => {
                    Level::Column { subject, path: vec![store.store.lookups[*lookup].column.clone()] }
                }
            });
        }
        let n_early = levels.iter().filter(|level| matches!(level, Level::Column { .. })).count();
        let mut valid: HashMap<usize, usize> = HashMap::new();
        let mut atoms: Vec<Vec<Term>> = vec![];
        for atom in &table.atoms {
            let mut terms = vec![];
            for term in &atom.terms {
                let mut literals: Term = term
                    .iter()
                    .map(|literal| (level_of[questions.literals[*literal].subject], position[*literal]))
                    .collect();
                for channel in &atom.valid {
                    let level = *valid.entry(*channel).or_insert_with(|| {
                        levels.push(Level::Valid { channel: *channel });
                        levels.len() - 1
                    });
                    literals.push((level, 0));
                }
                literals.sort_unstable();
                literals.dedup();
                terms.push(literals);
            }
            atoms.push(terms);
        }
        let families = families(&literals_of(&atoms), &together(table));
        let since = uses.iter().map(|of| of.since).min().unwrap_or(i64::MAX);
        let is_of_time = |aggregate: &crate::compile::Aggregate| aggregate.args.contains(&Arg::Time);
        let exact = !table.sequels.is_empty()
            || table.aggregates.iter().any(is_of_time)
            || channels.iter().any(|channel| channel.is_of_time);
        let mut lookup_rows = HashMap::new();
        for (at, subject) in questions.subjects.iter().enumerate() {
            if let Of::Lookup(lookup) = subject.of {
                let tests: Vec<&Expr> = subject
                    .tests
                    .iter()
                    .filter_map(|test| match test {
                        Test::Expr(expr) => Some(&**expr),
                        _ => None,
                    })
                    .collect();
                lookup_rows.insert(at, self.read_lookup(tables, lookup, &tests).await?);
            }
        }
        let mut lookups = HashMap::new();
        for expr in bound.channels.iter().chain(bound.questions.rows.values()) {
            for input in &expr.inputs {
                if let Input::Lookup(at, _) = input
                    && !lookups.contains_key(at)
                {
                    lookups.insert(*at, self.read_lookup_columns(tables, *at).await?);
                }
            }
        }
        Ok(EventTable {
            at,
            key: declared.key.clone(),
            time: declared.timestamp.clone(),
            time_type,
            since,
            until,
            edges,
            exact,
            questions: questions.clone(),
            terms: Terms::new(levels.len(), &atoms, &families, uses),
            levels,
            n_early,
            signatures: Signatures::default(),
            channels,
            bound: bound.questions.tests.clone(),
            lookup_rows,
            lookups,
        })
    }

    fn channels(&self, at: usize, bound: &BoundTable) -> Result<Vec<Channel>> {
        let (table, declared) = (&self.evaluation.tables[at], self.events(at));
        let of_time = [Input::Event(vec![declared.timestamp.clone()])];
        let mut channels = vec![];
        for (at, expr) in bound.channels.iter().enumerate() {
            let mut channel = Channel::new(expr.clone()).ok_or_else(|| bug!("a channel of another type"))?;
            let decides = table.atoms.iter().any(|atom| atom.valid.contains(&at));
            channel.is_of_time = expr.inputs == of_time && !decides;
            channels.push(channel);
        }
        Ok(channels)
    }

    /// Tests the rows of a lookup.
    async fn read_lookup(&self, tables: &dyn Tables, at: usize, tests: &[&Expr]) -> Result<LookupRows> {
        let lookup = &self.program.store.store.lookups[at];
        let binder = Binder { tables, program: &self.program };
        let printer = binder.printer();
        let columns: Vec<String> = tests
            .iter()
            .enumerate()
            .map(|(at, test)| format!("({}) AS t{at}", printer.print(test)))
            .collect();
        let list = columns.join(", ");
        let sql = format!("SELECT {} AS lookup_key, {list} FROM {}", quote(&lookup.key), lookup.table);
        let rows = collected(tables, &sql).await?;
        let sql =
            format!("SELECT {list} FROM (SELECT 1 AS one) AS single LEFT JOIN {} ON false", lookup.table);
        let missing = collected(tables, &sql).await?;
        let keys = arrow::compute::cast(rows.column(0), &DataType::Utf8)
            .map_err(|error| bug!("keys of a lookup: {error}"))?;
        let booleans = |batch: &RecordBatch, at: usize| -> Result<BooleanArray> {
            let column = arrow::compute::cast(batch.column(at), &DataType::Boolean)
                .map_err(|error| bug!("a condition on a lookup: {error}"))?;
            Ok(column.as_boolean().clone())
        };
        let mut answers = vec![];
        let mut of_missing = vec![];
        for test in 0..tests.len() {
            answers.push(booleans(&rows, test + 1)?);
            let missing = booleans(&missing, test)?;
            of_missing.push((missing.len() == 1 && missing.is_valid(0)).then(|| missing.value(0)));
        }
        let keys = keys.as_string::<i32>().clone();
        unique_lookup(keys.iter().flatten(), &lookup.table)?;
        Ok(LookupRows { keys, answers, missing: of_missing })
    }

    /// All columns of a lookup, by key.
    async fn read_lookup_columns(&self, tables: &dyn Tables, at: usize) -> Result<Lookup> {
        let lookup = &self.program.store.store.lookups[at];
        let batch = collected(tables, &format!("SELECT * FROM {}", lookup.table)).await?;
        let keys = column(&batch, std::slice::from_ref(&lookup.key))?;
        let keys = arrow::compute::cast(&keys, &DataType::Utf8).map_err(|error| bug!("keys: {error}"))?;
        let keys = keys.as_string::<i32>();
        unique_lookup(keys.iter().flatten(), &lookup.table)?;
        let rows =
            keys.iter().enumerate().filter_map(|(at, key)| Some((Box::from(key?), small(at)))).collect();
        Ok(Lookup { on: lookup.column.clone(), rows, batch })
    }
}

/// Refuses a lookup with two rows of one key: joined, it would count events twice.
fn unique_lookup<'k>(keys: impl Iterator<Item = &'k str>, table: &str) -> Result<()> {
    let mut seen = hashbrown::HashSet::new();
    for key in keys {
        if !seen.insert(key) {
            let kind = crate::diagnostic::Kind::Unsupported;
            return Err(crate::error::Error::new(
                kind,
                format!("the lookup `{table}` has two rows of key `{key}`"),
            ));
        }
    }
    Ok(())
}

/// The last value of a timestamp column that is not after an instant.
fn last_tick(now: DateTime<Utc>, data_type: &DataType) -> Result<i64> {
    Ok(match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => now.timestamp(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => now.timestamp_millis(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => now.timestamp_micros(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => now.timestamp_nanos_opt().unwrap_or(i64::MAX),
        DataType::Date64 => now.timestamp_millis(),
        DataType::Date32 => now.timestamp().div_euclid(SECONDS_A_DAY),
        other => return Err(bug!("an instant cannot be compared with timestamps of type {other}")),
    })
}

pub(super) const SECONDS_A_DAY: i64 = 24 * 60 * 60;

async fn collected(tables: &dyn Tables, sql: &str) -> Result<RecordBatch> {
    let plan = tables.plan(sql).await?;
    let physical = tables.state().create_physical_plan(&plan).await?;
    let schema = physical.schema();
    let batches = datafusion::physical_plan::collect(physical, tables.state().task_ctx()).await?;
    arrow::compute::concat_batches(&schema, &batches).map_err(|error| bug!("rows of a table: {error}"))
}

/// What each atom asks about.
fn literals_of(atoms: &[Vec<Term>]) -> Vec<Asked> {
    let of_atom = |terms: &Vec<Term>| {
        let mut asked = Asked::new();
        for (level, literal) in terms.iter().flatten() {
            asked.entry(*level).or_default().add(*literal as usize);
        }
        asked
    };
    atoms.iter().map(of_atom).collect()
}

/// The atoms that an aggregate needs the truth of at once.
fn together(table: &crate::compile::Table) -> Vec<Vec<usize>> {
    let of_aggregate = |aggregate: &crate::compile::Aggregate| {
        let conditions = aggregate.args.iter().filter_map(|arg| match arg {
            Arg::Condition(atom, _) => Some(*atom),
            _ => None,
        });
        std::iter::once(aggregate.atom).chain(conditions).collect()
    };
    table.aggregates.iter().map(of_aggregate).collect()
}
