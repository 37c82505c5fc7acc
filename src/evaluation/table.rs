//! An event table in an evaluation: what is asked of a row, and what is kept of it.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch, StructArray, UInt32Array};
use arrow::compute::{cast, is_null, kernels::nullif::nullif, take};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::execution::runtime_env::RuntimeEnv;
use hashbrown::HashMap;

use crate::bug;
use crate::compile::Questions;
use crate::error::Result;

use super::bind::{Input, RowExpr};
use super::channel::Channel;
use super::classes::{Bound, Classes, LookupRows, Values};
use super::keys::{Keys, NOBODY};
use super::scatter::Scatter;
use super::signature::{Automaton, DEAD, Signatures, Terms};

/// An event table, as all threads see it.
#[derive(Debug)]
pub(super) struct EventTable {
    /// The key and timestamp columns.
    pub(super) key: String,
    pub(super) time: String,
    pub(super) time_type: DataType,
    /// Events before this instant do not matter.
    pub(super) since: i64,
    /// Events after this instant are hidden.
    pub(super) until: Option<i64>,
    pub(super) questions: Questions,
    /// What the automaton reads, in order; the first `n_early` need nothing but the event's own columns.
    pub(super) levels: Vec<Level>,
    pub(super) n_early: usize,
    pub(super) terms: Terms,
    pub(super) signatures: Signatures,
    pub(super) channels: Vec<Channel>,
    /// The tests of the subjects, bound, by subject.
    pub(super) bound: Vec<Vec<Option<Bound>>>,
    /// The tested rows of lookups, by subject.
    pub(super) lookup_rows: HashMap<usize, LookupRows>,
    pub(super) lookups: HashMap<usize, Lookup>,
}

/// What one step of the automaton looks at.
#[derive(Debug)]
pub(super) enum Level {
    /// A column, with the fields below it.
    Column { subject: usize, path: Vec<String> },
    /// An expression that is computed for each row that is left.
    Row { subject: usize, expr: RowExpr },
    /// Whether a channel's value is not NULL.
    Valid { channel: usize },
}

/// The rows of a lookup by key.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The column by which events refer to it.
    pub(super) on: String,
    pub(super) rows: HashMap<Box<str>, u32>,
    pub(super) batch: RecordBatch,
}

/// The profiles that events belong to.
#[derive(Debug)]
pub(super) struct Profiles {
    pub(super) keys: Keys,
    /// Columns that expressions about events need, by ordinal.
    pub(super) columns: HashMap<String, ArrayRef>,
}

impl EventTable {
    /// The columns that decide whether a row matters, its timestamp first.
    pub(super) fn early_columns(&self) -> Vec<&str> {
        let mut columns = vec![self.time.as_str()];
        for level in &self.levels {
            if let Level::Column { path, .. } = level {
                columns.extend(path.first().map(String::as_str));
            }
        }
        unique(columns)
    }

    /// The columns that are read of rows that matter, the key first.
    pub(super) fn late_columns(&self) -> Vec<&str> {
        let mut columns = vec![self.key.as_str()];
        let exprs =
            self.channels.iter().map(|channel| &channel.expr).chain(self.levels.iter().filter_map(|level| {
                match level {
                    Level::Row { expr, .. } => Some(expr),
                    _ => None,
                }
            }));
        for input in exprs.flat_map(|expr| &expr.inputs) {
            match input {
                Input::Event(column) => columns.push(column),
                Input::Lookup(at, _) => columns.extend(self.lookups.get(at).map(|lookup| lookup.on.as_str())),
                Input::Profile(_) | Input::Feature(_) => {}
            }
        }
        unique(columns)
    }
}

fn unique(columns: Vec<&str>) -> Vec<&str> {
    let mut out: Vec<&str> = vec![];
    for column in columns {
        if !out.contains(&column) {
            out.push(column);
        }
    }
    out
}

/// What was read of an event table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    /// Events within the widest window.
    pub(super) events: u64,
    /// Of these, those of no profile, where all keys are looked at.
    pub(super) orphans: u64,
}

/// One thread's work on an event table.
pub(super) struct Matcher<'a> {
    table: &'a EventTable,
    profiles: &'a Profiles,
    classes: Vec<Classes>,
    automaton: Automaton<'a>,
    pub(super) scatter: Scatter,
    pub(super) read: Read,
}

/// The rows of a batch that may matter.
#[derive(Debug, Default)]
pub(super) struct Alive {
    /// Their positions.
    pub(super) rows: Vec<u32>,
    states: Vec<u32>,
    times: Vec<i64>,
    /// The positions of all rows within the widest window, where orphans are counted.
    pub(super) within: Vec<u32>,
}

impl Alive {
    /// Adds the rows of the next batch.
    pub(super) fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
        self.states.append(&mut other.states);
        self.times.append(&mut other.times);
    }

    /// Some of the rows, by their order.
    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            rows: self.rows[range.clone()].to_vec(),
            states: self.states[range.clone()].to_vec(),
            times: self.times[range].to_vec(),
            within: vec![],
        }
    }
}

impl<'a> Matcher<'a> {
    pub(super) fn new(table: &'a EventTable, profiles: &'a Profiles, scatter: Scatter) -> Result<Self> {
        let mut classes = vec![];
        for level in &table.levels {
            classes.push(match level {
                Level::Column { subject, .. } | Level::Row { subject, .. } => Classes::new(
                    &table.questions,
                    *subject,
                    &table.bound[*subject],
                    table.lookup_rows.get(subject),
                )?,
                Level::Valid { .. } => Classes::condition(),
            });
        }
        let automaton = Automaton::new(&table.terms, &table.signatures);
        Ok(Self { table, profiles, classes, automaton, scatter, read: Read::default() })
    }

    /// Reads the columns that decide whether a row matters; `all` says whether positions of all rows within the
    /// widest window are wanted.
    pub(super) fn early(&mut self, batch: &RecordBatch, all: bool) -> Result<Alive> {
        let table = self.table;
        let time = column(batch, std::slice::from_ref(&table.time))?;
        let nulls = time.nulls().cloned();
        let times = cast(&time, &DataType::Int64)
            .or_else(|_| cast(&cast(&time, &DataType::Int32)?, &DataType::Int64))
            .map_err(|error| bug!("timestamps: {error}"))?;
        let times = times.as_primitive::<Int64Type>().values();
        let mut values: Vec<Option<Values>> = vec![];
        values.resize_with(table.n_early, || None);
        let mut alive = Alive::default();
        let root = self.automaton.root();
        for row in 0..batch.num_rows() {
            let null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            // An event without a time is before all windows, and not before any instant.
            let time = if null { i64::MIN } else { times[row] };
            if time < table.since || table.until.is_some_and(|until| null || time > until) {
                continue;
            }
            self.read.events += 1;
            let at = super::bits::small(row);
            if all {
                alive.within.push(at);
            }
            let mut state = root;
            loop {
                let level = self.automaton.level(state);
                if state == DEAD || level >= table.n_early {
                    break;
                }
                let values = match &mut values[level] {
                    Some(values) => values,
                    slot => {
                        let Level::Column { path, .. } = &table.levels[level] else {
                            return Err(bug!("an early level without a column"));
                        };
                        let column = column(batch, path)?;
                        slot.insert(self.classes[level].of(&column)?)
                    }
                };
                let classes = &self.classes[level];
                let class = values.class(row);
                state = self.automaton.step(state, class, |literal| classes.holds(class, literal as usize));
            }
            if state != DEAD && time >= self.automaton.since(state) {
                alive.rows.push(at);
                alive.states.push(state);
                alive.times.push(time);
            }
        }
        Ok(alive)
    }

    /// Reads the rest of the rows that may matter, given the ordinals of their profiles, and keeps what matters.
    pub(super) fn late(&mut self, batch: &RecordBatch, alive: &Alive, ordinals: &[u32]) -> Result<()> {
        let (table, n) = (self.table, alive.rows.len());
        let mut inputs = Inputs { table, profiles: self.profiles, batch, ordinals, lookups: HashMap::new() };
        let mut channels = vec![];
        for channel in &table.channels {
            channels.push(channel.encode(&inputs.evaluate(&channel.expr)?)?);
        }
        let mut values = vec![];
        for (level, classes) in table.levels.iter().zip(&mut self.classes).skip(table.n_early) {
            values.push(match level {
                Level::Row { expr, .. } => classes.of(&inputs.evaluate(expr)?)?,
                Level::Valid { channel } => {
                    let valid: arrow::array::BooleanArray = match &channels[*channel].1 {
                        None => std::iter::repeat_n(Some(true), n).collect(),
                        Some(nulls) => nulls.iter().map(Some).collect(),
                    };
                    classes.of(&(Arc::new(valid) as ArrayRef))?
                }
                Level::Column { .. } => return Err(bug!("a late level with a column")),
            });
        }
        let mut kept = vec![];
        for row in 0..n {
            if ordinals[row] == NOBODY {
                continue;
            }
            let mut state = alive.states[row];
            loop {
                let level = self.automaton.level(state);
                if state == DEAD || level >= table.levels.len() {
                    break;
                }
                let classes = &self.classes[level];
                let class = values[level - table.n_early].class(row);
                state = self.automaton.step(state, class, |literal| classes.holds(class, literal as usize));
            }
            if state == DEAD || alive.times[row] < self.automaton.since(state) {
                continue;
            }
            kept.clear();
            let wanted = self.automaton.channels(state);
            if !wanted.is_empty() {
                // Which of the values are there, then the values.
                kept.push(0);
                for (at, channel) in wanted.iter().enumerate() {
                    let (values, nulls) = &channels[*channel as usize];
                    kept.push(values[row]);
                    if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                        kept[0] |= 1 << at;
                    }
                }
            }
            self.scatter.push(ordinals[row], alive.times[row], self.automaton.signature(state), &kept);
        }
        Ok(())
    }

    /// Accounts for the memory that was taken.
    pub(super) fn settle(&mut self, runtime: &RuntimeEnv) -> Result<()> {
        self.scatter.settle(runtime)
    }
}

/// The most channels of one event: which of them are there is a word.
pub(super) const MAX_CHANNELS: usize = 64;

/// The columns of rows that are left, and of what they refer to.
struct Inputs<'a> {
    table: &'a EventTable,
    profiles: &'a Profiles,
    batch: &'a RecordBatch,
    ordinals: &'a [u32],
    /// The rows of lookups, once one is needed.
    lookups: HashMap<usize, UInt32Array>,
}

impl Inputs<'_> {
    fn evaluate(&mut self, expr: &RowExpr) -> Result<ArrayRef> {
        let mut columns = vec![];
        for input in &expr.inputs {
            columns.push(match input {
                Input::Event(name) => column(self.batch, std::slice::from_ref(name))?,
                Input::Profile(name) => {
                    let all = self.profiles.columns.get(name).ok_or_else(|| bug!("`{name}` was not read"))?;
                    let known = |ordinal: &u32| (*ordinal != NOBODY).then_some(*ordinal);
                    let ordinals: UInt32Array = self.ordinals.iter().map(known).collect();
                    take(all, &ordinals, None).map_err(|error| bug!("profile columns: {error}"))?
                }
                Input::Lookup(at, name) => self.lookup(*at, name)?,
                Input::Feature(_) => return Err(bug!("a feature in an expression about an event")),
            });
        }
        let typed = columns.into_iter().zip(expr.parts().1.fields()).map(|(column, field)| {
            cast(&column, field.data_type()).map_err(|error| bug!("column `{}`: {error}", field.name()))
        });
        expr.evaluate(typed.collect::<Result<_>>()?, self.ordinals.len())
    }

    fn lookup(&mut self, at: usize, name: &str) -> Result<ArrayRef> {
        let lookup = self.table.lookups.get(&at).ok_or_else(|| bug!("a lookup was not read"))?;
        let rows = match self.lookups.get(&at) {
            Some(rows) => rows,
            None => {
                let on = column(self.batch, std::slice::from_ref(&lookup.on))?;
                let on = cast(&on, &DataType::Utf8View).map_err(|error| bug!("lookup keys: {error}"))?;
                let found =
                    on.as_string_view().iter().map(|key| key.and_then(|key| lookup.rows.get(key)).copied());
                self.lookups.entry(at).or_insert(found.collect())
            }
        };
        let column = lookup.batch.column_by_name(name).ok_or_else(|| bug!("`{name}` was not read"))?;
        take(column, rows, None).map_err(|error| bug!("lookup columns: {error}"))
    }
}

/// A column, or a field below it: NULL where a struct around it is.
pub(super) fn column(batch: &RecordBatch, path: &[String]) -> Result<ArrayRef> {
    let Some((first, fields)) = path.split_first() else { return Err(bug!("a column without a name")) };
    let found = batch.column_by_name(first).ok_or_else(|| bug!("column `{first}` was not read"))?;
    let mut column = Arc::clone(found);
    for name in fields {
        let parent =
            column.as_any().downcast_ref::<StructArray>().ok_or_else(|| bug!("`{first}` has no fields"))?;
        let child = parent.column_by_name(name).ok_or_else(|| bug!("`{first}` has no field `{name}`"))?;
        column = if parent.null_count() > 0 {
            let nulls = is_null(parent).map_err(|error| bug!("nulls: {error}"))?;
            nullif(child, &nulls).map_err(|error| bug!("nulls: {error}"))?
        } else {
            Arc::clone(child)
        };
    }
    Ok(column)
}
