//! `bitmap_union_agg`

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::call::Call;
use super::summary::{Summary, summary_udaf};
use crate::args::wrong_arity;
use crate::kernel::bitmap;
use crate::scalar::bitmap::{BITMAP, read};
use crate::scalar::function::bytes_type;

/// `bitmap_union_agg(bitmap)`
pub fn bitmap_union_agg_udaf() -> Arc<AggregateUDF> {
    summary_udaf::<BitmapUnionAgg>()
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

impl Summary for BitmapUnionAgg {
    const NAME: &'static str = "bitmap_union_agg";
    type Options = ();
    type State = RoaringTreemap;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [bitmap] => Ok(vec![bytes_type(Self::NAME, "bitmap", BITMAP, bitmap)?]),
            _ => wrong_arity(Self::NAME, "(bitmap)", types.len()),
        }
    }

    fn bind(_: &Call) -> Result<()> {
        Ok(())
    }

    fn empty(_: &()) -> Result<RoaringTreemap> {
        Ok(RoaringTreemap::new())
    }

    fn update(states: &mut [RoaringTreemap], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()> {
        let bitmaps = values.as_binary::<i64>();
        rows.iter().try_for_each(|(row, group)| Self::merge(&mut states[*group], bitmaps.value(*row)))
    }

    fn merge(state: &mut RoaringTreemap, bytes: &[u8]) -> Result<()> {
        *state |= read(bytes)?;
        Ok(())
    }

    fn write(state: &mut RoaringTreemap) -> Result<Option<Vec<u8>>> {
        Ok(Some(bitmap::write(state)))
    }

    fn size(state: &RoaringTreemap) -> usize {
        bitmap::size(state)
    }
}
