//! `first_touch(value, ts)` and `last_touch(value, ts)`
//!
//! Memory: 12 bytes a group, and each value that was ever the first (or last) so far, once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{AggregateUDF, Documentation, EmitTo, GroupsAccumulator};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::truths;
use super::function::{Aggregate, Groups, udaf};
use super::values::Interner;
use crate::args::{coerce_ts, plain, wrong_arity};
use crate::ticks::Ticks;

/// `first_touch(value, ts)`
pub fn first_touch_udaf() -> Arc<AggregateUDF> {
    udaf::<FirstTouch>()
}

/// `last_touch(value, ts)`
pub fn last_touch_udaf() -> Arc<AggregateUDF> {
    udaf::<LastTouch>()
}

#[user_doc(
    doc_section(label = "First and last"),
    description = "The value at the earliest time. Rows where the value or the time is NULL are passed over; of several \
                   values of that time it is the least. NULL where there is none. As ClickHouse's `argMin(value, ts)`, \
                   which leaves the choice between equal times open.\n\n\
                   A group takes 12 bytes of memory; values that were first or last at some time are kept once for all groups.",
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
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct FirstTouch;

#[user_doc(
    doc_section(label = "First and last"),
    description = "The value at the latest time. Rows where the value or the time is NULL are passed over; of several \
                   values of that time it is the least. NULL where there is none. As ClickHouse's `argMax(value, ts)`, \
                   which leaves the choice between equal times open.\n\n\
                   A group takes 12 bytes of memory; values that were first or last at some time are kept once for all groups.",
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
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct LastTouch;

macro_rules! touch {
    ($touch:ident, $name:literal, $sign:literal) => {
        impl Aggregate for $touch {
            const NAME: &'static str = $name;
            type Groups = TouchGroups;

            fn documentation(&self) -> Option<&Documentation> {
                self.doc()
            }

            fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
                let [value, ts] = types else { return wrong_arity(Self::NAME, "(value, ts)", types.len()) };
                Ok(vec![plain(value).clone(), coerce_ts(Self::NAME, "ts", ts)?])
            }

            fn return_type(types: &[DataType]) -> Result<DataType> {
                Ok(types[0].clone())
            }

            fn bind(call: &Call) -> Result<TouchGroups> {
                let interner = Interner::new(&call.types[0])?;
                Ok(TouchGroups { sign: $sign, ticks: vec![], values: vec![], interner })
            }
        }
    };
}

touch!(FirstTouch, "first_touch", 1);
touch!(LastTouch, "last_touch", -1);

/// No value yet.
const NONE: u32 = u32::MAX;

/// The best time and its value, by group.
#[derive(Debug)]
struct TouchGroups {
    /// 1 for the earliest, -1 for the latest: times are kept multiplied by it, the least wins.
    sign: i64,
    ticks: Vec<i64>,
    values: Vec<u32>,
    interner: Interner,
}

impl TouchGroups {
    /// Offers the rows that `group_of` gives a group.
    fn offer(
        &mut self,
        values: &ArrayRef,
        ticks: &Ticks,
        group_of: impl Fn(usize) -> Option<usize>,
    ) -> Result<()> {
        let nulls = values.logical_nulls();
        let known =
            |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) && ticks.is_valid(row);
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

impl Groups for TouchGroups {
    fn state_fields(types: &[DataType]) -> Vec<(&'static str, DataType, bool)> {
        vec![("tick", DataType::Int64, true), ("value", types[0].clone(), true)]
    }

    fn grow(&mut self, n_groups: usize) -> Result<()> {
        self.ticks.resize(n_groups, i64::MAX);
        self.values.resize(n_groups, NONE);
        Ok(())
    }

    fn peek(&mut self) -> Result<ArrayRef> {
        self.column(&self.values)
    }
}

impl GroupsAccumulator for TouchGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.grow(n_groups)?;
        let wanted = filter.map(truths);
        let wanted = |row| wanted.as_ref().is_none_or(|wanted| wanted.value(row));
        self.offer(&values[0], &Ticks::of(&values[1])?, |row| wanted(row).then(|| groups[row]))
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.grow(n_groups)?;
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
