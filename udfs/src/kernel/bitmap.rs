//! Sets of 64-bit ids as roaring bitmaps, in the portable format.
//!
//! Written is the 64-bit format of the Roaring specification, which the Java, C, C++ and Go
//! libraries call portable: the number of blocks (8 bytes, little endian) and for each block the
//! upper 32 bits of its ids (4 bytes) and the 32-bit bitmap of the lower ones. Read is the 32-bit
//! format too, so that bitmaps of programs that know no other can be used as they are.

use roaring::{RoaringBitmap, RoaringTreemap};

use super::corrupt::Corrupt;

/// First bytes of the 32-bit format without runs, and the lower half of those with runs.
const COOKIE: u32 = 12_346;
const COOKIE_OF_RUNS: u32 = 12_347;

/// A bucket number and the smallest bitmap: cookie and a count of zero.
const LEAST_BLOCK: usize = 4 + 8;

/// Reads either format. Whatever the bytes are, no more memory is used than a small multiple of
/// their length.
pub fn read(bytes: &[u8]) -> Result<RoaringTreemap, Corrupt> {
    // The formats can be told apart: a 64-bit one with as many blocks as the cookie says would go
    // on where the 32-bit one ends.
    if let Some((head, _)) = bytes.split_first_chunk::<4>() {
        let head = u32::from_le_bytes(*head);
        if (head == COOKIE || head & 0xffff == COOKIE_OF_RUNS)
            && let Ok((bitmap, [])) = read_block(bytes)
        {
            return Ok(RoaringTreemap::from_bitmaps([(0, bitmap)]));
        }
    }
    read_64(bytes)
}

fn read_64(bytes: &[u8]) -> Result<RoaringTreemap, Corrupt> {
    let Some((n_blocks, mut rest)) = bytes.split_first_chunk::<8>() else {
        return Err(Corrupt::new(format!("{} bytes are too few for a bitmap", bytes.len())));
    };
    let n_blocks = u64::from_le_bytes(*n_blocks);
    if n_blocks > (rest.len() / LEAST_BLOCK) as u64 {
        return Err(Corrupt::new(format!("{} bytes cannot hold {n_blocks} blocks", bytes.len())));
    }
    let mut blocks = vec![];
    let mut last = None;
    for _ in 0..n_blocks {
        let Some((key, block)) = rest.split_first_chunk::<4>() else {
            return Err(Corrupt::new("the last block is cut off"));
        };
        let key = u32::from_le_bytes(*key);
        if last.is_some_and(|last| last >= key) {
            return Err(Corrupt::new("blocks are out of order"));
        }
        last = Some(key);
        let (bitmap, after) = read_block(block)?;
        if !bitmap.is_empty() {
            blocks.push((key, bitmap));
        }
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Corrupt::new(format!("{} bytes follow the last block", rest.len())));
    }
    Ok(RoaringTreemap::from_bitmaps(blocks))
}

fn read_block(bytes: &[u8]) -> Result<(RoaringBitmap, &[u8]), Corrupt> {
    let mut rest = bytes;
    let bitmap =
        RoaringBitmap::deserialize_from(&mut rest).map_err(|error| Corrupt::new(error.to_string()))?;
    Ok((bitmap, rest))
}

/// Writes the 64-bit format, in few bytes. One set has several such forms.
pub fn write(bitmap: &RoaringTreemap) -> Vec<u8> {
    let mut smallest = bitmap.clone();
    smallest.optimize();
    let mut bytes = Vec::with_capacity(smallest.serialized_size());
    // Writing to memory does not fail.
    let _ = smallest.serialize_into(&mut bytes);
    bytes
}

/// About the bytes of memory a set takes.
pub fn size(bitmap: &RoaringTreemap) -> usize {
    bitmap
        .bitmaps()
        .map(|(_, bitmap)| {
            let s = bitmap.statistics();
            let bytes = s.n_bytes_array_containers + s.n_bytes_bitset_containers + s.n_bytes_run_containers;
            // A container is 32 bytes and the heap's overhead, a block a node of a tree.
            64 + 48 * s.n_containers as usize + usize::try_from(bytes).unwrap_or(usize::MAX)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = Vec<u64>> {
        let id = prop_oneof![0..200_u64, 0..u64::from(u32::MAX), any::<u64>()];
        prop::collection::vec(id, 0..200)
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        let bytes = write(&RoaringTreemap::from_iter([1, 2, (7 << 32) + 3]));
        let wanted = [
            &2_u64.to_le_bytes()[..],
            &0_u32.to_le_bytes(),
            // Cookie, one container: key 0, two ids, at byte 16.
            &[0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 16, 0, 0, 0, 1, 0, 2, 0],
            &7_u32.to_le_bytes(),
            &[0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 3, 0],
        ];
        assert_eq!(bytes, wanted.concat());
    }

    #[test]
    fn both_formats_are_read_whatever_the_number_of_blocks() {
        for n_blocks in [0, 1, u64::from(COOKIE), u64::from(COOKIE_OF_RUNS)] {
            let bitmap = (0..n_blocks).map(|block| block << 32).collect::<RoaringTreemap>();
            assert_eq!(read(&write(&bitmap)), Ok(bitmap));
        }
        for n in [0, 1, 5_000, 200_000] {
            let mut small = (0..n).collect::<RoaringBitmap>();
            for _ in 0..2 {
                let mut bytes = vec![];
                small.serialize_into(&mut bytes).unwrap();
                assert_eq!(read(&bytes), Ok((0..u64::from(n)).collect()));
                small.optimize();
            }
        }
    }

    #[test]
    fn dense_sets_are_small() {
        assert!(write(&(0..1_000_000).collect()).len() < 300);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ids in ids()) {
            let bitmap = ids.iter().copied().collect::<RoaringTreemap>();
            prop_assert_eq!(read(&write(&bitmap)).unwrap(), bitmap);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn damaged_bytes_are_read_or_refused(
            ids in ids(),
            runs in any::<bool>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bitmap = ids.iter().copied().collect::<RoaringTreemap>();
            if runs {
                bitmap.insert_range(100..9_000);
            }
            let mut bytes = write(&bitmap);
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Ok(read) = read(&bytes) {
                // Whatever came of it can be worked with.
                let _ = write(&(&read | &bitmap));
                let _ = write(&(&read ^ &bitmap));
                let _ = (&read & &bitmap).len() + (&bitmap - &read).len();
                let _ = size(&read);
            }
            let _ = read(&bytes[..cut.index(bytes.len())]);
        }
    }
}
