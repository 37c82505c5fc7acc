//! `trend(ts, value)`
//!
//! Memory: 40 bytes a group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation, EmitTo, GroupsAccumulator};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::truths;
use super::function::{Aggregate, Groups, udaf};
use crate::args::{coerce_ts, plain, wrong_arity, wrong_type};
use crate::kernel::spacing::Line;
use crate::ticks::Ticks;

/// `trend(ts, value)`
pub fn trend_udaf() -> Arc<AggregateUDF> {
    udaf::<Trend>()
}

#[user_doc(
    doc_section(label = "Recency, frequency, monetary"),
    description = "How much the value grows per day: the slope of the straight line that fits best. NULL where there \
                   are no two different times. Rows where the time or the value is NULL are ignored. Floating point: \
                   the last digits may depend on how rows were split.\n\n\
                   A group takes 40 bytes of memory.",
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
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Trend;

impl Aggregate for Trend {
    const NAME: &'static str = "trend";
    type Groups = TrendGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, value] = types else { return wrong_arity(Self::NAME, "(ts, value)", types.len()) };
        if !plain(value).is_numeric() && !plain(value).is_null() {
            return Err(wrong_type(Self::NAME, "value", "a number", value));
        }
        Ok(vec![coerce_ts(Self::NAME, "ts", ts)?, DataType::Float64])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn bind(call: &Call) -> Result<TrendGroups> {
        let tick_days = call.scale(0)?.tick_seconds() / 86_400.0;
        Ok(TrendGroups { points: Points { tick_days }, lines: vec![] })
    }
}

#[derive(Debug)]
struct Points {
    tick_days: f64,
}

impl Points {
    /// Calls `point` with the number, time in days, and value of each row that has both.
    fn each(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut point: impl FnMut(usize, f64, f64),
    ) -> Result<()> {
        let ticks = Ticks::of(&values[0])?;
        let value = values[1].as_primitive::<Float64Type>();
        let wanted = filter.map(truths);
        for row in 0..value.len() {
            if value.is_valid(row)
                && ticks.is_valid(row)
                && wanted.as_ref().is_none_or(|wanted| wanted.value(row))
            {
                point(row, ticks.values[row] as f64 * self.tick_days, value.value(row));
            }
        }
        Ok(())
    }
}

/// The line of each group.
#[derive(Debug)]
struct TrendGroups {
    points: Points,
    lines: Vec<Line>,
}

impl Groups for TrendGroups {
    const RETRACTS: bool = true;

    fn state_fields(_: &[DataType]) -> Vec<(&'static str, DataType, bool)> {
        ["n", "mean_x", "mean_y", "xx", "xy"].map(|name| (name, DataType::Float64, false)).to_vec()
    }

    fn grow(&mut self, n_groups: usize) -> Result<()> {
        self.lines.resize(n_groups, Line::default());
        Ok(())
    }

    fn peek(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.lines.iter().map(Line::slope).collect::<Float64Array>()))
    }

    fn retract(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (points, lines) = (&self.points, &mut self.lines);
        points.each(values, None, |_, x, y| lines[0].remove(x, y))
    }
}

impl GroupsAccumulator for TrendGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.grow(n_groups)?;
        let (points, lines) = (&self.points, &mut self.lines);
        points.each(values, filter, |row, x, y| lines[groups[row]].add(x, y))
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.grow(n_groups)?;
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
        self.points.each(values, filter, |row, x, y| lines[row].add(x, y))?;
        Ok(to_state(&lines))
    }

    fn size(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
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
