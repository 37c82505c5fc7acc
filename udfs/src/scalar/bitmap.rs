//! What the functions of bitmaps have in common.

use datafusion::common::{Result, exec_datafusion_err};
use roaring::RoaringTreemap;

use super::encoded::Decode;
use crate::kernel::bitmap;

impl Decode for RoaringTreemap {
    const WHAT: &'static str = "a bitmap (binary, as bitmap_build makes it)";

    fn read(bytes: &[u8]) -> Result<Self> {
        bitmap::read(bytes).map_err(|error| exec_datafusion_err!("not a roaring bitmap: {error}"))
    }
}

/// An id as a member of a bitmap.
pub(crate) fn id(function: &str, id: i64) -> Result<u64> {
    u64::try_from(id).map_err(|_| exec_datafusion_err!("{function}: an id must be 0 or more, found {id}"))
}
