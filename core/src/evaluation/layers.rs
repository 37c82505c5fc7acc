//! The automata of all families as one, taken through a batch level by level.
//!
//! A row by itself goes from state to state as its values say, and a processor waits for each of them. Here all rows of a
//! batch go through one level after the other, in loops that do nothing else. What they are in between is a state of all
//! automata together. Few rules, or many that ask about the same, have hundreds of these; where they become too many, each
//! row goes its own way.

use arrow::array::Array;
use hashbrown::HashMap;

use super::bits::small;
use super::classes::{Classes, Values};
use super::signature::{Automata, DEAD};

/// In place of an automaton: no others are left, and what comes with it is the signature.
pub(super) const SIGNED: u32 = u32::MAX;
/// A step that has not been needed yet.
const UNKNOWN: u32 = u32::MAX;
/// So many states of all automata together, and steps of a level, are too many.
const MAX_STATES: usize = 1 << 13;
const MAX_STEPS: usize = 1 << 20;

/// One thread's automata together.
#[derive(Debug)]
pub(super) struct Layers {
    /// What there is before each level, and after the last one that is read early.
    all: Vec<Layer>,
    n_states: usize,
    /// For each state after the last level, where its automata are in `left`, and before which instant rows in it do not
    /// matter.
    ends: Vec<End>,
    /// Automata in which something can still hold, with their states; or [`SIGNED`].
    left: Vec<(u32, u32)>,
    /// Whether a signature is all that is left in each state.
    is_signed: bool,
}

/// States before a level.
#[derive(Debug, Default)]
struct Layer {
    /// Those of each automaton. In the first one nothing can hold any more.
    states: Vec<Box<[u32]>>,
    by_states: HashMap<Box<[u32]>, u32>,
    /// By state, where in `next` its steps are.
    steps: Vec<Steps>,
    /// The classes for which there is room.
    n_classes: usize,
    /// The states of the next layer: one for each class, or one for all where no automaton asks.
    next: Vec<u32>,
}

/// The steps of a state.
#[derive(Clone, Copy, Debug)]
struct Steps {
    start: u32,
    /// Which bits of a class make a difference: all or none, so that nobody has to ask.
    mask: u32,
}

impl Steps {
    #[inline]
    fn at(self, class: u32) -> usize {
        (self.start + (class & self.mask)) as usize
    }
}

#[derive(Clone, Copy, Debug)]
struct End {
    start: u32,
    end: u32,
    since: i64,
}

/// Rows of a batch with their states, and room for those that are left after the next level.
#[derive(Debug, Default)]
pub(super) struct Going {
    rows: Vec<u32>,
    states: Vec<u32>,
    next_rows: Vec<u32>,
    next_states: Vec<u32>,
}

impl Going {
    /// Whether no row is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many rows are left.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows that are left, with their states.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.rows.iter().copied().zip(self.states.iter().copied())
    }

    /// Keeps some of the rows.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let mut kept = self.rows.iter().map(|row| keep(*row));
        self.states.retain(|_| kept.next() == Some(true));
        self.rows.retain(|row| keep(*row));
    }
}

/// There are too many states.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooMany;

impl Layers {
    pub(super) fn new(automata: &Automata<'_>, n_levels: usize) -> Self {
        let mut layers = Self { all: vec![], n_states: 0, ends: vec![], left: vec![], is_signed: true };
        layers.all.resize_with(n_levels + 1, Layer::default);
        for layer in &mut layers.all {
            layer.intern(automata.all.iter().map(|_| DEAD).collect(), false);
        }
        let roots = automata.all.iter().map(|automaton| automaton.root).collect();
        layers.all[0].intern(roots, true);
        layers
    }

    /// The state of all rows before the first level.
    fn root(&self) -> u32 {
        small(self.all[0].states.len() - 1)
    }

    /// All rows of a batch, where no level is read.
    pub(super) fn all(&self, n_rows: usize) -> Going {
        Going { rows: (0..small(n_rows)).collect(), states: vec![self.root(); n_rows], ..Going::default() }
    }

    /// The rows of a batch after the first level: most rows end there, and all come from one state.
    pub(super) fn first(
        &mut self,
        n_rows: usize,
        values: &Values,
        classes: &Classes,
        automata: &mut Automata<'_>,
    ) -> Result<Going, TooMany> {
        self.all[0].make_room(classes.len())?;
        let root = self.root();
        let mut next = vec![];
        for class in 0..small(classes.len()) {
            let known = self.all[0].next(root, class);
            next.push(if known == UNKNOWN { self.learn(0, root, class, classes, automata)? } else { known });
        }
        let goes_on: Vec<bool> = next.iter().map(|state| *state != DEAD).collect();
        let rows = values.rows(n_rows, &goes_on);
        let states = values.classes(&rows, |class| next[class as usize]);
        Ok(Going { rows, states, ..Going::default() })
    }

    /// Takes rows through a level; those for which nothing can hold any more are left out.
    pub(super) fn step(
        &mut self,
        level: usize,
        going: &mut Going,
        values: &Values,
        classes: &Classes,
        automata: &mut Automata<'_>,
    ) -> Result<(), TooMany> {
        self.all[level].make_room(classes.len())?;
        match values {
            Values::Rows(of_rows) => self.go(level, going, |row| of_rows[row], classes, automata),
            Values::Same(class) => self.go(level, going, |_| *class, classes, automata),
            Values::Codes { classes: of_codes, codes, null } => {
                let nulls = codes.nulls().filter(|nulls| nulls.null_count() > 0);
                let codes = codes.values();
                let of_code = |row: usize| of_codes[codes[row].cast_unsigned() as usize];
                match nulls {
                    None => self.go(level, going, of_code, classes, automata),
                    Some(nulls) => {
                        let class = |row| if nulls.is_valid(row) { of_code(row) } else { *null };
                        self.go(level, going, class, classes, automata)
                    }
                }
            }
        }
    }

    fn go(
        &mut self,
        level: usize,
        going: &mut Going,
        class: impl Fn(usize) -> u32,
        classes: &Classes,
        automata: &mut Automata<'_>,
    ) -> Result<(), TooMany> {
        let n = going.rows.len();
        going.next_rows.resize(n, 0);
        going.next_states.resize(n, 0);
        while !self.all[level].go(going, &class) {
            // A step is not known yet: those of all rows are found, and then it goes on.
            for at in 0..n {
                let (state, class) = (going.states[at], class(going.rows[at] as usize));
                if self.all[level].next(state, class) == UNKNOWN {
                    self.learn(level, state, class, classes, automata)?;
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn learn(
        &mut self,
        level: usize,
        state: u32,
        class: u32,
        classes: &Classes,
        automata: &mut Automata<'_>,
    ) -> Result<u32, TooMany> {
        let holds = |literal: u32| classes.holds(class, literal as usize);
        let of_automata = self.all[level].states[state as usize].iter().zip(&mut automata.all);
        let states = of_automata.map(|(state, automaton)| {
            if *state != DEAD && automaton.level(*state) == level {
                automaton.step(*state, class, holds)
            } else {
                *state
            }
        });
        let states: Box<[u32]> = states.collect();
        let mut of_automata = states.iter().zip(&automata.all);
        let asks =
            of_automata.any(|(state, automaton)| *state != DEAD && automaton.level(*state) == level + 1);
        let before = self.all[level + 1].states.len();
        let next = self.all[level + 1].intern(states, asks);
        if next as usize == before {
            self.n_states += 1;
            if self.n_states > MAX_STATES {
                return Err(TooMany);
            }
            self.all[level + 1].make_room(0)?;
        }
        let layer = &mut self.all[level];
        let step = layer.steps[state as usize];
        layer.next[step.at(class)] = next;
        Ok(next)
    }

    /// Learns what is left in each state after the last level. Where nothing is to be read of all `n_levels`, a signature is all
    /// there is.
    pub(super) fn end(&mut self, automata: &mut Automata<'_>, n_levels: usize) {
        let Some(last) = self.all.last() else { return };
        for states in &last.states[self.ends.len()..] {
            let start = self.left.len();
            let (mut since, mut signatures, mut is_read) = (i64::MAX, vec![], true);
            for ((at, state), automaton) in (0..).zip(states.iter()).zip(&automata.all) {
                if *state != DEAD {
                    self.left.push((at, *state));
                    since = since.min(automaton.since(*state));
                    signatures.push(automaton.signature(*state));
                    is_read &= automaton.level(*state) >= n_levels;
                }
            }
            let signature = if is_read { automata.together(&signatures) } else { None };
            if let Some(signature) = signature {
                self.left.truncate(start);
                self.left.push((SIGNED, signature));
            }
            self.is_signed &= matches!(self.left[start..], [] | [(SIGNED, _)]);
            self.ends.push(End { start: small(start), end: small(self.left.len()), since });
        }
    }

    /// The automata in which something can still hold after the last level, with their states, and before which instant rows in
    /// this state do not matter.
    #[inline]
    pub(super) fn left(&self, state: u32) -> (i64, &[(u32, u32)]) {
        let End { start, end, since } = self.ends[state as usize];
        (since, &self.left[start as usize..end as usize])
    }

    /// If a signature is all that is left in each state, the signature, and before which instant rows do not matter. Those in
    /// which nothing holds never do.
    pub(super) fn signed(&self) -> Option<impl Fn(u32) -> (u32, i64)> {
        self.is_signed.then_some(|state: u32| {
            let End { start, since, .. } = self.ends[state as usize];
            (self.left.get(start as usize).map_or(0, |(_, signature)| *signature), since)
        })
    }
}

impl Layer {
    /// The next state, if it is known.
    #[inline]
    fn next(&self, state: u32, class: u32) -> u32 {
        self.next[self.steps[state as usize].at(class)]
    }

    /// Takes rows through the level, if all steps are known.
    #[inline]
    fn go(&self, going: &mut Going, class: impl Fn(usize) -> u32) -> bool {
        let Going { rows, states, next_rows, next_states } = going;
        let (mut kept, mut is_known) = (0, true);
        for (row, state) in rows.iter().zip(states.iter()) {
            let next = self.next(*state, class(*row as usize));
            is_known &= next != UNKNOWN;
            // Whether a row goes on is as good as random, so that there is no branch on it.
            (next_rows[kept], next_states[kept]) = (*row, next);
            kept += usize::from(next != DEAD);
        }
        if is_known {
            next_rows.truncate(kept);
            next_states.truncate(kept);
            std::mem::swap(rows, next_rows);
            std::mem::swap(states, next_states);
        }
        is_known
    }

    /// The number of the states of all automata; `asks` says whether one of them reads the level.
    fn intern(&mut self, states: Box<[u32]>, asks: bool) -> u32 {
        let Self { states: all, by_states, steps, next, n_classes } = self;
        *by_states.entry(states).or_insert_with_key(|states| {
            all.push(states.clone());
            let (start, mask) = (small(next.len()), if asks { u32::MAX } else { 0 });
            steps.push(Steps { start, mask });
            next.resize(next.len() + if asks { *n_classes } else { 1 }, UNKNOWN);
            small(all.len() - 1)
        })
    }

    /// Makes room for the steps of so many classes.
    fn make_room(&mut self, n_classes: usize) -> Result<(), TooMany> {
        if self.n_classes < n_classes {
            let n_classes = n_classes.next_power_of_two();
            let mut next = vec![];
            for Steps { start, mask } in &mut self.steps {
                let (before, now) = if *mask == 0 { (1, 1) } else { (self.n_classes, n_classes) };
                let known = &self.next[*start as usize..][..before];
                *start = small(next.len());
                next.extend_from_slice(known);
                next.resize(next.len() + now - before, UNKNOWN);
            }
            (self.n_classes, self.next) = (n_classes, next);
        }
        if self.next.len() > MAX_STEPS { Err(TooMany) } else { Ok(()) }
    }
}
