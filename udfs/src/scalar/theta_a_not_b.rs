//! `theta_a_not_b`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::{Encoded, Function, collect_bytes, scalar_udf};
use super::sketch::{THETA, coerce_two, failed, read_theta};
use crate::kernel::theta;

/// `theta_a_not_b(a, b)`
pub fn theta_a_not_b_udf() -> Arc<ScalarUDF> {
    scalar_udf::<ThetaANotB>()
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

impl Function for ThetaANotB {
    const NAME: &'static str = "theta_a_not_b";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_two(Self::NAME, THETA, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let (a, b) = (Encoded::new(&args[0], read_theta)?, Encoded::new(&args[1], read_theta)?);
        collect_bytes(n_rows, |row| {
            let combined =
                a.map(row, |a| b.map(row, |b| theta::a_not_b(a, b).map_err(failed(Self::NAME))))?;
            Ok(combined.flatten())
        })
    }
}
