//! HyperLogLog sketches: how many of many values are different.
//!
//! The bytes are those of the HLL_8 sketches of DataSketches for Java and C++, and values are
//! hashed as there. What is written is a function of the set of values alone: the part of a sketch
//! that depends on the order of values (the HIP estimate) is left out, as after every union.

use datasketches::hll::{HllSketch, HllType, HllUnion};

use super::corrupt::Corrupt;

/// What `lg_k` may be.
pub const LG_K: std::ops::RangeInclusive<u8> = 4..=21;

/// `lg_k` where none is given: 4 KB, a relative error of 1.6 % (one standard deviation).
pub const DEFAULT_LG_K: u8 = 12;

/// A set that grows by values and by other sets.
#[derive(Debug)]
pub struct Hll(HllUnion);

impl Hll {
    /// The empty set.
    pub fn new(lg_k: u8) -> Result<Self, Corrupt> {
        Ok(Self(HllUnion::new(lg_k).map_err(|error| Corrupt::new(error.message()))?))
    }

    /// Takes in a value.
    pub fn update(&mut self, value: impl std::hash::Hash) {
        self.0.update_value(value);
    }

    /// Takes in a set.
    pub fn merge(&mut self, sketch: &HllSketch) {
        self.0.update(sketch);
    }

    /// The set as it is now.
    pub fn write(&self) -> Vec<u8> {
        write(&self.0.to_sketch(HllType::Hll8))
    }

    /// About the bytes of memory the set has on the heap.
    pub fn size(&self) -> usize {
        self.0.estimated_size()
    }
}

/// Places of the header, and what stands there.
const FLAGS: usize = 5;
const OUT_OF_ORDER: u8 = 16;
const LEAST_REGISTER: usize = 6;
const MODE: usize = 7;
const MODES: u8 = 3;
const MODE_OF_REGISTERS: u8 = 2;
const REGISTERS: usize = 40;
/// A register holds 1 more than the leading zeros of 62 bits.
const MOST: u8 = 63;

fn write(sketch: &HllSketch) -> Vec<u8> {
    let mut bytes = sketch.serialize();
    match bytes[MODE] & MODES {
        // List and set: hashes, which have no order of their own.
        0 => sort_words(&mut bytes[8..]),
        1 => sort_words(&mut bytes[12..]),
        // Registers: the sum of the HIP estimator is void, as Java leaves it after a union.
        _ => {
            bytes[FLAGS] |= OUT_OF_ORDER;
            bytes[8..16].fill(0);
        }
    }
    bytes
}

fn sort_words(bytes: &mut [u8]) {
    let (words, _) = bytes.as_chunks_mut::<4>();
    words.sort_unstable_by_key(|word| u32::from_le_bytes(*word));
}

/// Reads a sketch of any of the three types.
pub fn read(bytes: &[u8]) -> Result<HllSketch, Corrupt> {
    // The library trusts registers to be in range.
    if let Some(mode) = bytes.get(MODE).filter(|mode| *mode & MODES == MODE_OF_REGISTERS) {
        let possible = match mode >> 2 & 3 {
            // Four bits each, on top of the least one; 15 stands for an exception.
            0 => bytes[LEAST_REGISTER] <= MOST - 14,
            1 => true,
            _ => bytes.iter().skip(REGISTERS).all(|register| *register <= MOST),
        };
        if !possible {
            return Err(Corrupt::new("a register is out of range"));
        }
    }
    HllSketch::deserialize(bytes).map_err(|error| Corrupt::new(error.message()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[i64]) -> Hll {
        let mut hll = Hll::new(8).unwrap();
        values.iter().for_each(|value| hll.update(*value));
        hll
    }

    fn wide() -> HllSketch {
        let mut sketch = HllSketch::new(10, HllType::Hll4).unwrap();
        (0..5_000_i64).for_each(|value| sketch.update(value));
        sketch
    }

    proptest! {
        #[test]
        fn bytes_depend_on_the_set_alone(
            values in prop_oneof![
                prop::collection::vec(0_i64..400, 0..12),
                prop::collection::vec(0_i64..4_000, 0..1_000),
            ],
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = of(&values).write();
            let turned = values.iter().rev().copied().collect::<Vec<_>>();
            prop_assert_eq!(&of(&turned).write(), &whole);
            let cut = if values.is_empty() { 0 } else { cut.index(values.len()) };
            let mut merged = Hll::new(8).unwrap();
            for part in [&turned[cut..], &turned[..cut]] {
                merged.merge(&read(&of(part).write()).unwrap());
            }
            prop_assert_eq!(&merged.write(), &whole);
            let distinct = values.iter().collect::<std::collections::BTreeSet<_>>().len() as f64;
            let estimate = read(&whole).unwrap().estimate();
            // Four standard deviations of 1.04 / 16.
            prop_assert!((estimate - distinct).abs() <= 0.26 * distinct + 0.01, "{} for {}", estimate, distinct);
        }

        #[test]
        fn damaged_bytes_are_read_or_refused(
            n in prop_oneof![0_usize..12, 0_usize..1_000],
            narrow in any::<bool>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let values = (0..).take(n).collect::<Vec<_>>();
            let mut bytes = if narrow { wide().serialize() } else { of(&values).write() };
            for (at, value) in damage {
                let at = at.index(bytes.len().min(60));
                bytes[at] = value;
            }
            let end = cut.map_or(bytes.len(), |cut| cut.index(bytes.len()));
            if let Ok(sketch) = read(&bytes[..end]) {
                let mut union = of(&values);
                union.merge(&sketch);
                let mut other = Hll::new(12).unwrap();
                other.merge(&sketch);
                other.merge(&wide());
                let _ = (union.write(), other.write(), sketch.estimate());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            preamble in prop::sample::select(vec![2_u8, 3, 10]),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = read(&bytes);
            let _ = read(&[&[preamble, 1, 7][..], &bytes].concat());
        }
    }
}
