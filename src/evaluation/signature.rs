//! From the classes of a row's values to its *signature*: the set of atoms that the row satisfies.
//!
//! An automaton reads one subject after the other. Its states are the sets of terms that can still hold; a subject
//! that no such term asks about is skipped, and a state without terms ends the row. States and steps are made when
//! they are first needed, so that in the end a row costs one look-up for each subject that matters to it, whatever
//! the number of rules.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

use super::bits::{Lists, small};

/// No state, no signature.
const NONE: u32 = u32::MAX;
/// The state in which no term can hold.
pub(super) const DEAD: u32 = 0;

/// What the automaton of every thread is made from.
#[derive(Debug)]
pub(super) struct Terms {
    /// For each level, for each term, the literals of the level's subject that must hold.
    levels: Vec<Lists>,
    /// The atoms that each term is part of.
    atoms: Vec<Vec<u32>>,
    /// What is known of each atom.
    of_atom: Vec<AtomUse>,
    n_terms: usize,
}

/// How an atom is used.
#[derive(Clone, Debug)]
pub(super) struct AtomUse {
    /// The least instant at which it matters.
    pub(super) since: i64,
    /// The channels whose values are kept of its events.
    pub(super) channels: Vec<u32>,
}

impl Terms {
    /// `terms` holds for each term its literals as pairs of level and literal of the level's subject, and its atom.
    pub(super) fn new(n_levels: usize, terms: &[(Vec<(usize, u32)>, u32)], of_atom: Vec<AtomUse>) -> Self {
        // Terms that are the same belong to several atoms.
        let mut known: HashMap<&[(usize, u32)], usize> = HashMap::new();
        let mut unique: Vec<&[(usize, u32)]> = vec![];
        let mut atoms: Vec<Vec<u32>> = vec![];
        for (literals, atom) in terms {
            let at = *known.entry(literals).or_insert_with(|| {
                unique.push(literals);
                atoms.push(vec![]);
                unique.len() - 1
            });
            atoms[at].push(*atom);
        }
        let mut levels = vec![Lists::default(); n_levels];
        for term in &unique {
            for (level, list) in levels.iter_mut().enumerate() {
                list.push(term.iter().filter(|(at, _)| *at == level).map(|(_, literal)| *literal));
            }
        }
        Self { levels, atoms, of_atom, n_terms: unique.len() }
    }

    /// The channels whose values are kept of events with some atoms, in order.
    pub(super) fn channels(&self, atoms: &[u32]) -> Vec<u32> {
        let mut channels: Vec<u32> =
            atoms.iter().flat_map(|atom| self.of_atom[*atom as usize].channels.iter().copied()).collect();
        channels.sort_unstable();
        channels.dedup();
        channels
    }
}

/// The signatures found so far, by all threads.
#[derive(Debug, Default)]
pub(super) struct Signatures(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_atoms: HashMap<Vec<u32>, u32>,
    all: Vec<Vec<u32>>,
}

impl Signatures {
    fn intern(&self, atoms: Vec<u32>) -> u32 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { by_atoms, all } = &mut *known;
        *by_atoms.entry(atoms).or_insert_with_key(|atoms| {
            all.push(atoms.clone());
            small(all.len() - 1)
        })
    }

    /// The atoms of each signature.
    pub(super) fn all(&self) -> Vec<Vec<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all.clone()
    }
}

/// One thread's automaton.
#[derive(Debug)]
pub(super) struct Automaton<'a> {
    terms: &'a Terms,
    signatures: &'a Signatures,
    states: Vec<State>,
    by_terms: HashMap<(usize, Vec<u32>), u32>,
    root: u32,
}

#[derive(Debug)]
struct State {
    /// The level that is read next, the number of levels where nothing is left to read.
    level: usize,
    terms: Vec<u32>,
    /// The next state by class.
    next: Vec<u32>,
    /// The signature, where nothing is left to read.
    signature: u32,
    /// Rows before this instant do not matter.
    since: i64,
    /// The channels whose values are kept, in order.
    channels: Vec<u32>,
}

impl<'a> Automaton<'a> {
    pub(super) fn new(terms: &'a Terms, signatures: &'a Signatures) -> Self {
        let mut automaton = Self { terms, signatures, states: vec![], by_terms: HashMap::new(), root: DEAD };
        let dead = automaton.state(0, vec![]);
        debug_assert_eq!(dead, DEAD);
        automaton.root = automaton.state(0, (0..small(terms.n_terms)).collect());
        automaton
    }

    /// The state before anything is read.
    pub(super) fn root(&self) -> u32 {
        self.root
    }

    /// The level that a state reads next.
    #[inline]
    pub(super) fn level(&self, state: u32) -> usize {
        self.states[state as usize].level
    }

    /// Before which instant rows in a state do not matter.
    #[inline]
    pub(super) fn since(&self, state: u32) -> i64 {
        self.states[state as usize].since
    }

    /// The signature of a row that has been read.
    #[inline]
    pub(super) fn signature(&self, state: u32) -> u32 {
        self.states[state as usize].signature
    }

    /// The channels whose values are kept of a row that has been read.
    #[inline]
    pub(super) fn channels(&self, state: u32) -> &[u32] {
        &self.states[state as usize].channels
    }

    /// The state after reading a class; `holds` says whether a literal of the level's subject holds for it.
    #[inline]
    pub(super) fn step(&mut self, state: u32, class: u32, holds: impl Fn(u32) -> bool) -> u32 {
        match self.states[state as usize].next.get(class as usize) {
            Some(&next) if next != NONE => next,
            _ => self.learn(state, class, holds),
        }
    }

    #[cold]
    fn learn(&mut self, from: u32, class: u32, holds: impl Fn(u32) -> bool) -> u32 {
        let state = &self.states[from as usize];
        let (level, needs) = (state.level, &self.terms.levels[state.level]);
        let left = state.terms.iter().copied();
        let left =
            left.filter(|term| needs.get(*term as usize).iter().all(|literal| holds(*literal))).collect();
        let next = self.state(level + 1, left);
        let steps = &mut self.states[from as usize].next;
        if steps.len() <= class as usize {
            steps.resize(class as usize + 1, NONE);
        }
        steps[class as usize] = next;
        next
    }

    /// The state in which these terms can still hold and `level` is next, or a later one that some term asks about.
    fn state(&mut self, mut level: usize, terms: Vec<u32>) -> u32 {
        let n_levels = self.terms.levels.len();
        let asks =
            |level: usize| terms.iter().any(|term| !self.terms.levels[level].get(*term as usize).is_empty());
        while level < n_levels && !asks(level) {
            level += 1;
        }
        if let Some(&known) = self.by_terms.get(&(level, terms.clone())) {
            return known;
        }
        let mut atoms: Vec<u32> =
            terms.iter().flat_map(|term| self.terms.atoms[*term as usize].iter().copied()).collect();
        atoms.sort_unstable();
        atoms.dedup();
        let uses = || atoms.iter().map(|atom| &self.terms.of_atom[*atom as usize]);
        let since = uses().map(|of| of.since).min().unwrap_or(i64::MAX);
        let channels = self.terms.channels(&atoms);
        let done = level >= n_levels && !atoms.is_empty();
        let signature = if done { self.signatures.intern(atoms) } else { NONE };
        self.states.push(State { level, terms: terms.clone(), next: vec![], signature, since, channels });
        let at = small(self.states.len() - 1);
        self.by_terms.insert((level, terms), at);
        at
    }
}
