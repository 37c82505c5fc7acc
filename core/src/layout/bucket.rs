//! Which bucket a key belongs to.
//!
//! The hash is part of the format of the copies: it never changes. It is FNV-1a of 64 bits over the key's bytes, its upper
//! half folded into the lower one, modulo the number of buckets. The bytes of text are UTF-8, those of a whole number are
//! eight in little endian order; dates, decimals and truth values are hashed as their text. A missing key is in bucket 0.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type};

use crate::error::Result;

/// A copy has no more buckets than this: while it is written, one file a bucket is open.
pub const MOST_BUCKETS: u32 = 512;

/// The bucket of each key.
///
/// Whole numbers of all widths are in one bucket if they are equal, and so is text of all of Arrow's types. Keys of
/// another sort than the event table's must be cast to its type first.
pub fn bucket_of(keys: &ArrayRef, buckets: u32) -> Result<Vec<u32>> {
    let failed = |error| crate::bug!("keys of type {} have no bucket: {error}", keys.data_type());
    let as_type = |data_type: &DataType| cast(keys, data_type).map_err(failed);
    let place = |hash: Option<u64>| match hash {
        Some(hash) => u32::try_from((hash ^ (hash >> 32)) % u64::from(buckets.max(1))).unwrap_or(0),
        None => 0,
    };
    let bytes = |keys: &ArrayRef| -> Vec<u32> {
        keys.as_binary_view().iter().map(|key| place(key.map(fnv))).collect()
    };
    let of_type = keys.data_type();
    Ok(match of_type {
        DataType::Dictionary(..) => {
            let dictionary = keys.as_any_dictionary();
            if dictionary.values().is_empty() {
                return Ok(vec![place(None); keys.len()]);
            }
            let values = bucket_of(dictionary.values(), buckets)?;
            let nulls = keys.logical_nulls();
            let is_null = |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            let codes = dictionary.normalized_keys().into_iter().enumerate();
            codes.map(|(row, code)| if is_null(row) { place(None) } else { values[code] }).collect()
        }
        DataType::UInt64 => {
            let keys = keys.as_primitive::<UInt64Type>();
            keys.iter().map(|key| place(key.map(|key| fnv(&key.to_le_bytes())))).collect()
        }
        // The copy keeps unsigned numbers of 64 bits as these.
        DataType::Decimal128(20, 0) => {
            let keys = keys.as_primitive::<Decimal128Type>();
            keys.iter().map(|key| place(key.map(|key| fnv(&key.to_le_bytes()[..8])))).collect()
        }
        of_type if of_type.is_integer() => {
            let keys = as_type(&DataType::Int64)?;
            let keys = keys.as_primitive::<Int64Type>();
            keys.iter().map(|key| place(key.map(|key| fnv(&key.to_le_bytes())))).collect()
        }
        DataType::FixedSizeBinary(_) => {
            bytes(&cast(&as_type(&DataType::Binary)?, &DataType::BinaryView).map_err(failed)?)
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            bytes(&as_type(&DataType::BinaryView)?)
        }
        _ => bytes(&cast(&as_type(&DataType::Utf8View)?, &DataType::BinaryView).map_err(failed)?),
    })
}

/// A short name for some bytes, the same in every version.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    fnv(bytes)
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        DictionaryArray, FixedSizeBinaryArray, Int32Array, Int64Array, LargeStringArray, StringArray,
        StringViewArray, UInt64Array,
    };
    use arrow::datatypes::Int8Type;

    use super::*;

    #[test]
    fn the_hash_never_changes() {
        // Published values of FNV-1a.
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("p1"), Some("p2"), Some("ü"), None]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(-1), Some(1 << 40), None]));
        insta::assert_compact_debug_snapshot!(bucket_of(&text, 512).unwrap(), @"[445, 256, 493, 0]");
        insta::assert_compact_debug_snapshot!(bucket_of(&numbers, 512).unwrap(), @"[141, 182, 40, 0]");
    }

    #[test]
    fn equal_keys_of_different_types_share_a_bucket() {
        let same = |arrays: &[ArrayRef]| {
            let all: Vec<_> = arrays.iter().map(|keys| bucket_of(keys, 509).unwrap()).collect();
            assert!(all.iter().all(|buckets| buckets == &all[0]), "{all:?}");
        };
        let words = vec![Some("ann"), None, Some(""), Some("ann"), Some("köln")];
        let dictionary: DictionaryArray<Int8Type> = words.iter().copied().collect();
        same(&[
            Arc::new(StringArray::from(words.clone())),
            Arc::new(LargeStringArray::from(words.clone())),
            Arc::new(StringViewArray::from(words)),
            Arc::new(dictionary),
        ]);
        let big = vec![Some(7), None, Some(i32::MAX), Some(0), Some(12)];
        let wide = big.iter().map(|key| key.map(u64::try_from).transpose().unwrap()).collect::<UInt64Array>();
        let wide: ArrayRef = Arc::new(wide);
        same(&[
            Arc::new(Int32Array::from(big)),
            Arc::clone(&wide),
            cast(&wide, &DataType::Decimal128(20, 0)).unwrap(),
        ]);
        let bytes: ArrayRef =
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4]].iter()).unwrap());
        same(&[cast(&bytes, &DataType::Binary).unwrap(), bytes]);
    }

    #[test]
    fn keys_spread_evenly() {
        let keys: ArrayRef =
            Arc::new((0..64_000).map(|n| Some(format!("customer-{n}"))).collect::<StringArray>());
        for buckets in [2_u32, 16, 100] {
            let mut sizes = vec![0_u32; usize::try_from(buckets).unwrap()];
            for bucket in bucket_of(&keys, buckets).unwrap() {
                sizes[usize::try_from(bucket).unwrap()] += 1;
            }
            let even = 64_000 / buckets;
            assert!(sizes.iter().all(|size| size.abs_diff(even) < even / 4), "{sizes:?}");
        }
    }

    #[test]
    fn a_dictionary_without_values_has_only_missing_keys() {
        let keys: DictionaryArray<Int8Type> = vec![None::<&str>, None].into_iter().collect();
        let keys: ArrayRef = Arc::new(keys);
        assert_eq!(bucket_of(&keys, 8).unwrap(), [0, 0]);
    }
}
