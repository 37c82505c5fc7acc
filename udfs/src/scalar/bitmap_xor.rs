//! `bitmap_xor`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::bitmap::{coerce_two, combine};
use super::function::{Function, scalar_udf};

/// `bitmap_xor(a, b)`
pub fn bitmap_xor_udf() -> Arc<ScalarUDF> {
    scalar_udf::<BitmapXor>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The bitmap of the ids that are in exactly one of the two. NULL if either bitmap is NULL.",
    syntax_example = "bitmap_xor(a, b)",
    sql_example = "```sql
> SELECT bitmap_to_array(bitmap_xor(bitmap_from_array([1, 2, 3]), bitmap_from_array([2, 3, 4]))) AS ids;
+--------+
| ids    |
+--------+
| [1, 4] |
+--------+
```",
    argument(name = "a", description = "A bitmap."),
    argument(name = "b", description = "A bitmap."),
    related_udf(name = "bitmap_and_not")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapXor;

impl Function for BitmapXor {
    const NAME: &'static str = "bitmap_xor";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_two(Self::NAME, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        combine(args, n_rows, |a, b| a ^ b)
    }
}
