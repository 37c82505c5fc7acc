//! The events of one partition, by profile and time, with the values kept of them.

use arrow::array::{ArrayRef, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use std::ops::Range;
use std::sync::Arc;

use crate::bug;
use crate::error::Result;

use super::bits::small;
use super::channel::Channel;
use super::scatter::{Event, Scatter};
use super::signature::Kept;

/// One thread's room for the events of a partition.
#[derive(Default)]
pub(super) struct Partition {
    values: Vec<u64>,
    next: Vec<u32>,
    /// By profile and time.
    pub(super) events: Vec<Sorted>,
    /// Where the events of each profile begin.
    offsets: Vec<u32>,
    /// By channel, the values that are made from the times of events.
    made: Vec<Option<(Vec<u64>, Option<NullBuffer>)>>,
}

/// An event of a partition, sorted by profile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sorted {
    pub(super) time: i64,
    pub(super) signature: u32,
    /// Where its values begin.
    values: u32,
}

impl Partition {
    /// Reads the events of a partition of `n` profiles. `kept` says by signature which values events have.
    pub(super) fn load(
        &mut self,
        scatters: &[Scatter],
        partition: usize,
        n: usize,
        kept: &[Kept],
    ) -> Result<()> {
        let Self { values, next, events, offsets, .. } = self;
        values.clear();
        let mut read: Vec<Vec<Event>> = vec![];
        for scatter in scatters {
            read.extend(scatter.take(partition, values)?);
        }
        offsets.clear();
        offsets.resize(n + 1, 0);
        for event in read.iter().flatten() {
            offsets[usize::from(event.profile) + 1] += 1;
        }
        for profile in 0..n {
            offsets[profile + 1] += offsets[profile];
        }
        events.clear();
        events.resize(offsets[n] as usize, Sorted::default());
        next.clone_from(offsets);
        let mut at_value = 0_usize;
        for event in read.iter().flatten() {
            let slot = &mut next[usize::from(event.profile)];
            events[*slot as usize] =
                Sorted { time: event.time, signature: event.signature, values: small(at_value) };
            *slot += 1;
            at_value += kept[event.signature as usize].len();
        }
        for profile in 0..n {
            let own = &mut events[offsets[profile] as usize..offsets[profile + 1] as usize];
            // Files are nearly in the order of time.
            if !own.is_sorted_by_key(|event| event.time) {
                own.sort_unstable_by_key(|event| event.time);
            }
        }
        Ok(())
    }

    /// Computes the values of channels that are made from times.
    pub(super) fn make(&mut self, channels: &[Channel], time_type: &DataType) -> Result<()> {
        self.made.clear();
        for channel in channels {
            let days = || channel.days(self.events.iter().map(|event| event.time));
            self.made.push(if !channel.is_of_time {
                None
            } else if let Some(days) = days() {
                Some(days)
            } else {
                let times = times(self.events.iter().copied(), time_type)?;
                let inputs = vec![
                    cast(&times, channel.expr.parts().1.field(0).data_type())
                        .map_err(|error| bug!("times: {error}"))?,
                ];
                Some(channel.encode(&channel.expr.evaluate(inputs, self.events.len())?)?)
            });
        }
        Ok(())
    }

    /// Which of the events are a profile's.
    pub(super) fn of(&self, profile: usize) -> Range<usize> {
        self.offsets[profile] as usize..self.offsets[profile + 1] as usize
    }

    /// The value of an event in a channel, unless it is NULL or was not kept.
    #[inline]
    pub(super) fn value(&self, at: usize, channel: usize, kept: &[Kept]) -> Option<u64> {
        if let Some((values, nulls)) = &self.made[channel] {
            return nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at)).then(|| values[at]);
        }
        let event = self.events[at];
        let kept = &kept[event.signature as usize];
        let place = kept.channels.binary_search(&small(channel)).ok()?;
        let start = event.values as usize;
        if !kept.nullable {
            return Some(self.values[start + place]);
        }
        (self.values[start] >> place & 1 == 1).then(|| self.values[start + 1 + place])
    }
}

/// The times of events as the table's timestamp column has them.
pub(super) fn times(events: impl Iterator<Item = Sorted>, time_type: &DataType) -> Result<ArrayRef> {
    let failed = |error| bug!("timestamps: {error}");
    let times: Int64Array = events.map(|event| (event.time != i64::MIN).then_some(event.time)).collect();
    let times: ArrayRef = Arc::new(times);
    match time_type {
        DataType::Date32 => {
            let days = cast(&times, &DataType::Int32).map_err(failed)?;
            cast(&days, &DataType::Date32).map_err(failed)
        }
        data_type => cast(&times, data_type).map_err(failed),
    }
}
