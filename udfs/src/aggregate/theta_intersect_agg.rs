//! `theta_intersect_agg`

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::function::udaf;
use super::summary::{Collect, Collected};
use crate::scalar::encoded::coerce_one;

/// `theta_intersect_agg(sketch)`
pub fn theta_intersect_agg_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<ThetaIntersectAgg>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The theta sketch of what is in the sketches of all rows; without rows NULL. A group takes at most as much memory as its first sketch.",
    syntax_example = "theta_intersect_agg(sketch)",
    sql_example = "```sql
> SELECT theta_estimate(theta_intersect_agg(s)) AS common FROM (SELECT theta_sketch(x) AS s FROM (VALUES (1, 1), (1, 2), (2, 2), (2, 3)) AS t(g, x) GROUP BY g);
+--------+
| common |
+--------+
| 1.0    |
+--------+
```",
    argument(name = "sketch", description = "A theta sketch. NULL is ignored."),
    related_udf(name = "theta_intersect"),
    related_udf(name = "theta_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaIntersectAgg;

impl Collect for ThetaIntersectAgg {
    const NAME: &'static str = "theta_intersect_agg";
    type State = Option<CompactThetaSketch>;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_one::<CompactThetaSketch>(Self::NAME, "sketch", types)
    }
}
