//! `theta_estimate`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::function::{Function, scalar_udf};
use super::sketch::{THETA, coerce_one, number, read_theta};

/// `theta_estimate(sketch)`
pub fn theta_estimate_udf() -> Arc<ScalarUDF> {
    scalar_udf::<ThetaEstimate>()
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

impl Function for ThetaEstimate {
    const NAME: &'static str = "theta_estimate";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_one(Self::NAME, THETA, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        number(args, n_rows, read_theta, CompactThetaSketch::estimate)
    }
}
