//! `bitmap_intersect_agg`

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::function::udaf;
use super::summary::{Collect, Collected};
use crate::scalar::encoded::coerce_one;

/// `bitmap_intersect_agg(bitmap)`
pub fn bitmap_intersect_agg_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<BitmapIntersectAgg>>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The bitmap of the ids that are in the bitmaps of all rows. NULL bitmaps are ignored; without rows the answer is NULL. A group takes at most as much memory as its first bitmap.",
    syntax_example = "bitmap_intersect_agg(bitmap)",
    sql_example = "```sql
> SELECT bitmap_to_array(bitmap_intersect_agg(bitmap_from_array(ids))) AS ids FROM (VALUES ([1, 2]), ([2, 3])) AS t(ids);
+-----+
| ids |
+-----+
| [2] |
+-----+
```",
    argument(name = "bitmap", description = "A bitmap."),
    related_udf(name = "bitmap_and"),
    related_udf(name = "bitmap_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapIntersectAgg;

impl Collect for BitmapIntersectAgg {
    const NAME: &'static str = "bitmap_intersect_agg";
    type State = Option<RoaringTreemap>;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_one::<RoaringTreemap>(Self::NAME, "bitmap", types)
    }
}
