//! `did_then(ts, a, b [, within])`

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold, Input, Keep};
use super::function::{Aggregate, udaf};
use crate::args::{coerce_condition, coerce_span, coerce_ts, wrong_arity};
use crate::kernel::did::did_then;
use crate::kernel::events::Grouped;
use crate::kernel::span::Span;

/// `did_then(ts, a, b [, within])`
pub fn did_then_udaf() -> Arc<AggregateUDF> {
    udaf::<DidThen>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "Whether some row where `a` holds is followed, strictly later and at most `within` later, \
                   by a row where `b` holds. False where there are no rows. Months in `within` follow the \
                   calendar, days the time zone of `ts`.\n\n\
                   A group takes 16 bytes of memory for each row where a condition holds.",
    syntax_example = "did_then(ts, a, b [, within])",
    sql_example = "```sql
> SELECT did_then(ts, kind = 'cart', kind = 'order', INTERVAL '1' HOUR) AS bought
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'cart'), (TIMESTAMP '2026-01-01T10:30:00', 'order')) AS t(ts, kind);
+--------+
| bought |
+--------+
| true   |
+--------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "a", description = "Condition. NULL does not hold."),
    argument(name = "b", description = "Condition. NULL does not hold."),
    argument(
        name = "within",
        description = "Constant INTERVAL or number of seconds (days, if `ts` is a date). Without it, any time later."
    ),
    related_udf(name = "did_without")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct DidThen;

impl Aggregate for DidThen {
    const NAME: &'static str = "did_then";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let (ts, a, b, within) = match types {
            [ts, a, b] => (ts, a, b, None),
            [ts, a, b, within] => (ts, a, b, Some(within)),
            _ => return wrong_arity(Self::NAME, "(ts, a, b [, within])", types.len()),
        };
        let mut coerced = vec![
            coerce_ts(Self::NAME, "ts", ts)?,
            coerce_condition(Self::NAME, "a", a)?,
            coerce_condition(Self::NAME, "b", b)?,
        ];
        if let Some(within) = within {
            coerced.push(coerce_span(Self::NAME, "within", within)?);
        }
        Ok(coerced)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Boolean(Some(false)))
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let scale = call.scale(0)?;
        let within = if call.n_args() > 3 { Some(call.span(3, "within", &scale)?) } else { None };
        Ok(EventGroups::new(Input { ts: 0, conditions: 1..3, keep: Keep::Matching }, Then { within }))
    }
}

#[derive(Debug)]
struct Then {
    within: Option<Span>,
}

impl Fold for Then {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let within = self.within.as_ref();
        let answers = groups.iter().map(|(ticks, masks)| did_then(ticks, masks, within)).collect::<Vec<_>>();
        Ok(Arc::new(BooleanArray::from(answers)))
    }
}
