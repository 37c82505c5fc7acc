//! `trend(ts, value)`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature,
    Volatility,
};
use datafusion_macros::user_doc;

use super::call::{Call, coerce_ts, wrong_arity};
use super::events::Ticks;
use crate::kernel::spacing::Line;

/// `trend(ts, value)`
pub fn trend_udaf() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(Trend::default()))
}

#[user_doc(
    doc_section(label = "Recency, frequency, monetary"),
    description = "How much the value grows per day: the slope of the straight line that fits best. NULL where there \
                   are no two different times. Rows where the time or the value is NULL are ignored. Floating point: \
                   the last digits may depend on how rows were split.",
    syntax_example = "trend(ts, value)",
    sql_example = "```sql
> SELECT trend(day, spent) AS per_day
  FROM (VALUES (DATE '2026-01-01', 10), (DATE '2026-01-02', 12), (DATE '2026-01-03', 14)) AS t(day, spent);
+---------+
| per_day |
+---------+
| 2.0     |
+---------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds."),
    argument(name = "value", description = "Number."),
    related_udf(name = "inter_event_time")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct Trend {
    signature: Signature,
}

impl Default for Trend {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The columns of the state.
const STATE: [&str; 5] = ["n", "mean_x", "mean_y", "xx", "xy"];

impl Trend {
    fn points(args: &AccumulatorArgs) -> Result<Points> {
        let tick = Call::physical("trend", args)?.scale(0)?.tick_seconds();
        Ok(Points { tick_days: tick / 86_400.0 })
    }
}

impl AggregateUDFImpl for Trend {
    fn name(&self) -> &str {
        "trend"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, value] = types else { return wrong_arity("trend", "(ts, value)", types.len()) };
        if !value.is_numeric() && !value.is_null() {
            return plan_err!("trend: `value` must be a number, found {value}");
        }
        Ok(vec![coerce_ts("trend", "ts", ts)?, DataType::Float64])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name| Arc::new(Field::new(format_state_name(args.name, name), DataType::Float64, false));
        Ok(STATE.map(field).to_vec())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup { points: Self::points(&args)?, line: Line::default() }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(AllGroups { points: Self::points(&args)?, lines: vec![] }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

#[derive(Debug)]
struct Points {
    tick_days: f64,
}

impl Points {
    /// Calls `point` with the number, time in days, and value of each row that has both.
    fn each(&self, values: &[ArrayRef], mut point: impl FnMut(usize, f64, f64)) -> Result<()> {
        let ticks = Ticks::of(&values[0])?;
        let value = values[1].as_primitive::<Float64Type>();
        for row in 0..value.len() {
            if value.is_valid(row) && ticks.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                point(row, ticks.values[row] as f64 * self.tick_days, value.value(row));
            }
        }
        Ok(())
    }
}

fn to_state(lines: &[Line]) -> Vec<ArrayRef> {
    let column = |of: fn(&Line) -> f64| -> ArrayRef {
        Arc::new(lines.iter().map(|line| Some(of(line))).collect::<Float64Array>())
    };
    vec![
        column(|line| line.n),
        column(|line| line.mean_x),
        column(|line| line.mean_y),
        column(|line| line.xx),
        column(|line| line.xy),
    ]
}

fn from_state(state: &[ArrayRef], row: usize) -> Line {
    let number = |i: usize| state[i].as_primitive::<Float64Type>().value(row);
    Line { n: number(0), mean_x: number(1), mean_y: number(2), xx: number(3), xy: number(4) }
}

#[derive(Debug)]
struct AllGroups {
    points: Points,
    lines: Vec<Line>,
}

impl GroupsAccumulator for AllGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.lines.resize(n_groups, Line::default());
        let lines = &mut self.lines;
        self.points.each(values, |row, x, y| {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                lines[groups[row]].add(x, y);
            }
        })
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.lines.resize(n_groups, Line::default());
        for (row, group) in groups.iter().enumerate() {
            self.lines[*group].merge(&from_state(state, row));
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let lines = emit.take_needed(&mut self.lines);
        Ok(Arc::new(lines.iter().map(Line::slope).collect::<Float64Array>()))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(to_state(&emit.take_needed(&mut self.lines)))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut lines = vec![Line::default(); values[0].len()];
        self.points.each(values, |row, x, y| {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                lines[row].add(x, y);
            }
        })?;
        Ok(to_state(&lines))
    }

    fn size(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }
}

#[derive(Debug)]
struct OneGroup {
    points: Points,
    line: Line,
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let line = &mut self.line;
        self.points.each(values, |_, x, y| line.add(x, y))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let line = &mut self.line;
        self.points.each(values, |_, x, y| line.remove(x, y))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, state: &[ArrayRef]) -> Result<()> {
        (0..state[0].len()).for_each(|row| self.line.merge(&from_state(state, row)));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.line.slope()))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = to_state(&[std::mem::take(&mut self.line)]);
        state.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
