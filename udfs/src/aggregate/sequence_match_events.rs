//! `sequence_match_events(pattern, ts, c1, … cn)`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold};
use super::function::{Aggregate, udaf};
use super::list::{empty_list, list_type, lists};
use super::pattern;
use crate::kernel::events::Grouped;
use crate::kernel::pattern::Pattern;
use crate::ticks::Ticks;

/// `sequence_match_events(pattern, ts, c1, … cn)`
pub fn sequence_match_events_udaf() -> Arc<AggregateUDF> {
    udaf::<SequenceMatchEvents>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "The times of the rows that met the conditions of the pattern where it first occurs. Where it does not, those of the \
                   attempt that came furthest. The answers are those of ClickHouse's `sequenceMatchEvents`. An empty list \
                   where there are no rows.\n\n\
                   A group takes 16 bytes of memory for each row where a condition holds.",
    syntax_example = "sequence_match_events(pattern, ts, c1, … cn)",
    sql_example = "```sql
> SELECT sequence_match_events('(?1).*(?2)', ts, kind = 'view', kind = 'order') AS times
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'view'), (TIMESTAMP '2026-01-01T10:30:00', 'order'),
               (TIMESTAMP '2026-01-01T12:00:00', 'view')) AS t(ts, kind);
+--------------------------------------------+
| times                                      |
+--------------------------------------------+
| [2026-01-01T10:00:00, 2026-01-01T10:30:00] |
+--------------------------------------------+
```",
    argument(name = "pattern", description = "Constant text, see [`sequence_match`](#sequence_match)."),
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "c1, … cn", description = "Up to 32 conditions. NULL does not hold."),
    related_udf(name = "sequence_match")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct SequenceMatchEvents;

impl Aggregate for SequenceMatchEvents {
    const NAME: &'static str = "sequence_match_events";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        pattern::coerce(Self::NAME, types)
    }

    fn return_type(types: &[DataType]) -> Result<DataType> {
        Ok(list_type(&types[1]))
    }

    fn empty(return_type: &DataType) -> Result<ScalarValue> {
        empty_list(return_type)
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let data_type = call.types[1].clone();
        pattern::bind(call, |pattern| Events { pattern, data_type })
    }
}

#[derive(Debug)]
struct Events {
    pattern: Pattern,
    data_type: DataType,
}

impl Fold for Events {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let mut times = vec![];
        let mut lengths = Vec::with_capacity(groups.len());
        for (ticks, masks) in groups.iter() {
            let before = times.len();
            self.pattern.events(ticks, masks, &mut times);
            lengths.push(times.len() - before);
        }
        lists(lengths, Ticks::into_array(times, None, &self.data_type)?)
    }
}
