//! From the classes of a row's values to its *signature*: the set of atoms that the row satisfies.
//!
//! An automaton for each [family](super::families) of atoms reads one subject after the other. Its states are the sets of terms that can still hold; a subject
//! that no such term asks about is skipped, and a state without terms ends the row. States and steps are made when
//! they are first needed, so that in the end a row costs one look-up for each subject that matters to it, whatever
//! the number of rules. Where a row has atoms of several families, their signatures become one as long as few such
//! combinations appear; else the row counts as several events, one a family.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

use super::bits::{Lists, small};
use super::sieve::Matters;

/// No state, no signature.
const NONE: u32 = u32::MAX;
/// The state in which no term can hold.
pub(super) const DEAD: u32 = 0;

/// What the automata of every thread are made from.
#[derive(Debug)]
pub(super) struct Terms {
    families: Vec<Family>,
    /// What is known of each atom.
    of_atom: Vec<AtomUse>,
}

/// Terms that one automaton reads.
#[derive(Debug)]
struct Family {
    /// For each level, for each term, the literals of the level's subject that must hold.
    levels: Vec<Lists>,
    /// The atoms that each term is part of.
    atoms: Vec<Vec<u32>>,
}

/// A term: its literals as pairs of level and literal of the level's subject.
pub(super) type Term = Vec<(usize, u32)>;

/// How an atom is used.
#[derive(Clone, Debug)]
pub(super) struct AtomUse {
    /// The least instant at which it matters.
    pub(super) since: i64,
    /// The channels whose values are kept of its events.
    pub(super) channels: Vec<u32>,
    /// The channels that are not NULL in its events.
    pub(super) valid: Vec<u32>,
    /// Which of a profile's events matter, if no values are kept of them.
    pub(super) matters: Matters,
}

/// Which values are kept of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// Of these channels, in order.
    pub(super) channels: Vec<u32>,
    /// Whether some may be NULL: a word that says which are not goes before them.
    pub(super) nullable: bool,
}

impl Kept {
    /// How many words are kept.
    pub(super) fn len(&self) -> usize {
        self.channels.len() + usize::from(self.nullable)
    }
}

impl Terms {
    /// `atoms` holds the terms of each atom, `families` says which atoms are looked up together.
    pub(super) fn new(
        n_levels: usize,
        atoms: &[Vec<Term>],
        families: &[Vec<u32>],
        of_atom: Vec<AtomUse>,
    ) -> Self {
        let family = |family: &Vec<u32>| {
            // Terms that are the same belong to several atoms.
            let mut known: HashMap<&Term, usize> = HashMap::new();
            let mut unique: Vec<&Term> = vec![];
            let mut of_term: Vec<Vec<u32>> = vec![];
            for &atom in family {
                for term in &atoms[atom as usize] {
                    let at = *known.entry(term).or_insert_with(|| {
                        unique.push(term);
                        of_term.push(vec![]);
                        unique.len() - 1
                    });
                    of_term[at].push(atom);
                }
            }
            let mut levels = vec![Lists::default(); n_levels];
            for term in &unique {
                for (level, list) in levels.iter_mut().enumerate() {
                    list.push(term.iter().filter(|(at, _)| *at == level).map(|(_, literal)| *literal));
                }
            }
            Family { levels, atoms: of_term }
        };
        Self { families: families.iter().map(family).collect(), of_atom }
    }

    /// What is kept of events with some atoms.
    pub(super) fn kept(&self, atoms: &[u32]) -> Kept {
        let uses = || atoms.iter().map(|atom| &self.of_atom[*atom as usize]);
        let mut channels: Vec<u32> = uses().flat_map(|of| of.channels.iter().copied()).collect();
        channels.sort_unstable();
        channels.dedup();
        let nullable = !channels.iter().all(|channel| uses().any(|of| of.valid.contains(channel)));
        Kept { channels, nullable }
    }

    /// Which of a profile's events with some atoms matter.
    pub(super) fn matters(&self, atoms: &[u32]) -> Matters {
        let uses = || atoms.iter().map(|atom| &self.of_atom[*atom as usize]);
        if uses().any(|of| !of.channels.is_empty()) {
            return Matters::All;
        }
        uses().fold(Matters::Nothing, |matters, of| matters.and(of.matters))
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

    /// The signature of the atoms of several.
    fn union(&self, signatures: &[u32]) -> u32 {
        let mut atoms = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            signatures.iter().flat_map(|at| known.all[*at as usize].iter().copied()).collect::<Vec<_>>()
        };
        atoms.sort_unstable();
        self.intern(atoms)
    }

    /// The atoms of a signature.
    pub(super) fn atoms(&self, signature: u32) -> Vec<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all[signature as usize].clone()
    }

    /// The atoms of each signature from one on.
    pub(super) fn from(&self, first: usize) -> Vec<Vec<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all[first..].to_vec()
    }
}

/// The most combinations of families' signatures that a thread makes into one.
const MAX_COMBINED: usize = 1 << 14;

/// One thread's automata.
#[derive(Debug)]
pub(super) struct Automata<'a> {
    pub(super) all: Vec<Automaton<'a>>,
    /// By the class of the first level, where in `started` the automata are in which something can still hold.
    starts: Vec<Option<(usize, usize)>>,
    /// Automata with their states.
    started: Vec<(u32, u32)>,
    signatures: &'a Signatures,
    /// What several signatures are together.
    combined: HashMap<Box<[u32]>, u32>,
}

impl<'a> Automata<'a> {
    pub(super) fn new(terms: &'a Terms, signatures: &'a Signatures) -> Self {
        let automaton = |family| Automaton::new(family, terms, signatures);
        Self {
            all: terms.families.iter().map(automaton).collect(),
            starts: vec![],
            started: vec![],
            signatures,
            combined: HashMap::new(),
        }
    }

    /// Where those automata are that go on after the first level, given its class if there is one to read.
    #[inline]
    pub(super) fn start(&mut self, class: Option<u32>, holds: impl Fn(u32, u32) -> bool) -> Range<usize> {
        match self.starts.get(class.unwrap_or_default() as usize) {
            Some(&Some((start, end))) => start..end,
            _ => self.learn_start(class, holds),
        }
    }

    #[cold]
    fn learn_start(&mut self, class: Option<u32>, holds: impl Fn(u32, u32) -> bool) -> Range<usize> {
        let first = self.started.len();
        for (at, automaton) in self.all.iter_mut().enumerate() {
            let root = automaton.root;
            let state = match class {
                Some(class) if automaton.level(root) == 0 => {
                    automaton.step(root, class, |literal| holds(class, literal))
                }
                _ => root,
            };
            if state != DEAD {
                self.started.push((small(at), state));
            }
        }
        let class = class.unwrap_or_default() as usize;
        if self.starts.len() <= class {
            self.starts.resize(class + 1, None);
        }
        self.starts[class] = Some((first, self.started.len()));
        first..self.started.len()
    }

    /// An automaton that was started, and its state.
    #[inline]
    pub(super) fn started(&self, at: usize) -> (usize, u32) {
        let (automaton, state) = self.started[at];
        (automaton as usize, state)
    }

    /// What the signatures of a row are together, if there are any and if that is worth knowing.
    pub(super) fn together(&mut self, found: &[u32]) -> Option<u32> {
        if let [] | [_] = found {
            return found.first().copied();
        }
        if let Some(known) = self.combined.get(found) {
            return Some(*known);
        }
        if self.combined.len() == MAX_COMBINED {
            return None;
        }
        let combined = self.signatures.union(found);
        self.combined.insert(found.into(), combined);
        Some(combined)
    }
}

/// One thread's automaton for a family.
#[derive(Debug)]
pub(super) struct Automaton<'a> {
    family: &'a Family,
    terms: &'a Terms,
    signatures: &'a Signatures,
    states: Vec<State>,
    by_terms: HashMap<(usize, Vec<u32>), u32>,
    pub(super) root: u32,
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
}

impl<'a> Automaton<'a> {
    fn new(family: &'a Family, terms: &'a Terms, signatures: &'a Signatures) -> Self {
        let (states, by_terms) = (vec![], HashMap::new());
        let mut automaton = Self { family, terms, signatures, states, by_terms, root: DEAD };
        let dead = automaton.state(0, vec![]);
        debug_assert_eq!(dead, DEAD);
        automaton.root = automaton.state(0, (0..small(family.atoms.len())).collect());
        automaton
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
        let (level, needs) = (state.level, &self.family.levels[state.level]);
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
        let n_levels = self.family.levels.len();
        let asks =
            |level: usize| terms.iter().any(|term| !self.family.levels[level].get(*term as usize).is_empty());
        while level < n_levels && !asks(level) {
            level += 1;
        }
        if let Some(&known) = self.by_terms.get(&(level, terms.clone())) {
            return known;
        }
        let mut atoms: Vec<u32> =
            terms.iter().flat_map(|term| self.family.atoms[*term as usize].iter().copied()).collect();
        atoms.sort_unstable();
        atoms.dedup();
        let uses = || atoms.iter().map(|atom| &self.terms.of_atom[*atom as usize]);
        let since = uses().map(|of| of.since).min().unwrap_or(i64::MAX);
        let done = level >= n_levels && !atoms.is_empty();
        let signature = if done { self.signatures.intern(atoms) } else { NONE };
        self.states.push(State { level, terms: terms.clone(), next: vec![], signature, since });
        let at = small(self.states.len() - 1);
        self.by_terms.insert((level, terms), at);
        at
    }
}
