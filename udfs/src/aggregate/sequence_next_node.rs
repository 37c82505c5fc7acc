//! `sequence_next_node(direction, base, ts, value, base_condition, e1, … en)`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{Input, Keep};
use super::function::{Aggregate, udaf};
use super::valued::{Load, Nulls, ValuedFold, ValuedGroups};
use super::values::Interner;
use crate::args::{coerce_condition, coerce_ts, is_text, plain, wrong_arity};
use crate::kernel::events::Grouped;

/// `sequence_next_node(direction, base, ts, value, base_condition, e1, … en)`
pub fn sequence_next_node_udaf() -> Arc<AggregateUDF> {
    udaf::<SequenceNextNode>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "What came next: the value of the row after (or before) a run of rows where `e1`, `e2`, … hold one \
                   after the other, starting from a base. NULL where there is no such run or nothing comes next. The \
                   answers are those of ClickHouse's `sequenceNextNode`; beyond it, values have any type. Rows of one \
                   time are ordered by value.\n\n\
                   A group takes 20 bytes of memory for each row; each different value is kept once for all groups.",
    syntax_example = "sequence_next_node(direction, base, ts, value, base_condition, e1, … en)",
    sql_example = "```sql
> SELECT sequence_next_node('forward', 'first_match', ts, page, true, page = 'home', page = 'search') AS next
  FROM (VALUES (1, 'home'), (2, 'search'), (3, 'product')) AS t(ts, page);
+---------+
| next    |
+---------+
| product |
+---------+
```",
    argument(name = "direction", description = "Constant: `'forward'` in time or `'backward'`."),
    argument(
        name = "base",
        description = "Constant: where the run starts. `'head'` is the first row (forward only), `'tail'` the last \
                       (backward only), `'first_match'` and `'last_match'` are the first and last row where `e1` holds."
    ),
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "value", description = "Any type. Rows where it is NULL are ignored."),
    argument(name = "base_condition", description = "Condition the base must meet. NULL does not hold."),
    argument(name = "e1, … en", description = "Up to 31 conditions. NULL does not hold."),
    related_udf(name = "sequence_match")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct SequenceNextNode;

const SYNTAX: &str = "(direction, base, ts, value, base_condition, e1, … en)";
const MAX_EVENTS: usize = 31;

/// Which argument is the value.
const VALUE: usize = 3;

impl Aggregate for SequenceNextNode {
    const NAME: &'static str = "sequence_next_node";
    type Groups = ValuedGroups<VALUE>;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [direction, base, ts, value, base_condition, events @ ..] = types else {
            return wrong_arity(Self::NAME, SYNTAX, types.len());
        };
        for (argument, found) in [("direction", direction), ("base", base)] {
            if !is_text(found) {
                return plan_err!("sequence_next_node: `{argument}` must be a text, found {found}");
            }
        }
        if events.len() > MAX_EVENTS {
            return plan_err!("sequence_next_node takes up to {MAX_EVENTS} events, found {}", events.len());
        }
        let mut coerced = vec![
            DataType::Utf8,
            DataType::Utf8,
            coerce_ts(Self::NAME, "ts", ts)?,
            plain(value).clone(),
            coerce_condition(Self::NAME, "base_condition", base_condition)?,
        ];
        for (i, event) in events.iter().enumerate() {
            coerced.push(coerce_condition(Self::NAME, &format!("e{}", i + 1), event)?);
        }
        Ok(coerced)
    }

    fn return_type(types: &[DataType]) -> Result<DataType> {
        Ok(types[VALUE].clone())
    }

    fn bind(call: &Call) -> Result<Self::Groups> {
        let forward = match call.text(0, "direction")? {
            "forward" => true,
            "backward" => false,
            other => {
                return plan_err!(
                    "sequence_next_node: `direction` must be 'forward' or 'backward', found '{other}'"
                );
            }
        };
        let base = match call.text(1, "base")? {
            "head" if forward => Base::Head,
            "tail" if !forward => Base::Tail,
            "first_match" => Base::FirstMatch,
            "last_match" => Base::LastMatch,
            "head" => return plan_err!("sequence_next_node: nothing comes before 'head'; use 'forward'"),
            "tail" => return plan_err!("sequence_next_node: nothing comes after 'tail'; use 'backward'"),
            other => {
                return plan_err!(
                    "sequence_next_node: `base` must be 'head', 'tail', 'first_match' or 'last_match', found '{other}'"
                );
            }
        };
        let n_events = call.n_args() - 5;
        if n_events == 0 && matches!(base, Base::FirstMatch | Base::LastMatch) {
            return plan_err!("sequence_next_node takes {SYNTAX}, found no event for the base to match");
        }
        // Bit 0 of a mask is the base condition, the events follow.
        let input = Input { ts: 2, conditions: 4..call.n_args(), keep: Keep::Timed };
        ValuedGroups::new(call, input, Nulls::Ignored, NextNode { forward, base, n_events })
    }
}

#[derive(Debug, Clone, Copy)]
enum Base {
    Head,
    Tail,
    FirstMatch,
    LastMatch,
}

#[derive(Debug)]
struct NextNode {
    forward: bool,
    base: Base,
    n_events: usize,
}

impl NextNode {
    /// The row that comes next.
    fn of(&self, rows: &[Load]) -> Option<usize> {
        if rows.len() <= self.n_events {
            return None;
        }
        let may_be_base = |row: &usize| rows[*row].mask & 1 == 1;
        let event = |row: usize, event: usize| rows[row].mask >> (event + 1) & 1 == 1;
        let matches = |row: &usize| may_be_base(row) && event(*row, 0);
        let base = match self.base {
            Base::Head => Some(0).filter(may_be_base),
            Base::Tail => Some(rows.len() - 1).filter(may_be_base),
            Base::FirstMatch => (0..rows.len()).find(matches),
            Base::LastMatch => (0..rows.len()).rfind(matches),
        }?;
        let next = if self.forward { base + self.n_events } else { base.checked_sub(self.n_events)? };
        let run = |i: usize| event(if self.forward { base + i } else { base - i }, i);
        (next < rows.len() && (0..self.n_events).all(run)).then_some(next)
    }
}

impl ValuedFold for NextNode {
    fn fold(&self, groups: &Grouped<Load>, values: &Interner) -> Result<ArrayRef> {
        values.column(groups.iter().map(|(_, rows)| self.of(rows).map(|row| rows[row].value)))
    }
}
