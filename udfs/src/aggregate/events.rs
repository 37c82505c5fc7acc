//! The state of the functions that look at when things happened: each row's time and what else a
//! function has to know of it, handed over group by group, sorted by time.
//!
//! Rows without a time are ignored, a condition that is NULL does not hold.
//!
//! Memory: 12 bytes for each row that can matter, and 4 for its conditions. The state that travels
//! between stages is a list of times and, where there are conditions, a list of masks.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Int64Type, UInt32Type};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, internal_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::function::Groups;
use super::list::{list_type, lists};
use crate::kernel::events::{EventBuffer, Grouped, TooManyGroups};
use crate::ticks::Ticks;

/// Which arguments are what.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// The time.
    pub(crate) ts: usize,
    /// The conditions.
    pub(crate) conditions: Range<usize>,
    pub(crate) keep: Keep,
}

/// Which rows can matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Every row that has a time.
    Timed,
    /// Those where some condition holds.
    Matching,
}

impl Input {
    /// A time and no conditions.
    pub(crate) fn times(ts: usize) -> Self {
        Self { ts, conditions: 0..0, keep: Keep::Timed }
    }

    /// Calls `row` with the number, time and mask of each row that can matter.
    pub(crate) fn rows(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut row: impl FnMut(usize, i64, u32) -> Result<()>,
    ) -> Result<()> {
        let ticks = Ticks::of(&values[self.ts])?;
        let mut masks = vec![0_u32; ticks.values.len()];
        for (bit, condition) in values[self.conditions.clone()].iter().enumerate() {
            for i in truths(condition.as_boolean()).set_indices() {
                masks[i] |= 1 << bit;
            }
        }
        let wanted = filter.map(truths);
        for (i, (tick, mask)) in ticks.values.iter().zip(masks).enumerate() {
            if (mask == 0 && self.keep == Keep::Matching)
                || !ticks.is_valid(i)
                || wanted.as_ref().is_some_and(|wanted| !wanted.value(i))
            {
                continue;
            }
            row(i, *tick, mask)?;
        }
        Ok(())
    }
}

/// Where a condition is true; NULL is not.
pub(crate) fn truths(condition: &BooleanArray) -> BooleanBuffer {
    match condition.nulls() {
        Some(nulls) => condition.values() & nulls.inner(),
        None => condition.values().clone(),
    }
}

/// How rows are read, carried between stages, and turned into answers.
pub(crate) trait Rows: Debug + Send + Sync + 'static {
    /// What a row has besides its time.
    type Payload: Copy + Debug + PartialEq + Send + Sync;

    fn state_fields(types: &[DataType]) -> Vec<(&'static str, DataType, bool)>;

    /// Calls `row` with the number, time and payload of each row that can matter.
    fn read(
        &mut self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        row: impl FnMut(usize, i64, Self::Payload) -> Result<()>,
    ) -> Result<()>;

    /// The answer of each group.
    fn fold(&self, groups: Grouped<Self::Payload>) -> Result<ArrayRef>;

    /// The state columns for groups whose rows are given on end.
    fn state(&self, lengths: Vec<usize>, ticks: Vec<i64>, payload: &[Self::Payload])
    -> Result<Vec<ArrayRef>>;

    /// Calls `rows` with the number of each state and its rows.
    fn read_state(
        &mut self,
        state: &[ArrayRef],
        rows: impl FnMut(usize, &[i64], &[Self::Payload]) -> Result<()>,
    ) -> Result<()>;

    /// A state for each row.
    fn convert(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>>;

    /// Bytes held.
    fn size(&self) -> usize;
}

/// The rows of all groups.
#[derive(Debug)]
pub(crate) struct TimedGroups<R: Rows> {
    rows: R,
    buffer: EventBuffer<R::Payload>,
    n_groups: usize,
}

impl<R: Rows> TimedGroups<R> {
    pub(crate) fn of(rows: R) -> Self {
        Self { rows, buffer: EventBuffer::default(), n_groups: 0 }
    }

    fn take(&mut self, emit: EmitTo) -> Result<Grouped<R::Payload>> {
        match emit {
            EmitTo::All => Ok(self.buffer.take_all(std::mem::take(&mut self.n_groups))),
            EmitTo::First(n) => {
                self.n_groups -= n;
                self.buffer.take_first(n).map_err(too_many)
            }
        }
    }
}

impl<R: Rows> Groups for TimedGroups<R> {
    const RETRACTS: bool = true;

    fn state_fields(types: &[DataType]) -> Vec<(&'static str, DataType, bool)> {
        R::state_fields(types)
    }

    fn grow(&mut self, n_groups: usize) -> Result<()> {
        self.n_groups = n_groups;
        Ok(())
    }

    fn peek(&mut self) -> Result<ArrayRef> {
        self.rows.fold(self.buffer.as_one_group())
    }

    fn retract(&mut self, values: &[ArrayRef]) -> Result<()> {
        let buffer = &mut self.buffer;
        self.rows.read(values, None, |_, tick, payload| match buffer.pop_first() {
            Some(first) if first == (tick, payload) => Ok(()),
            _ => internal_err!("a row left a window before those that came before it"),
        })
    }
}

impl<R: Rows> GroupsAccumulator for TimedGroups<R> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.n_groups = n_groups;
        let buffer = &mut self.buffer;
        self.rows.read(values, filter, |row, tick, payload| {
            buffer.push(groups[row], tick, payload).map_err(too_many)
        })
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.n_groups = n_groups;
        let buffer = &mut self.buffer;
        self.rows
            .read_state(state, |i, ticks, payload| buffer.extend(groups[i], ticks, payload).map_err(too_many))
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let groups = self.take(emit)?;
        self.rows.fold(groups)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit)?;
        let lengths = groups.lengths().collect();
        let (ticks, payload) = groups.into_columns();
        self.rows.state(lengths, ticks, &payload)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.rows.convert(values, filter)
    }

    fn size(&self) -> usize {
        self.buffer.size() + self.rows.size()
    }
}

/// What is made of the times and conditions of a group.
pub(crate) trait Fold: Debug + Send + Sync {
    /// One answer for each group; each is sorted by time, rows of one time by mask.
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef>;
}

/// Rows of which only the time and the conditions matter.
#[derive(Debug)]
pub(crate) struct Events {
    input: Input,
    fold: Box<dyn Fold>,
}

/// The state of a function of times and conditions.
pub(crate) type EventGroups = TimedGroups<Events>;

impl EventGroups {
    pub(crate) fn new(input: Input, fold: impl Fold + 'static) -> Self {
        Self::of(Events { input, fold: Box::new(fold) })
    }
}

impl Rows for Events {
    type Payload = u32;

    fn state_fields(types: &[DataType]) -> Vec<(&'static str, DataType, bool)> {
        let mut fields = vec![("ticks", list_type(&DataType::Int64), false)];
        // Which rows have conditions is known from the types alone, whatever the constants are.
        if types.contains(&DataType::Boolean) {
            fields.push(("masks", list_type(&DataType::UInt32), false));
        }
        fields
    }

    fn read(
        &mut self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        row: impl FnMut(usize, i64, u32) -> Result<()>,
    ) -> Result<()> {
        self.input.rows(values, filter, row)
    }

    fn fold(&self, mut groups: Grouped<u32>) -> Result<ArrayRef> {
        groups.sort();
        self.fold.fold(&groups)
    }

    fn state(&self, lengths: Vec<usize>, ticks: Vec<i64>, masks: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut state = vec![lists(lengths.iter().copied(), Arc::new(Int64Array::from(ticks)))?];
        if !self.input.conditions.is_empty() {
            state.push(lists(lengths, Arc::new(UInt32Array::from(masks.to_vec())))?);
        }
        Ok(state)
    }

    fn read_state(
        &mut self,
        state: &[ArrayRef],
        mut rows: impl FnMut(usize, &[i64], &[u32]) -> Result<()>,
    ) -> Result<()> {
        let ticks = state[0].as_list::<i32>();
        let values = ticks.values().as_primitive::<Int64Type>().values();
        let masks = state.get(1).map(|masks| masks.as_list::<i32>());
        let no_masks = vec![0_u32; if masks.is_none() { values.len() } else { 0 }];
        let mask_values: &[u32] = match &masks {
            Some(masks) => masks.values().as_primitive::<UInt32Type>().values(),
            None => &no_masks,
        };
        for i in 0..ticks.len() {
            let (start, end) = range(ticks, i);
            // Both lists have the same lengths, but after slicing not always the same offsets.
            let mask_start = masks.map_or(start, |masks| range(masks, i).0);
            rows(i, &values[start..end], &mask_values[mask_start..mask_start + (end - start)])?;
        }
        Ok(())
    }

    fn convert(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut lengths = vec![0; values[0].len()];
        let (mut ticks, mut masks) = (vec![], vec![]);
        self.input.rows(values, filter, |i, tick, mask| {
            lengths[i] = 1;
            ticks.push(tick);
            masks.push(mask);
            Ok(())
        })?;
        self.state(lengths, ticks, &masks)
    }

    fn size(&self) -> usize {
        0
    }
}

fn range(list: &ListArray, i: usize) -> (usize, usize) {
    (list.value_offsets()[i] as usize, list.value_offsets()[i + 1] as usize)
}

fn too_many(_: TooManyGroups) -> DataFusionError {
    exec_datafusion_err!("more groups than one aggregation can hold")
}
