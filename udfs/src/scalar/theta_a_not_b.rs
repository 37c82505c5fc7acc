//! `theta_a_not_b`

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::encoded::{Combine, Combined};
use super::function::scalar_udf;
use super::sketch::failed;
use crate::kernel::theta;

/// `theta_a_not_b(a, b)`
pub fn theta_a_not_b_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Combined<ThetaANotB>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The theta sketch of what is in `a` and not in `b`. NULL if either is NULL.",
    syntax_example = "theta_a_not_b(a, b)",
    sql_example = "```sql
> SELECT theta_estimate(theta_a_not_b(a, b)) AS different
  FROM (SELECT theta_sketch(x) FILTER (WHERE x < 3) AS a, theta_sketch(x) FILTER (WHERE x > 1) AS b FROM (VALUES (1), (2), (3), (4)) AS t(x));
+-----------+
| different |
+-----------+
| 1.0       |
+-----------+
```",
    argument(name = "a", description = "A sketch."),
    argument(name = "b", description = "A sketch."),
    related_udf(name = "theta_intersect")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaANotB;

impl Combine for ThetaANotB {
    const NAME: &'static str = "theta_a_not_b";
    type Value = CompactThetaSketch;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn combine(a: &CompactThetaSketch, b: &CompactThetaSketch) -> Result<Vec<u8>> {
        theta::a_not_b(a, b).map_err(failed(Self::NAME))
    }
}
