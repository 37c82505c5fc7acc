//! `session_durations(ts, gap)`

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold, Input};
use super::function::{Aggregate, udaf};
use super::list::{empty_list, list_type, lists};
use crate::args::{coerce_span, coerce_ts, wrong_arity};
use crate::kernel::events::Grouped;
use crate::kernel::session::sessions;
use crate::kernel::span::{Scale, Span};

/// `session_durations(ts, gap)`
pub fn session_durations_udaf() -> Arc<AggregateUDF> {
    udaf::<SessionDurations>()
}

#[user_doc(
    doc_section(label = "Session"),
    description = "How long each session lasted, in seconds, from its first row to its last, in the order of time. A \
                   session of one row lasted 0. An empty list where there are no rows.\n\n\
                   A group takes 16 bytes of memory for each row.",
    syntax_example = "session_durations(ts, gap)",
    sql_example = "```sql
> SELECT session_durations(ts, INTERVAL '30' MINUTE) AS seconds
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00'), (TIMESTAMP '2026-01-01T10:30:00'), (TIMESTAMP '2026-01-01T11:30:00')) AS t(ts);
+---------------+
| seconds       |
+---------------+
| [1800.0, 0.0] |
+---------------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(
        name = "gap",
        description = "Constant INTERVAL or number of seconds (days, if `ts` is a date): the longest pause within a session."
    ),
    related_udf(name = "session_count")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct SessionDurations;

impl Aggregate for SessionDurations {
    const NAME: &'static str = "session_durations";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, gap] = types else { return wrong_arity(Self::NAME, "(ts, gap)", types.len()) };
        Ok(vec![coerce_ts(Self::NAME, "ts", ts)?, coerce_span(Self::NAME, "gap", gap)?])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(list_type(&DataType::Float64))
    }

    fn empty(return_type: &DataType) -> Result<ScalarValue> {
        empty_list(return_type)
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let scale = call.scale(0)?;
        let fold = Durations { gap: call.span(1, "gap", &scale)?, scale };
        Ok(EventGroups::new(Input::times(0), fold))
    }
}

#[derive(Debug)]
struct Durations {
    gap: Span,
    scale: Scale,
}

impl Fold for Durations {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let (mut lengths, mut durations) = (vec![], vec![]);
        for (ticks, _) in groups.iter() {
            let before = durations.len();
            sessions(ticks, &self.gap, |first, last| {
                durations.push(self.scale.seconds(ticks[last].saturating_sub(ticks[first]) as f64));
            });
            lengths.push(durations.len() - before);
        }
        lists(lengths, Arc::new(Float64Array::from(durations)))
    }
}
