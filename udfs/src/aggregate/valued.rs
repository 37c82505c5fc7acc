//! As [`events`](super::events), with a value of any type to each row.
//!
//! Memory: 20 bytes for each row, and each different value once.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Int64Type, UInt32Type};
use datafusion::common::{Result, internal_err};

use super::call::Call;
use super::events::{Input, Rows, TimedGroups};
use super::list::{list_type, lists, nullable_list_type, nullable_lists};
use super::values::Interner;
use crate::kernel::events::Grouped;

/// What a row has besides its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) mask: u32,
    pub(crate) value: u32,
}

/// What is made of the rows of a group.
pub(crate) trait ValuedFold: Debug + Send + Sync {
    /// One answer for each group; each is sorted by time, rows of one time by value and mask.
    fn fold(&self, groups: &Grouped<Load>, values: &Interner) -> Result<ArrayRef>;
}

/// Rows with a value, which is argument `VALUE`.
#[derive(Debug)]
pub(crate) struct Valued<const VALUE: usize> {
    input: Input,
    nulls: Nulls,
    values: Interner,
    fold: Box<dyn ValuedFold>,
}

/// Whether rows without a value count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    Count,
    Ignored,
}

/// The state of a function of timed values.
pub(crate) type ValuedGroups<const VALUE: usize> = TimedGroups<Valued<VALUE>>;

impl<const VALUE: usize> ValuedGroups<VALUE> {
    pub(crate) fn new(
        call: &Call,
        input: Input,
        nulls: Nulls,
        fold: impl ValuedFold + 'static,
    ) -> Result<Self> {
        let values = Interner::new(&call.types[VALUE])?;
        Ok(Self::of(Valued { input, nulls, values, fold: Box::new(fold) }))
    }
}

impl<const VALUE: usize> Valued<VALUE> {
    /// Whether the row's value will do.
    fn has_value(&self, values: &[ArrayRef]) -> impl Fn(usize) -> bool + use<VALUE> {
        let nulls = values[VALUE].logical_nulls().filter(|_| self.nulls == Nulls::Ignored);
        move |row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    fn lists(
        lengths: &[usize],
        ticks: Vec<i64>,
        masks: UInt32Array,
        values: ArrayRef,
    ) -> Result<Vec<ArrayRef>> {
        let lengths = || lengths.iter().copied();
        Ok(vec![
            lists(lengths(), Arc::new(Int64Array::from(ticks)))?,
            lists(lengths(), Arc::new(masks))?,
            nullable_lists(lengths(), values)?,
        ])
    }
}

impl<const VALUE: usize> Rows for Valued<VALUE> {
    type Payload = Load;

    fn state_fields(types: &[DataType]) -> Vec<(&'static str, DataType, bool)> {
        vec![
            ("ticks", list_type(&DataType::Int64), false),
            ("masks", list_type(&DataType::UInt32), false),
            ("values", nullable_list_type(&types[VALUE]), false),
        ]
    }

    fn read(
        &mut self,
        columns: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut row: impl FnMut(usize, i64, Load) -> Result<()>,
    ) -> Result<()> {
        let column = &columns[VALUE];
        let has_value = self.has_value(columns);
        let (mut rows, mut kept) = (vec![], vec![false; column.len()]);
        self.input.rows(columns, filter, |i, tick, mask| {
            if has_value(i) {
                rows.push((i, tick, mask));
                kept[i] = true;
            }
            Ok(())
        })?;
        // To look a value up costs more than all else: that is done for rows that are kept.
        let numbers = self.values.intern(&arrow::compute::filter(column, &BooleanArray::from(kept))?)?;
        rows.into_iter()
            .zip(numbers)
            .try_for_each(|((i, tick, mask), value)| row(i, tick, Load { mask, value }))
    }

    fn fold(&self, mut groups: Grouped<Load>) -> Result<ArrayRef> {
        groups.sort_by(|a, b| {
            let by_value = || self.values.bytes(a.value).cmp(self.values.bytes(b.value));
            if a.value == b.value { a.mask.cmp(&b.mask) } else { by_value() }
        });
        self.fold.fold(&groups, &self.values)
    }

    fn state(&self, lengths: Vec<usize>, ticks: Vec<i64>, loads: &[Load]) -> Result<Vec<ArrayRef>> {
        let masks = loads.iter().map(|load| load.mask).collect::<UInt32Array>();
        let values = self.values.column(loads.iter().map(|load| Some(load.value)))?;
        Self::lists(&lengths, ticks, masks, values)
    }

    fn read_state(
        &mut self,
        state: &[ArrayRef],
        mut rows: impl FnMut(usize, &[i64], &[Load]) -> Result<()>,
    ) -> Result<()> {
        let [ticks, masks, values] = state else {
            return internal_err!("a state of {} columns instead of 3", state.len());
        };
        let (ticks, masks, values) =
            (ticks.as_list::<i32>(), masks.as_list::<i32>(), values.as_list::<i32>());
        // All lists at once: to look values up one list at a time would cost more than the rest.
        let start = values.value_offsets()[0] as usize;
        let n_values = values.value_offsets()[values.len()] as usize - start;
        let numbers = self.values.intern(&values.values().slice(start, n_values))?;
        let mut numbers = numbers.into_iter();
        let mut loads = vec![];
        for i in 0..ticks.len() {
            let (ticks, masks) = (ticks.value(i), masks.value(i));
            let masks = masks.as_primitive::<UInt32Type>().values().iter();
            loads.clear();
            loads.extend(masks.zip(&mut numbers).map(|(mask, value)| Load { mask: *mask, value }));
            rows(i, ticks.as_primitive::<Int64Type>().values(), &loads)?;
        }
        Ok(())
    }

    fn convert(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let column = &columns[VALUE];
        let has_value = self.has_value(columns);
        let mut lengths = vec![0; column.len()];
        let (mut ticks, mut masks) = (vec![], vec![]);
        self.input.rows(columns, filter, |i, tick, mask| {
            if has_value(i) {
                lengths[i] = 1;
                ticks.push(tick);
                masks.push(mask);
            }
            Ok(())
        })?;
        let kept = lengths.iter().map(|length| *length == 1).collect::<Vec<_>>();
        let values = arrow::compute::filter(column, &BooleanArray::from(kept))?;
        Self::lists(&lengths, ticks, masks.into(), values)
    }

    fn size(&self) -> usize {
        self.values.size()
    }
}
