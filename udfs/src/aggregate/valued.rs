//! As [`events`](super::events), with a value of any type to each row.
//!
//! Memory: 20 bytes for each row, and each different value once.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, UInt32Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
};

use super::call::Call;
use super::events::{Input, list_item, too_many};
use super::values::Interner;
use crate::kernel::events::{EventBuffer, Grouped};

/// One function over timed values. [`ValuedAggregate`] makes it an aggregate function.
pub(crate) trait ValuedFunction: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    /// Which argument is the value.
    const VALUE: usize;

    fn documentation(&self) -> Option<&Documentation>;
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>>;
    fn return_type(&self, types: &[DataType]) -> Result<DataType>;
    fn bind(&self, call: &Call) -> Result<ValuedBound>;
}

/// A call whose constants are known.
#[derive(Debug)]
pub(crate) struct ValuedBound {
    pub(crate) input: Input,
    /// Whether rows without a value count.
    pub(crate) keep_null: bool,
    pub(crate) fold: Box<dyn ValuedFold>,
}

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

/// Makes a [`ValuedFunction`] an aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ValuedAggregate<F> {
    function: F,
    signature: Signature,
}

impl<F: ValuedFunction> Default for ValuedAggregate<F> {
    fn default() -> Self {
        Self { function: F::default(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl<F: ValuedFunction> ValuedAggregate<F> {
    fn rows(&self, args: &AccumulatorArgs) -> Result<Rows> {
        let bound = self.function.bind(&Call::physical(F::NAME, args)?)?;
        let data_type = args.expr_fields[F::VALUE].data_type().clone();
        let values = Interner::new(&data_type)?;
        Ok(Rows { bound, value: F::VALUE, data_type, values })
    }
}

impl<F: ValuedFunction> AggregateUDFImpl for ValuedAggregate<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
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
        let list = |name, item: FieldRef| {
            Arc::new(Field::new(format_state_name(args.name, name), DataType::List(item), false))
        };
        let value = args.input_fields[F::VALUE].data_type();
        Ok(vec![
            list("ticks", list_item(&DataType::Int64)),
            list("masks", list_item(&DataType::UInt32)),
            list("values", value_item(value)),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup { rows: self.rows(&args)?, ticks: vec![], loads: vec![] }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(AllGroups { rows: self.rows(&args)?, buffer: EventBuffer::default(), n_groups: 0 }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

fn value_item(value: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(value.clone(), true))
}

/// How rows are read and what is made of them.
#[derive(Debug)]
struct Rows {
    bound: ValuedBound,
    value: usize,
    data_type: DataType,
    values: Interner,
}

impl Rows {
    fn read(
        &mut self,
        columns: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut row: impl FnMut(usize, i64, Load) -> Result<()>,
    ) -> Result<()> {
        let nulls = columns[self.value].logical_nulls().filter(|_| !self.bound.keep_null);
        let numbers = self.values.intern(&columns[self.value])?;
        self.bound.input.rows(columns, filter, |i, tick, mask| {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(i)) {
                return Ok(());
            }
            row(i, tick, Load { mask, value: numbers[i] })
        })
    }

    fn fold(&self, mut groups: Grouped<Load>) -> Result<ArrayRef> {
        groups.sort_by(|a, b| {
            let by_value = || self.values.bytes(a.value).cmp(self.values.bytes(b.value));
            if a.value == b.value { a.mask.cmp(&b.mask) } else { by_value() }
        });
        self.bound.fold.fold(&groups, &self.values)
    }

    fn state(&self, lengths: Vec<usize>, ticks: Vec<i64>, loads: &[Load]) -> Result<Vec<ArrayRef>> {
        let masks = loads.iter().map(|load| load.mask).collect::<UInt32Array>();
        let values = self.values.column(loads.iter().map(|load| Some(load.value)))?;
        self.lists(lengths, ticks, masks, values)
    }

    fn lists(
        &self,
        lengths: Vec<usize>,
        ticks: Vec<i64>,
        masks: UInt32Array,
        values: ArrayRef,
    ) -> Result<Vec<ArrayRef>> {
        let offsets = OffsetBuffer::from_lengths(lengths);
        let list = |item, column| ListArray::try_new(item, offsets.clone(), column, None);
        Ok(vec![
            Arc::new(list(list_item(&DataType::Int64), Arc::new(Int64Array::from(ticks)))?),
            Arc::new(list(list_item(&DataType::UInt32), Arc::new(masks))?),
            Arc::new(list(value_item(&self.data_type), values)?),
        ])
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
        for i in 0..ticks.len() {
            let numbers = self.values.intern(&values.value(i))?;
            let masks = masks.value(i);
            let masks = masks.as_primitive::<UInt32Type>().values();
            let loads = masks.iter().zip(numbers).map(|(mask, value)| Load { mask: *mask, value });
            rows(i, ticks.value(i).as_primitive::<Int64Type>().values(), &loads.collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct AllGroups {
    rows: Rows,
    buffer: EventBuffer<Load>,
    n_groups: usize,
}

impl AllGroups {
    fn take(&mut self, emit: EmitTo) -> Result<Grouped<Load>> {
        match emit {
            EmitTo::All => Ok(self.buffer.take_all(std::mem::take(&mut self.n_groups))),
            EmitTo::First(n) => {
                self.n_groups -= n;
                self.buffer.take_first(n).map_err(too_many)
            }
        }
    }
}

impl GroupsAccumulator for AllGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.n_groups = n_groups;
        let buffer = &mut self.buffer;
        self.rows.read(values, filter, |i, tick, load| buffer.push(groups[i], tick, load).map_err(too_many))
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.n_groups = n_groups;
        let buffer = &mut self.buffer;
        self.rows
            .read_state(state, |i, ticks, loads| buffer.extend(groups[i], ticks, loads).map_err(too_many))
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let groups = self.take(emit)?;
        self.rows.fold(groups)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit)?;
        let lengths = groups.lengths().collect();
        let (ticks, loads) = groups.into_columns();
        self.rows.state(lengths, ticks, &loads)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let column = &values[self.rows.value];
        let nulls = column.logical_nulls().filter(|_| !self.rows.bound.keep_null);
        let mut lengths = vec![0; column.len()];
        let (mut ticks, mut masks) = (vec![], vec![]);
        self.rows.bound.input.rows(values, filter, |i, tick, mask| {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(i)) {
                lengths[i] = 1;
                ticks.push(tick);
                masks.push(mask);
            }
            Ok(())
        })?;
        let kept = BooleanArray::from(lengths.iter().map(|length| *length == 1).collect::<Vec<_>>());
        self.rows.lists(lengths, ticks, masks.into(), arrow::compute::filter(column, &kept)?)
    }

    fn size(&self) -> usize {
        self.buffer.size() + self.rows.values.size()
    }
}

#[derive(Debug)]
struct OneGroup {
    rows: Rows,
    ticks: Vec<i64>,
    loads: Vec<Load>,
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (ticks, loads) = (&mut self.ticks, &mut self.loads);
        self.rows.read(values, None, |_, tick, load| {
            ticks.push(tick);
            loads.push(load);
            Ok(())
        })
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (ticks, loads) = (&mut self.ticks, &mut self.loads);
        self.rows.read(values, None, |_, tick, load| {
            // Frames leave rows behind in the order they met them, so the search ends at once.
            match (0..ticks.len()).find(|i| (ticks[*i], loads[*i]) == (tick, load)) {
                Some(i) => {
                    ticks.remove(i);
                    loads.remove(i);
                    Ok(())
                }
                None => internal_err!("a row left a window it had not entered"),
            }
        })
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, state: &[ArrayRef]) -> Result<()> {
        let (ticks, loads) = (&mut self.ticks, &mut self.loads);
        self.rows.read_state(state, |_, more_ticks, more_loads| {
            ticks.extend_from_slice(more_ticks);
            loads.extend_from_slice(more_loads);
            Ok(())
        })
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let one = Grouped::new(vec![0, self.ticks.len()], self.ticks.clone(), self.loads.clone());
        ScalarValue::try_from_array(&self.rows.fold(one)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (ticks, loads) = (std::mem::take(&mut self.ticks), std::mem::take(&mut self.loads));
        let state = self.rows.state(vec![ticks.len()], ticks, &loads)?;
        state.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.rows.values.size()
            + self.ticks.capacity() * size_of::<i64>()
            + self.loads.capacity() * size_of::<Load>()
    }
}
