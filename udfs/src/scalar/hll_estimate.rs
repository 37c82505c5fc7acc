//! `hll_estimate`

use std::sync::Arc;

use arrow::datatypes::Float64Type;
use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::hll::HllSketch;

use super::encoded::{Measure, Measured};
use super::function::scalar_udf;

/// `hll_estimate(sketch)`
pub fn hll_estimate_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Measured<HllEstimate>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "About how many different values the HLL sketch has seen; exact as long as they were few. NULL for NULL.",
    syntax_example = "hll_estimate(sketch)",
    sql_example = "```sql
> SELECT round(hll_estimate(hll_sketch(x)), 3) AS different FROM (VALUES ('a'), ('b'), ('a')) AS t(x);
+-----------+
| different |
+-----------+
| 2.0       |
+-----------+
```",
    argument(
        name = "sketch",
        description = "A sketch made by `hll_sketch` or another DataSketches library."
    ),
    related_udf(name = "hll_sketch"),
    related_udf(name = "hll_lower_bound"),
    related_udf(name = "hll_upper_bound")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct HllEstimate;

impl Measure for HllEstimate {
    const NAME: &'static str = "hll_estimate";
    const ARGUMENT: &'static str = "sketch";
    type Value = HllSketch;
    type Number = Float64Type;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn measure(sketch: &HllSketch) -> Result<f64> {
        Ok(sketch.estimate())
    }
}
