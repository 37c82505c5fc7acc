//! `hll_upper_bound`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::hll::HllSketch;

use super::function::scalar_udf;
use super::sketch::{Bound, Bounded};
use crate::kernel::theta::num_std_dev;

/// `hll_upper_bound(sketch [, deviations])`
pub fn hll_upper_bound_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Bounded<HllUpperBound>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "How many different values the HLL sketch has seen at most: with 1 standard deviation this is right in 84 of 100 cases, with 2 in 97.7, with 3 in 99.9. NULL if an argument is NULL.",
    syntax_example = "hll_upper_bound(sketch [, deviations])",
    sql_example = "```sql
> SELECT round(hll_upper_bound(hll_sketch(x)), 3) AS upper FROM (VALUES ('a'), ('b'), ('a')) AS t(x);
+-------+
| upper |
+-------+
| 2.0   |
+-------+
```",
    argument(
        name = "sketch",
        description = "A sketch made by `hll_sketch` or another DataSketches library."
    ),
    argument(name = "deviations", description = "1, 2 or 3; 2 if left out."),
    related_udf(name = "hll_estimate")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct HllUpperBound;

impl Bound for HllUpperBound {
    const NAME: &'static str = "hll_upper_bound";
    type Value = HllSketch;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn bound(sketch: &HllSketch, deviations: u8) -> Option<f64> {
        num_std_dev(deviations).map(|deviations| sketch.upper_bound(deviations))
    }
}
