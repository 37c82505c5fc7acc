//! `bitmap_contains`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::encoded::{Encoded, coerce_encoded};
use super::function::{Function, scalar_udf};
use crate::args::{plain, wrong_arity, wrong_type};

/// `bitmap_contains(bitmap, id)`
pub fn bitmap_contains_udf() -> Arc<ScalarUDF> {
    scalar_udf::<BitmapContains>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "Whether the id is in the bitmap; a negative id is in none. NULL if either is NULL.",
    syntax_example = "bitmap_contains(bitmap, id)",
    sql_example = "```sql
> SELECT bitmap_contains(bitmap_from_array([3, 5]), 5) AS five, bitmap_contains(bitmap_from_array([3, 5]), 4) AS four;
+------+-------+
| five | four  |
+------+-------+
| true | false |
+------+-------+
```",
    argument(name = "bitmap", description = "A bitmap; one that is constant is decoded once."),
    argument(name = "id", description = "An integer."),
    related_udf(name = "bitmap_build")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapContains;

impl Function for BitmapContains {
    const NAME: &'static str = "bitmap_contains";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [bitmap, id] = types else {
            return wrong_arity(Self::NAME, "(bitmap, id)", types.len());
        };
        if !plain(id).is_integer() && !plain(id).is_null() {
            return Err(wrong_type(Self::NAME, "id", "an integer", id));
        }
        Ok(vec![coerce_encoded::<RoaringTreemap>(Self::NAME, "bitmap", bitmap)?, DataType::Int64])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let bitmaps = Encoded::<RoaringTreemap>::new(&args[0])?;
        let ids = args[1].to_array(n_rows)?;
        let ids = ids.as_primitive::<Int64Type>();
        let found = (0..n_rows).map(|row| {
            if ids.is_null(row) {
                return Ok(None);
            }
            bitmaps.map(row, |bitmap| Ok(u64::try_from(ids.value(row)).is_ok_and(|id| bitmap.contains(id))))
        });
        Ok(Arc::new(found.collect::<Result<BooleanArray>>()?))
    }
}
