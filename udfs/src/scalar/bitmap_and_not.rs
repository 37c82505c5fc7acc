//! `bitmap_and_not`

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::encoded::{Combine, Combined};
use super::function::scalar_udf;
use crate::kernel::bitmap;

/// `bitmap_and_not(a, b)`
pub fn bitmap_and_not_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Combined<BitmapAndNot>>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The bitmap of the ids that are in `a` but not in `b`. NULL if either bitmap is NULL.",
    syntax_example = "bitmap_and_not(a, b)",
    sql_example = "```sql
> SELECT bitmap_to_array(bitmap_and_not(bitmap_from_array([1, 2, 3]), bitmap_from_array([2, 3, 4]))) AS ids;
+-----+
| ids |
+-----+
| [1] |
+-----+
```",
    argument(name = "a", description = "A bitmap."),
    argument(name = "b", description = "A bitmap."),
    related_udf(name = "bitmap_xor")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapAndNot;

impl Combine for BitmapAndNot {
    const NAME: &'static str = "bitmap_and_not";
    type Value = RoaringTreemap;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn combine(a: &RoaringTreemap, b: &RoaringTreemap) -> Result<Vec<u8>> {
        Ok(bitmap::write(&(a - b)))
    }
}
