//! `bitmap_count`

use std::sync::Arc;

use arrow::datatypes::Int64Type;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::encoded::{Measure, Measured};
use super::function::scalar_udf;

/// `bitmap_count(bitmap)`
pub fn bitmap_count_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Measured<BitmapCount>>()
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

impl Measure for BitmapCount {
    const NAME: &'static str = "bitmap_count";
    const ARGUMENT: &'static str = "bitmap";
    type Value = RoaringTreemap;
    type Number = Int64Type;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn measure(bitmap: &RoaringTreemap) -> Result<i64> {
        let count = i64::try_from(bitmap.len());
        count.map_err(|_| exec_datafusion_err!("{}: more ids than integers", Self::NAME))
    }
}
