//! Events that matter, kept with the numbers of their keys as long as no profile has been read.
//!
//! Where only profiles with such events can be members and these events are few, the profiles are read last, and of them
//! only those: a table of all keys costs more than everything else that one rule needs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{filter, is_not_null, take};
use arrow::datatypes::{Field, Schema};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

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

/// Keys, numbered in the order in which they are met.
#[derive(Default)]
struct Met {
    /// As profiles' keys are kept.
    keys: Option<Box<dyn GroupValues>>,
    numbers: Vec<usize>,
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
        let met = match &mut self.keys {
            Some(met) => met,
            None => {
                let schema = Schema::new(vec![Field::new("key", own.data_type().clone(), false)]);
                self.keys.insert(new_group_values(Arc::new(schema), &GroupOrdering::None)?)
            }
        };
        met.intern(&[own], &mut self.numbers)?;
        let mut numbers = self.numbers.iter().map(|number| small(*number));
        let number = |at| if all.is_valid(at) { numbers.next() } else { None };
        Ok((0..all.len()).map(number).map(|number| number.unwrap_or(NOBODY)).collect())
    }

    /// All keys by number; there are none from then on.
    fn take(&mut self) -> Result<Option<ArrayRef>> {
        let Some(mut met) = self.keys.take() else { return Ok(None) };
        Ok(met.emit(EmitTo::All)?.pop())
    }

    fn len(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.len())
    }

    fn memory(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.size())
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

    /// The bytes that events and keys take.
    pub(super) fn memory(&self) -> usize {
        let event = size_of::<i64>() + 3 * size_of::<u32>();
        self.met.memory() + self.times.capacity() * event + self.values.capacity() * size_of::<u64>()
    }

    /// The ordinals that a shard has for the keys of the events, by number; no key is known from then on.
    pub(super) fn ordinals(&mut self, shard: &Shard) -> Result<Vec<u32>> {
        self.coded = Coded::default();
        let keys = self.met.take()?;
        Ok(keys.map(|keys| shard.ordinals(&keys, &mut Coded::default())).transpose()?.unwrap_or_default())
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

/// The keys of all events that wait, once each, and for each of `all` the numbers of its own among them.
pub(super) fn together<'a>(
    all: impl Iterator<Item = &'a mut Pending>,
) -> Result<(Option<ArrayRef>, Vec<Vec<u32>>)> {
    let (mut met, mut numbers) = (Met::default(), vec![]);
    for pending in all {
        if met.len() == 0 {
            met = std::mem::take(&mut pending.met);
            numbers.push((0..small(met.len())).collect());
        } else {
            let keys = std::mem::take(&mut pending.met).take()?;
            numbers.push(keys.map(|keys| met.numbers(&keys)).transpose()?.unwrap_or_default());
        }
    }
    Ok((met.take()?, numbers))
}
