//! Profiles in the order of a value: what is kept while they are looked at, and who comes first in the end.

use arrow::array::{Array, ArrayRef, Scalar, UInt32Array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{SortOptions, concat, filter, is_not_null, sort_to_indices};
use arrow::error::ArrowError;
use roaring::RoaringBitmap;

use crate::bug;
use crate::compile::{Rank, Rule};
use crate::error::{Error, Result};

use super::Members;
use super::bits::small;

/// The profiles that have a value, by position, with their values.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    parts: Vec<(UInt32Array, ArrayRef)>,
}

impl Ordered {
    /// Adds the values of the profiles from a position on.
    pub(super) fn add(&mut self, first: usize, values: &ArrayRef) -> Result<()> {
        let positions = UInt32Array::from_iter_values(small(first)..small(first + values.len()));
        let known = is_not_null(values).map_err(failed)?;
        let positions = filter(&positions, &known).map_err(failed)?;
        if !positions.is_empty() {
            let values = filter(values, &known).map_err(failed)?;
            self.parts.push((UInt32Array::from(positions.to_data()), values));
        }
        Ok(())
    }

    /// Adds what another thread has found.
    pub(super) fn append(&mut self, mut other: Self) {
        self.parts.append(&mut other.parts);
    }

    /// Who comes first of `n` profiles, as far as values tell.
    pub(super) fn first(&self, rank: &Rank, n: usize) -> Result<First> {
        let known: Vec<u32> =
            self.parts.iter().flat_map(|(positions, _)| positions.values().iter().copied()).collect();
        let most = usize::try_from(rank.most.of(known.len() as u64)).unwrap_or(usize::MAX);
        if most >= known.len() {
            let sure: RoaringBitmap = known.iter().copied().collect();
            let (mut others, left) = (RoaringBitmap::new(), most - known.len());
            if left > 0 {
                others.insert_range(0..small(n));
                others -= &sure;
            }
            return Ok(First { sure, tied: others, left });
        }
        let values: Vec<&dyn Array> = self.parts.iter().map(|(_, values)| &**values).collect();
        let (Some(last), false) = (most.checked_sub(1), values.is_empty()) else {
            return Ok(First::default());
        };
        let values = concat(&values).map_err(failed)?;
        let descending = SortOptions { descending: true, nulls_first: false };
        let order = sort_to_indices(&values, Some(descending), Some(most)).map_err(failed)?;
        let least = values.slice(order.value(last) as usize, 1);
        let are_tied = not_distinct(&values, &Scalar::new(least)).map_err(failed)?;
        let tied: RoaringBitmap = are_tied.values().set_indices().map(|at| known[at]).collect();
        let sure = order.values().iter().map(|at| known[*at as usize]).collect::<RoaringBitmap>() - &tied;
        let left = most - usize::try_from(sure.len()).unwrap_or(most);
        Ok(First { sure, tied, left })
    }
}

/// Profiles that come first.
#[derive(Debug, Default)]
pub(super) struct First {
    /// Those who do whatever their keys.
    sure: RoaringBitmap,
    /// Those whose values tell nothing, of whom so many come first by their keys.
    pub(super) tied: RoaringBitmap,
    left: usize,
}

impl First {
    /// Whether keys have to tell who comes first.
    pub(super) fn is_open(&self) -> bool {
        self.left > 0 && self.tied.len() > self.left as u64
    }

    /// All of them, given the keys of the tied ones, where these have to tell.
    pub(super) fn by_key(self, keys: Option<ArrayRef>) -> Result<RoaringBitmap> {
        let Self { mut sure, tied, left } = self;
        match keys {
            None if left > 0 => sure |= tied,
            None => {}
            Some(keys) => {
                let order = sort_to_indices(&keys, None, Some(left)).map_err(failed)?;
                let tied: Vec<u32> = tied.into_iter().collect();
                sure.extend(order.values().iter().map(|at| tied[*at as usize]));
            }
        }
        Ok(sure)
    }
}

/// The members of a rule, given those for each way in which its ranks may turn out.
pub(super) fn members(rule: &Rule, found: Vec<Members>, first: &[RoaringBitmap]) -> Result<RoaringBitmap> {
    let mut all = RoaringBitmap::new();
    for (way, members) in found.into_iter().enumerate() {
        let Members::Positions(mut members) = members else {
            return Err(bug!("members that are only counted depend on an order"));
        };
        for (bit, rank) in rule.ranks.iter().enumerate() {
            match way >> bit & 1 {
                0 => members -= &first[*rank],
                _ => members &= &first[*rank],
            }
        }
        all |= members;
    }
    Ok(all)
}

fn failed(error: ArrowError) -> Error {
    bug!("profiles cannot be ordered: {error}")
}
