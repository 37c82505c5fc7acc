//! `bitmap_union_agg`

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::function::udaf;
use super::summary::{Collect, Collected};
use crate::scalar::encoded::coerce_one;

/// `bitmap_union_agg(bitmap)`
pub fn bitmap_union_agg_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<BitmapUnionAgg>>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The bitmap of the ids that are in the bitmap of some row. NULL bitmaps are ignored; without rows the set is empty. A group takes as much memory as its union.",
    syntax_example = "bitmap_union_agg(bitmap)",
    sql_example = "```sql
> SELECT bitmap_to_array(bitmap_union_agg(bitmap_from_array(ids))) AS ids FROM (VALUES ([1, 2]), ([2, 3])) AS t(ids);
+-----------+
| ids       |
+-----------+
| [1, 2, 3] |
+-----------+
```",
    argument(name = "bitmap", description = "A bitmap."),
    related_udf(name = "bitmap_or"),
    related_udf(name = "bitmap_intersect_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapUnionAgg;

impl Collect for BitmapUnionAgg {
    const NAME: &'static str = "bitmap_union_agg";
    type State = RoaringTreemap;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_one::<RoaringTreemap>(Self::NAME, "bitmap", types)
    }
}
