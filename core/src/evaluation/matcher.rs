//! One thread's work on an event table: which rows matter, and what is kept of them.

use std::ops::Range;
use std::slice;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::execution::runtime_env::RuntimeEnv;
use hashbrown::HashMap;

use crate::bug;
use crate::error::Result;

use super::bind::{Input, RowExpr};
use super::bits::small;
use super::classes::{Classes, Values};
use super::keys::{Coded, NOBODY};
use super::layers::{Going, Layers, SIGNED, TooMany};
use super::pending::Pending;
use super::scatter::Scatter;
use super::shard::Shard;
use super::sieve::{Matters, Sieve};
use super::signature::{Automata, DEAD, Kept};
use super::table::{EventTable, Level, column};

/// Of so many rows what is known of their profiles is looked at before the first one needs it: then the processor waits for
/// memory once and not for each.
const AHEAD: usize = 64;

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
    keys: Coded,
    automata: Automata<'a>,
    /// The automata together, unless they have too many states.
    layers: Option<Layers>,
    /// What is kept of events of each signature, and of which of them.
    kept: Vec<(Kept, Matters)>,
    /// By signature, in a byte each, since it is looked up for every event.
    fates: Vec<Fate>,
    pub(super) scatter: Scatter,
    sieve: Sieve,
    /// What waits for its profiles to be read.
    pub(super) pending: Pending,
    pub(super) read: Read,
}

/// What becomes of the events of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// All matter, and nothing else is kept of them.
    Plain,
    /// Of each profile the first or the last is sought.
    Sieved,
    Other,
}

/// Whose the rows that are left of a batch are.
#[derive(Clone, Copy)]
pub(super) enum Owners<'a> {
    /// Their places in a shard, and the codes of their keys, by the rows of the batch, where these have any.
    Known(&'a Shard, &'a [u32], Option<&'a [i32]>),
    /// Their keys; no profile has been read.
    Keys(&'a ArrayRef),
}

/// The rows of a batch that may matter.
#[derive(Debug, Default)]
pub(super) struct Alive {
    /// Their positions.
    pub(super) rows: Vec<u32>,
    times: Vec<i64>,
    left: Left,
    /// The positions of all rows within the widest window, where orphans are counted.
    pub(super) within: Vec<u32>,
}

/// What is left of the automata after the levels that are read early, by row.
#[derive(Debug, Default)]
struct Left {
    /// The signatures, where nothing is left of any row.
    signatures: Vec<u32>,
    /// What is left where something is.
    states: Option<States>,
}

/// States of automata, by row.
#[derive(Debug, Default)]
struct States {
    /// Up to where in `all` those of each row are.
    ends: Vec<u32>,
    /// The automata in which something can still hold, with their states; or [`SIGNED`].
    all: Vec<(u32, u32)>,
}

impl Left {
    /// As states.
    fn states(&mut self) -> &mut States {
        let signatures = std::mem::take(&mut self.signatures);
        self.states.get_or_insert_with(|| States {
            ends: (1..=small(signatures.len())).collect(),
            all: signatures.into_iter().map(|signature| (SIGNED, signature)).collect(),
        })
    }

    fn append(&mut self, mut other: Self) {
        if self.states.is_none() && other.states.is_none() {
            return self.signatures.append(&mut other.signatures);
        }
        let (all, own) = (self.states(), other.states());
        let before = small(all.all.len());
        all.ends.extend(own.ends.iter().map(|end| end + before));
        all.all.append(&mut own.all);
    }

    fn part(&self, range: Range<usize>) -> Self {
        let Some(states) = &self.states else {
            return Self { signatures: self.signatures[range].to_vec(), states: None };
        };
        let own = states.of(range.start).start..states.of(range.end).start;
        let ends = states.ends[range].iter().map(|end| end - small(own.start)).collect();
        Self { signatures: vec![], states: Some(States { ends, all: states.all[own].to_vec() }) }
    }
}

impl States {
    /// Where those of a row are; after the last row nothing is.
    fn of(&self, at: usize) -> Range<usize> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        start..self.ends.get(at).map_or(start, |end| *end as usize)
    }
}

impl Alive {
    /// Adds a row with the states of its automata.
    #[inline]
    fn push(&mut self, row: u32, time: i64, states: &[(u32, u32)]) {
        self.rows.push(row);
        self.times.push(time);
        let left = self.left.states();
        left.all.extend_from_slice(states);
        left.ends.push(small(left.all.len()));
    }

    /// Adds rows, given what is left in their states and before which instant it does not matter.
    fn add<'s>(
        &mut self,
        going: &Going,
        time_of: impl Fn(usize) -> i64,
        left: impl Fn(u32) -> (i64, &'s [(u32, u32)]),
    ) {
        let Self { rows, times, left: all, .. } = self;
        let all = all.states();
        rows.reserve(going.len());
        times.reserve(going.len());
        // Most have one state in the end.
        all.ends.reserve(going.len());
        all.all.reserve(going.len());
        for (row, state) in going.iter() {
            let (time, (since, states)) = (time_of(row as usize), left(state));
            if time >= since {
                rows.push(row);
                times.push(time);
                all.all.extend_from_slice(states);
                all.ends.push(small(all.all.len()));
            }
        }
    }

    /// The rows that are left in the end, given the signature of each and before which instant it does not matter.
    fn signed(going: &Going, time_of: impl Fn(usize) -> i64, signed: impl Fn(u32) -> (u32, i64)) -> Self {
        let n = going.len();
        let (mut rows, mut times, mut signatures) = (vec![0; n], vec![0; n], vec![0; n]);
        let mut kept = 0;
        for (row, state) in going.iter() {
            let ((signature, since), time) = (signed(state), time_of(row as usize));
            // What does not matter is overwritten.
            (rows[kept], times[kept], signatures[kept]) = (row, time, signature);
            kept += usize::from(time >= since);
        }
        rows.truncate(kept);
        times.truncate(kept);
        signatures.truncate(kept);
        Self { rows, times, left: Left { signatures, states: None }, within: vec![] }
    }

    /// Adds the rows of the next batch.
    pub(super) fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
        self.times.append(&mut other.times);
        self.left.append(other.left);
    }

    /// Some of the rows, by their order, as the rows of a batch that has no others.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        Self {
            rows: (0..small(range.len())).collect(),
            times: self.times[range.clone()].to_vec(),
            left: self.left.part(range),
            within: vec![],
        }
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
        let layers = Some(Layers::new(&automata, table.n_early));
        let keys = Coded::default();
        let (pending, read, kept, fates) = (Pending::default(), Read::default(), vec![], vec![]);
        Ok(Self { table, classes, keys, automata, layers, kept, fates, scatter, sieve, pending, read })
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
        if self.layers.is_some() {
            match self.together(batch, &mut values, &within, n_within)? {
                Ok(going) => {
                    let Some(layers) = &mut self.layers else { return Ok(alive) };
                    layers.end(&mut self.automata, table.levels.len());
                    if let Some(signed) = layers.signed() {
                        let within = std::mem::take(&mut alive.within);
                        return Ok(Alive { within, ..Alive::signed(&going, time_of, signed) });
                    }
                    alive.add(&going, time_of, |state| layers.left(state));
                    return Ok(alive);
                }
                Err(TooMany) => self.layers = None,
            }
        }
        self.one_by_one(batch, &mut values, within, time_of, &mut alive)?;
        Ok(alive)
    }

    /// Takes all rows of a batch through the automata together.
    fn together(
        &mut self,
        batch: &RecordBatch,
        values: &mut [Option<Values>],
        within: &impl Fn(&u32) -> bool,
        n_within: usize,
    ) -> Result<std::result::Result<Going, TooMany>> {
        let (n_rows, n_early) = (batch.num_rows(), self.table.n_early);
        let Some(mut layers) = self.layers.take() else { return Ok(Err(TooMany)) };
        let mut going = None;
        for level in 0..n_early {
            if going.as_ref().is_some_and(Going::is_empty) {
                break;
            }
            self.load(level, batch, values)?;
            let (Some(values), classes) = (&values[level], &self.classes[level]) else { break };
            let automata = &mut self.automata;
            let stepped = match &mut going {
                None => layers.first(n_rows, values, classes, automata).map(|first| {
                    let first = going.insert(first);
                    if n_within < n_rows {
                        first.retain(|row| within(&row));
                    }
                }),
                Some(going) => layers.step(level, going, values, classes, automata),
            };
            if stepped.is_err() {
                return Ok(Err(TooMany));
            }
        }
        let going = match going {
            Some(going) => going,
            None => {
                let mut all = layers.all(n_rows);
                all.retain(|row| within(&row));
                all
            }
        };
        self.layers = Some(layers);
        Ok(Ok(going))
    }

    /// Takes each row of a batch through the automata by itself.
    fn one_by_one(
        &mut self,
        batch: &RecordBatch,
        values: &mut [Option<Values>],
        within: impl Fn(&u32) -> bool,
        time_of: impl Fn(usize) -> i64,
        alive: &mut Alive,
    ) -> Result<()> {
        let (n_rows, n_early) = (batch.num_rows(), self.table.n_early);
        // Most rows end at the first level: these are left out in a loop that does nothing else.
        let mut rows = match n_early {
            0 => (0..small(n_rows)).collect(),
            _ => {
                self.load(0, batch, values)?;
                let goes_on: Vec<bool> = (0..small(self.classes[0].len()))
                    .map(|class| {
                        let holds = |class, literal| self.classes[0].holds(class, literal as usize);
                        !self.automata.start(Some(class), holds).is_empty()
                    })
                    .collect();
                values[0].as_ref().map_or_else(Vec::new, |values| values.rows(n_rows, &goes_on))
            }
        };
        rows.retain(within);
        let mut states = vec![];
        for at in rows {
            let (row, time) = (at as usize, time_of(at as usize));
            let first = values.first().and_then(Option::as_ref).map(|values| values.class(row));
            let classes = &self.classes;
            let holds = |class, literal| classes[0].holds(class, literal as usize);
            states.clear();
            for at in self.automata.start(first, holds) {
                let (automaton, mut state) = self.automata.started(at);
                // What is too old for all that can still hold need not be looked at further.
                while state != DEAD && time >= self.automata.all[automaton].since(state) {
                    let level = self.automata.all[automaton].level(state);
                    if level >= n_early {
                        states.push((small(automaton), state));
                        break;
                    }
                    let class = self.load(level, batch, values)?.class(row);
                    let classes = &self.classes[level];
                    let holds = |literal: u32| classes.holds(class, literal as usize);
                    state = self.automata.all[automaton].step(state, class, holds);
                }
            }
            if !states.is_empty() {
                alive.push(at, time, &states);
            }
        }
        Ok(())
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
        let code = |codes: Option<&[i32]>, row: usize| {
            codes.map(|codes| codes[alive.rows[row] as usize].cast_unsigned() as usize)
        };
        let Some(states) = &alive.left.states else {
            let (signatures, times) = (&alive.left.signatures, &alive.times);
            match owners {
                Owners::Known(_, ordinals, codes) => {
                    self.keep_all(times, signatures, ordinals, |row| code(codes, row), &channels);
                    return Ok(0);
                }
                Owners::Keys(keys) => {
                    for (row, (signature, time)) in signatures.iter().zip(times).enumerate() {
                        self.keep(row, None, *time, *signature, &channels);
                    }
                    return self.pending.end(keys);
                }
            }
        };
        let mut found: Vec<u32> = vec![];
        for (row, &time) in alive.times.iter().enumerate() {
            let owner = match owners {
                Owners::Known(_, ordinals, _) if ordinals[row] == NOBODY => continue,
                Owners::Known(_, ordinals, codes) => Some((ordinals[row], code(codes, row))),
                Owners::Keys(_) => None,
            };
            let states = &states.all[states.of(row)];
            if let [(SIGNED, signature)] = states {
                self.keep(row, owner, time, *signature, &channels);
                continue;
            }
            found.clear();
            for &(automaton, state) in states {
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
            match self.automata.together(&found) {
                Some(signature) => self.keep(row, owner, time, signature, &channels),
                None => found.iter().for_each(|signature| {
                    self.keep(row, owner, time, *signature, &channels);
                }),
            }
        }
        match owners {
            Owners::Known(..) => Ok(0),
            Owners::Keys(keys) => self.pending.end(keys),
        }
    }

    /// Keeps what matters of rows that have a signature; `code` says which code the key of each has, if keys have codes.
    fn keep_all(
        &mut self,
        times: &[i64],
        signatures: &[u32],
        ordinals: &[u32],
        code: impl Fn(usize) -> Option<usize>,
        channels: &[(Vec<u64>, Option<NullBuffer>)],
    ) {
        let is_far = self.sieve.is_far();
        let blocks = ordinals.chunks(AHEAD).zip(signatures.chunks(AHEAD)).zip(times.chunks(AHEAD));
        for (((ordinals, signatures), times), first) in blocks.zip((0..).step_by(AHEAD)) {
            if is_far {
                ordinals.iter().zip(signatures).for_each(|(at, signature)| self.sieve.touch(*at, *signature));
            }
            for (at, ((&ordinal, &signature), &time)) in
                ordinals.iter().zip(signatures).zip(times).enumerate()
            {
                if ordinal == NOBODY {
                    continue;
                }
                match self.fates.get(signature as usize) {
                    Some(Fate::Plain) => self.scatter.push(ordinal, time, signature, std::iter::empty()),
                    Some(Fate::Sieved) if self.sieve.add(ordinal, code(first + at), time, signature) => {}
                    _ => {
                        let owner = (ordinal, code(first + at));
                        self.keep(first + at, Some(owner), time, signature, channels);
                    }
                }
            }
        }
    }

    /// Keeps what matters of a row; `owner` are the place of its profile, if that has been read, and the code of its key.
    #[inline]
    fn keep(
        &mut self,
        row: usize,
        owner: Option<(u32, Option<usize>)>,
        time: i64,
        signature: u32,
        channels: &[(Vec<u64>, Option<NullBuffer>)],
    ) {
        while self.kept.len() <= signature as usize {
            let (atoms, terms) = (self.table.signatures.atoms(small(self.kept.len())), &self.table.terms);
            let (kept, matters) = (terms.kept(&atoms), terms.matters(&atoms));
            let is_plain = kept.len() == 0 && matters == Matters::All;
            self.fates.push(if is_plain { Fate::Plain } else { Fate::Other });
            self.kept.push((kept, matters));
        }
        let (kept, matters) = &self.kept[signature as usize];
        if let (Some((ordinal, code)), false) = (owner, *matters == Matters::All)
            && self.sieve.holds_back(ordinal, code, time, signature, *matters)
        {
            self.fates[signature as usize] = Fate::Sieved;
            return;
        }
        if kept.len() == 0 {
            return match owner {
                Some((ordinal, _)) => self.scatter.push(ordinal, time, signature, std::iter::empty()),
                None => self.pending.push(row, time, signature, std::iter::empty()),
            };
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
        match owner {
            Some((ordinal, _)) => self.scatter.push(ordinal, time, signature, values),
            None => self.pending.push(row, time, signature, values),
        }
    }

    /// The places of the profiles with some keys in a shard.
    pub(super) fn ordinals(&mut self, shard: &Shard, keys: &ArrayRef) -> Result<Vec<u32>> {
        if let Some(n_codes) = self.keys.is_other(keys) {
            self.sieve.change(self.keys.known(), n_codes);
        }
        shard.ordinals(self.table.at, keys, &mut self.keys)
    }

    /// Makes room for the events of a shard; those of the one before are forgotten, and those that waited are its first.
    pub(super) fn begin(&mut self, shard: &Shard) -> Result<()> {
        self.scatter.begin(shard.n_partitions());
        self.sieve.begin(shard.len());
        self.fates.iter_mut().filter(|fate| **fate == Fate::Sieved).for_each(|fate| *fate = Fate::Other);
        // The same dictionary says other places in another shard.
        self.keys = Coded::default();
        let ordinals = self.pending.ordinals(self.table.at, shard)?;
        self.pending.settle(&ordinals, &mut self.scatter);
        Ok(())
    }

    /// All events of the shard have been read.
    pub(super) fn end(&mut self) {
        self.sieve.end(self.keys.known(), &mut self.scatter);
    }

    /// Accounts for the memory that was taken.
    pub(super) fn settle(&mut self, runtime: &RuntimeEnv) -> Result<()> {
        self.scatter.settle(runtime)
    }
}

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
                    let Owners::Known(shard, ordinals, _) = self.owners else {
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
