//! Profiles in the order of a value: what is kept while they are looked at, and who comes first in the end.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat, filter, is_not_null, lexsort_to_indices};
use arrow::error::ArrowError;
use roaring::RoaringBitmap;

use crate::bug;
use crate::compile::{Rank, Rule};
use crate::error::{Error, Result};

use super::Members;
use super::bits::small;
use super::shard::Profiles;

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

    /// The first profiles.
    pub(super) fn first(&self, rank: &Rank, profiles: &Profiles) -> Result<RoaringBitmap> {
        let n_known: usize = self.parts.iter().map(|(positions, _)| positions.len()).sum();
        let most = usize::try_from(rank.most.of(n_known as u64)).unwrap_or(usize::MAX);
        let known = || self.parts.iter().flat_map(|(positions, _)| positions.values().iter().copied());
        if most >= n_known {
            let mut first: RoaringBitmap = known().collect();
            let mut others = RoaringBitmap::new();
            if most > n_known {
                others.insert_range(0..small(profiles.n));
                others -= &first;
            }
            let others = UInt32Array::from_iter_values(others);
            let keys = profiles.keys.of(&others, &profiles.key_type)?;
            first.extend(chosen(vec![ascending(keys)], &others, most - n_known)?);
            return Ok(first);
        }
        let values: Vec<&dyn Array> = self.parts.iter().map(|(_, values)| &**values).collect();
        let values = concat(&values).map_err(failed)?;
        let known: UInt32Array = known().map(Some).collect();
        let keys = profiles.keys.of(&known, &profiles.key_type)?;
        let descending = SortOptions { descending: true, nulls_first: false };
        let columns = vec![SortColumn { values, options: Some(descending) }, ascending(keys)];
        Ok(chosen(columns, &known, most)?.into_iter().collect())
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

fn ascending(values: ArrayRef) -> SortColumn {
    SortColumn { values, options: Some(SortOptions { descending: false, nulls_first: false }) }
}

/// The first so many of some positions, in the order of columns.
fn chosen(columns: Vec<SortColumn>, positions: &UInt32Array, most: usize) -> Result<Vec<u32>> {
    let order = lexsort_to_indices(&columns, Some(most)).map_err(failed)?;
    Ok(order.values().iter().map(|at| positions.value(*at as usize)).collect())
}

fn failed(error: ArrowError) -> Error {
    bug!("profiles cannot be ordered: {error}")
}
