//! Bitmaps as the state of a group.

use datafusion::common::Result;
use roaring::RoaringTreemap;

use super::call::Call;
use super::summary::Summary;
use crate::kernel::bitmap;
use crate::scalar::encoded::Decode;

/// A union: of nothing it is empty.
impl Summary for RoaringTreemap {
    type Options = ();

    const DEFAULT: () = ();

    fn options(_: &Call) -> Result<()> {
        Ok(())
    }

    fn empty(_: &()) -> Result<Self> {
        Ok(Self::new())
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        *self |= Self::read(bytes)?;
        Ok(())
    }

    fn write(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(Some(bitmap::write(self)))
    }

    fn size(&self) -> usize {
        bitmap::size(self)
    }
}

/// An intersection: of nothing there is none.
impl Summary for Option<RoaringTreemap> {
    type Options = ();

    const DEFAULT: () = ();

    fn options(_: &Call) -> Result<()> {
        Ok(())
    }

    fn empty(_: &()) -> Result<Self> {
        Ok(None)
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        let bitmap = RoaringTreemap::read(bytes)?;
        match self {
            Some(so_far) => *so_far &= bitmap,
            None => *self = Some(bitmap),
        }
        Ok(())
    }

    fn write(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.as_ref().map(bitmap::write))
    }

    fn size(&self) -> usize {
        self.as_ref().map_or(0, bitmap::size)
    }
}
