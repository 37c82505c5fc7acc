//! `hll_union_agg`

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use datasketches::hll::HllSketch;

use super::function::udaf;
use super::sketch::coerce_sketches;
use super::summary::{Collect, Collected};
use crate::kernel::hll::Hll;

/// `hll_union_agg(sketch [, lg_k])`
pub fn hll_union_agg_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<HllUnionAgg>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The HLL sketch of what is in the sketch of some row; without rows, of the empty set. A group takes at most 2^lg_k bytes of memory and about 100 besides.",
    syntax_example = "hll_union_agg(sketch [, lg_k])",
    sql_example = "```sql
> SELECT round(hll_estimate(hll_union_agg(s)), 3) AS different FROM (SELECT hll_sketch(x) AS s FROM (VALUES (1, 1), (1, 2), (2, 2), (2, 3)) AS t(g, x) GROUP BY g);
+-----------+
| different |
+-----------+
| 3.0       |
+-----------+
```",
    argument(name = "sketch", description = "An HLL sketch. NULL is ignored."),
    argument(
        name = "lg_k",
        description = "Constant from 4 to 21: the logarithm (base 2) of the most registers kept; 12 if left out. The answer is as precise as the least precise sketch."
    ),
    related_udf(name = "hll_union"),
    related_udf(name = "hll_sketch")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct HllUnionAgg;

impl Collect for HllUnionAgg {
    const NAME: &'static str = "hll_union_agg";
    type State = Hll;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_sketches::<HllSketch>(Self::NAME, "lg_k", types)
    }
}
