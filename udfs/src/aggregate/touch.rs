//! `first_touch(value, ts)` and `last_touch(value, ts)`
//!
//! Memory: 12 bytes a group, and each value that was ever the first (or last) so far, once.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature,
    Volatility,
};
use datafusion_macros::user_doc;

use super::call::{coerce_ts, unpacked, wrong_arity};
use super::events::{Ticks, truths};
use super::values::Interner;

/// `first_touch(value, ts)`
pub fn first_touch_udaf() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(FirstTouch::default()))
}

/// `last_touch(value, ts)`
pub fn last_touch_udaf() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(LastTouch::default()))
}

#[user_doc(
    doc_section(label = "First and last"),
    description = "The value at the earliest time. Rows where the value or the time is NULL are passed over; of several \
                   values of that time it is the least. NULL where there is none. As ClickHouse's `argMin(value, ts)`, \
                   which leaves the choice between equal times open.",
    syntax_example = "first_touch(value, ts)",
    sql_example = "```sql
> SELECT first_touch(channel, day) AS first FROM (VALUES (2, 'mail'), (1, 'ad'), (3, 'app')) AS t(day, channel);
+-------+
| first |
+-------+
| ad    |
+-------+
```",
    argument(name = "value", description = "Any type."),
    argument(name = "ts", description = "Timestamp, date, or seconds."),
    related_udf(name = "last_touch"),
    related_udf(name = "attribute")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct FirstTouch {
    signature: Signature,
}

#[user_doc(
    doc_section(label = "First and last"),
    description = "The value at the latest time. Rows where the value or the time is NULL are passed over; of several \
                   values of that time it is the least. NULL where there is none. As ClickHouse's `argMax(value, ts)`, \
                   which leaves the choice between equal times open.",
    syntax_example = "last_touch(value, ts)",
    sql_example = "```sql
> SELECT last_touch(channel, day) AS last FROM (VALUES (2, 'mail'), (1, 'ad'), (3, 'app')) AS t(day, channel);
+------+
| last |
+------+
| app  |
+------+
```",
    argument(name = "value", description = "Any type."),
    argument(name = "ts", description = "Timestamp, date, or seconds."),
    related_udf(name = "first_touch"),
    related_udf(name = "attribute")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct LastTouch {
    signature: Signature,
}

macro_rules! touch {
    ($touch:ident, $name:literal, $sign:literal) => {
        impl Default for $touch {
            fn default() -> Self {
                Self { signature: Signature::user_defined(Volatility::Immutable) }
            }
        }

        impl AggregateUDFImpl for $touch {
            fn name(&self) -> &str {
                $name
            }

            fn signature(&self) -> &Signature {
                &self.signature
            }

            fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
                let [value, ts] = types else { return wrong_arity($name, "(value, ts)", types.len()) };
                Ok(vec![unpacked(value), coerce_ts($name, "ts", ts)?])
            }

            fn return_type(&self, types: &[DataType]) -> Result<DataType> {
                Ok(types[0].clone())
            }

            fn order_sensitivity(&self) -> AggregateOrderSensitivity {
                AggregateOrderSensitivity::Insensitive
            }

            fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
                let field = |name, data_type| {
                    Arc::new(Field::new(format_state_name(args.name, name), data_type, true))
                };
                Ok(vec![field("tick", DataType::Int64), field("value", args.return_type().clone())])
            }

            fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
                Ok(Box::new(OneGroup(AllGroups::new(args.return_type(), $sign)?)))
            }

            fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
                let data_type = args.return_type().clone();
                Ok(Box::new(Sliding { data_type, sign: $sign, rows: VecDeque::new() }))
            }

            fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
                true
            }

            fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
                Ok(Box::new(AllGroups::new(args.return_type(), $sign)?))
            }

            fn documentation(&self) -> Option<&Documentation> {
                self.doc()
            }
        }
    };
}

touch!(FirstTouch, "first_touch", 1);
touch!(LastTouch, "last_touch", -1);

/// No value yet.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct AllGroups {
    /// 1 for the earliest, -1 for the latest: times are kept multiplied by it, the least wins.
    sign: i64,
    ticks: Vec<i64>,
    values: Vec<u32>,
    interner: Interner,
}

impl AllGroups {
    fn new(data_type: &DataType, sign: i64) -> Result<Self> {
        let interner = Interner::new(data_type)?;
        Ok(Self { sign, ticks: vec![], values: vec![], interner })
    }

    fn resize(&mut self, n_groups: usize) {
        self.ticks.resize(n_groups, i64::MAX);
        self.values.resize(n_groups, NONE);
    }

    /// Offers the rows that `group_of` gives a group.
    fn offer(
        &mut self,
        values: &ArrayRef,
        ticks: &Ticks,
        group_of: impl Fn(usize) -> Option<usize>,
    ) -> Result<()> {
        let nulls = values.logical_nulls();
        let known = |row: usize| {
            nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
                && ticks.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
        };
        let tick_of = |row: usize| ticks.values[row].saturating_mul(self.sign);
        // First the times alone: values are looked at only where they are, or share, the best.
        let rows = (0..values.len()).filter(|row| known(*row));
        let rows = rows.filter_map(|row| group_of(row).map(|group| (row, group))).collect::<Vec<_>>();
        for (row, group) in &rows {
            let tick = tick_of(*row);
            if tick < self.ticks[*group] {
                self.ticks[*group] = tick;
                self.values[*group] = NONE;
            }
        }
        let best = rows.into_iter().filter(|(row, group)| tick_of(*row) == self.ticks[*group]);
        let (places, groups): (Vec<_>, Vec<_>) = best.map(|(row, group)| (u32::try_from(row), group)).unzip();
        let Ok(places) = places.into_iter().collect::<Result<Vec<_>, _>>() else {
            return internal_err!("a batch of more than 2^32 rows");
        };
        let numbers = self.interner.intern(&take(values, &UInt32Array::from(places), None)?)?;
        for (group, number) in groups.into_iter().zip(numbers) {
            let before = self.values[group];
            if before == NONE || self.interner.bytes(number) < self.interner.bytes(before) {
                self.values[group] = number;
            }
        }
        Ok(())
    }

    fn column(&self, values: &[u32]) -> Result<ArrayRef> {
        self.interner.column(values.iter().map(|value| (*value != NONE).then_some(*value)))
    }

    fn to_state(&self, ticks: &[i64], values: &[u32]) -> Result<Vec<ArrayRef>> {
        let known = ticks.iter().zip(values);
        let ticks = known.map(|(tick, value)| (*value != NONE).then(|| tick.saturating_mul(self.sign)));
        Ok(vec![Arc::new(ticks.collect::<Int64Array>()), self.column(values)?])
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
        self.resize(n_groups);
        let wanted = |row| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        self.offer(&values[0], &Ticks::of(&values[1])?, |row| wanted(row).then(|| groups[row]))
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.resize(n_groups);
        self.offer(&state[1], &Ticks::of(&state[0])?, |row| Some(groups[row]))
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        emit.take_needed(&mut self.ticks);
        let values = emit.take_needed(&mut self.values);
        self.column(&values)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let ticks = emit.take_needed(&mut self.ticks);
        let values = emit.take_needed(&mut self.values);
        self.to_state(&ticks, &values)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let ticks = Ticks::of(&values[1])?;
        let ticks: ArrayRef = Arc::new(Int64Array::new(ticks.values, ticks.nulls));
        let Some(filter) = filter else { return Ok(vec![ticks, Arc::clone(&values[0])]) };
        // A state without a time is passed over when it is merged.
        let unwanted = BooleanArray::new(!&truths(filter), None);
        Ok(vec![arrow::compute::nullif(&ticks, &unwanted)?, Arc::clone(&values[0])])
    }

    fn size(&self) -> usize {
        self.ticks.capacity() * size_of::<i64>()
            + self.values.capacity() * size_of::<u32>()
            + self.interner.size()
    }
}

#[derive(Debug)]
struct OneGroup(AllGroups);

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.resize(1);
        self.0.offer(&values[0], &Ticks::of(&values[1])?, |_| Some(0))
    }

    fn merge_batch(&mut self, state: &[ArrayRef]) -> Result<()> {
        self.0.resize(1);
        self.0.offer(&state[1], &Ticks::of(&state[0])?, |_| Some(0))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.resize(1);
        ScalarValue::try_from_array(&self.0.column(&self.0.values)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.resize(1);
        let state = self.0.to_state(&self.0.ticks, &self.0.values)?;
        state.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + GroupsAccumulator::size(&self.0)
    }
}

/// A moving frame: when the best row leaves, the others have to be there.
#[derive(Debug)]
struct Sliding {
    data_type: DataType,
    sign: i64,
    rows: VecDeque<(ArrayRef, ArrayRef)>,
}

impl Accumulator for Sliding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let one = |row| (values[0].slice(row, 1), values[1].slice(row, 1));
        self.rows.extend((0..values[0].len()).map(one));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // Rows leave in the order they came.
        self.rows.drain(..values[0].len().min(self.rows.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("a moving frame is not merged")
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut best = AllGroups::new(&self.data_type, self.sign)?;
        best.resize(1);
        for (value, ts) in &self.rows {
            best.offer(value, &Ticks::of(ts)?, |_| Some(0))?;
        }
        ScalarValue::try_from_array(&best.column(&best.values)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a moving frame is not merged")
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows.iter().map(|(value, _)| value.get_array_memory_size()).sum::<usize>()
    }
}
