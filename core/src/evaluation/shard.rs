//! Profiles whose events are read together: all of a store, or those of one bucket of a laid-out table.
//!
//! Within a shard profiles are counted from 0, and go by partitions of a few thousand.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use hashbrown::HashMap;

use crate::bug;
use crate::error::{Error, Result};

use super::attributes::Attributes;
use super::keys::{Coded, Kept, Keys, repeated};
use super::register::{ByNumber, Places};
use super::scatter::PROFILES;

/// The profiles of a store that are looked at, shard by shard, and what is known of them.
#[derive(Debug)]
pub(super) struct Profiles {
    /// Their keys, by ordinal; none where they are found by number.
    pub(super) keys: Kept,
    /// Whom numbers stand for, where events have these instead of keys.
    pub(super) places: Option<Places>,
    /// Where each shard begins, and where the last one ends.
    pub(super) starts: Vec<usize>,
    /// Columns that expressions about events or features need, by ordinal.
    pub(super) columns: HashMap<String, ArrayRef>,
    /// The table, and its key with its type.
    pub(super) table: String,
    pub(super) key: String,
    pub(super) key_type: DataType,
    pub(super) attributes: Attributes,
    /// Rows of the table without a key.
    pub(super) null_keys: u64,
    /// What it takes.
    pub(super) _memory: MemoryReservation,
}

impl Profiles {
    /// The keys, by ordinal, as the profile table has them.
    pub(super) fn array(&self) -> Result<ArrayRef> {
        self.keys.array(&self.key_type)
    }

    /// The keys of some, whose positions ascend.
    pub(super) async fn keys_of(&self, positions: Vec<u32>, task: &Arc<TaskContext>) -> Result<ArrayRef> {
        match &self.places {
            None => self.keys.of(&positions.into(), &self.key_type),
            Some(places) => places.keys(Some(positions), &self.key_type, task).await,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or_default()
    }

    pub(super) fn n_shards(&self) -> usize {
        self.starts.len() - 1
    }

    /// A shard, made ready by some threads for keys to be looked up in it. Refuses a key that stands twice.
    pub(super) fn shard(
        self: &Arc<Self>,
        at: usize,
        n_threads: usize,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Shard> {
        let range = self.starts[at]..self.starts[at + 1];
        let (first, n) = (range.start, range.len());
        let memory = MemoryConsumer::new("profiles of an evaluation").register(pool);
        if let Some(places) = &self.places {
            let by_number = places.shard(at)?;
            memory.try_grow(by_number.iter().map(ByNumber::memory).sum())?;
            let find = Find::Numbers(by_number);
            return Ok(Shard { first, n, find, profiles: Arc::clone(self), _memory: Some(memory) });
        }
        memory.try_grow(Keys::memory(n))?;
        let keys = Keys::new(self.keys.slice(range), n_threads).map_err(|_| self.repeated())?;
        let find = Find::Keys(keys);
        Ok(Shard { first, n, find, profiles: Arc::clone(self), _memory: Some(memory) })
    }

    /// All profiles as one shard in which no key is looked up.
    pub(super) fn whole(self: &Arc<Self>) -> Shard {
        Shard { first: 0, n: self.len(), find: Find::Nobody, profiles: Arc::clone(self), _memory: None }
    }

    /// What is said of keys that stand twice: the same, whoever has met one.
    pub(super) fn repeated(&self) -> Error {
        let keys = self.array();
        match (Keys::new(self.keys.clone(), 1), keys) {
            (Err(found), Ok(keys)) => repeated(&keys, found.first, found.more, &self.table, &self.key),
            (_, Err(error)) => error,
            (Ok(_), _) => bug!("a key stands twice in a shard and once in all"),
        }
    }
}

/// Profiles whose events are read together.
#[derive(Debug)]
pub(super) struct Shard {
    /// How many profiles are in shards before, and how many in this one.
    pub(super) first: usize,
    n: usize,
    find: Find,
    /// All of them.
    pub(super) profiles: Arc<Profiles>,
    /// What finding profiles takes.
    _memory: Option<MemoryReservation>,
}

/// How the profiles of a shard are found.
#[derive(Debug)]
enum Find {
    /// By key.
    Keys(Keys),
    /// By the numbers that events have, for each event table.
    Numbers(Vec<ByNumber>),
    /// Not at all: it is known whose the events are.
    Nobody,
}

impl Shard {
    /// The ordinals of some keys of an event table, or of the numbers that stand for them;
    /// [`NOBODY`](super::keys::NOBODY) where no profile has the key.
    pub(super) fn ordinals(&self, table: usize, keys: &ArrayRef, coded: &mut Coded) -> Result<Vec<u32>> {
        match &self.find {
            Find::Keys(own) => own.ordinals(keys, coded),
            Find::Numbers(tables) => tables[table].ordinals(keys),
            Find::Nobody => Err(bug!("profiles of a shard in which none are found")),
        }
    }

    /// How many profiles there are.
    pub(super) fn len(&self) -> usize {
        self.n
    }

    pub(super) fn n_partitions(&self) -> usize {
        self.n.div_ceil(PROFILES)
    }

    /// The profiles of a partition, counted over all shards.
    pub(super) fn partition(&self, at: usize) -> Range<usize> {
        let end = self.n.min((at + 1) * PROFILES);
        self.first + at * PROFILES..self.first + end
    }
}

/// A row of what was read in parts: its part, and its place there.
pub(super) type Place = (usize, usize);

/// Puts profiles in the order of their buckets, which are given part by part: in that order the part of each and its place
/// there, and where each bucket begins and the last one ends.
pub(super) fn by_bucket(parts: &[Vec<u32>], n_buckets: usize) -> Result<(Vec<Place>, Vec<usize>)> {
    let mut starts = vec![0; n_buckets + 1];
    for bucket in parts.iter().flatten() {
        let after =
            starts.get_mut(*bucket as usize + 1).ok_or_else(|| bug!("bucket {bucket} of {n_buckets}"))?;
        *after += 1;
    }
    for bucket in 0..n_buckets {
        starts[bucket + 1] += starts[bucket];
    }
    let (mut next, mut order) = (starts.clone(), vec![(0, 0); starts[n_buckets]]);
    for (part, buckets) in parts.iter().enumerate() {
        for (at, bucket) in buckets.iter().enumerate() {
            let place = &mut next[*bucket as usize];
            order[*place] = (part, at);
            *place += 1;
        }
    }
    Ok((order, starts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_keep_their_order_within_a_bucket() {
        let (order, starts) = by_bucket(&[vec![2, 0, 2], vec![], vec![3, 0]], 5).unwrap();
        assert_eq!(order, [(0, 1), (2, 1), (0, 0), (0, 2), (2, 0)]);
        assert_eq!(starts, [0, 2, 2, 4, 5, 5]);
        assert!(by_bucket(&[vec![5]], 5).is_err());
    }
}
