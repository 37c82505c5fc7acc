//! `kll_rank`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::encoded::coerce_encoded;
use super::function::{Function, scalar_udf};
use super::sketch::with_numbers;
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::kll::{self, Kll};

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
        Ok(vec![coerce_encoded::<Kll>(Self::NAME, "sketch", sketch)?, DataType::Float64])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        with_numbers(args, n_rows, |sketch, number| Ok(kll::rank(sketch, number)))
    }
}
