//! `session_count(ts, gap)`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold, Input};
use super::function::{Aggregate, udaf};
use crate::args::{coerce_span, coerce_ts, wrong_arity};
use crate::kernel::events::Grouped;
use crate::kernel::session::session_count;
use crate::kernel::span::Span;

/// `session_count(ts, gap)`
pub fn session_count_udaf() -> Arc<AggregateUDF> {
    udaf::<SessionCount>()
}

#[user_doc(
    doc_section(label = "Session"),
    description = "The number of sessions: a row more than `gap` after the one before it begins a new one. \
                   0 where there are no rows.\n\n\
                   A group takes 16 bytes of memory for each row.",
    syntax_example = "session_count(ts, gap)",
    sql_example = "```sql
> SELECT session_count(ts, INTERVAL '30' MINUTE) AS visits
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00'), (TIMESTAMP '2026-01-01T10:30:00'), (TIMESTAMP '2026-01-01T11:30:00')) AS t(ts);
+--------+
| visits |
+--------+
| 2      |
+--------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(
        name = "gap",
        description = "Constant INTERVAL or number of seconds (days, if `ts` is a date): the longest pause within a session."
    )
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct SessionCount;

impl Aggregate for SessionCount {
    const NAME: &'static str = "session_count";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, gap] = types else { return wrong_arity(Self::NAME, "(ts, gap)", types.len()) };
        Ok(vec![coerce_ts(Self::NAME, "ts", ts)?, coerce_span(Self::NAME, "gap", gap)?])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let gap = call.span(1, "gap", &call.scale(0)?)?;
        Ok(EventGroups::new(Input::times(0), Count { gap }))
    }
}

#[derive(Debug)]
struct Count {
    gap: Span,
}

impl Fold for Count {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let counts = groups.iter().map(|(ticks, _)| session_count(ticks, &self.gap)).collect::<Vec<_>>();
        Ok(Arc::new(Int64Array::from(counts)))
    }
}
