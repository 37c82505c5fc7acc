//! The keys of a run in order, so that each segment meets its stored rows by walking both once.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{SortOptions, cast, sort_to_indices, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use roaring::RoaringBitmap;

use crate::bug;
use crate::error::{Error, Result};

/// The profiles that are members of any segment of a run, ordered by key.
#[derive(Debug)]
pub(super) struct Population {
    /// Their keys in order.
    pub(super) keys: ArrayRef,
    /// For a position in the run's keys the place in this order; positions of no member have any value.
    places: Places,
}

#[derive(Debug)]
enum Places {
    /// The run's keys were in order, and all are members of something.
    Same,
    Table(Vec<u32>),
}

impl Population {
    /// `members` are positions in `keys`; those in none of them cost nothing.
    pub(super) fn new<'a>(
        keys: &ArrayRef,
        key_type: &DataType,
        members: impl Iterator<Item = &'a RoaringBitmap>,
    ) -> Result<Self> {
        let mut all = RoaringBitmap::new();
        members.for_each(|members| all |= members);
        if all.max().is_some_and(|last| usize::try_from(last).is_ok_and(|last| last >= keys.len())) {
            return Err(bug!("a member has no key"));
        }
        let positions = UInt32Array::from_iter_values(all.iter());
        let whole = positions.len() == keys.len();
        let unordered = if whole { keys.clone() } else { take(keys, &positions, None).map_err(arrow)? };
        let unordered = cast(&unordered, key_type).map_err(arrow)?;
        if unordered.null_count() > 0 {
            return Err(bug!("a member has a null key"));
        }
        let order = sort_to_indices(&unordered, Some(SortOptions::default()), None).map_err(arrow)?;
        if whole && order.values().is_sorted() {
            return Self { keys: unordered, places: Places::Same }.distinct();
        }
        let keys = take(&unordered, &order, None).map_err(arrow)?;
        let mut table = vec![0; all.max().map_or(0, |last| last as usize + 1)];
        for (place, &at) in (0..).zip(order.values()) {
            table[positions.value(at as usize) as usize] = place;
        }
        Self { keys, places: Places::Table(table) }.distinct()
    }

    fn distinct(self) -> Result<Self> {
        let order = comparator(&self.keys, &self.keys)?;
        if (1..self.keys.len()).any(|at| order(at - 1, at).is_eq()) {
            return Err(bug!("two profiles have one key"));
        }
        Ok(self)
    }

    /// The members' places in `keys`, ascending.
    pub(super) fn places(&self, members: &RoaringBitmap) -> Vec<u32> {
        match &self.places {
            Places::Same => members.iter().collect(),
            Places::Table(table) => {
                let mut places: Vec<u32> = members.iter().map(|at| table[at as usize]).collect();
                places.sort_unstable();
                places
            }
        }
    }
}

/// Compares a key of `left` to one of `right`.
pub(super) fn comparator(left: &dyn Array, right: &dyn Array) -> Result<arrow::array::DynComparator> {
    arrow::array::make_comparator(left, right, SortOptions::default()).map_err(arrow)
}

/// Kernels fail here only when they are given what they do not take.
pub(super) fn arrow(error: ArrowError) -> Error {
    bug!("membership rows: {error}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, StringArray};

    use super::*;

    fn population(keys: &[&str], members: &[&[u32]]) -> Result<Population> {
        let keys: ArrayRef = Arc::new(StringArray::from(keys.to_vec()));
        let members: Vec<RoaringBitmap> = members.iter().map(|m| m.iter().collect()).collect();
        Population::new(&keys, &DataType::Utf8View, members.iter())
    }

    #[test]
    fn members_are_found_in_the_order_of_their_keys() {
        let population = population(&["d", "a", "c", "x", "b"], &[&[0, 1, 4], &[2, 4]]).unwrap();
        let keys: Vec<_> = population.keys.as_string_view().iter().flatten().collect();
        assert_eq!(keys, ["a", "b", "c", "d"]);
        assert_eq!(population.places(&[0, 1, 4].into()), [0, 1, 3]);
    }

    #[test]
    fn keys_in_order_need_no_table() {
        let population = population(&["a", "b", "c"], &[&[0, 2], &[1]]).unwrap();
        assert!(matches!(population.places, Places::Same));
        assert_eq!(population.places(&[0, 2].into()), [0, 2]);
    }

    #[test]
    fn what_the_engine_must_not_hand_in_is_refused() {
        assert!(population(&["a", "a"], &[&[0, 1]]).is_err());
        assert!(population(&["a"], &[&[1]]).is_err());
        assert_eq!(population(&[], &[&[]]).unwrap().keys.len(), 0);
    }
}
