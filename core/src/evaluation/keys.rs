//! Profile keys as dense ordinals: each key is looked up by its bytes, once for each event or dictionary entry.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, LargeStringArray, StringViewArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Int64Type};
use hashbrown::DefaultHashBuilder;

use crate::bug;
use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result};

use super::dictionary::Dictionary;

/// No profile has this ordinal.
pub(super) const NOBODY: u32 = u32::MAX;

/// The profiles of a store by key.
#[derive(Debug)]
pub(super) struct Keys {
    data_type: DataType,
    kept: Kept,
    /// Open addressing: the upper half of the hash, and the ordinal plus one; 0 is free.
    slots: Vec<u64>,
    mask: u64,
    hasher: DefaultHashBuilder,
}

/// The keys in the form that is compared.
#[derive(Debug)]
enum Kept {
    Text(Texts),
    Number(Int64Array),
}

/// Texts behind each other.
#[derive(Debug)]
struct Texts {
    texts: LargeStringArray,
    /// The length of all of them, where it is one: then one look at memory finds a text.
    length: Option<usize>,
}

/// The length of all texts, if it is one and the first begins at the beginning.
fn common_length(texts: &LargeStringArray) -> Option<usize> {
    let offsets = texts.offsets();
    let first = usize::try_from(*offsets.get(1)?).ok()?;
    (offsets[0] == 0 && offsets.lengths().all(|length| length == first)).then_some(first)
}

impl Texts {
    fn new(texts: LargeStringArray) -> Self {
        Self { length: common_length(&texts), texts }
    }

    #[inline]
    fn get(&self, at: usize) -> &[u8] {
        match self.length {
            Some(length) => &self.texts.value_data()[at * length..][..length],
            None => self.texts.value(at).as_bytes(),
        }
    }
}

/// Whether profiles and events can be joined by keys of these types here.
pub(super) fn joinable(profiles: &DataType, events: &DataType) -> bool {
    form(profiles).is_some() && form(profiles) == form(events)
}

/// Whether keys are text or numbers.
fn form(data_type: &DataType) -> Option<bool> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(true),
        DataType::Dictionary(_, values) => form(values),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => Some(false),
        _ => None,
    }
}

impl Keys {
    /// The keys of all profiles, in order; none is NULL. Refuses a key that stands twice.
    pub(super) fn new(parts: &[ArrayRef], data_type: &DataType, table: &str, column: &str) -> Result<Self> {
        let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
        let array = if parts.is_empty() {
            arrow::array::new_empty_array(data_type)
        } else {
            concat(&parts).map_err(|error| bug!("profile keys of two types: {error}"))?
        };
        let kept = if form(data_type) == Some(true) {
            {
                let texts = cast(&array, &DataType::LargeUtf8).map_err(|error| bug!("keys: {error}"))?;
                Kept::Text(Texts::new(texts.as_string::<i64>().clone()))
            }
        } else {
            Kept::Number(as_numbers(&array)?)
        };
        let n = array.len();
        if u32::try_from(n).is_err() {
            return Err(Error::new(Kind::Resource, "more than 4,294,967,295 profiles in one store"));
        }
        let capacity = (n * 2).next_power_of_two().max(64);
        drop(array);
        let mut keys = Self {
            data_type: data_type.clone(),
            kept,
            slots: vec![0; capacity],
            mask: capacity as u64 - 1,
            hasher: DefaultHashBuilder::default(),
        };
        let (mut first, mut more) = (None, 0_usize);
        for at in 0..n {
            let hash = keys.hash_of(at);
            let mut slot = hash & keys.mask;
            loop {
                let entry = keys.slot(slot);
                if entry == 0 {
                    let upper = hash & 0xffff_ffff_0000_0000;
                    let place = usize::try_from(slot).unwrap_or_default();
                    keys.slots[place] = upper | (at as u64 + 1);
                    break;
                }
                if entry >> 32 == hash >> 32 && keys.same(ordinal(entry), at) {
                    if first.replace(first.unwrap_or(at)).is_some() {
                        more += 1;
                    }
                    break;
                }
                slot = (slot + 1) & keys.mask;
            }
        }
        match first {
            None => Ok(keys),
            Some(first) => Err(repeated(&keys.array()?, first, more, table, column)),
        }
    }

    /// The keys, by ordinal, as the profile table has them.
    pub(super) fn array(&self) -> Result<ArrayRef> {
        let kept: ArrayRef = match &self.kept {
            Kept::Text(keys) => Arc::new(keys.texts.clone()),
            Kept::Number(keys) => Arc::new(keys.clone()),
        };
        cast(&kept, &self.data_type).map_err(|error| bug!("keys of type {}: {error}", self.data_type))
    }

    /// How many profiles there are.
    pub(super) fn len(&self) -> usize {
        match &self.kept {
            Kept::Text(keys) => keys.texts.len(),
            Kept::Number(keys) => keys.len(),
        }
    }

    fn slot(&self, at: u64) -> u64 {
        // The mask keeps positions below the length, which fits.
        usize::try_from(at).ok().and_then(|at| self.slots.get(at)).copied().unwrap_or_default()
    }

    fn hash_of(&self, at: usize) -> u64 {
        match &self.kept {
            Kept::Text(keys) => self.hasher.hash_one(keys.get(at)),
            Kept::Number(keys) => self.hasher.hash_one(keys.value(at)),
        }
    }

    fn same(&self, left: u32, right: usize) -> bool {
        match &self.kept {
            Kept::Text(keys) => keys.get(left as usize) == keys.get(right),
            Kept::Number(keys) => keys.value(left as usize) == keys.value(right),
        }
    }

    /// The ordinals of some keys; [`NOBODY`] where no profile has the key.
    pub(super) fn ordinals(&self, keys: &ArrayRef, dictionary: &mut Dictionary) -> Result<Vec<u32>> {
        if matches!(keys.data_type(), DataType::Dictionary(..)) {
            let codes = keys.as_any_dictionary();
            let of_value = dictionary
                .of(codes.values(), || self.ordinals(codes.values(), &mut Dictionary::default()))?;
            if of_value.is_empty() {
                return Ok(vec![NOBODY; keys.len()]);
            }
            let nulls = codes.keys().nulls();
            let ordinal = |(at, code)| {
                if nulls.is_some_and(|nulls| nulls.is_null(at)) { NOBODY } else { of_value[code] }
            };
            return Ok(codes.normalized_keys().into_iter().enumerate().map(ordinal).collect());
        }
        Ok(match &self.kept {
            Kept::Text(kept) => self.texts(&as_text(keys)?, kept),
            Kept::Number(kept) => {
                let keys = as_numbers(keys)?;
                let ordinal = |key: Option<i64>| {
                    let Some(key) = key else { return NOBODY };
                    self.find(self.hasher.hash_one(key), |ordinal| kept.value(ordinal as usize) == key)
                };
                keys.iter().map(ordinal).collect()
            }
        })
    }

    /// Hashes first, then slots, then keys: each step's cache misses overlap.
    fn texts(&self, keys: &StringViewArray, kept: &Texts) -> Vec<u32> {
        let hashes: Vec<u64> =
            (0..keys.len()).map(|at| self.hasher.hash_one(keys.value(at).as_bytes())).collect();
        let mut out: Vec<u32> = hashes.iter().map(|&hash| self.find(hash, |_| true)).collect();
        for (at, ordinal) in out.iter_mut().enumerate() {
            if *ordinal == NOBODY {
                continue;
            }
            let same = |ordinal: u32| kept.get(ordinal as usize) == keys.value(at).as_bytes();
            if keys.is_null(at) {
                *ordinal = NOBODY;
            } else if !same(*ordinal) {
                // Another key with the same upper half of the hash.
                *ordinal = self.find(hashes[at], same);
            }
        }
        out
    }

    fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> u32 {
        let mut slot = hash & self.mask;
        loop {
            let entry = self.slot(slot);
            if entry == 0 {
                return NOBODY;
            }
            if entry >> 32 == hash >> 32 && same(ordinal(entry)) {
                return ordinal(entry);
            }
            slot = (slot + 1) & self.mask;
        }
    }
}

/// The ordinal that a slot holds.
fn ordinal(entry: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    let lower = entry as u32;
    lower - 1
}

fn as_text(array: &ArrayRef) -> Result<StringViewArray> {
    let text = cast(array, &DataType::Utf8View).map_err(|error| bug!("keys are no texts: {error}"))?;
    Ok(text.as_string_view().clone())
}

fn as_numbers(array: &ArrayRef) -> Result<Int64Array> {
    let numbers = cast(array, &DataType::Int64).map_err(|error| bug!("keys are no numbers: {error}"))?;
    Ok(numbers.as_primitive::<Int64Type>().clone())
}

/// What is said of a key that stands twice.
pub fn repeated(keys: &ArrayRef, first: usize, more: usize, table: &str, column: &str) -> Error {
    let value = arrow::util::display::array_value_to_string(keys, first).unwrap_or_default();
    let more = if more > 0 { format!(", and {more} more rows repeat a key") } else { String::new() };
    let message = format!("the profile key `{value}` stands in more than one row of `{table}`{more}");
    Diagnostic::new(Kind::Data, message)
        .help(format!("a profile is one row: declare the store on a view with one row for each `{column}`"))
        .into()
}
