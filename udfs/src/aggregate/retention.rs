//! `retention(c1, … cn)`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::truths;
use super::function::{Aggregate, udaf};
use super::list::list_type;
use super::masks::{MaskGroups, Masks};
use crate::args::coerce_condition;

/// `retention(c1, … cn)`
pub fn retention_udaf() -> Arc<AggregateUDF> {
    udaf::<Retention>()
}

#[user_doc(
    doc_section(label = "Retention"),
    description = "Whether the first condition ever held, and with it each of the others: the first element is `c1`, \
                   the i-th is `c1` and `ci`, not necessarily in one row. The answers are those of ClickHouse's \
                   `retention`, as booleans. All false where there are no rows; NULL for a window frame without rows.\n\n\
                   A group takes 8 bytes of memory.",
    syntax_example = "retention(c1, … cn)",
    sql_example = "```sql
> SELECT retention(day = 1, day = 2, day = 3) AS kept FROM (VALUES (1), (3)) AS t(day);
+---------------------+
| kept                |
+---------------------+
| [true, false, true] |
+---------------------+
```",
    argument(name = "c1, … cn", description = "1 to 32 conditions. NULL does not hold."),
    related_udf(name = "cohort_retention")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Retention;

const MAX_CONDITIONS: usize = 32;

impl Aggregate for Retention {
    const NAME: &'static str = "retention";
    type Groups = MaskGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        if types.is_empty() || types.len() > MAX_CONDITIONS {
            return plan_err!("retention takes 1 to {MAX_CONDITIONS} conditions, found {}", types.len());
        }
        let coerce = |(i, found)| coerce_condition(Self::NAME, &format!("c{}", i + 1), found);
        types.iter().enumerate().map(coerce).collect()
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(list_type(&DataType::Boolean))
    }

    fn bind(call: &Call) -> Result<MaskGroups> {
        Ok(MaskGroups::new(Conditions { n: call.n_args() }))
    }
}

#[derive(Debug)]
struct Conditions {
    n: usize,
}

impl Masks for Conditions {
    fn masks(&self, values: &[ArrayRef]) -> Result<Vec<u64>> {
        let mut masks = vec![0; values[0].len()];
        for (bit, condition) in values.iter().enumerate() {
            for row in truths(condition.as_boolean()).set_indices() {
                masks[row] |= 1 << bit;
            }
        }
        Ok(masks)
    }

    fn len(&self) -> usize {
        self.n
    }

    fn answer(&self, mask: u64, i: usize) -> bool {
        mask & 1 != 0 && mask >> i & 1 != 0
    }
}
