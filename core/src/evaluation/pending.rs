//! Events that matter, kept with their keys as long as no profile has been read.
//!
//! Where only profiles with such events can be members and these events are few, the profiles are read last, and of them
//! only those: a table of all keys costs more than everything else that one rule needs.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;

use crate::bug;
use crate::error::Result;

use super::bits::small;
use super::keys::{Coded, Kept, NOBODY};
use super::scatter::Scatter;
use super::shard::Shard;

/// So many events, of all threads, are kept with their keys at most where it is not known how many profiles there are. Where
/// it is, an event more than profiles is too many: as many keys are held then as there are in the table.
pub(super) const MOST: usize = 1 << 18;
/// About what an event takes with its key.
pub(super) const BYTES: usize = 64;

/// One thread's events.
#[derive(Debug, Default)]
pub(super) struct Pending {
    batches: Vec<Batch>,
    /// The batch at hand, and which of its rows its events are.
    open: Batch,
    rows: Vec<u32>,
}

#[derive(Debug, Default)]
struct Batch {
    /// As profiles' keys are kept.
    keys: Option<ArrayRef>,
    times: Vec<i64>,
    signatures: Vec<u32>,
    values: Vec<u64>,
    /// Up to where the values of each event are.
    ends: Vec<u32>,
}

impl Pending {
    /// Adds an event of the batch at hand.
    pub(super) fn push(&mut self, row: usize, time: i64, signature: u32, values: impl Iterator<Item = u64>) {
        self.rows.push(small(row));
        self.open.times.push(time);
        self.open.signatures.push(signature);
        self.open.values.extend(values);
        self.open.ends.push(small(self.open.values.len()));
    }

    /// Ends the batch at hand, given the keys of its rows; says how many events it had.
    pub(super) fn end(&mut self, keys: &ArrayRef) -> Result<usize> {
        let n = self.rows.len();
        if n > 0 {
            let rows = UInt32Array::from(std::mem::take(&mut self.rows));
            let keys = take(keys, &rows, None).map_err(|error| bug!("keys: {error}"))?;
            let keys = Some(Kept::part(&keys)?);
            self.batches.push(Batch { keys, ..std::mem::take(&mut self.open) });
        }
        Ok(n)
    }

    /// The keys of the events, as often as there are events.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ArrayRef> {
        self.batches.iter().flat_map(|batch| &batch.keys)
    }

    /// How many events there are.
    pub(super) fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.times.len()).sum()
    }

    /// Hands the events over to the partitions of their profiles, whose ordinals may be known.
    pub(super) fn settle(
        &mut self,
        shard: &Shard,
        known: Option<Vec<u32>>,
        scatter: &mut Scatter,
    ) -> Result<()> {
        let mut known = known.map(Vec::into_iter);
        for batch in std::mem::take(&mut self.batches) {
            let Some(keys) = &batch.keys else { continue };
            let ordinals = match &mut known {
                Some(known) => known.take(keys.len()).collect(),
                None => shard.keys.ordinals(keys, &mut Coded::default())?,
            };
            let mut start = 0;
            for (at, ordinal) in ordinals.into_iter().enumerate() {
                let end = batch.ends[at] as usize;
                // Where the ordinal is known, a key that is missing is taken for an empty one.
                if ordinal != NOBODY && keys.is_valid(at) {
                    let values = batch.values[start..end].iter().copied();
                    scatter.push(ordinal, batch.times[at], batch.signatures[at], values);
                }
                start = end;
            }
        }
        Ok(())
    }
}
