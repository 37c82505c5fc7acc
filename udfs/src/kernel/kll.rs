//! KLL sketches: quantiles of many numbers from a few of them.
//!
//! The bytes are those of `KllDoublesSketch` of DataSketches for Java and `kll_sketch<double>` for
//! C++. Which numbers are kept is drawn by lot, so two sketches of the same numbers differ once
//! there are more than `k`, each within the error of `k`.

use datasketches::common::SearchCriteria;
use datasketches::kll::{KllFloat, KllSketch};

use super::corrupt::Corrupt;

/// What `k` may be.
pub const K: std::ops::RangeInclusive<u16> = 8..=u16::MAX;

/// `k` where none is given: a rank error of 1.33 % with 99 % confidence, at most about 600 numbers.
pub const DEFAULT_K: u16 = 200;

/// A sketch of doubles.
pub type Kll = KllSketch<KllFloat<f64>>;

/// The sketch of no numbers.
pub fn new(k: u16) -> Result<Kll, Corrupt> {
    Kll::new(k).map_err(corrupt)
}

/// Takes in a number. NaN has no rank and is ignored, as in Java and C++.
pub fn update(sketch: &mut Kll, value: f64) {
    if let Ok(value) = KllFloat::<f64>::new(value) {
        sketch.update(value);
    }
}

/// Takes in another sketch.
pub fn merge(sketch: &mut Kll, other: &Kll) -> Result<(), Corrupt> {
    sketch.merge(other).map_err(corrupt)
}

/// Reads a sketch.
pub fn read(bytes: &[u8]) -> Result<Kll, Corrupt> {
    Kll::deserialize(bytes).map_err(corrupt)
}

/// About the bytes of memory the sketch has on the heap.
pub fn size(sketch: &Kll) -> usize {
    // Levels grow by doubling: at most twice what is kept.
    128 + sketch.num_retained() * 2 * size_of::<f64>()
}

/// The least number such that the share `rank` of all numbers is no greater. `None` if there are
/// no numbers.
pub fn quantile(sketch: &Kll, rank: f64) -> Result<Option<f64>, Corrupt> {
    let quantile = sketch.quantile(rank, SearchCriteria::Inclusive).map_err(corrupt)?;
    Ok(quantile.map(KllFloat::into_inner))
}

/// The share of the numbers that are no greater than `value`. `None` if there are no numbers or
/// `value` is NaN.
pub fn rank(sketch: &Kll, value: f64) -> Option<f64> {
    sketch.rank(&KllFloat::<f64>::new(value).ok()?, SearchCriteria::Inclusive)
}

fn corrupt(error: datasketches::error::Error) -> Corrupt {
    Corrupt::new(error.message())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(n: u32) -> Kll {
        let mut sketch = new(8).unwrap();
        (0..n).for_each(|value| update(&mut sketch, f64::from(value)));
        sketch
    }

    #[test]
    fn few_numbers_are_exact() {
        let mut sketch = new(DEFAULT_K).unwrap();
        [3.0, 1.0, f64::NAN, 2.0, 4.0].iter().for_each(|value| update(&mut sketch, *value));
        let at = |rank| quantile(&sketch, rank).unwrap().unwrap();
        assert_eq!([0.0, 0.25, 0.26, 0.5, 1.0].map(at), [1.0, 1.0, 2.0, 2.0, 4.0]);
        assert_eq!([0.5, 1.0, 2.5, 4.0].map(|value| rank(&sketch, value).unwrap()), [0.0, 0.25, 0.5, 1.0]);
        assert_eq!(quantile(&new(8).unwrap(), 0.5).unwrap(), None);
        assert_eq!(rank(&new(8).unwrap(), 0.5), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(n in 0_u32..2_000) {
            let sketch = of(n);
            let read = read(&sketch.serialize()).unwrap();
            prop_assert_eq!(read.n(), u64::from(n));
            prop_assert_eq!(quantile(&read, 0.3).unwrap(), quantile(&sketch, 0.3).unwrap());
        }

        #[test]
        fn damaged_bytes_are_read_or_refused(
            n in prop_oneof![0_u32..4, 0_u32..600],
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = of(n).serialize();
            for (at, value) in damage {
                let at = at.index(bytes.len().min(60));
                bytes[at] = value;
            }
            let end = cut.map_or(bytes.len(), |cut| cut.index(bytes.len()));
            if let Ok(mut sketch) = read(&bytes[..end]) {
                let _ = (quantile(&sketch, 0.5), rank(&sketch, 5.0), sketch.serialize());
                let _ = merge(&mut of(500), &sketch);
                let _ = merge(&mut sketch, &of(500));
                let _ = (quantile(&sketch, 0.5), sketch.serialize());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            head in prop::sample::select(vec![[2_u8, 1, 15], [5, 1, 15], [2, 2, 15]]),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = read(&bytes);
            let _ = read(&[&head[..], &bytes].concat());
        }
    }
}
