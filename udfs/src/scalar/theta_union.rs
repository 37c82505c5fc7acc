//! `theta_union`

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::encoded::{Combine, Combined};
use super::function::scalar_udf;
use super::sketch::failed;
use crate::kernel::theta;

/// `theta_union(a, b)`
pub fn theta_union_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Combined<ThetaUnion>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The theta sketch of what is in either of two sketches. Keeps at most 4096 hashes; of more see `theta_union_agg`. NULL if either is NULL.",
    syntax_example = "theta_union(a, b)",
    sql_example = "```sql
> SELECT theta_estimate(theta_union(a, b)) AS different
  FROM (SELECT theta_sketch(x) FILTER (WHERE x < 3) AS a, theta_sketch(x) FILTER (WHERE x > 1) AS b FROM (VALUES (1), (2), (3), (4)) AS t(x));
+-----------+
| different |
+-----------+
| 4.0       |
+-----------+
```",
    argument(name = "a", description = "A sketch."),
    argument(name = "b", description = "A sketch."),
    related_udf(name = "theta_union_agg"),
    related_udf(name = "theta_intersect")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaUnion;

impl Combine for ThetaUnion {
    const NAME: &'static str = "theta_union";
    type Value = CompactThetaSketch;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn combine(a: &CompactThetaSketch, b: &CompactThetaSketch) -> Result<Vec<u8>> {
        theta::union(theta::DEFAULT_LG_K, a, b).map_err(failed(Self::NAME))
    }
}
