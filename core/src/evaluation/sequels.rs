//! Events that others follow, or none does: leaves that hold as soon as one is found, 64 of them at once.
//!
//! Which leaves an event can make true is known by bits: it is of their atom and within their window, they do not hold yet,
//! and there is a later event that may be the one. Times are compared for these alone.

use coterie_udfs::kernel::span::Span;

use crate::compile::{Atom, Second, Sequel};

use super::bits::Part;
use super::finish::Facts;
use super::leaves::{Asked, Bits, Found, Leaves, by_atom, joined};

/// Which leaves there are.
#[derive(Debug, Default)]
pub(super) struct Sequels {
    leaves: Leaves,
    /// By bit, what must come after an event.
    sequels: Vec<Sequel>,
    /// By second, from when on its events count, and the bits that wait for one.
    seconds: Vec<(i64, Vec<Bits>)>,
    /// By word, the bits that wait for none.
    start: Vec<u64>,
}

/// What is known of the profile at hand while its events are walked over, newest first.
#[derive(Debug, Default)]
pub(super) struct Following {
    found: Found,
    /// By second, the soonest of its events after the event at hand.
    seconds: Vec<Soonest>,
    /// By word, the bits for which a later event may be the one.
    may: Vec<u64>,
}

/// What events of one signature may be followed by, and what they may follow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Act {
    firsts: Part,
    seconds: Part,
}

impl Act {
    /// Whether nothing is asked of them here.
    pub(super) fn is_empty(self) -> bool {
        self.firsts.is_empty() && self.seconds.is_empty()
    }
}

/// The soonest events of a kind, walking back in time.
#[derive(Clone, Copy, Debug, Default)]
struct Soonest {
    /// Whose they are: what has another stamp is another profile's.
    stamp: u32,
    /// The last one met,
    here: i64,
    /// and the one strictly after it.
    after: Option<i64>,
}

impl Soonest {
    fn after(&self, time: i64, stamp: u32) -> Option<i64> {
        if self.stamp != stamp {
            None
        } else if self.here > time {
            Some(self.here)
        } else {
            self.after
        }
    }

    fn meet(&mut self, time: i64, stamp: u32) {
        if self.stamp != stamp {
            *self = Self { stamp, here: time, after: None };
        } else if time < self.here {
            *self = Self { stamp, here: time, after: Some(self.here) };
        }
    }
}

impl Sequels {
    /// `asked` are the leaves with what must come after their events; `edges` are the instants since which anything is
    /// asked, latest first.
    pub(super) fn new(
        mut asked: Vec<(Asked, Sequel)>,
        seconds: &[Second],
        atoms: &[Atom],
        edges: &[i64],
    ) -> Self {
        asked.sort_by(|left, right| by_atom(atoms, &left.0, &right.0));
        let (asked, sequels): (Vec<Asked>, Vec<Sequel>) = asked.into_iter().unzip();
        let mut waiting: Vec<Vec<Bits>> = vec![vec![]; seconds.len()];
        let mut start = vec![0; sequels.len().div_ceil(64)];
        for ((word, bit), sequel) in (0..).flat_map(|word| (0..64).map(move |bit| (word, bit))).zip(&sequels)
        {
            match sequel.missing_at {
                None => waiting[sequel.second].push((word, 1 << bit)),
                Some(_) => start[word as usize] |= 1 << bit,
            }
        }
        let since = seconds.iter().map(|second| second.since);
        let seconds = since.zip(waiting.into_iter().map(|bits| joined(bits.into_iter()))).collect();
        Self { leaves: Leaves::new(&asked, atoms.len(), edges), sequels, seconds, start }
    }

    /// What is asked of events of some atoms, where they may be these seconds; bits and seconds are added to the lists.
    pub(super) fn of(
        &self,
        atoms: &[u32],
        seconds: impl Iterator<Item = u32>,
        bits: &mut Vec<Bits>,
        all: &mut Vec<u32>,
    ) -> Act {
        Act { firsts: self.leaves.of(atoms, bits), seconds: Part::push(all, seconds) }
    }

    /// Forgets all profiles.
    pub(super) fn begin(&self, following: &mut Following) {
        self.leaves.begin(&mut following.found);
        following.seconds.clear();
        following.seconds.resize(self.seconds.len(), Soonest::default());
        following.may.clone_from(&self.start);
    }

    /// Looks at an event of the profile at hand, after an edge. `stamp` is the profile's, from 1 on.
    #[inline]
    pub(super) fn look(
        &self,
        act: Act,
        (bits, seconds): (&[Bits], &[u32]),
        (edge, time): (usize, i64),
        stamp: u32,
        following: &mut Following,
    ) {
        let open = self.leaves.open(edge);
        for &(word, bits) in act.firsts.of(bits) {
            let word = word as usize;
            let mut left = bits & open[word] & following.may[word] & !following.found.done[word];
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let sequel = &self.sequels[word * 64 + bit as usize];
                let soonest = following.seconds[sequel.second];
                if sequel.is_met(time, soonest.after(time, stamp)) {
                    following.found.done[word] |= 1 << bit;
                } else if sequel.is_over(time, soonest.here) {
                    following.may[word] &= !(1 << bit);
                }
            }
        }
        for &second in act.seconds.of(seconds) {
            let (since, waiting) = &self.seconds[second as usize];
            if time >= *since {
                following.seconds[second as usize].meet(time, stamp);
                waiting.iter().for_each(|(word, bits)| following.may[*word as usize] |= bits);
            }
        }
    }

    /// All events of a profile have been looked at.
    pub(super) fn end(&self, profile: usize, following: &mut Following) {
        self.leaves.end(profile, &mut following.found);
        following.may.copy_from_slice(&self.start);
    }

    /// Puts down what was found for the 64 profiles from `64 * block` on.
    pub(super) fn settle(&self, block: usize, following: &mut Following, facts: &mut Facts) {
        self.leaves.settle(block, &mut following.found, facts);
    }
}

impl Sequel {
    /// Whether an event is followed as asked, given the soonest event after it that may be the one.
    fn is_met(&self, time: i64, after: Option<i64>) -> bool {
        let is_within = |second: i64| self.within.as_ref().is_none_or(|span| second <= span.reach(time));
        match self.missing_at {
            None => after.is_some_and(is_within),
            Some(now) => {
                let is_over = self.within.as_ref().is_none_or(|span| span.over(time) <= now);
                is_over && !after.is_some_and(is_within)
            }
        }
    }

    /// Whether, after this event was found to be too long before the last second that was met, all events before it are,
    /// too. A month from the end of a month may be over earlier than a month from the day before.
    fn is_over(&self, time: i64, second: i64) -> bool {
        self.missing_at.is_none() && second > time && matches!(self.within, Some(Span::Fixed { .. }))
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
    use coterie_udfs::kernel::span::Scale;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::super::bits::small;
    use super::*;

    const DAY: i64 = 86_400;

    /// Whether an event holds a leaf true, by looking at all others.
    fn is_one(asked: &Asked, sequel: &Sequel, second: Second, time: i64, events: &[(i64, Vec<u32>)]) -> bool {
        let later = events
            .iter()
            .filter(|(at, own)| *at > time && *at >= second.since && own.contains(&small(second.atom)));
        let is_followed = later
            .map(|later| later.0)
            .any(|at| sequel.within.as_ref().is_none_or(|span| at <= span.reach(time)));
        let is_over = |now| sequel.within.as_ref().is_none_or(|span| span.over(time) <= now);
        time >= asked.since
            && match sequel.missing_at {
                None => is_followed,
                Some(now) => is_over(now) && !is_followed,
            }
    }

    /// Against looking at all pairs, with as many leaves as fill words, events at the same times, and months that end early.
    #[test]
    fn sequels_are_those_of_all_pairs() {
        let mut random = StdRng::seed_from_u64(9);
        let scale = Scale::of(&DataType::Timestamp(TimeUnit::Second, None)).unwrap();
        let month = IntervalMonthDayNano { months: 1, days: 0, nanoseconds: 0 };
        let spans = [
            None,
            Some(Span::from_number(DAY, &scale).unwrap()),
            Some(Span::from_number(9 * DAY, &scale).unwrap()),
            Some(Span::from_interval(month, &scale).unwrap()),
        ];
        assert!(matches!(spans[3], Some(Span::Calendar { .. })));
        let edges = [90 * DAY, 60 * DAY, 20 * DAY, i64::MIN];
        let atoms: Vec<Atom> = (0..6).map(|at| Atom { terms: vec![vec![at % 4]], valid: vec![at] }).collect();
        let seconds: Vec<Second> = (0..5).map(|at| Second { atom: at, since: edges[at % 4] }).collect();
        let asked: Vec<(Asked, Sequel)> = (0..200)
            .map(|leaf| {
                let since = edges[random.random_range(0..edges.len())];
                let within = spans[random.random_range(0..spans.len())].clone();
                let missing_at = random.random_bool(0.3).then_some(100 * DAY);
                let second = random.random_range(0..seconds.len());
                let asked = Asked { atom: random.random_range(0..atoms.len()), since, leaf };
                (asked, Sequel { second, within, missing_at })
            })
            .collect();
        let sequels = Sequels::new(asked.clone(), &seconds, &atoms, &edges);
        let (mut facts, mut following) = (Facts::default(), Following::default());
        facts.clear(asked.len());
        sequels.begin(&mut following);
        let mut all = vec![];
        for profile in 0..64_u8 {
            let n = random.random_range(0..12);
            let mut events: Vec<(i64, Vec<u32>)> = (0..n)
                .map(|_| {
                    // Whole days, so that some are alike, and hours around the ends of months.
                    let time = random.random_range(0..100) * DAY + random.random_range(0..2) * DAY / 3;
                    (time, (0..small(atoms.len())).filter(|_| random.random_bool(0.4)).collect())
                })
                .collect();
            events.sort_by_key(|event| Reverse(event.0));
            for (time, own) in &events {
                let edge = edges.iter().position(|edge| edge <= time).unwrap();
                let own_seconds =
                    (0..small(seconds.len())).filter(|at| own.contains(&small(seconds[*at as usize].atom)));
                let (mut bits, mut items) = (vec![], vec![]);
                let act = sequels.of(own, own_seconds, &mut bits, &mut items);
                sequels.look(act, (&bits, &items), (edge, *time), u32::from(profile) + 1, &mut following);
            }
            sequels.end(usize::from(profile), &mut following);
            all.push(events);
        }
        sequels.settle(0, &mut following, &mut facts);
        let mut n_true = 0;
        for (profile, events) in all.iter().enumerate() {
            for (asked, sequel) in &asked {
                let second = seconds[sequel.second];
                let is_one = |(time, own): &(i64, Vec<u32>)| {
                    own.contains(&small(asked.atom)) && is_one(asked, sequel, second, *time, events)
                };
                let holds = facts.holds(asked.leaf, profile);
                assert_eq!(holds, events.iter().any(is_one), "{asked:?} {sequel:?} {events:?}");
                n_true += usize::from(holds);
            }
        }
        assert!((2_000..10_000).contains(&n_true), "{n_true} of 12,800");
    }
}
