//! The accumulator of the functions that only ask which of a few things ever happened: 8 bytes a
//! group, whatever the number of rows.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, ListArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
};

use super::call::Call;
use super::events::list_item;

/// One function over what ever happened. [`MaskAggregate`] makes it an aggregate function; the
/// answer is a list of booleans.
pub(crate) trait MaskFunction: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;

    fn documentation(&self) -> Option<&Documentation>;
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>>;
    fn bind(&self, call: &Call) -> Result<Box<dyn Masks>>;
}

/// A call whose constants are known.
pub(crate) trait Masks: Debug + Send + Sync {
    /// What happened in each row, as bits.
    fn masks(&self, values: &[ArrayRef]) -> Result<Vec<u64>>;

    /// The length of the answer.
    fn len(&self) -> usize;

    /// One element of the answer.
    fn answer(&self, mask: u64, i: usize) -> bool;
}

/// Makes a [`MaskFunction`] an aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MaskAggregate<F> {
    function: F,
    signature: Signature,
}

impl<F: MaskFunction> Default for MaskAggregate<F> {
    fn default() -> Self {
        Self { function: F::default(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl<F: MaskFunction> MaskAggregate<F> {
    fn bind(&self, args: &AccumulatorArgs) -> Result<Box<dyn Masks>> {
        self.function.bind(&Call::physical(F::NAME, args)?)
    }
}

impl<F: MaskFunction> AggregateUDFImpl for MaskAggregate<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(list_item(&DataType::Boolean)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        Some(Box::new(|call, context| {
            if let Some(call) = Call::logical(F::NAME, &call, context)? {
                F::default().bind(&call)?;
            }
            Ok(Expr::AggregateFunction(call))
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "mask"), DataType::UInt64, false))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup { call: self.bind(&args)?, mask: 0 }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sliding { call: self.bind(&args)?, masks: VecDeque::new() }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(AllGroups { call: self.bind(&args)?, masks: vec![] }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

fn answers(call: &dyn Masks, masks: &[u64]) -> Result<ArrayRef> {
    let mut flags = BooleanBuilder::with_capacity(masks.len() * call.len());
    for mask in masks {
        (0..call.len()).for_each(|i| flags.append_value(call.answer(*mask, i)));
    }
    let offsets = OffsetBuffer::from_lengths(masks.iter().map(|_| call.len()));
    let item = list_item(&DataType::Boolean);
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(flags.finish()), None)?))
}

#[derive(Debug)]
struct AllGroups {
    call: Box<dyn Masks>,
    masks: Vec<u64>,
}

impl GroupsAccumulator for AllGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.masks.resize(n_groups, 0);
        for (row, mask) in self.call.masks(values)?.into_iter().enumerate() {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                self.masks[groups[row]] |= mask;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.masks.resize(n_groups, 0);
        for (group, mask) in groups.iter().zip(state[0].as_primitive::<UInt64Type>().values()) {
            self.masks[*group] |= mask;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        answers(self.call.as_ref(), &emit.take_needed(&mut self.masks))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(UInt64Array::from(emit.take_needed(&mut self.masks)))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut masks = self.call.masks(values)?;
        if let Some(filter) = filter {
            for (row, mask) in masks.iter_mut().enumerate() {
                *mask *= u64::from(filter.is_valid(row) && filter.value(row));
            }
        }
        Ok(vec![Arc::new(UInt64Array::from(masks))])
    }

    fn size(&self) -> usize {
        self.masks.capacity() * size_of::<u64>()
    }
}

#[derive(Debug)]
struct OneGroup {
    call: Box<dyn Masks>,
    mask: u64,
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.mask = self.call.masks(values)?.into_iter().fold(self.mask, |all, mask| all | mask);
        Ok(())
    }

    fn merge_batch(&mut self, state: &[ArrayRef]) -> Result<()> {
        let masks = state[0].as_primitive::<UInt64Type>().values();
        self.mask = masks.iter().fold(self.mask, |all, mask| all | mask);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&answers(self.call.as_ref(), &[self.mask])?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::UInt64(Some(std::mem::take(&mut self.mask)))])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// A moving frame: what a row that leaves had set, another may have set too.
#[derive(Debug)]
struct Sliding {
    call: Box<dyn Masks>,
    masks: VecDeque<u64>,
}

impl Accumulator for Sliding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.masks.extend(self.call.masks(values)?);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // Rows leave in the order they came.
        self.masks.drain(..values[0].len().min(self.masks.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, state: &[ArrayRef]) -> Result<()> {
        self.masks.extend(state[0].as_primitive::<UInt64Type>().values());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mask = self.masks.iter().fold(0, |all, mask| all | mask);
        ScalarValue::try_from_array(&answers(self.call.as_ref(), &[mask])?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mask = self.masks.drain(..).fold(0, |all, mask| all | mask);
        Ok(vec![ScalarValue::UInt64(Some(mask))])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.masks.capacity() * size_of::<u64>()
    }
}
