//! The state of the functions that only ask which of a few things ever happened: 8 bytes a group,
//! whatever the number of rows.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, BooleanBuilder, UInt64Array};
use arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::events::truths;
use super::function::Groups;
use super::list::lists;

/// A call whose constants are known; the answer is a list of booleans.
pub(crate) trait Masks: Debug + Send + Sync {
    /// What happened in each row, as bits.
    fn masks(&self, values: &[ArrayRef]) -> Result<Vec<u64>>;

    /// The length of the answer.
    fn len(&self) -> usize;

    /// One element of the answer.
    fn answer(&self, mask: u64, i: usize) -> bool;
}

/// What ever happened, by group.
#[derive(Debug)]
pub(crate) struct MaskGroups {
    call: Box<dyn Masks>,
    masks: Vec<u64>,
}

impl MaskGroups {
    pub(crate) fn new(call: impl Masks + 'static) -> Self {
        Self { call: Box::new(call), masks: vec![] }
    }

    fn answers(&self, masks: &[u64]) -> Result<ArrayRef> {
        let n = self.call.len();
        let mut flags = BooleanBuilder::with_capacity(masks.len() * n);
        for mask in masks {
            (0..n).for_each(|i| flags.append_value(self.call.answer(*mask, i)));
        }
        lists(masks.iter().map(|_| n), Arc::new(flags.finish()))
    }
}

impl Groups for MaskGroups {
    fn state_fields(_: &[DataType]) -> Vec<(&'static str, DataType, bool)> {
        vec![("mask", DataType::UInt64, false)]
    }

    fn grow(&mut self, n_groups: usize) -> Result<()> {
        self.masks.resize(n_groups, 0);
        Ok(())
    }

    fn peek(&mut self) -> Result<ArrayRef> {
        self.answers(&self.masks)
    }
}

impl GroupsAccumulator for MaskGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.grow(n_groups)?;
        let masks = self.call.masks(values)?;
        match filter.map(truths) {
            Some(wanted) => wanted.set_indices().for_each(|row| self.masks[groups[row]] |= masks[row]),
            None => groups.iter().zip(masks).for_each(|(group, mask)| self.masks[*group] |= mask),
        }
        Ok(())
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.grow(n_groups)?;
        for (group, mask) in groups.iter().zip(state[0].as_primitive::<UInt64Type>().values()) {
            self.masks[*group] |= mask;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let masks = emit.take_needed(&mut self.masks);
        self.answers(&masks)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(UInt64Array::from(emit.take_needed(&mut self.masks)))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut masks = self.call.masks(values)?;
        if let Some(wanted) = filter.map(truths) {
            (0..masks.len()).filter(|row| !wanted.value(*row)).for_each(|row| masks[row] = 0);
        }
        Ok(vec![Arc::new(UInt64Array::from(masks))])
    }

    fn size(&self) -> usize {
        self.masks.capacity() * size_of::<u64>()
    }
}
