//! `theta_lower_bound`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::function::scalar_udf;
use super::sketch::{Bound, Bounded};
use crate::kernel::theta;

/// `theta_lower_bound(sketch [, deviations])`
pub fn theta_lower_bound_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Bounded<ThetaLowerBound>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "How many different values the theta sketch has seen at least: with 1 standard deviation this is right in 84 of 100 cases, with 2 in 97.7, with 3 in 99.9. NULL if an argument is NULL.",
    syntax_example = "theta_lower_bound(sketch [, deviations])",
    sql_example = "```sql
> SELECT theta_lower_bound(theta_sketch(x)) AS lower FROM (VALUES ('a'), ('b'), ('a')) AS t(x);
+-------+
| lower |
+-------+
| 2.0   |
+-------+
```",
    argument(
        name = "sketch",
        description = "A sketch made by `theta_sketch` or another DataSketches library."
    ),
    argument(name = "deviations", description = "1, 2 or 3; 2 if left out."),
    related_udf(name = "theta_estimate")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaLowerBound;

impl Bound for ThetaLowerBound {
    const NAME: &'static str = "theta_lower_bound";
    type Value = CompactThetaSketch;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn bound(sketch: &CompactThetaSketch, deviations: u8) -> Option<f64> {
        theta::bounds(sketch, deviations).map(|(lower, _)| lower)
    }
}
