//! `theta_intersect`

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::encoded::{Combine, Combined};
use super::function::scalar_udf;
use super::sketch::failed;
use crate::kernel::theta;

/// `theta_intersect(a, b)`
pub fn theta_intersect_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Combined<ThetaIntersect>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The theta sketch of what is in both of two sketches. The error is that of the smaller sample, so an intersection that is small beside its sets is rough: see `theta_lower_bound`. NULL if either is NULL.",
    syntax_example = "theta_intersect(a, b)",
    sql_example = "```sql
> SELECT theta_estimate(theta_intersect(a, b)) AS different
  FROM (SELECT theta_sketch(x) FILTER (WHERE x < 3) AS a, theta_sketch(x) FILTER (WHERE x > 1) AS b FROM (VALUES (1), (2), (3), (4)) AS t(x));
+-----------+
| different |
+-----------+
| 1.0       |
+-----------+
```",
    argument(name = "a", description = "A sketch."),
    argument(name = "b", description = "A sketch."),
    related_udf(name = "theta_intersect_agg"),
    related_udf(name = "theta_union")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaIntersect;

impl Combine for ThetaIntersect {
    const NAME: &'static str = "theta_intersect";
    type Value = CompactThetaSketch;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn combine(a: &CompactThetaSketch, b: &CompactThetaSketch) -> Result<Vec<u8>> {
        theta::intersect(a, b).map_err(failed(Self::NAME))
    }
}
