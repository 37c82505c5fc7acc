//! `did_without(ts, a, b, within, as_of)`

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
use crate::kernel::did::did_without;
use crate::kernel::events::Grouped;
use crate::kernel::span::Span;

/// `did_without(ts, a, b, within, as_of)`
pub fn did_without_udaf() -> Arc<AggregateUDF> {
    udaf::<DidWithout>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "Whether some row where `a` holds was not followed by a row where `b` holds, strictly later and \
                   at most `within` later, although the time for it had passed by `as_of` (`ts + within <= as_of`). \
                   False where there are no rows. Months in `within` follow the calendar, days the time zone of `ts`.\n\n\
                   A group takes 16 bytes of memory for each row where a condition holds.",
    syntax_example = "did_without(ts, a, b, within, as_of)",
    sql_example = "```sql
> SELECT did_without(ts, kind = 'cart', kind = 'order', INTERVAL '1' HOUR, TIMESTAMP '2026-01-02T00:00:00') AS abandoned
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'cart'), (TIMESTAMP '2026-01-01T12:00:00', 'order')) AS t(ts, kind);
+-----------+
| abandoned |
+-----------+
| true      |
+-----------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "a", description = "Condition. NULL does not hold."),
    argument(name = "b", description = "Condition. NULL does not hold."),
    argument(
        name = "within",
        description = "Constant INTERVAL or number of seconds (days, if `ts` is a date)."
    ),
    argument(
        name = "as_of",
        description = "Constant of the type of `ts`: until when it is known what happened. `now()` is one."
    ),
    related_udf(name = "did_then")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct DidWithout;

impl Aggregate for DidWithout {
    const NAME: &'static str = "did_without";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, a, b, within, as_of] = types else {
            return wrong_arity(Self::NAME, "(ts, a, b, within, as_of)", types.len());
        };
        coerce_ts(Self::NAME, "as_of", as_of)?;
        let ts = coerce_ts(Self::NAME, "ts", ts)?;
        Ok(vec![
            ts.clone(),
            coerce_condition(Self::NAME, "a", a)?,
            coerce_condition(Self::NAME, "b", b)?,
            coerce_span(Self::NAME, "within", within)?,
            ts,
        ])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Boolean(Some(false)))
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let within = call.span(3, "within", &call.scale(0)?)?;
        let as_of = call.tick(4, "as_of")?;
        Ok(EventGroups::new(
            Input { ts: 0, conditions: 1..3, keep: Keep::Matching },
            Without { within, as_of },
        ))
    }
}

#[derive(Debug)]
struct Without {
    within: Span,
    as_of: i64,
}

impl Fold for Without {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let answers = groups
            .iter()
            .map(|(ticks, masks)| did_without(ticks, masks, &self.within, self.as_of))
            .collect::<Vec<_>>();
        Ok(Arc::new(BooleanArray::from(answers)))
    }
}
