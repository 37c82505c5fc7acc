//! `kll_quantile`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::encoded::coerce_encoded;
use super::function::{Function, scalar_udf};
use super::sketch::{failed, with_numbers};
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::kll::{self, Kll};

/// `kll_quantile(sketch, rank)`
pub fn kll_quantile_udf() -> Arc<ScalarUDF> {
    scalar_udf::<KllQuantile>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The least number such that the share `rank` of all numbers seen is no greater: 0 gives the least, 0.5 the median, 1 the greatest. NULL if the sketch is empty or an argument is NULL. The error is that of the rank, 1.33 % for the default `k`.",
    syntax_example = "kll_quantile(sketch, rank)",
    sql_example = "```sql
> SELECT kll_quantile(kll_sketch(x), 0.5) AS median FROM (VALUES (3), (1), (2)) AS t(x);
+--------+
| median |
+--------+
| 2.0    |
+--------+
```",
    argument(
        name = "sketch",
        description = "A sketch made by `kll_sketch` or another DataSketches library."
    ),
    argument(name = "rank", description = "A number from 0 to 1."),
    related_udf(name = "kll_rank"),
    related_udf(name = "kll_sketch")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct KllQuantile;

impl Function for KllQuantile {
    const NAME: &'static str = "kll_quantile";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [sketch, rank] = types else {
            return wrong_arity(Self::NAME, "(sketch, rank)", types.len());
        };
        if !plain(rank).is_numeric() && !plain(rank).is_null() {
            return Err(wrong_type(Self::NAME, "rank", "a number from 0 to 1", rank));
        }
        Ok(vec![coerce_encoded::<Kll>(Self::NAME, "sketch", sketch)?, DataType::Float64])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn check(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
        if let Some(Some(ScalarValue::Float64(Some(rank)))) = constants.get(1)
            && !(0.0..=1.0).contains(rank)
        {
            return plan_err!("{}: `rank` must be from 0 to 1, found {rank}", Self::NAME);
        }
        Ok(())
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        with_numbers(args, n_rows, |sketch, number| kll::quantile(sketch, number).map_err(failed(Self::NAME)))
    }
}
