//! `bitmap_from_array`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::bitmap::id;
use super::encoded::collect_bytes;
use super::function::{Function, scalar_udf};
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::bitmap;

/// `bitmap_from_array(array)`
pub fn bitmap_from_array_udf() -> Arc<ScalarUDF> {
    scalar_udf::<BitmapFromArray>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The bitmap of the ids in an array. NULL elements are ignored; a NULL array gives NULL. A negative id is an error.",
    syntax_example = "bitmap_from_array(array)",
    sql_example = "```sql
> SELECT bitmap_count(bitmap_from_array([3, 5, 3, NULL])) AS ids;
+-----+
| ids |
+-----+
| 2   |
+-----+
```",
    argument(name = "array", description = "An array of integers of 0 or more."),
    related_udf(name = "bitmap_to_array"),
    related_udf(name = "bitmap_build")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapFromArray;

impl Function for BitmapFromArray {
    const NAME: &'static str = "bitmap_from_array";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [array] = types else {
            return wrong_arity(Self::NAME, "(array)", types.len());
        };
        let element = match plain(array) {
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::ListView(element)
            | DataType::LargeListView(element)
            | DataType::FixedSizeList(element, _) => element.data_type().clone(),
            DataType::Null => DataType::Null,
            found => return Err(wrong_type(Self::NAME, "array", "an array of integers", found)),
        };
        if !plain(&element).is_integer() && !element.is_null() {
            return Err(wrong_type(Self::NAME, "array", "an array of integers", array));
        }
        Ok(vec![DataType::new_large_list(DataType::Int64, true)])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let arrays = args[0].to_array(n_rows)?;
        let arrays = arrays.as_list::<i64>();
        collect_bytes(n_rows, |row| {
            if arrays.is_null(row) {
                return Ok(None);
            }
            let ids = arrays.value(row);
            let ids = ids.as_primitive::<Int64Type>().iter().flatten();
            let ids = ids.map(|found| id(Self::NAME, found)).collect::<Result<RoaringTreemap>>()?;
            Ok(Some(bitmap::write(&ids)))
        })
    }
}
