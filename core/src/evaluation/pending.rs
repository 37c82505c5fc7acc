//! Events that matter, kept with the numbers of their keys as long as no profile has been read.
//!
//! Where only profiles with such events can be members and these events are few, the profiles are read last, and of them
//! only those: a table of all keys costs more than everything else that one rule needs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{filter, is_not_null, take};
use arrow::datatypes::DataType;

use crate::bug;
use crate::error::Result;

use super::bits::small;
use super::keys::{Coded, Kept, NOBODY};
use super::scatter::Scatter;
use super::shard::Shard;

/// So many events, of all threads, wait at most where it is not known how many profiles there are. Where it is, an event more
/// than profiles is too many: as many keys may be held then as there are in the table.
pub(super) const MOST: usize = 1 << 18;

/// One thread's events.
#[derive(Default)]
pub(super) struct Pending {
    met: Met,
    coded: Coded,
    /// Which rows of the batch at hand the last events are.
    rows: Vec<u32>,
    /// By event, as far as batches have ended: the number of its key.
    owners: Vec<u32>,
    times: Vec<i64>,
    signatures: Vec<u32>,
    values: Vec<u64>,
    /// How many of the values are each event's.
    n_values: Vec<u32>,
}

/// Keys, numbered in the order in which they are met. Which are the same is found out in the end, since until then each would
/// be looked for by itself in what does not fit into the processor's cache.
#[derive(Default)]
struct Met {
    /// As profiles' keys are kept.
    parts: Vec<ArrayRef>,
    n: usize,
    memory: usize,
}

impl Met {
    /// The numbers of some keys; [`NOBODY`] where there is none.
    fn numbers(&mut self, keys: &ArrayRef) -> Result<Vec<u32>> {
        let all = Kept::part(keys)?;
        let own = match all.null_count() {
            0 => Arc::clone(&all),
            _ => is_not_null(&all)
                .and_then(|valid| filter(&all, &valid))
                .map_err(|error| bug!("keys: {error}"))?,
        };
        let mut numbers = small(self.n)..;
        self.n += own.len();
        self.memory += own.get_array_memory_size();
        self.parts.push(own);
        let number = |at| if all.is_valid(at) { numbers.next() } else { None };
        Ok((0..all.len()).map(number).map(|number| number.unwrap_or(NOBODY)).collect())
    }
}

impl Pending {
    /// Adds an event of the batch at hand.
    pub(super) fn push(&mut self, row: usize, time: i64, signature: u32, values: impl Iterator<Item = u64>) {
        self.rows.push(small(row));
        self.times.push(time);
        self.signatures.push(signature);
        let before = self.values.len();
        self.values.extend(values);
        self.n_values.push(small(self.values.len() - before));
    }

    /// Ends the batch at hand, given the keys of its rows; says how many events it had.
    pub(super) fn end(&mut self, keys: &ArrayRef) -> Result<usize> {
        let n = self.rows.len();
        if n > 0 {
            let rows = UInt32Array::from(std::mem::take(&mut self.rows));
            let keys = take(keys, &rows, None).map_err(|error| bug!("keys: {error}"))?;
            let Self { met, coded, owners, .. } = self;
            owners.extend(coded.ordinals(&keys, |keys| met.numbers(keys))?);
        }
        Ok(n)
    }

    /// How many keys have a number.
    pub(super) fn n_keys(&self) -> usize {
        self.met.n
    }

    /// The bytes that events and keys take.
    pub(super) fn memory(&self) -> usize {
        let event = size_of::<i64>() + 3 * size_of::<u32>();
        self.met.memory + self.times.capacity() * event + self.values.capacity() * size_of::<u64>()
    }

    /// The ordinals that a shard has for the keys of the events, which are a table's, by number; no key is known from then on.
    pub(super) fn ordinals(&mut self, table: usize, shard: &Shard) -> Result<Vec<u32>> {
        self.coded = Coded::default();
        let mut ordinals = vec![];
        for keys in std::mem::take(&mut self.met).parts {
            ordinals.extend(shard.ordinals(table, &keys, &mut Coded::default())?);
        }
        Ok(ordinals)
    }

    /// Hands the events over to the partitions of their profiles, given the ordinals of these by the numbers of their keys.
    pub(super) fn settle(&mut self, ordinals: &[u32], scatter: &mut Scatter) {
        let Self { owners, times, signatures, values, n_values, .. } = std::mem::take(self);
        let mut start = 0;
        for (at, owner) in owners.into_iter().enumerate() {
            let end = start + n_values[at] as usize;
            // Events without a key have a number that no key has.
            if let Some(&ordinal) = ordinals.get(owner as usize)
                && ordinal != NOBODY
            {
                scatter.push(ordinal, times[at], signatures[at], values[start..end].iter().copied());
            }
            start = end;
        }
    }
}

/// The keys of all events that wait, once each, and for each of `all` the numbers of its own among them; `none` is the type of
/// keys that there are none of.
pub(super) fn together<'a>(
    all: impl Iterator<Item = &'a mut Pending>,
    none: &DataType,
    n_threads: usize,
) -> Result<(Kept, Vec<Vec<u32>>)> {
    let (mut parts, mut ends) = (vec![], vec![0]);
    for pending in all {
        let met = std::mem::take(&mut pending.met);
        ends.push(ends[ends.len() - 1] + met.n);
        parts.extend(met.parts);
    }
    let (keys, numbers) = Kept::together(parts, none, n_threads)?.distinct(n_threads)?;
    Ok((keys, ends.windows(2).map(|part| numbers[part[0]..part[1]].to_vec()).collect()))
}
