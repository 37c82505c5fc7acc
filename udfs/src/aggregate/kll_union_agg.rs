//! `kll_union_agg`

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::function::udaf;
use super::sketch::coerce_sketches;
use super::summary::{Collect, Collected};
use crate::kernel::kll::Kll;

/// `kll_union_agg(sketch [, k])`
pub fn kll_union_agg_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<KllUnionAgg>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The KLL sketch of the numbers of all sketches; without rows, of no numbers. A group takes about 3k numbers of 8 bytes at most.",
    syntax_example = "kll_union_agg(sketch [, k])",
    sql_example = "```sql
> SELECT kll_quantile(kll_union_agg(s), 0.5) AS median FROM (SELECT kll_sketch(x) AS s FROM (VALUES (1, 1), (1, 2), (2, 2), (2, 3)) AS t(g, x) GROUP BY g);
+--------+
| median |
+--------+
| 2.0    |
+--------+
```",
    argument(name = "sketch", description = "A KLL sketch. NULL is ignored."),
    argument(
        name = "k",
        description = "Constant from 8 to 65535: how many numbers the largest level keeps; 200 if left out, for a rank error of 1.33 % with 99 % confidence."
    ),
    related_udf(name = "kll_union"),
    related_udf(name = "kll_sketch")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct KllUnionAgg;

impl Collect for KllUnionAgg {
    const NAME: &'static str = "kll_union_agg";
    type State = Kll;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_sketches::<Kll>(Self::NAME, "k", types)
    }
}
