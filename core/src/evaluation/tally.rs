//! Counts of a profile's events up to small numbers, of 64 leaves at once.
//!
//! Where a leaf asks for one event, an event sets its bit. Else it has a count in binary, each digit of all counts of a word
//! in a word of its own, so that an event is added to them with a few instructions. A count begins so far below its
//! overflow that the event that makes the leaf hold overflows it.

use crate::compile::Atom;

use super::bits::Part;
use super::finish::Facts;
use super::leaves::{Asked, Bits, Found, Leaves, by_atom, word};

/// Binary digits of a count.
const DIGITS: usize = 4;
/// Greater numbers are left to others.
pub(super) const MOST: u32 = 1 << DIGITS;

/// Which counts there are.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The leaves that ask for one event, and those that ask for more.
    once: Leaves,
    counted: Leaves,
    /// What the digits of the latter are before any event, lowest first.
    start: Vec<[u64; DIGITS]>,
}

/// The counts of the profile at hand.
#[derive(Debug, Default)]
pub(super) struct Tallied {
    once: Found,
    counted: Found,
    digits: Vec<[u64; DIGITS]>,
}

/// What is counted of events with one signature.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Act {
    once: Part,
    counted: Part,
}

impl Tally {
    /// `counts` are leaves with how many events they ask for, from 1 to [`MOST`]; `edges` are the instants since which
    /// anything is counted, latest first.
    pub(super) fn new(mut counts: Vec<(u32, Asked)>, atoms: &[Atom], edges: &[i64]) -> Self {
        let is_counted = |(least, _): &(u32, Asked)| *least > 1;
        counts.sort_by(|left, right| {
            is_counted(left).cmp(&is_counted(right)).then_with(|| by_atom(atoms, &left.1, &right.1))
        });
        let (once, counted) = counts.split_at(counts.partition_point(|count| !is_counted(count)));
        let leaves = |counts: &[(u32, Asked)]| {
            Leaves::new(&counts.iter().map(|count| count.1).collect::<Vec<_>>(), atoms.len(), edges)
        };
        let start = counted.chunks(64).map(|counts| {
            std::array::from_fn(|digit| word(counts, |(least, _)| (MOST - least) >> digit & 1 == 1))
        });
        Self { once: leaves(once), counted: leaves(counted), start: start.collect() }
    }

    /// What is counted of events of some atoms; the bits are added to `all`.
    pub(super) fn of(&self, atoms: &[u32], all: &mut Vec<Bits>) -> Act {
        Act { once: self.once.of(atoms, all), counted: self.counted.of(atoms, all) }
    }

    /// Forgets all profiles.
    pub(super) fn begin(&self, tallied: &mut Tallied) {
        self.once.begin(&mut tallied.once);
        self.counted.begin(&mut tallied.counted);
        tallied.digits.clone_from(&self.start);
    }

    /// Counts an event of the profile at hand, after an edge.
    #[inline]
    pub(super) fn count(&self, act: Act, all: &[Bits], edge: usize, tallied: &mut Tallied) {
        let Tallied { once, counted, digits } = tallied;
        let (open, done) = (self.once.open(edge), &mut once.done[..]);
        for &(word, bits) in act.once.of(all) {
            done[word as usize] |= bits & open[word as usize];
        }
        let (open, done) = (self.counted.open(edge), &mut counted.done[..]);
        for &(word, bits) in act.counted.of(all) {
            let mut carry = bits & open[word as usize];
            for digit in &mut digits[word as usize] {
                let over = *digit & carry;
                *digit ^= carry;
                carry = over;
            }
            done[word as usize] |= carry;
        }
    }

    /// All events of a profile have been counted.
    pub(super) fn end(&self, profile: usize, tallied: &mut Tallied) {
        self.once.end(profile, &mut tallied.once);
        self.counted.end(profile, &mut tallied.counted);
        tallied.digits.copy_from_slice(&self.start);
    }

    /// Puts down what was found for the 64 profiles from `64 * block` on.
    pub(super) fn settle(&self, block: usize, tallied: &mut Tallied, facts: &mut Facts) {
        self.once.settle(block, &mut tallied.once, facts);
        self.counted.settle(block, &mut tallied.counted, facts);
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::super::bits::small;
    use super::*;

    /// Against counting one by one, with as many leaves as fill words of every number of digits.
    #[test]
    fn counts_are_those_of_one_by_one() {
        let mut random = StdRng::seed_from_u64(8);
        let edges = [70, 40, 10, i64::MIN];
        let atoms: Vec<Atom> = (0..9).map(|at| Atom { terms: vec![vec![at % 4]], valid: vec![at] }).collect();
        let counts: Vec<(u32, Asked)> = (0..700)
            .map(|leaf| {
                let atom = random.random_range(0..atoms.len());
                let since = edges[random.random_range(0..edges.len())];
                (random.random_range(1..=MOST), Asked { atom, since, leaf })
            })
            .collect();
        let tally = Tally::new(counts.clone(), &atoms, &edges);
        let (mut facts, mut tallied) = (Facts::default(), Tallied::default());
        facts.clear(counts.len());
        tally.begin(&mut tallied);
        let mut expected = vec![];
        for profile in 0..130 {
            let n = random.random_range(0..60);
            let mut events: Vec<(i64, Vec<u32>)> = (0..n)
                .map(|_| {
                    let own = (0..small(atoms.len())).filter(|_| random.random_bool(0.3)).collect();
                    (random.random_range(0..100), own)
                })
                .collect();
            events.sort_by_key(|event| std::cmp::Reverse(event.0));
            for (time, own) in &events {
                let edge = edges.iter().position(|edge| edge <= time).unwrap();
                let mut all = vec![];
                let act = tally.of(own, &mut all);
                tally.count(act, &all, edge, &mut tallied);
            }
            tally.end(profile, &mut tallied);
            if profile % 64 == 63 || profile == 129 {
                tally.settle(profile / 64, &mut tallied, &mut facts);
            }
            let holds = |(least, asked): &(u32, Asked)| {
                let is_one =
                    |(time, own): &&(i64, Vec<u32>)| *time >= asked.since && own.contains(&small(asked.atom));
                events.iter().filter(is_one).count() >= *least as usize
            };
            expected.push(counts.iter().map(holds).collect::<Vec<_>>());
        }
        for (profile, expected) in expected.iter().enumerate() {
            for (least, asked) in &counts {
                let holds = facts.holds(asked.leaf, profile);
                assert_eq!(holds, expected[asked.leaf as usize], "{least} of {asked:?} for {profile}");
            }
        }
    }
}
