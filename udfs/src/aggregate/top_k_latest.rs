//! `top_k_latest(ts, k)`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold, Input};
use super::function::{Aggregate, udaf};
use super::list::{empty_list, list_type, lists};
use crate::args::{coerce_integer, coerce_ts, wrong_arity};
use crate::kernel::events::Grouped;
use crate::ticks::Ticks;

/// `top_k_latest(ts, k)`
pub fn top_k_latest_udaf() -> Arc<AggregateUDF> {
    udaf::<TopKLatest>()
}

#[user_doc(
    doc_section(label = "Recency, frequency, monetary"),
    description = "The `k` latest times, the latest first; all of them where there are fewer. Equal times count one by \
                   one. An empty list where there is none.\n\n\
                   A group takes 16 bytes of memory for each row.",
    syntax_example = "top_k_latest(ts, k)",
    sql_example = "```sql
> SELECT top_k_latest(day, 2) AS latest
  FROM (VALUES (DATE '2026-03-01'), (DATE '2026-01-01'), (DATE '2026-02-01')) AS t(day);
+--------------------------+
| latest                   |
+--------------------------+
| [2026-03-01, 2026-02-01] |
+--------------------------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. NULL is not a time."),
    argument(name = "k", description = "Constant whole number above 0."),
    related_udf(name = "nth_time")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct TopKLatest;

impl Aggregate for TopKLatest {
    const NAME: &'static str = "top_k_latest";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, k] = types else { return wrong_arity(Self::NAME, "(ts, k)", types.len()) };
        Ok(vec![coerce_ts(Self::NAME, "ts", ts)?, coerce_integer(Self::NAME, "k", k)?])
    }

    fn return_type(types: &[DataType]) -> Result<DataType> {
        Ok(list_type(&types[0]))
    }

    fn empty(return_type: &DataType) -> Result<ScalarValue> {
        empty_list(return_type)
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let k = match usize::try_from(call.integer(1, "k")?) {
            Ok(k) if k > 0 => k,
            _ => return plan_err!("top_k_latest: `k` must be above 0, found {}", call.integer(1, "k")?),
        };
        let fold = Latest { k, data_type: call.types[0].clone() };
        Ok(EventGroups::new(Input::times(0), fold))
    }
}

#[derive(Debug)]
struct Latest {
    k: usize,
    data_type: DataType,
}

impl Fold for Latest {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let (mut lengths, mut latest) = (vec![], vec![]);
        for (ticks, _) in groups.iter() {
            lengths.push(ticks.len().min(self.k));
            latest.extend(ticks.iter().rev().take(self.k));
        }
        lists(lengths, Ticks::into_array(latest, None, &self.data_type)?)
    }
}
