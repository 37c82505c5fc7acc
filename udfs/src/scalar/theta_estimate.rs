//! `theta_estimate`

use std::sync::Arc;

use arrow::datatypes::Float64Type;
use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::encoded::{Measure, Measured};
use super::function::scalar_udf;

/// `theta_estimate(sketch)`
pub fn theta_estimate_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Measured<ThetaEstimate>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "About how many different values the theta sketch has seen; exact as long as they were few. NULL for NULL.",
    syntax_example = "theta_estimate(sketch)",
    sql_example = "```sql
> SELECT theta_estimate(theta_sketch(x)) AS different FROM (VALUES ('a'), ('b'), ('a')) AS t(x);
+-----------+
| different |
+-----------+
| 2.0       |
+-----------+
```",
    argument(
        name = "sketch",
        description = "A sketch made by `theta_sketch` or another DataSketches library."
    ),
    related_udf(name = "theta_sketch"),
    related_udf(name = "theta_lower_bound"),
    related_udf(name = "theta_upper_bound")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaEstimate;

impl Measure for ThetaEstimate {
    const NAME: &'static str = "theta_estimate";
    const ARGUMENT: &'static str = "sketch";
    type Value = CompactThetaSketch;
    type Number = Float64Type;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn measure(sketch: &CompactThetaSketch) -> Result<f64> {
        Ok(sketch.estimate())
    }
}
