//! `sequence_match(pattern, ts, c1, … cn)`

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold};
use super::function::{Aggregate, udaf};
use super::pattern;
use crate::kernel::events::Grouped;
use crate::kernel::pattern::Pattern;

/// `sequence_match(pattern, ts, c1, … cn)`
pub fn sequence_match_udaf() -> Arc<AggregateUDF> {
    udaf::<SequenceMatch>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "Whether the rows, in the order of time, contain a sequence that matches the pattern. Only rows where some condition holds are part of it.\n\n\
                   - `(?N)`: a row where condition N holds.\n\
                   - `.`: any one row; `.*`: any number of rows.\n\
                   - `(?t<=3600)`: the time since the row before; also `<`, `>=`, `>` and `==`. In seconds (days, if `ts` is a \
                   date). Rows in between are passed over.\n\n\
                   The answers are those of ClickHouse's `sequenceMatch`, but a condition that is NULL does not hide the row from \
                   the others. Rows of one time, whose order it leaves open, are \
                   ordered by which conditions hold, the first condition alone coming first.\n\n\
                   A group takes 16 bytes of memory for each row where a condition holds.",
    syntax_example = "sequence_match(pattern, ts, c1, … cn)",
    sql_example = "```sql
> SELECT sequence_match('(?1)(?t<=3600)(?2)', ts, kind = 'view', kind = 'order') AS bought
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'view'), (TIMESTAMP '2026-01-01T10:30:00', 'order'),
               (TIMESTAMP '2026-01-01T12:00:00', 'view')) AS t(ts, kind);
+--------+
| bought |
+--------+
| true   |
+--------+
```",
    argument(name = "pattern", description = "Constant text, see above."),
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "c1, … cn", description = "Up to 32 conditions. NULL does not hold."),
    related_udf(name = "sequence_count"),
    related_udf(name = "sequence_match_events"),
    related_udf(name = "window_funnel")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct SequenceMatch;

impl Aggregate for SequenceMatch {
    const NAME: &'static str = "sequence_match";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        pattern::coerce(Self::NAME, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Boolean(Some(false)))
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        pattern::bind(call, |pattern| Occurs { pattern })
    }
}

#[derive(Debug)]
struct Occurs {
    pattern: Pattern,
}

impl Fold for Occurs {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let answers =
            groups.iter().map(|(ticks, masks)| self.pattern.occurs(ticks, masks)).collect::<Vec<_>>();
        Ok(Arc::new(BooleanArray::from(answers)))
    }
}
