//! `sequence_count(pattern, ts, c1, … cn)`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
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

/// `sequence_count(pattern, ts, c1, … cn)`
pub fn sequence_count_udaf() -> Arc<AggregateUDF> {
    udaf::<SequenceCount>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "How many times the pattern occurs, one occurrence after the other; they do not overlap. The answers are those of \
                   ClickHouse's `sequenceCount`. 0 where there are no rows.\n\n\
                   A group takes 16 bytes of memory for each row where a condition holds.",
    syntax_example = "sequence_count(pattern, ts, c1, … cn)",
    sql_example = "```sql
> SELECT sequence_count('(?1)', ts, kind = 'view', kind = 'order') AS views
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'view'), (TIMESTAMP '2026-01-01T10:30:00', 'order'),
               (TIMESTAMP '2026-01-01T12:00:00', 'view')) AS t(ts, kind);
+-------+
| views |
+-------+
| 2     |
+-------+
```",
    argument(name = "pattern", description = "Constant text, see [`sequence_match`](#sequence_match)."),
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "c1, … cn", description = "Up to 32 conditions. NULL does not hold."),
    related_udf(name = "sequence_match")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct SequenceCount;

impl Aggregate for SequenceCount {
    const NAME: &'static str = "sequence_count";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        pattern::coerce(Self::NAME, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        pattern::bind(call, |pattern| Count { pattern })
    }
}

#[derive(Debug)]
struct Count {
    pattern: Pattern,
}

impl Fold for Count {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let answers =
            groups.iter().map(|(ticks, masks)| self.pattern.count(ticks, masks)).collect::<Vec<_>>();
        Ok(Arc::new(Int64Array::from(answers)))
    }
}
