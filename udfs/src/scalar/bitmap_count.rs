//! `bitmap_count`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::bitmap::{BITMAP, read};
use super::function::{Encoded, Function, bytes_type, scalar_udf};
use crate::args::wrong_arity;

/// `bitmap_count(bitmap)`
pub fn bitmap_count_udf() -> Arc<ScalarUDF> {
    scalar_udf::<BitmapCount>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The number of ids in the bitmap; NULL if it is NULL.",
    syntax_example = "bitmap_count(bitmap)",
    sql_example = "```sql
> SELECT bitmap_count(bitmap_build(id)) AS ids FROM (VALUES (7), (9), (7)) AS t(id);
+-----+
| ids |
+-----+
| 2   |
+-----+
```",
    argument(name = "bitmap", description = "A bitmap."),
    related_udf(name = "bitmap_build")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapCount;

impl Function for BitmapCount {
    const NAME: &'static str = "bitmap_count";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [bitmap] => Ok(vec![bytes_type(Self::NAME, "bitmap", BITMAP, bitmap)?]),
            _ => wrong_arity(Self::NAME, "(bitmap)", types.len()),
        }
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let bitmaps = Encoded::new(&args[0], read)?;
        let counts = (0..n_rows).map(|row| {
            bitmaps.map(row, |bitmap| {
                let count = i64::try_from(bitmap.len());
                count.map_err(|_| exec_datafusion_err!("{}: more ids than integers", Self::NAME))
            })
        });
        Ok(Arc::new(counts.collect::<Result<Int64Array>>()?))
    }
}
