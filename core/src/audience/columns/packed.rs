//! Whole numbers as Parquet's `DELTA_BINARY_PACKED`: each as what it differs from the one before, in as few bits as the
//! largest difference of 32 of them needs.
//!
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#delta-encoding-delta_binary_packed--5>

/// Differences with one least among them.
const BLOCK: usize = 128;
/// Of a block, differences with one width.
const GROUP: usize = 32;

/// How many bytes so many numbers take at most.
pub(super) const fn most(n: usize) -> usize {
    // Before the blocks four numbers, and in each one, its widths, and its differences in all of their bits.
    4 * LONGEST_VARINT + n.div_ceil(BLOCK) * (LONGEST_VARINT + BLOCK / GROUP + BLOCK * size_of::<u32>())
}

/// The bytes of a number of 64 bits, seven of them in each.
const LONGEST_VARINT: usize = 10;

/// Appends the numbers, none of which is negative, to `out`.
pub(super) fn pack(numbers: &[i32], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / GROUP) as u64, out);
    varint(numbers.len() as u64, out);
    zigzag(numbers.first().map_or(0, |&first| i64::from(first)), out);
    for pairs in numbers.get(1..).unwrap_or_default().chunks(BLOCK).zip(numbers.chunks(BLOCK)) {
        let mut differences = [0; BLOCK];
        let (own, before) = pairs;
        for (to, (own, before)) in differences.iter_mut().zip(own.iter().zip(before)) {
            // Neither is negative, so that this is none too large.
            *to = own - before;
        }
        block(&differences[..own.len()], out);
    }
}

fn block(differences: &[i32], out: &mut Vec<u8>) {
    let least = differences.iter().copied().min().unwrap_or_default();
    zigzag(i64::from(least), out);
    // A group is always whole; what is missing at the end is zeros.
    let mut above = [0; BLOCK];
    for (to, difference) in above.iter_mut().zip(differences) {
        *to = difference.abs_diff(least);
    }
    let groups = above.chunks(GROUP).take(differences.len().div_ceil(GROUP));
    let widths = out.len();
    out.extend([0; BLOCK / GROUP]);
    for (at, group) in groups.enumerate() {
        let width = u32::BITS - group.iter().fold(0, |any, difference| any | difference).leading_zeros();
        out[widths + at] = width as u8;
        if width == 0 {
            continue;
        }
        let (mut bits, mut held) = (0_u64, 0);
        // 32 of any width fill whole words.
        for difference in group {
            bits |= u64::from(*difference) << held;
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
        let far: Vec<i32> = (0..1_000).map(|at| if at % 2 == 0 { 0 } else { i32::MAX }).collect();
        assert!((4_000..=most(1_000)).contains(&packed(&far).len()));
    }
}
