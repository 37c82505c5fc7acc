//! `bitmap_to_array`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, ListBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::encoded::{Encoded, coerce_encoded};
use super::function::{Function, scalar_udf};
use crate::args::wrong_arity;

/// A few bytes can stand for billions of ids; this many fit one array of ours.
const MOST: u64 = 1 << 27;

/// `bitmap_to_array(bitmap)`
pub fn bitmap_to_array_udf() -> Arc<ScalarUDF> {
    scalar_udf::<BitmapToArray>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The ids of the bitmap as an array, least first; NULL if the bitmap is NULL. At most 134217728 ids for the rows of one batch.",
    syntax_example = "bitmap_to_array(bitmap)",
    sql_example = "```sql
> SELECT bitmap_to_array(bitmap_build(id)) AS ids FROM (VALUES (9), (7), (9)) AS t(id);
+--------+
| ids    |
+--------+
| [7, 9] |
+--------+
```",
    argument(name = "bitmap", description = "A bitmap."),
    related_udf(name = "bitmap_from_array")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapToArray;

impl Function for BitmapToArray {
    const NAME: &'static str = "bitmap_to_array";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [bitmap] => Ok(vec![coerce_encoded::<RoaringTreemap>(Self::NAME, "bitmap", bitmap)?]),
            _ => wrong_arity(Self::NAME, "(bitmap)", types.len()),
        }
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(DataType::Int64, true))
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let bitmaps = Encoded::<RoaringTreemap>::new(&args[0])?;
        let mut arrays = ListBuilder::new(Int64Builder::new());
        let mut total = 0_u64;
        for row in 0..n_rows {
            let filled = bitmaps.map(row, |bitmap| {
                total = total.saturating_add(bitmap.len());
                if total > MOST {
                    return exec_err!("{}: more than {MOST} ids", Self::NAME);
                }
                for id in bitmap {
                    let id = i64::try_from(id);
                    arrays.values().append_value(id.map_err(|_| {
                        exec_datafusion_err!("{}: an id is greater than {}", Self::NAME, i64::MAX)
                    })?);
                }
                Ok(())
            })?;
            arrays.append(filled.is_some());
        }
        Ok(Arc::new(arrays.finish()))
    }
}
