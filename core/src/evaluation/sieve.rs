//! Events that others make superfluous: of those that are only asked for the first or the last of a profile, no others are
//! kept.
//!
//! Whether a profile did something at all, too, is what its last such event says, whatever the window.

use datafusion::execution::memory_pool::MemoryReservation;

use super::scatter::Scatter;

/// Which of a profile's events of one signature matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Matters {
    /// None that is known of yet.
    #[default]
    Nothing,
    First,
    Last,
    Both,
    All,
}

impl Matters {
    /// What matters where each of two does.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (Self::All, _) | (_, Self::All) => Self::All,
            (one, same) if one == same => one,
            _ => Self::Both,
        }
    }
}

/// One thread's sieve for the profiles of a shard.
///
/// Tables of all profiles do not fit into the processor's cache, but a profile's events of one row group have one code, and
/// those of all codes do: they are sieved by code first, and the tables see what is left in the end.
pub(super) struct Sieve {
    n_profiles: usize,
    /// The codes of the dictionary at hand, if there are few enough.
    n_codes: usize,
    /// By signature.
    meshes: Vec<Mesh>,
    n_tables: usize,
    reservation: MemoryReservation,
}

/// The events of one signature.
#[derive(Debug, Default)]
struct Mesh {
    /// How many were let through.
    n: usize,
    /// By profile, and of the dictionary at hand by code.
    by_profile: Ends,
    by_code: Ends,
}

/// The first and the last time of each; empty where it is not kept.
#[derive(Debug, Default)]
struct Ends {
    first: Vec<i64>,
    last: Vec<i64>,
}

/// So many tables are made at most: a rule needs one or two, and thousands of rules ask so much of their events that few can
/// be spared.
const MOST_TABLES: usize = 4;

/// Tables of so many bytes stay in the second cache of a core.
const NEAR: usize = 1 << 20;

/// More codes than this would not stay near either.
const MOST_CODES: usize = 1 << 16;

/// No event has been met; events of these times are not held back.
const NO_FIRST: i64 = i64::MAX;
const NO_LAST: i64 = i64::MIN;

impl Sieve {
    pub(super) fn new(reservation: MemoryReservation) -> Self {
        Self { n_profiles: 0, n_codes: 0, meshes: vec![], n_tables: 0, reservation }
    }

    /// Begins anew with so many profiles.
    pub(super) fn begin(&mut self, n_profiles: usize) {
        self.n_profiles = n_profiles;
        self.n_codes = 0;
        self.meshes.clear();
        self.n_tables = 0;
        self.reservation.free();
    }

    /// Whether it pays to [`touch`](Self::touch) what is known of profiles.
    pub(super) fn is_far(&self) -> bool {
        self.n_codes == 0 && self.n_tables * self.n_profiles * size_of::<i64>() > NEAR
    }

    /// Looks at what is known of a profile's events, so that it is near when the next one comes.
    #[inline]
    pub(super) fn touch(&self, ordinal: u32, signature: u32) {
        let Some(Mesh { by_profile, .. }) = self.meshes.get(signature as usize) else { return };
        let at = ordinal as usize;
        std::hint::black_box((by_profile.first.get(at).copied(), by_profile.last.get(at).copied()));
    }

    /// Ends a dictionary, given the ordinals of its codes; the next one has so many codes.
    pub(super) fn change(&mut self, ordinals: &[u32], n_codes: usize) {
        self.n_codes = if n_codes > MOST_CODES { 0 } else { n_codes };
        for mesh in &mut self.meshes {
            mesh.by_profile.extend(&mesh.by_code, ordinals);
            mesh.by_code.clear_as(&mesh.by_profile, self.n_codes);
        }
    }

    /// Whether an event is held back, since it is not known yet whether it is the first or the last one; `code` is that of its
    /// profile, if all events have one.
    #[inline]
    pub(super) fn holds_back(
        &mut self,
        ordinal: u32,
        code: Option<usize>,
        time: i64,
        signature: u32,
        matters: Matters,
    ) -> bool {
        if time == NO_FIRST || time == NO_LAST {
            return false;
        }
        let Some(mesh) = self.meshes.get_mut(signature as usize) else {
            self.meshes.resize_with(signature as usize + 1, Mesh::default);
            return false;
        };
        if mesh.by_profile.is_empty() {
            mesh.n += 1;
            // A few events take less room than a place for each profile.
            if mesh.n > self.n_profiles / 16 {
                mesh.n = 0;
                self.n_tables +=
                    mesh.open(matters, self.n_profiles, MOST_TABLES - self.n_tables, &self.reservation);
                mesh.by_code.clear_as(&mesh.by_profile, self.n_codes);
            }
            return false;
        }
        self.add(ordinal, code, time, signature)
    }

    /// Adds an event of a signature of which some have been held back before; says whether this one is, too.
    #[inline]
    pub(super) fn add(&mut self, ordinal: u32, code: Option<usize>, time: i64, signature: u32) -> bool {
        if time == NO_FIRST || time == NO_LAST {
            return false;
        }
        let mesh = &mut self.meshes[signature as usize];
        match code.filter(|code| *code < self.n_codes) {
            Some(code) => mesh.by_code.add(code, time),
            None => mesh.by_profile.add(ordinal as usize, time),
        }
        true
    }

    /// Lets through what was held back and matters, given the ordinals of the dictionary's codes.
    pub(super) fn end(&mut self, ordinals: &[u32], scatter: &mut Scatter) {
        self.change(ordinals, 0);
        for (signature, mesh) in (0..).zip(std::mem::take(&mut self.meshes)) {
            let Ends { first, last } = mesh.by_profile;
            for (ordinal, first) in (0..).zip(&first) {
                if *first != NO_FIRST {
                    scatter.push(ordinal, *first, signature, std::iter::empty());
                }
            }
            for (ordinal, last) in (0..).zip(&last) {
                let is_first = first.get(ordinal as usize) == Some(last);
                if *last != NO_LAST && !is_first {
                    scatter.push(ordinal, *last, signature, std::iter::empty());
                }
            }
        }
        self.reservation.free();
    }
}

impl Mesh {
    /// Makes tables, if there is memory for them and no more than `most`: else all events are let through. Says how many.
    fn open(
        &mut self,
        matters: Matters,
        n_profiles: usize,
        most: usize,
        reservation: &MemoryReservation,
    ) -> usize {
        let first = matches!(matters, Matters::First | Matters::Both);
        let last = matches!(matters, Matters::Last | Matters::Both);
        let n_tables = usize::from(first) + usize::from(last);
        let bytes = n_tables * n_profiles * size_of::<i64>();
        if n_tables > most || reservation.try_grow(bytes).is_err() {
            return 0;
        }
        if first {
            self.by_profile.first = vec![NO_FIRST; n_profiles];
        }
        if last {
            self.by_profile.last = vec![NO_LAST; n_profiles];
        }
        n_tables
    }
}

impl Ends {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }

    /// Adds an event.
    #[inline]
    fn add(&mut self, at: usize, time: i64) {
        if let Some(first) = self.first.get_mut(at) {
            *first = time.min(*first);
        }
        if let Some(last) = self.last.get_mut(at) {
            *last = time.max(*last);
        }
    }

    /// Adds what there is of codes, given the ordinals of these.
    fn extend(&mut self, codes: &Self, ordinals: &[u32]) {
        for (ordinal, time) in ordinals.iter().zip(&codes.first).filter(|(_, time)| **time != NO_FIRST) {
            self.add(*ordinal as usize, *time);
        }
        for (ordinal, time) in ordinals.iter().zip(&codes.last).filter(|(_, time)| **time != NO_LAST) {
            self.add(*ordinal as usize, *time);
        }
    }

    /// Makes room for so many codes of which nothing is known, as far as another one has anything.
    fn clear_as(&mut self, other: &Self, n_codes: usize) {
        for (own, other, none) in
            [(&mut self.first, &other.first, NO_FIRST), (&mut self.last, &other.last, NO_LAST)]
        {
            own.clear();
            own.resize(if other.is_empty() { 0 } else { n_codes }, none);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn what_matters_together() {
        use Matters::{All, Both, First, Last, Nothing};
        let all = [Nothing, First, Last, Both, All];
        for one in all {
            assert_eq!(one.and(one), one);
            assert_eq!(one.and(Nothing), one);
            assert_eq!(one.and(All), All);
            for other in all {
                assert_eq!(one.and(other), other.and(one));
            }
        }
        assert_eq!(First.and(Last), Both);
        assert_eq!(Both.and(Last), Both);
    }

    /// The first and last events that are let through in the end, of events in dictionaries of 40 codes.
    fn sieved(by_code: bool) -> Vec<(u16, i64, u32)> {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let memory = || MemoryConsumer::new("events").register(&pool);
        let (mut sieve, mut scatter) = (Sieve::new(memory()), Scatter::new(memory()));
        sieve.begin(100);
        scatter.begin(1);
        let (mut random, mut ordinals) = (StdRng::seed_from_u64(7), vec![]);
        for dictionary in 0..30 {
            let next: Vec<u32> = (0..40).map(|code| (code * 7 + dictionary * 11) % 100).collect();
            // None, and too many, are looked up by profile.
            let n_codes = match dictionary % 5 {
                _ if !by_code => 0,
                3 => MOST_CODES + 1,
                4 => 0,
                _ => next.len(),
            };
            sieve.change(&ordinals, n_codes);
            ordinals = next;
            for _ in 0..100 {
                let (code, time) = (random.random_range(0..40), random.random_range(0..1_000));
                let (signature, ordinal) = (random.random_range(0..3), ordinals[code]);
                let matters = [Matters::First, Matters::Last, Matters::Both][signature as usize];
                if !sieve.holds_back(ordinal, by_code.then_some(code), time, signature, matters) {
                    scatter.push(ordinal, time, signature, std::iter::empty());
                }
            }
        }
        sieve.end(&ordinals, &mut scatter);
        let events = scatter.take(0, &mut vec![]).unwrap();
        let mut events: Vec<_> =
            events.iter().flatten().map(|event| (event.profile, event.time, event.signature)).collect();
        events.sort_unstable();
        events
    }

    #[test]
    fn by_code_the_same_are_let_through() {
        assert_eq!(sieved(true), sieved(false));
    }
}
