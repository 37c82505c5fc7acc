//! The keys of a run in order, so that each segment meets its stored rows by walking both once.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ByteView, UInt32Array};
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

/// Bytes that a processor takes from memory at once.
const LINE: usize = 64;

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
        let order = ordered(&unordered)?;
        if whole && order.is_sorted() {
            return Self { keys: unordered, places: Places::Same }.distinct();
        }
        let order = UInt32Array::from(order);
        let mut keys = take(&unordered, &order, None).map_err(arrow)?;
        if let Some(texts) = keys.as_string_view_opt() {
            // Each segment reads keys in this order, and texts in the same order are next to each other in memory.
            keys = Arc::new(texts.gc());
        }
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

    /// Looks at some keys in the order in which they are in memory, so that the processor has them at hand when they are
    /// wanted in another.
    pub(super) fn touch(&self, places: Range<usize>) {
        let (views, buffers) = match (self.keys.as_string_view_opt(), self.keys.as_binary_view_opt()) {
            (Some(texts), _) => (texts.views(), texts.data_buffers()),
            (_, Some(bytes)) => (bytes.views(), bytes.data_buffers()),
            _ => return,
        };
        let views = &views[places];
        let [Some(first), Some(last)] = [views.first(), views.last()] else { return };
        let [first, last] = [first, last].map(|view| ByteView::from(*view));
        // Short keys are in their views, and what is read as their place is none.
        let bytes = buffers.get(first.buffer_index as usize).and_then(|buffer| {
            let bytes = first.offset as usize..last.offset as usize + last.length as usize;
            (first.buffer_index == last.buffer_index).then(|| buffer.get(bytes)).flatten()
        });
        let of_views = views.iter().step_by(LINE / size_of::<u128>()).fold(0, |all, view| all ^ view);
        let of_bytes = bytes.map(|bytes| bytes.iter().step_by(LINE).fold(0, |all, byte| all ^ byte));
        std::hint::black_box((of_views, of_bytes));
    }

    /// The members' places in `keys`, ascending.
    pub(super) fn places(&self, members: &RoaringBitmap) -> Vec<u32> {
        match &self.places {
            Places::Same => members.iter().collect(),
            Places::Table(table) => {
                let is_dense = members.len() > self.keys.len() as u64 / 64;
                in_order(members.iter().map(|at| table[at as usize]), self.keys.len(), is_dense)
            }
        }
    }
}

/// The positions of keys in the keys' order.
fn ordered(keys: &ArrayRef) -> Result<Vec<u32>> {
    let Some(texts) = keys.as_string_view_opt() else {
        let order = sort_to_indices(keys, Some(SortOptions::default()), None).map_err(arrow)?;
        return Ok(order.values().to_vec());
    };
    // The first bytes as a number tell nearly all texts apart, without a look at the texts.
    let beginning = |text: &str| {
        let mut bytes = [0; 8];
        let n = text.len().min(8);
        bytes[..n].copy_from_slice(&text.as_bytes()[..n]);
        u64::from_be_bytes(bytes)
    };
    let texts_of = |at: u32| texts.value(at as usize);
    let mut order: Vec<(u64, u32)> =
        (0..).zip(0..texts.len()).map(|(at, _)| (beginning(texts_of(at)), at)).collect();
    order.sort_unstable_by(|left, right| {
        left.0.cmp(&right.0).then_with(|| texts_of(left.1).cmp(texts_of(right.1)))
    });
    Ok(order.into_iter().map(|(_, at)| at).collect())
}

/// Different numbers below `n`, in order: many of them are marked, few are sorted.
fn in_order(numbers: impl Iterator<Item = u32>, n: usize, is_dense: bool) -> Vec<u32> {
    if !is_dense {
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        return numbers;
    }
    let mut out = Vec::with_capacity(numbers.size_hint().0);
    let mut marks = vec![0_u64; n.div_ceil(64)];
    numbers.for_each(|number| marks[number as usize / 64] |= 1 << (number % 64));
    for (word, first) in marks.into_iter().zip((0..).step_by(64)) {
        let mut left = word;
        while left != 0 {
            out.push(first + left.trailing_zeros());
            left &= left - 1;
        }
    }
    out
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

    use arrow::array::StringArray;

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
    fn texts_that_begin_alike_are_told_apart() {
        let keys = ["profile-2", "profile-10", "profile-", "profile-1", "p", "profile-\u{0}", "é"];
        let population = population(&keys, &[&[0, 1, 2, 3, 4, 5, 6]]).unwrap();
        let found: Vec<_> = population.keys.as_string_view().iter().flatten().collect();
        let mut expected = keys;
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn many_and_few_come_in_the_same_order() {
        for step in [1, 7, 64, 900] {
            let expected: Vec<u32> = (0..5_000).step_by(step).collect();
            for is_dense in [false, true] {
                assert_eq!(in_order(expected.iter().rev().copied(), 5_000, is_dense), expected);
                assert_eq!(in_order(std::iter::empty(), 5_000, is_dense), [0_u32; 0]);
            }
        }
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
