//! What the functions of bitmaps have in common.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, internal_err};
use datafusion::logical_expr::ColumnarValue;
use roaring::RoaringTreemap;

use super::function::{Encoded, bytes_type, collect_bytes};
use crate::args::wrong_arity;
use crate::kernel::bitmap;

/// What an argument that is a bitmap must be.
pub(crate) const BITMAP: &str = "a bitmap (binary, as bitmap_build makes it)";

pub(crate) fn read(bytes: &[u8]) -> Result<RoaringTreemap> {
    bitmap::read(bytes).map_err(|error| exec_datafusion_err!("not a roaring bitmap: {error}"))
}

/// An id as a member of a bitmap.
pub(crate) fn id(function: &str, id: i64) -> Result<u64> {
    u64::try_from(id).map_err(|_| exec_datafusion_err!("{function}: an id must be 0 or more, found {id}"))
}

/// The types of two bitmaps.
pub(crate) fn coerce_two(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let [a, b] = types else {
        return wrong_arity(function, "(a, b)", types.len());
    };
    Ok(vec![bytes_type(function, "a", BITMAP, a)?, bytes_type(function, "b", BITMAP, b)?])
}

/// One bitmap made of two; NULL if either is.
pub(crate) fn combine(
    args: &[ColumnarValue],
    n_rows: usize,
    combine: impl Fn(&RoaringTreemap, &RoaringTreemap) -> RoaringTreemap,
) -> Result<ArrayRef> {
    let [a, b] = args else {
        return internal_err!("{} bitmaps where there should be two", args.len());
    };
    let (a, b) = (Encoded::new(a, read)?, Encoded::new(b, read)?);
    collect_bytes(n_rows, |row| {
        let combined = a.map(row, |a| b.map(row, |b| Ok(bitmap::write(&combine(a, b)))))?;
        Ok(combined.flatten())
    })
}
