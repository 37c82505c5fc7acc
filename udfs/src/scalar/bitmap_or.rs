//! `bitmap_or`

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::encoded::{Combine, Combined};
use super::function::scalar_udf;
use crate::kernel::bitmap;

/// `bitmap_or(a, b)`
pub fn bitmap_or_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Combined<BitmapOr>>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The bitmap of the ids that are in either. NULL if either bitmap is NULL.",
    syntax_example = "bitmap_or(a, b)",
    sql_example = "```sql
> SELECT bitmap_to_array(bitmap_or(bitmap_from_array([1, 2, 3]), bitmap_from_array([2, 3, 4]))) AS ids;
+--------------+
| ids          |
+--------------+
| [1, 2, 3, 4] |
+--------------+
```",
    argument(name = "a", description = "A bitmap."),
    argument(name = "b", description = "A bitmap."),
    related_udf(name = "bitmap_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapOr;

impl Combine for BitmapOr {
    const NAME: &'static str = "bitmap_or";
    type Value = RoaringTreemap;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn combine(a: &RoaringTreemap, b: &RoaringTreemap) -> Result<Vec<u8>> {
        Ok(bitmap::write(&(a | b)))
    }
}
