//! Whole numbers as Parquet's `DELTA_BINARY_PACKED`: each as what it differs from the one before, in as few bits as the
//! largest difference of 32 of them needs.
//!
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#delta-encoding-delta_binary_packed--5>

/// Differences with one least among them.
const BLOCK: usize = 128;
/// Of a block, differences with one width.
const GROUP: usize = 32;

/// Appends the numbers, none of which is negative, to `out`.
pub(super) fn pack(numbers: &[i32], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / GROUP) as u64, out);
    varint(numbers.len() as u64, out);
    zigzag(numbers.first().map_or(0, |&first| i64::from(first)), out);
    let mut differences = [0_i64; BLOCK];
    let mut pairs = numbers.windows(2).map(|pair| i64::from(pair[1]) - i64::from(pair[0]));
    loop {
        let mut n = 0;
        for (to, difference) in differences.iter_mut().zip(&mut pairs) {
            *to = difference;
            n += 1;
        }
        if n == 0 {
            return;
        }
        block(&differences[..n], out);
    }
}

fn block(differences: &[i64], out: &mut Vec<u8>) {
    let least = differences.iter().copied().min().unwrap_or_default();
    zigzag(least, out);
    let widths = out.len();
    out.extend([0; BLOCK / GROUP]);
    for (at, group) in differences.chunks(GROUP).enumerate() {
        // Differences of such numbers are less than 2³² apart.
        let above = |difference: i64| difference.abs_diff(least);
        let any = group.iter().fold(0, |any, &difference| any | above(difference));
        let width = u64::BITS - any.leading_zeros();
        out[widths + at] = width as u8;
        let (mut bits, mut held) = (0_u64, 0);
        // A group is always whole; what is missing at the end is zeros. 32 of any width fill whole words.
        for at in 0..GROUP {
            bits |= group.get(at).map_or(0, |&difference| above(difference)) << held;
            held += width;
            if held >= u32::BITS {
                let [word @ .., _, _, _, _] = bits.to_le_bytes();
                out.extend(word);
                bits >>= u32::BITS;
                held -= u32::BITS;
            }
        }
    }
}

/// A number in groups of seven bits, the lowest first.
pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i64, out: &mut Vec<u8>) {
    varint(((number << 1) ^ (number >> 63)).cast_unsigned(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_packed_as_the_specification_has_it() {
        let packed = |numbers: &[i32]| {
            let mut out = vec![];
            pack(numbers, &mut out);
            out
        };
        // 128 differences a block, 4 groups in it, so many numbers, and the first of them as zigzag.
        assert_eq!(packed(&[]), [0x80, 1, 4, 0, 0]);
        assert_eq!(packed(&[7]), [0x80, 1, 4, 1, 14]);
        // The least difference, 0, 0 and 0 bits wide: the numbers 1, 2, 3, 4, 5 of the specification's example.
        assert_eq!(packed(&[1, 2, 3, 4, 5]), [0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0]);
        // 7 5 3 1 2 3 4 5: differences of -2 and 1, above the least 0 and 3, in two bits each.
        let mut expected = vec![0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111];
        expected.extend([0; 6]);
        assert_eq!(packed(&[7, 5, 3, 1, 2, 3, 4, 5]), expected);
        // As wide as they can be.
        let widest = packed(&[0, i32::MAX, 0]);
        assert_eq!((widest[4], widest[10], widest.len()), (0, 32, 14 + 32 * 4));
    }
}
