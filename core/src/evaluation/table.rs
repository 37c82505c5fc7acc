//! An event table in an evaluation: what is asked of a row, and what is kept of it.

use std::ops::Range;
use std::slice;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{cast, is_null, kernels::nullif::nullif, take};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::execution::runtime_env::RuntimeEnv;
use hashbrown::HashMap;

use crate::bug;
use crate::compile::Questions;
use crate::error::Result;

use super::bind::{Input, RowExpr};
use super::bits::small;
use super::channel::Channel;
use super::classes::{Bound, Classes, LookupRows, Values};
use super::dictionary::Dictionary;
use super::keys::NOBODY;
use super::pending::Pending;
use super::scatter::Scatter;
use super::shard::Shard;
use super::sieve::{Matters, Sieve};
use super::signature::{Automata, DEAD, Kept, Signatures, Terms};

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
    /// The instants since which something is asked of events; the times of two events with none of these between them
    /// are alike.
    pub(super) edges: Vec<i64>,
    /// Whether more is asked of times than which windows they are in.
    pub(super) exact: bool,
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

impl EventTable {
    /// The instant that stands for all from the first to the last, if all are in the same windows.
    pub(super) fn alike(&self, first: i64, last: i64) -> Option<i64> {
        let parts = |edge: &i64| first < *edge && *edge <= last;
        let hides = |until: i64| first <= until && until < last;
        (!self.edges.iter().any(parts) && !self.until.is_some_and(hides)).then_some(first)
    }

    /// The columns that decide whether a row matters, its timestamp first unless it is known as far as that goes.
    pub(super) fn early_columns(&self, known: Option<i64>) -> Vec<&[String]> {
        let mut columns = vec![];
        if known.is_none() {
            columns.push(slice::from_ref(&self.time));
        }
        columns.extend(self.levels.iter().filter_map(|level| match level {
            Level::Column { path, .. } => Some(&path[..]),
            _ => None,
        }));
        unique(columns)
    }

    /// The times of a batch. An event without one is before all windows, and not before any instant.
    fn times(&self, batch: &RecordBatch) -> Result<ScalarBuffer<i64>> {
        let time = column(batch, slice::from_ref(&self.time))?;
        let times = cast(&time, &DataType::Int64)
            .or_else(|_| cast(&cast(&time, &DataType::Int32)?, &DataType::Int64))
            .map_err(|error| bug!("timestamps: {error}"))?;
        let times = times.as_primitive::<Int64Type>();
        Ok(match times.nulls() {
            None => times.values().clone(),
            Some(_) => times.iter().map(|time| time.unwrap_or(i64::MIN)).collect(),
        })
    }

    /// Whether a time is within the widest window.
    #[inline]
    fn is_within(&self, time: i64) -> bool {
        // No window ends before the beginning of time, which is when events without a time are.
        let from = if self.until.is_some() { self.since.max(i64::MIN + 1) } else { self.since };
        (from..=self.until.unwrap_or(i64::MAX)).contains(&time)
    }

    /// All columns that are read.
    pub(super) fn columns(&self, known: Option<i64>) -> Vec<&[String]> {
        let mut columns = self.early_columns(known);
        columns.extend(self.late_columns(known));
        unique(columns)
    }

    /// The columns that are read of rows that matter, the key first.
    pub(super) fn late_columns(&self, known: Option<i64>) -> Vec<&[String]> {
        let mut columns = vec![slice::from_ref(&self.key)];
        if known.is_some() && self.exact {
            columns.push(slice::from_ref(&self.time));
        }
        columns.extend(self.computed_columns());
        unique(columns)
    }

    /// The columns that something is computed from for rows that matter.
    pub(super) fn computed_columns(&self) -> Vec<&[String]> {
        let mut columns: Vec<&[String]> = vec![];
        let kept = self.channels.iter().filter(|channel| !channel.is_of_time).map(|channel| &channel.expr);
        let exprs = kept.chain(self.levels.iter().filter_map(|level| match level {
            Level::Row { expr, .. } => Some(expr),
            _ => None,
        }));
        for input in exprs.flat_map(|expr| &expr.inputs) {
            match input {
                Input::Event(column) => columns.push(column),
                Input::Lookup(at, _) => {
                    columns.extend(self.lookups.get(at).map(|lookup| slice::from_ref(&lookup.on)));
                }
                Input::Profile(_) | Input::Feature(_) => {}
            }
        }
        unique(columns)
    }
}

fn unique(columns: Vec<&[String]>) -> Vec<&[String]> {
    let mut out: Vec<&[String]> = vec![];
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
    pub(super) table: &'a EventTable,
    classes: Vec<Classes>,
    keys: Dictionary,
    automata: Automata<'a>,
    /// What is kept of events of each signature, and of which of them.
    kept: Vec<(Kept, Matters)>,
    pub(super) scatter: Scatter,
    sieve: Sieve,
    /// What waits for its profiles to be read.
    pub(super) pending: Pending,
    pub(super) read: Read,
}

/// Whose the rows that are left of a batch are.
#[derive(Clone, Copy)]
pub(super) enum Owners<'a> {
    /// Their places in a shard.
    Known(&'a Shard, &'a [u32]),
    /// Their keys; no profile has been read.
    Keys(&'a ArrayRef),
}

/// The rows of a batch that may matter.
#[derive(Debug, Default)]
pub(super) struct Alive {
    /// Their positions.
    pub(super) rows: Vec<u32>,
    times: Vec<i64>,
    /// Up to where in `states` those of each row are.
    ends: Vec<u32>,
    /// The automata in which something can still hold, with their states.
    states: Vec<(u32, u32)>,
    /// The positions of all rows within the widest window, where orphans are counted.
    pub(super) within: Vec<u32>,
}

impl Alive {
    /// Adds the rows of the next batch.
    pub(super) fn append(&mut self, mut other: Self) {
        let states = small(self.states.len());
        self.rows.append(&mut other.rows);
        self.times.append(&mut other.times);
        self.ends.extend(other.ends.iter().map(|end| end + states));
        self.states.append(&mut other.states);
    }

    /// Some of the rows, by their order, as the rows of a batch that has no others.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let states = self.states_of(range.start).start..self.states_of(range.end).start;
        Self {
            rows: (0..small(range.len())).collect(),
            times: self.times[range.clone()].to_vec(),
            ends: self.ends[range].iter().map(|end| end - small(states.start)).collect(),
            states: self.states[states].to_vec(),
            within: vec![],
        }
    }

    /// Where the states of a row are; after the last row nothing is.
    fn states_of(&self, at: usize) -> Range<usize> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        start..self.ends.get(at).map_or(start, |end| *end as usize)
    }
}

impl<'a> Matcher<'a> {
    pub(super) fn new(table: &'a EventTable, scatter: Scatter, sieve: Sieve) -> Result<Self> {
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
        let automata = Automata::new(&table.terms, &table.signatures);
        let keys = Dictionary::default();
        let (pending, read) = (Pending::default(), Read::default());
        Ok(Self { table, classes, keys, automata, kept: vec![], scatter, sieve, pending, read })
    }

    /// Reads the columns that decide whether a row matters; `known` stands for the times of all rows, if they are not
    /// read yet. `all` says whether positions of all rows within the widest window are wanted.
    pub(super) fn early(&mut self, batch: &RecordBatch, known: Option<i64>, all: bool) -> Result<Alive> {
        let table = self.table;
        let times = match known {
            Some(_) => None,
            None => Some(table.times(batch)?),
        };
        let mut values: Vec<Option<Values>> = vec![];
        values.resize_with(table.n_early, || None);
        let mut alive = Alive::default();
        let time_of = |row: usize| match &times {
            Some(times) => times[row],
            None => known.unwrap_or(i64::MIN),
        };
        let n_rows = batch.num_rows();
        let within = |row: &u32| table.is_within(time_of(*row as usize));
        let n_within = match known {
            Some(time) if table.is_within(time) => n_rows,
            Some(_) => 0,
            None => (0..n_rows).filter(|row| table.is_within(time_of(*row))).count(),
        };
        self.read.events += n_within as u64;
        if all {
            alive.within = (0..small(n_rows)).filter(within).collect();
        }
        if n_within == 0 {
            return Ok(alive);
        }
        // Most rows end at the first level: these are left out in a loop that does nothing else.
        let mut rows = match table.n_early {
            0 => (0..small(n_rows)).collect(),
            _ => {
                self.load(0, batch, &mut values)?;
                let goes_on: Vec<bool> = (0..small(self.classes[0].len()))
                    .map(|class| {
                        let holds = |class, literal| self.classes[0].holds(class, literal as usize);
                        !self.automata.start(Some(class), holds).is_empty()
                    })
                    .collect();
                values[0].as_ref().map_or_else(Vec::new, |values| values.rows(n_rows, &goes_on))
            }
        };
        if n_within < n_rows {
            rows.retain(within);
        }
        for row in rows.into_iter().map(|row| row as usize) {
            let time = time_of(row);
            let first = values.first().and_then(Option::as_ref).map(|values| values.class(row));
            let classes = &self.classes;
            let holds = |class, literal| classes[0].holds(class, literal as usize);
            let before = alive.states.len();
            for at in self.automata.start(first, holds) {
                let (automaton, mut state) = self.automata.started(at);
                // What is too old for all that can still hold need not be looked at further.
                while state != DEAD && time >= self.automata.all[automaton].since(state) {
                    let level = self.automata.all[automaton].level(state);
                    if level >= table.n_early {
                        alive.states.push((small(automaton), state));
                        break;
                    }
                    let class = self.load(level, batch, &mut values)?.class(row);
                    let classes = &self.classes[level];
                    let holds = |literal: u32| classes.holds(class, literal as usize);
                    state = self.automata.all[automaton].step(state, class, holds);
                }
            }
            if alive.states.len() > before {
                alive.rows.push(small(row));
                alive.times.push(time);
                alive.ends.push(small(alive.states.len()));
            }
        }
        Ok(alive)
    }

    /// The classes of a level's column in a batch.
    #[inline]
    fn load<'v>(
        &mut self,
        level: usize,
        batch: &RecordBatch,
        values: &'v mut [Option<Values>],
    ) -> Result<&'v Values> {
        match &mut values[level] {
            Some(values) => Ok(values),
            slot => {
                let Level::Column { path, .. } = &self.table.levels[level] else {
                    return Err(bug!("an early level without a column"));
                };
                Ok(slot.insert(self.classes[level].of(&column(batch, path)?)?))
            }
        }
    }

    /// Reads the times of rows that may matter, where they were known only as far as windows go.
    pub(super) fn tell(&self, batch: &RecordBatch, alive: &mut Alive) -> Result<()> {
        let times = self.table.times(batch)?;
        alive.times = alive.rows.iter().map(|row| times[*row as usize]).collect();
        Ok(())
    }

    /// Reads the rest of the rows that may matter and keeps what matters; says how many events wait for their profiles.
    pub(super) fn late(&mut self, batch: &RecordBatch, alive: &Alive, owners: Owners<'_>) -> Result<usize> {
        let (table, n) = (self.table, alive.rows.len());
        let mut inputs = Inputs { table, batch, owners, n_rows: n, lookups: HashMap::new() };
        let mut channels = vec![];
        for channel in &table.channels {
            channels.push(if channel.is_of_time {
                (vec![], None)
            } else {
                channel.encode(&inputs.evaluate(&channel.expr)?)?
            });
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
        let mut found: Vec<u32> = vec![];
        for (row, &time) in alive.times.iter().enumerate() {
            let ordinal = match owners {
                Owners::Known(_, ordinals) if ordinals[row] == NOBODY => continue,
                Owners::Known(_, ordinals) => Some(ordinals[row]),
                Owners::Keys(_) => None,
            };
            found.clear();
            for &(automaton, state) in &alive.states[alive.states_of(row)] {
                let automaton = &mut self.automata.all[automaton as usize];
                let mut state = state;
                loop {
                    let level = automaton.level(state);
                    if state == DEAD || level >= table.levels.len() {
                        break;
                    }
                    let class = values[level - table.n_early].class(row);
                    let classes = &self.classes[level];
                    state = automaton.step(state, class, |literal| classes.holds(class, literal as usize));
                }
                if state != DEAD && time >= automaton.since(state) {
                    found.push(automaton.signature(state));
                }
            }
            match &found[..] {
                [] => {}
                [signature] => self.keep(row, ordinal, time, *signature, &channels),
                several => match self.automata.combine(several) {
                    Some(signature) => self.keep(row, ordinal, time, signature, &channels),
                    None => {
                        for signature in several {
                            self.keep(row, ordinal, time, *signature, &channels);
                        }
                    }
                },
            }
        }
        match owners {
            Owners::Known(..) => Ok(0),
            Owners::Keys(keys) => self.pending.end(keys),
        }
    }

    /// Keeps what matters of a row.
    #[inline]
    fn keep(
        &mut self,
        row: usize,
        ordinal: Option<u32>,
        time: i64,
        signature: u32,
        channels: &[(Vec<u64>, Option<NullBuffer>)],
    ) {
        while self.kept.len() <= signature as usize {
            let (atoms, terms) = (self.table.signatures.atoms(small(self.kept.len())), &self.table.terms);
            self.kept.push((terms.kept(&atoms), terms.matters(&atoms)));
        }
        let (kept, matters) = &self.kept[signature as usize];
        if let (Some(ordinal), false) = (ordinal, *matters == Matters::All)
            && self.sieve.holds_back(ordinal, time, signature, *matters)
        {
            return;
        }
        let nullable = kept.nullable.then(|| {
            let valid = |channel: &u32| {
                let nulls = &channels[*channel as usize].1;
                nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
            };
            let places = kept.channels.iter().enumerate();
            places.fold(0, |word, (at, channel)| word | u64::from(valid(channel)) << at)
        });
        let values = kept.channels.iter().map(|channel| channels[*channel as usize].0[row]);
        let values = nullable.into_iter().chain(values);
        match ordinal {
            Some(ordinal) => self.scatter.push(ordinal, time, signature, values),
            None => self.pending.push(row, time, signature, values),
        }
    }

    /// The places of the profiles with some keys in a shard.
    pub(super) fn ordinals(&mut self, shard: &Shard, keys: &ArrayRef) -> Result<Vec<u32>> {
        shard.keys.ordinals(keys, &mut self.keys)
    }

    /// Makes room for the events of a shard; those of the one before are forgotten, and those that waited are its first.
    pub(super) fn begin(&mut self, shard: &Shard) -> Result<()> {
        self.scatter.begin(shard.n_partitions());
        self.sieve.begin(shard.len());
        // The same dictionary says other places in another shard.
        self.keys = Dictionary::default();
        self.pending.settle(shard, &mut self.scatter)
    }

    /// All events of the shard have been read.
    pub(super) fn end(&mut self) {
        self.sieve.end(&mut self.scatter);
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
    batch: &'a RecordBatch,
    owners: Owners<'a>,
    n_rows: usize,
    /// The rows of lookups, once one is needed.
    lookups: HashMap<usize, UInt32Array>,
}

impl Inputs<'_> {
    fn evaluate(&mut self, expr: &RowExpr) -> Result<ArrayRef> {
        let mut columns = vec![];
        for input in &expr.inputs {
            columns.push(match input {
                Input::Event(path) => column(self.batch, path)?,
                Input::Profile(name) => {
                    let Owners::Known(shard, ordinals) = self.owners else {
                        return Err(bug!("`{name}` of profiles that have not been read"));
                    };
                    let all = shard.profiles.columns.get(name);
                    let all = all.ok_or_else(|| bug!("`{name}` was not read"))?;
                    let known = |ordinal: &u32| (*ordinal != NOBODY).then(|| small(shard.first) + ordinal);
                    let ordinals: UInt32Array = ordinals.iter().map(known).collect();
                    take(all, &ordinals, None).map_err(|error| bug!("profile columns: {error}"))?
                }
                Input::Lookup(at, name) => self.lookup(*at, name)?,
                Input::Feature(_) => return Err(bug!("a feature in an expression about an event")),
            });
        }
        let typed = columns.into_iter().zip(expr.parts().1.fields()).map(|(column, field)| {
            cast(&column, field.data_type()).map_err(|error| bug!("column `{}`: {error}", field.name()))
        });
        expr.evaluate(typed.collect::<Result<_>>()?, self.n_rows)
    }

    fn lookup(&mut self, at: usize, name: &str) -> Result<ArrayRef> {
        let lookup = self.table.lookups.get(&at).ok_or_else(|| bug!("a lookup was not read"))?;
        let rows = match self.lookups.get(&at) {
            Some(rows) => rows,
            None => {
                let on = column(self.batch, slice::from_ref(&lookup.on))?;
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
