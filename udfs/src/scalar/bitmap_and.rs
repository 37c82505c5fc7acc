//! `bitmap_and`

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::encoded::{Combine, Combined};
use super::function::scalar_udf;
use crate::kernel::bitmap;

/// `bitmap_and(a, b)`
pub fn bitmap_and_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Combined<BitmapAnd>>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The bitmap of the ids that are in both. NULL if either bitmap is NULL.",
    syntax_example = "bitmap_and(a, b)",
    sql_example = "```sql
> SELECT bitmap_to_array(bitmap_and(bitmap_from_array([1, 2, 3]), bitmap_from_array([2, 3, 4]))) AS ids;
+--------+
| ids    |
+--------+
| [2, 3] |
+--------+
```",
    argument(name = "a", description = "A bitmap."),
    argument(name = "b", description = "A bitmap."),
    related_udf(name = "bitmap_intersect_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapAnd;

impl Combine for BitmapAnd {
    const NAME: &'static str = "bitmap_and";
    type Value = RoaringTreemap;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn combine(a: &RoaringTreemap, b: &RoaringTreemap) -> Result<Vec<u8>> {
        Ok(bitmap::write(&(a & b)))
    }
}
