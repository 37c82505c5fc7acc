//! `hll_estimate`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::hll::HllSketch;

use super::function::{Function, scalar_udf};
use super::sketch::{HLL, coerce_one, number, read_hll};

/// `hll_estimate(sketch)`
pub fn hll_estimate_udf() -> Arc<ScalarUDF> {
    scalar_udf::<HllEstimate>()
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

impl Function for HllEstimate {
    const NAME: &'static str = "hll_estimate";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_one(Self::NAME, HLL, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        number(args, n_rows, read_hll, HllSketch::estimate)
    }
}
