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
pub(super) struct Sieve {
    n_profiles: usize,
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
    /// By profile, the first and the last time; empty where it is not kept.
    first: Vec<i64>,
    last: Vec<i64>,
}

/// So many tables are made at most: a rule needs one or two, and thousands of rules ask so much of their events that few can
/// be spared.
const MOST_TABLES: usize = 4;

/// No event has been met; events of these times are not held back.
const NO_FIRST: i64 = i64::MAX;
const NO_LAST: i64 = i64::MIN;

impl Sieve {
    pub(super) fn new(reservation: MemoryReservation) -> Self {
        Self { n_profiles: 0, meshes: vec![], n_tables: 0, reservation }
    }

    /// Begins anew with so many profiles.
    pub(super) fn begin(&mut self, n_profiles: usize) {
        self.n_profiles = n_profiles;
        self.meshes.clear();
        self.n_tables = 0;
        self.reservation.free();
    }

    /// Whether anything is held back.
    pub(super) fn is_open(&self) -> bool {
        self.n_tables > 0
    }

    /// Looks at what is known of a profile's events, so that it is near when the next one comes.
    #[inline]
    pub(super) fn touch(&self, ordinal: u32, signature: u32) {
        let Some(mesh) = self.meshes.get(signature as usize) else { return };
        let at = ordinal as usize;
        std::hint::black_box((mesh.first.get(at).copied(), mesh.last.get(at).copied()));
    }

    /// Whether an event is held back, since it is not known yet whether it is the first or the last one.
    #[inline]
    pub(super) fn holds_back(&mut self, ordinal: u32, time: i64, signature: u32, matters: Matters) -> bool {
        if time == NO_FIRST || time == NO_LAST {
            return false;
        }
        let Some(mesh) = self.meshes.get_mut(signature as usize) else {
            self.meshes.resize_with(signature as usize + 1, Mesh::default);
            return false;
        };
        if mesh.first.is_empty() && mesh.last.is_empty() {
            mesh.n += 1;
            // A few events take less room than a place for each profile.
            if mesh.n > self.n_profiles / 16 {
                mesh.n = 0;
                self.n_tables +=
                    mesh.open(matters, self.n_profiles, MOST_TABLES - self.n_tables, &self.reservation);
            }
            return false;
        }
        if let Some(first) = mesh.first.get_mut(ordinal as usize) {
            *first = time.min(*first);
        }
        if let Some(last) = mesh.last.get_mut(ordinal as usize) {
            *last = time.max(*last);
        }
        true
    }

    /// Lets through what was held back and matters.
    pub(super) fn end(&mut self, scatter: &mut Scatter) {
        for (signature, mesh) in (0..).zip(std::mem::take(&mut self.meshes)) {
            for (ordinal, first) in (0..).zip(&mesh.first) {
                if *first != NO_FIRST {
                    scatter.push(ordinal, *first, signature, std::iter::empty());
                }
            }
            for (ordinal, last) in (0..).zip(&mesh.last) {
                let is_first = mesh.first.get(ordinal as usize) == Some(last);
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
            self.first = vec![NO_FIRST; n_profiles];
        }
        if last {
            self.last = vec![NO_LAST; n_profiles];
        }
        n_tables
    }
}

#[cfg(test)]
mod tests {
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
}
