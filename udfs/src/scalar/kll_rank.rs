//! `kll_rank`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::{Encoded, Function, bytes_type, scalar_udf};
use super::sketch::{KLL, read_kll};
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::kll;

/// `kll_rank(sketch, value)`
pub fn kll_rank_udf() -> Arc<ScalarUDF> {
    scalar_udf::<KllRank>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The share of the numbers seen that are no greater than `value`, from 0 to 1. NULL if the sketch is empty or an argument is NULL or NaN. The error is 1.33 % for the default `k`.",
    syntax_example = "kll_rank(sketch, value)",
    sql_example = "```sql
> SELECT kll_rank(kll_sketch(x), 2.0) AS share FROM (VALUES (3), (1), (2)) AS t(x);
+--------------------+
| share              |
+--------------------+
| 0.6666666666666666 |
+--------------------+
```",
    argument(
        name = "sketch",
        description = "A sketch made by `kll_sketch` or another DataSketches library."
    ),
    argument(name = "value", description = "A number."),
    related_udf(name = "kll_quantile"),
    related_udf(name = "kll_sketch")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct KllRank;

impl Function for KllRank {
    const NAME: &'static str = "kll_rank";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [sketch, value] = types else {
            return wrong_arity(Self::NAME, "(sketch, value)", types.len());
        };
        if !plain(value).is_numeric() && !plain(value).is_null() {
            return Err(wrong_type(Self::NAME, "value", "a number", value));
        }
        Ok(vec![bytes_type(Self::NAME, "sketch", KLL, sketch)?, DataType::Float64])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let sketches = Encoded::new(&args[0], read_kll)?;
        let numbers = args[1].to_array(n_rows)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        let answers = (0..n_rows).map(|row| {
            if numbers.is_null(row) {
                return Ok(None);
            }
            let number = numbers.value(row);
            Ok(sketches.map(row, |sketch| Ok(kll::rank(sketch, number)))?.flatten())
        });
        Ok(Arc::new(answers.collect::<Result<Float64Array>>()?))
    }
}
