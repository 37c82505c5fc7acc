//! `nth_time(ts, n)`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold, Input};
use super::function::{Aggregate, udaf};
use crate::args::{coerce_integer, coerce_ts, wrong_arity};
use crate::kernel::events::Grouped;
use crate::ticks::Ticks;

/// `nth_time(ts, n)`
pub fn nth_time_udaf() -> Arc<AggregateUDF> {
    udaf::<NthTime>()
}

#[user_doc(
    doc_section(label = "Recency, frequency, monetary"),
    description = "The `n`-th of the times in order, or from the end if `n` is negative; NULL where there are \
                   fewer. Equal times count one by one.\n\n\
                   A group takes 16 bytes of memory for each row.",
    syntax_example = "nth_time(ts, n)",
    sql_example = "```sql
> SELECT nth_time(day, 2) AS second, nth_time(day, -1) AS last
  FROM (VALUES (DATE '2026-03-01'), (DATE '2026-01-01'), (DATE '2026-02-01')) AS t(day);
+------------+------------+
| second     | last       |
+------------+------------+
| 2026-02-01 | 2026-03-01 |
+------------+------------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. NULL is not a time."),
    argument(name = "n", description = "Constant whole number other than 0: 1 is the first, -1 the last.")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct NthTime;

impl Aggregate for NthTime {
    const NAME: &'static str = "nth_time";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, n] = types else { return wrong_arity(Self::NAME, "(ts, n)", types.len()) };
        Ok(vec![coerce_ts(Self::NAME, "ts", ts)?, coerce_integer(Self::NAME, "n", n)?])
    }

    fn return_type(types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let n = call.integer(1, "n")?;
        if n == 0 {
            return plan_err!("nth_time: `n` must not be 0; 1 is the first, -1 the last");
        }
        let fold = Nth { n, data_type: call.types[0].clone() };
        Ok(EventGroups::new(Input::times(0), fold))
    }
}

#[derive(Debug)]
struct Nth {
    n: i64,
    data_type: DataType,
}

impl Nth {
    fn of(&self, ticks: &[i64]) -> Option<i64> {
        let distance = usize::try_from(self.n.unsigned_abs()).ok()?;
        if self.n > 0 {
            ticks.get(distance - 1).copied()
        } else {
            ticks.len().checked_sub(distance).map(|i| ticks[i])
        }
    }
}

impl Fold for Nth {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let found = groups.iter().map(|(ticks, _)| self.of(ticks)).collect::<Vec<_>>();
        let nulls = NullBuffer::from_iter(found.iter().map(Option::is_some));
        let values = found.into_iter().map(Option::unwrap_or_default).collect();
        Ticks::into_array(values, Some(nulls), &self.data_type)
    }
}
