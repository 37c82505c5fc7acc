//! The accumulator of the functions that look at when things happened: it remembers for each row
//! its time and which conditions held, and hands each group, sorted by time, to a [`Fold`].
//!
//! Rows without a time are ignored, a condition that is NULL does not hold.
//!
//! Memory: 16 bytes for each row that can matter. The state that travels between stages is a list
//! of times and, where there are conditions, a list of masks.

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, ListArray, PrimitiveArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Field, FieldRef, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt32Type,
};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
};

use super::call::Call;
use crate::kernel::events::{EventBuffer, Grouped, TooManyGroups};

/// One function over timed rows. [`EventAggregate`] makes it an aggregate function.
pub(crate) trait EventFunction: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;

    fn documentation(&self) -> Option<&Documentation>;

    /// The types the arguments are read as, or what is wrong with them.
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>>;

    /// The type of the answer.
    fn return_type(&self, types: &[DataType]) -> Result<DataType>;

    /// The answer where there is no row at all.
    fn empty(&self, return_type: &DataType) -> Result<ScalarValue>;

    /// Reads the constants of a call, or says what is wrong with them.
    fn bind(&self, call: &Call) -> Result<Bound>;
}

/// A call whose constants are known.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) input: Input,
    pub(crate) fold: Box<dyn Fold>,
}

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

/// What is made of the rows of a group.
pub(crate) trait Fold: Debug + Send + Sync {
    /// One answer for each group; each is sorted by time, rows of one time by mask.
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef>;
}

/// Makes an [`EventFunction`] an aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct EventAggregate<F> {
    function: F,
    signature: Signature,
}

impl<F: EventFunction> Default for EventAggregate<F> {
    fn default() -> Self {
        Self { function: F::default(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl<F: EventFunction> AggregateUDFImpl for EventAggregate<F> {
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

    fn is_nullable(&self) -> bool {
        // The type does not matter: an answer that is never null has its own value for "no rows".
        self.function.empty(&DataType::Null).is_ok_and(|value| value.is_null())
    }

    fn default_value(&self, return_type: &DataType) -> Result<ScalarValue> {
        self.function.empty(return_type)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        // Nothing is rewritten: this is where constants are first seen, so that a wrong one is an
        // error of the plan and not of its execution.
        Some(Box::new(|call, context| {
            if let Some(call) = Call::logical(F::NAME, &call, context)? {
                F::default().bind(&call)?;
            }
            Ok(Expr::AggregateFunction(call))
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name, item| {
            let list = DataType::List(item_field(item));
            Arc::new(Field::new(format_state_name(args.name, name), list, false))
        };
        // Which rows have conditions is known from the types alone, whatever the constants are.
        let masked = args.input_fields.iter().any(|field| field.data_type() == &DataType::Boolean);
        let mut fields = vec![list("ticks", DataType::Int64)];
        if masked {
            fields.push(list("masks", DataType::UInt32));
        }
        Ok(fields)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let bound = self.function.bind(&Call::physical(F::NAME, &args)?)?;
        Ok(Box::new(EventAccumulator { bound, ticks: vec![], masks: vec![] }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let bound = self.function.bind(&Call::physical(F::NAME, &args)?)?;
        Ok(Box::new(EventGroups { bound, rows: EventBuffer::default(), n_groups: 0 }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// A time column as numbers.
pub(crate) struct Ticks {
    pub(crate) values: ScalarBuffer<i64>,
    pub(crate) nulls: Option<NullBuffer>,
}

impl Ticks {
    pub(crate) fn of(column: &ArrayRef) -> Result<Self> {
        fn raw<T: ArrowPrimitiveType<Native = i64>>(column: &ArrayRef) -> ScalarBuffer<i64> {
            column.as_primitive::<T>().values().clone()
        }
        let values = match column.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => raw::<TimestampSecondType>(column),
            DataType::Timestamp(TimeUnit::Millisecond, _) => raw::<TimestampMillisecondType>(column),
            DataType::Timestamp(TimeUnit::Microsecond, _) => raw::<TimestampMicrosecondType>(column),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => raw::<TimestampNanosecondType>(column),
            DataType::Date64 => raw::<Date64Type>(column),
            DataType::Int64 => raw::<Int64Type>(column),
            DataType::Date32 => {
                column.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect()
            }
            other => return internal_err!("a time column of type {other} was not coerced"),
        };
        Ok(Self { values, nulls: column.nulls().cloned() })
    }

    /// Back to a column of type `data_type`.
    pub(crate) fn into_array(
        values: Vec<i64>,
        nulls: Option<NullBuffer>,
        data_type: &DataType,
    ) -> Result<ArrayRef> {
        fn typed<T: ArrowPrimitiveType<Native = i64>>(
            values: Vec<i64>,
            nulls: Option<NullBuffer>,
            data_type: &DataType,
        ) -> ArrayRef {
            Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type.clone()))
        }
        Ok(match data_type {
            DataType::Timestamp(TimeUnit::Second, _) => {
                typed::<TimestampSecondType>(values, nulls, data_type)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                typed::<TimestampMillisecondType>(values, nulls, data_type)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                typed::<TimestampMicrosecondType>(values, nulls, data_type)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                typed::<TimestampNanosecondType>(values, nulls, data_type)
            }
            DataType::Date64 => typed::<Date64Type>(values, nulls, data_type),
            DataType::Int64 => Arc::new(Int64Array::new(values.into(), nulls)),
            DataType::Date32 => {
                let days = values.into_iter().map(i32::try_from).collect::<Result<Vec<_>, _>>();
                let days = days.map_err(|_| exec_datafusion_err!("a date out of range"))?;
                Arc::new(Date32Array::new(days.into(), nulls))
            }
            other => return internal_err!("no time column has the type {other}"),
        })
    }
}

impl Input {
    /// Calls `row` with the number, time and mask of each row that can matter.
    pub(crate) fn rows(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut row: impl FnMut(usize, i64, u32) -> Result<()>,
    ) -> Result<()> {
        let ticks = Ticks::of(&values[self.ts])?;
        let n_rows = ticks.values.len();
        let mut masks = vec![0_u32; n_rows];
        for (bit, condition) in values[self.conditions.clone()].iter().enumerate() {
            for i in truths(condition.as_boolean()).set_indices() {
                masks[i] |= 1 << bit;
            }
        }
        let wanted = filter.map(truths);
        for (i, (tick, mask)) in ticks.values.iter().zip(masks).enumerate() {
            if (mask == 0 && self.keep == Keep::Matching)
                || ticks.nulls.as_ref().is_some_and(|nulls| nulls.is_null(i))
                || wanted.as_ref().is_some_and(|wanted| !wanted.value(i))
            {
                continue;
            }
            row(i, *tick, mask)?;
        }
        Ok(())
    }
}

impl Bound {
    fn has_masks(&self) -> bool {
        !self.input.conditions.is_empty()
    }

    /// The state columns for groups whose rows are given on end.
    fn state(
        &self,
        lengths: impl IntoIterator<Item = usize>,
        ticks: Vec<i64>,
        masks: Vec<u32>,
    ) -> Vec<ArrayRef> {
        let offsets = OffsetBuffer::from_lengths(lengths);
        let ticks = Arc::new(Int64Array::from(ticks));
        let mut state: Vec<ArrayRef> =
            vec![Arc::new(ListArray::new(item_field(DataType::Int64), offsets.clone(), ticks, None))];
        if self.has_masks() {
            let masks = Arc::new(UInt32Array::from(masks));
            state.push(Arc::new(ListArray::new(item_field(DataType::UInt32), offsets, masks, None)));
        }
        state
    }

    /// Calls `rows` with the number of each state and its rows.
    fn read_state(
        &self,
        state: &[ArrayRef],
        mut rows: impl FnMut(usize, &[i64], &[u32]) -> Result<()>,
    ) -> Result<()> {
        let ticks = state[0].as_list::<i32>();
        let values = ticks.values().as_primitive::<Int64Type>().values();
        let masks = self.has_masks().then(|| state[1].as_list::<i32>());
        let no_masks = masks.is_none().then(|| vec![0_u32; values.len()]);
        let mask_values: &[u32] = match (&masks, &no_masks) {
            (Some(masks), _) => masks.values().as_primitive::<UInt32Type>().values(),
            (None, Some(zeros)) => zeros,
            (None, None) => &[],
        };
        for i in 0..ticks.len() {
            if ticks.is_null(i) {
                continue;
            }
            let (start, end) = range(ticks, i);
            // Both lists have the same lengths, but after slicing not always the same offsets.
            let mask_start = masks.map_or(start, |masks| range(masks, i).0);
            rows(i, &values[start..end], &mask_values[mask_start..mask_start + (end - start)])?;
        }
        Ok(())
    }
}

fn range(list: &ListArray, i: usize) -> (usize, usize) {
    (list.value_offsets()[i] as usize, list.value_offsets()[i + 1] as usize)
}

/// Where a condition is true; NULL is not.
pub(crate) fn truths(condition: &BooleanArray) -> arrow::buffer::BooleanBuffer {
    match condition.nulls() {
        Some(nulls) => condition.values() & nulls.inner(),
        None => condition.values().clone(),
    }
}

/// The item of a list of answers.
pub(crate) fn list_item(item: &DataType) -> FieldRef {
    item_field(item.clone())
}

/// A list of answers without any.
pub(crate) fn empty_list(return_type: &DataType) -> Result<ScalarValue> {
    let item = match return_type {
        DataType::List(item) => item.data_type(),
        // Asked only whether the answer may be NULL.
        other => other,
    };
    Ok(ScalarValue::List(ScalarValue::new_list(&[], item, false)))
}

fn item_field(item: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(item, false))
}

pub(crate) fn too_many(_: TooManyGroups) -> DataFusionError {
    exec_datafusion_err!("more groups than one aggregation can hold")
}

/// All groups of a `GROUP BY`.
#[derive(Debug)]
struct EventGroups {
    bound: Bound,
    rows: EventBuffer<u32>,
    n_groups: usize,
}

impl EventGroups {
    fn take(&mut self, emit: EmitTo) -> Result<Grouped<u32>> {
        match emit {
            EmitTo::All => Ok(self.rows.take_all(std::mem::take(&mut self.n_groups))),
            EmitTo::First(n) => {
                self.n_groups -= n;
                self.rows.take_first(n).map_err(too_many)
            }
        }
    }
}

impl GroupsAccumulator for EventGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.n_groups = n_groups;
        let rows = &mut self.rows;
        self.bound
            .input
            .rows(values, filter, |i, tick, mask| rows.push(groups[i], tick, mask).map_err(too_many))
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.n_groups = n_groups;
        let rows = &mut self.rows;
        self.bound.read_state(state, |i, ticks, masks| rows.extend(groups[i], ticks, masks).map_err(too_many))
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let mut groups = self.take(emit)?;
        groups.sort();
        self.bound.fold.fold(&groups)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit)?;
        let lengths = groups.lengths().collect::<Vec<_>>();
        let (ticks, masks) = groups.into_columns();
        Ok(self.bound.state(lengths, ticks, masks))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut lengths = vec![0; values[0].len()];
        let (mut ticks, mut masks) = (vec![], vec![]);
        self.bound.input.rows(values, filter, |i, tick, mask| {
            lengths[i] = 1;
            ticks.push(tick);
            masks.push(mask);
            Ok(())
        })?;
        Ok(self.bound.state(lengths, ticks, masks))
    }

    fn size(&self) -> usize {
        self.rows.size()
    }
}

/// One group: no `GROUP BY`, or a window.
#[derive(Debug)]
struct EventAccumulator {
    bound: Bound,
    // In order of arrival, which is the order in which a sliding window takes them back.
    ticks: Vec<i64>,
    masks: Vec<u32>,
}

impl Accumulator for EventAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (ticks, masks) = (&mut self.ticks, &mut self.masks);
        self.bound.input.rows(values, None, |_, tick, mask| {
            ticks.push(tick);
            masks.push(mask);
            Ok(())
        })
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (ticks, masks) = (&mut self.ticks, &mut self.masks);
        let mut gone = 0;
        self.bound.input.rows(values, None, |_, tick, mask| {
            // Frames leave rows behind in the order they met them. Should one ever not, look for it.
            if (ticks.get(gone), masks.get(gone)) == (Some(&tick), Some(&mask)) {
                gone += 1;
                return Ok(());
            }
            match (gone..ticks.len()).find(|i| (ticks[*i], masks[*i]) == (tick, mask)) {
                Some(i) => {
                    ticks.remove(i);
                    masks.remove(i);
                    Ok(())
                }
                None => internal_err!("a row left a window it had not entered"),
            }
        })?;
        ticks.drain(..gone);
        masks.drain(..gone);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, state: &[ArrayRef]) -> Result<()> {
        let (ticks, masks) = (&mut self.ticks, &mut self.masks);
        self.bound.read_state(state, |_, more_ticks, more_masks| {
            ticks.extend_from_slice(more_ticks);
            masks.extend_from_slice(more_masks);
            Ok(())
        })
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // A window asks after every row: what has been remembered stays as it is.
        let mut one = Grouped::new(vec![0, self.ticks.len()], self.ticks.clone(), self.masks.clone());
        one.sort();
        ScalarValue::try_from_array(&self.bound.fold.fold(&one)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (ticks, masks) = (std::mem::take(&mut self.ticks), std::mem::take(&mut self.masks));
        let state = self.bound.state([ticks.len()], ticks, masks);
        state.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.ticks.capacity() * 8 + self.masks.capacity() * 4
    }
}
