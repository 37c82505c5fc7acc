//! `bitmap_build`

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use roaring::RoaringTreemap;

use super::function::udaf;
use super::summary::{Collect, Collected};
use crate::args::{plain, wrong_arity, wrong_type};
use crate::scalar::bitmap::id;

/// `bitmap_build(id)`
pub fn bitmap_build_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<BitmapBuild>>()
}

#[user_doc(
    doc_section(label = "Sets"),
    description = "The set of the ids of all rows as a roaring bitmap, in the portable 64-bit format that the Java, C, C++ and Go libraries of Roaring read and write. NULL ids are ignored, without rows the set is empty, a negative id is an error. One set can be written in several ways: compare sets by `bitmap_count(bitmap_xor(a, b)) = 0`. A group takes at most 2 bytes of memory for each id, 8 KB for each 65536 neighbouring ids, and about 100 bytes besides.

Functions that take a bitmap read Roaring's 32-bit format as well.",
    syntax_example = "bitmap_build(id)",
    sql_example = "```sql
> SELECT bitmap_count(bitmap_build(id)) AS ids FROM (VALUES (7), (9), (7), (NULL)) AS t(id);
+-----+
| ids |
+-----+
| 2   |
+-----+
```",
    argument(name = "id", description = "An integer of 0 or more."),
    related_udf(name = "bitmap_from_array"),
    related_udf(name = "bitmap_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct BitmapBuild;

impl Collect for BitmapBuild {
    const NAME: &'static str = "bitmap_build";
    type State = RoaringTreemap;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [id] if plain(id).is_integer() || plain(id).is_null() => Ok(vec![DataType::Int64]),
            [id] => Err(wrong_type(Self::NAME, "id", "an integer of 0 or more", id)),
            _ => wrong_arity(Self::NAME, "(id)", types.len()),
        }
    }

    fn update(states: &mut [RoaringTreemap], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()> {
        let ids = values.as_primitive::<Int64Type>();
        for (row, group) in rows {
            states[*group].insert(id(Self::NAME, ids.value(*row))?);
        }
        Ok(())
    }
}
