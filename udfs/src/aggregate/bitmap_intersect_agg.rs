//! `bitmap_intersect_agg`

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

/// `bitmap_intersect_agg(bitmap)`
pub fn bitmap_intersect_agg_udaf() -> Arc<AggregateUDF> {
    summary_udaf::<BitmapIntersectAgg>()
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

impl Summary for BitmapIntersectAgg {
    const NAME: &'static str = "bitmap_intersect_agg";
    type Options = ();
    type State = Option<RoaringTreemap>;

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

    fn empty(_: &()) -> Result<Option<RoaringTreemap>> {
        Ok(None)
    }

    fn update(
        states: &mut [Option<RoaringTreemap>],
        rows: &[(usize, usize)],
        values: &ArrayRef,
    ) -> Result<()> {
        let bitmaps = values.as_binary::<i64>();
        rows.iter().try_for_each(|(row, group)| Self::merge(&mut states[*group], bitmaps.value(*row)))
    }

    fn merge(state: &mut Option<RoaringTreemap>, bytes: &[u8]) -> Result<()> {
        let bitmap = read(bytes)?;
        match state {
            Some(so_far) => *so_far &= bitmap,
            None => *state = Some(bitmap),
        }
        Ok(())
    }

    fn write(state: &mut Option<RoaringTreemap>) -> Result<Option<Vec<u8>>> {
        Ok(state.as_ref().map(bitmap::write))
    }

    fn size(state: &Option<RoaringTreemap>) -> usize {
        state.as_ref().map_or(0, bitmap::size)
    }
}
