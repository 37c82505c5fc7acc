//! Theta sketches: which of many values there are, from a sample of their hashes.
//!
//! The bytes are those of the compact sketches of DataSketches for Java and C++, and values are
//! hashed as there. What is written is a function of the set of values alone: the `2^lg_k` least
//! hashes and the one after them. Neither the order of values nor how they were split shows.

use datasketches::common::NumStdDev;
use datasketches::theta::{
    CompactThetaSketch, ThetaANotB, ThetaIntersection, ThetaSketch, ThetaSketchBuilder, ThetaUnion,
    ThetaUnionBuilder,
};

use super::corrupt::Corrupt;

/// What `lg_k` may be.
pub const LG_K: std::ops::RangeInclusive<u8> = 5..=26;

/// `lg_k` where none is given: 4096 hashes, a relative error of 1.6 % (one standard deviation).
pub const DEFAULT_LG_K: u8 = 12;

/// A set that grows by values and by other sets.
#[derive(Debug)]
pub struct Theta {
    lg_k: u8,
    values: Option<ThetaSketch>,
    merged: Option<ThetaUnion>,
}

impl Theta {
    /// The empty set.
    pub fn new(lg_k: u8) -> Self {
        Self { lg_k, values: None, merged: None }
    }

    /// Takes in a value.
    pub fn update(&mut self, value: impl std::hash::Hash) -> Result<(), Corrupt> {
        let values = match &mut self.values {
            Some(values) => values,
            None => {
                self.values.insert(ThetaSketchBuilder::default().lg_k(self.lg_k).build().map_err(corrupt)?)
            }
        };
        values.update(value);
        Ok(())
    }

    /// Takes in a set.
    pub fn merge(&mut self, sketch: &CompactThetaSketch) -> Result<(), Corrupt> {
        let merged = match &mut self.merged {
            Some(merged) => merged,
            None => {
                self.merged.insert(ThetaUnionBuilder::default().lg_k(self.lg_k).build().map_err(corrupt)?)
            }
        };
        merged.update(sketch).map_err(corrupt)
    }

    /// The set as it is now.
    pub fn write(&mut self) -> Result<Vec<u8>, Corrupt> {
        let values = match &mut self.values {
            Some(values) => {
                values.trim();
                values.compact(true)
            }
            None => ThetaSketchBuilder::default().lg_k(self.lg_k).build().map_err(corrupt)?.compact(true),
        };
        if self.merged.is_none() {
            return Ok(values.serialize());
        }
        self.merge(&values)?;
        self.values = None;
        Ok(self.merged.as_ref().map(|merged| merged.to_sketch(true).serialize()).unwrap_or_default())
    }

    /// About the bytes of memory the set has on the heap.
    pub fn size(&self) -> usize {
        self.values.as_ref().map_or(0, ThetaSketch::estimated_size)
            + self.merged.as_ref().map_or(0, ThetaUnion::estimated_size)
    }
}

/// Reads a compact sketch.
pub fn read(bytes: &[u8]) -> Result<CompactThetaSketch, Corrupt> {
    let sketch = CompactThetaSketch::deserialize(bytes).map_err(corrupt)?;
    // Operations stop early in what says it is sorted.
    let sorted = || sketch.iter().zip(sketch.iter().skip(1)).all(|(a, b)| a.hash() < b.hash());
    if sketch.is_ordered() && !sorted() {
        return Err(Corrupt::new("hashes are out of order"));
    }
    Ok(sketch)
}

/// The set of what is in either.
pub fn union(lg_k: u8, a: &CompactThetaSketch, b: &CompactThetaSketch) -> Result<Vec<u8>, Corrupt> {
    let mut union = Theta::new(lg_k);
    union.merge(a)?;
    union.merge(b)?;
    union.write()
}

/// The set of what is in both.
pub fn intersect(a: &CompactThetaSketch, b: &CompactThetaSketch) -> Result<Vec<u8>, Corrupt> {
    let mut intersection = ThetaIntersection::default();
    intersection.update(a).map_err(corrupt)?;
    intersection.update(b).map_err(corrupt)?;
    match intersection.to_sketch(true) {
        Some(sketch) => Ok(sketch.serialize()),
        None => Err(Corrupt::new("an intersection of nothing")),
    }
}

/// The set of what is in `a` and not in `b`.
pub fn a_not_b(a: &CompactThetaSketch, b: &CompactThetaSketch) -> Result<Vec<u8>, Corrupt> {
    Ok(ThetaANotB::default().compute(a, b, true).map_err(corrupt)?.serialize())
}

/// The number of values, at least and at most, `deviations` (1 to 3) standard deviations out.
pub fn bounds(sketch: &CompactThetaSketch, deviations: u8) -> Option<(f64, f64)> {
    let deviations = num_std_dev(deviations)?;
    Some((sketch.lower_bound(deviations), sketch.upper_bound(deviations)))
}

/// 1, 2 or 3 standard deviations.
pub fn num_std_dev(deviations: u8) -> Option<NumStdDev> {
    Some(match deviations {
        1 => NumStdDev::One,
        2 => NumStdDev::Two,
        3 => NumStdDev::Three,
        _ => return None,
    })
}

fn corrupt(error: datasketches::error::Error) -> Corrupt {
    Corrupt::new(error.message())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = i64>) -> Theta {
        let mut theta = Theta::new(5);
        for value in values {
            theta.update(value).unwrap();
        }
        theta
    }

    proptest! {
        #[test]
        fn bytes_depend_on_the_set_alone(
            values in prop::collection::vec(0_i64..400, 0..400),
            order in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = of(values.iter().copied()).write().unwrap();
            let turn = if values.is_empty() { 0 } else { order.index(values.len()) };
            let turned = values[turn..].iter().chain(&values[..turn]).rev().copied().collect::<Vec<_>>();
            prop_assert_eq!(&of(turned.iter().copied()).write().unwrap(), &whole);
            let cut = if values.is_empty() { 0 } else { cut.index(values.len()) };
            let mut merged = Theta::new(5);
            for part in [&turned[cut..], &turned[..cut]] {
                merged.merge(&read(&of(part.iter().copied()).write().unwrap()).unwrap()).unwrap();
            }
            prop_assert_eq!(&merged.write().unwrap(), &whole);
            prop_assert_eq!(&merged.write().unwrap(), &whole);
            let mut mixed = of(turned[cut..].iter().copied());
            mixed.merge(&read(&of(turned[..cut].iter().copied()).write().unwrap()).unwrap()).unwrap();
            prop_assert_eq!(&mixed.write().unwrap(), &whole);
        }

        #[test]
        fn damaged_bytes_are_read_or_refused(
            n in 0_i64..200,
            compressed in any::<bool>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let good = read(&of(0..n).write().unwrap()).unwrap();
            let mut bytes = if compressed { good.serialize_compressed() } else { good.serialize() };
            for (at, value) in damage {
                let at = at.index(bytes.len().min(40));
                bytes[at] = value;
            }
            let end = cut.map_or(bytes.len(), |cut| cut.index(bytes.len()));
            if let Ok(sketch) = read(&bytes[..end]) {
                let _ = union(12, &sketch, &good);
                let _ = intersect(&sketch, &good);
                let _ = a_not_b(&sketch, &good);
                let _ = a_not_b(&good, &sketch);
                let _ = (sketch.estimate(), bounds(&sketch, 2));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            head in prop::sample::select(vec![[1_u8, 3, 3], [2, 3, 3], [3, 3, 3], [1, 4, 3], [2, 4, 3], [3, 2, 3], [3, 1, 3]]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = read(&bytes);
            let _ = read(&[&head[..], &bytes].concat());
        }
    }
}
