//! Profile keys as dense ordinals: each key is looked up by its bytes, once for each event or dictionary entry.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, FixedSizeBinaryArray, Int64Array, LargeStringArray, StringViewArray,
    StringViewBuilder, UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int64Type};
use hashbrown::{DefaultHashBuilder, HashSet};

use crate::bug;
use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result};

use super::bits::small;
use super::reading::joined;

/// No profile has this ordinal.
pub(super) const NOBODY: u32 = u32::MAX;
/// Nor this one: nobody has asked yet.
const UNKNOWN: u32 = u32::MAX - 1;

/// Profiles by key.
#[derive(Debug)]
pub(super) struct Keys {
    kept: Kept,
    /// Open addressing: the upper half of the hash, and the ordinal plus one; 0 is free.
    slots: Vec<AtomicU64>,
    mask: u64,
    hasher: DefaultHashBuilder,
}

/// So many keys, or fewer, are made known by one thread.
const SERIAL: usize = 1 << 15;

/// Where one batch asks for more than one in so many of a dictionary's keys, all of them are looked up.
const FEW: usize = 4;

/// So many bytes, or fewer, are copied by one thread.
const COPIED: usize = 1 << 20;

/// So many keys are few: their table fits into the second cache of a core.
const ROOMY: usize = 1 << 15;

/// So many keys are made known together.
const BLOCK: usize = 64;

/// Views of texts say in 32 bits where these are.
const BLOCK_BYTES: usize = i32::MAX as usize;

/// A key, to find out whether it was met before.
#[derive(PartialEq, Eq, Hash)]
enum Known<'k> {
    Text(&'k [u8]),
    Number(i64),
}

/// The ordinals of what a dictionary holds, as far as they were asked for. The batches of a row group share one, and where
/// few rows matter, few of its keys do.
#[derive(Debug, Default)]
pub(super) struct Coded {
    dictionary: Option<ArrayData>,
    ordinals: Vec<u32>,
}

impl Coded {
    /// The ordinals of the dictionary's codes; what was not asked for is no profile's.
    pub(super) fn known(&self) -> &[u32] {
        &self.ordinals
    }

    /// How many codes keys have that are of another dictionary, or that are no codes.
    pub(super) fn is_other(&self, keys: &ArrayRef) -> Option<usize> {
        let data = keys.as_any_dictionary_opt().map(|keys| keys.values().to_data());
        match (&self.dictionary, &data) {
            (Some(known), Some(data)) if known.ptr_eq(data) => None,
            _ => Some(data.map_or(0, |data| data.len())),
        }
    }

    /// Forgets what was known of another dictionary; says whether it was one.
    fn meet(&mut self, values: &ArrayRef) -> bool {
        let data = values.to_data();
        let is_known = self.dictionary.as_ref().is_some_and(|known| known.ptr_eq(&data));
        if !is_known {
            self.ordinals.clear();
            self.ordinals.resize(values.len(), UNKNOWN);
            self.dictionary = Some(data);
        }
        !is_known
    }

    /// The ordinals of some keys, [`NOBODY`] where there is none: those of a dictionary are looked up when they are first met.
    pub(super) fn ordinals(
        &mut self,
        keys: &ArrayRef,
        mut look_up: impl FnMut(&ArrayRef) -> Result<Vec<u32>>,
    ) -> Result<Vec<u32>> {
        let Some(dictionary) = keys.as_any_dictionary_opt() else { return look_up(keys) };
        let values = dictionary.values();
        self.meet(values);
        if values.is_empty() {
            return Ok(vec![NOBODY; keys.len()]);
        }
        let nulls = dictionary.keys().nulls();
        let is_null = |at: usize| nulls.is_some_and(|nulls| nulls.is_null(at));
        let (codes, mut fresh) = (dictionary.normalized_keys(), vec![]);
        for (at, &code) in codes.iter().enumerate() {
            if self.ordinals[code] == UNKNOWN && !is_null(at) {
                self.ordinals[code] = NOBODY;
                fresh.push(small(code));
            }
        }
        if !fresh.is_empty() {
            let fresh = UInt32Array::from(fresh);
            let found = look_up(&take(values, &fresh, None).map_err(|error| bug!("keys: {error}"))?)?;
            for (code, ordinal) in fresh.values().iter().zip(found) {
                self.ordinals[*code as usize] = ordinal;
            }
        }
        let ordinal = |(at, code): (usize, usize)| if is_null(at) { NOBODY } else { self.ordinals[code] };
        Ok(codes.into_iter().enumerate().map(ordinal).collect())
    }
}

/// The keys in the form that is compared.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Text(Texts),
    Number(Int64Array),
}

/// Texts behind each other.
#[derive(Clone, Debug)]
pub(super) enum Texts {
    /// All of one length, so that one look at memory finds a text.
    Even(FixedSizeBinaryArray),
    Any(LargeStringArray),
}

impl Texts {
    fn new(texts: &LargeStringArray) -> Self {
        match Self::even(texts) {
            Some(even) => Self::Even(even),
            None => Self::Any(texts.clone()),
        }
    }

    fn even(texts: &LargeStringArray) -> Option<FixedSizeBinaryArray> {
        let offsets = texts.offsets();
        let (start, length) = (offsets[0], offsets.get(1)? - offsets[0]);
        if length == 0 || !offsets.lengths().all(|other| i64::try_from(other) == Ok(length)) {
            return None;
        }
        let (start, n_bytes) = (usize::try_from(start).ok()?, texts.len() * usize::try_from(length).ok()?);
        let bytes = texts.values().slice_with_length(start, n_bytes);
        FixedSizeBinaryArray::try_new(i32::try_from(length).ok()?, bytes, None).ok()
    }

    /// Parts behind each other, copied by some threads, if all their texts are of one length: most of what copying so much takes
    /// is the system's giving of memory.
    fn together(parts: &[ArrayRef], n_threads: usize) -> Option<FixedSizeBinaryArray> {
        let parts = parts.iter().filter(|part| !part.is_empty());
        let parts: Vec<_> =
            parts.map(|part| Self::even(part.as_string_opt::<i64>()?)).collect::<Option<_>>()?;
        let length = parts.first()?.value_size();
        if parts.iter().any(|part| part.value_size() != length) {
            return None;
        }
        let mut bytes = vec![0; parts.iter().map(|part| part.value_data().len()).sum()];
        let n_threads = if bytes.len() <= COPIED { 1 } else { n_threads.max(1) };
        let (mut copies, mut rest) = (vec![], &mut bytes[..]);
        for part in &parts {
            let (to, behind) = rest.split_at_mut(part.value_data().len());
            copies.push((to, part.value_data()));
            rest = behind;
        }
        let copy = |copies: &mut [(&mut [u8], &[u8])]| {
            copies.iter_mut().for_each(|(to, from)| to.copy_from_slice(from));
        };
        let n_each = copies.len().div_ceil(n_threads);
        std::thread::scope(|scope| {
            let mut chunks = copies.chunks_mut(n_each);
            let own = chunks.next();
            for chunk in chunks {
                scope.spawn(move || copy(chunk));
            }
            own.into_iter().for_each(copy);
        });
        FixedSizeBinaryArray::try_new(i32::try_from(length).ok()?, bytes.into(), None).ok()
    }

    #[inline]
    fn get(&self, at: usize) -> &[u8] {
        match self {
            Self::Even(texts) => texts.value(at),
            Self::Any(texts) => texts.value(at).as_bytes(),
        }
    }
}

impl Kept {
    /// What keys of a type are kept as.
    pub(super) fn form(data_type: &DataType) -> DataType {
        if form(data_type) == Some(true) { DataType::LargeUtf8 } else { DataType::Int64 }
    }

    /// Keys of a batch in this form; none is NULL.
    pub(super) fn part(keys: &ArrayRef) -> Result<ArrayRef> {
        cast(keys, &Self::form(keys.data_type())).map_err(|error| bug!("keys: {error}"))
    }

    /// Keys that have this form behind each other; `none` is the type of those that there are none of.
    pub(super) fn together(parts: Vec<ArrayRef>, none: &DataType, n_threads: usize) -> Result<Self> {
        match Texts::together(&parts, n_threads) {
            Some(even) if even.len() <= UNKNOWN as usize => Ok(Self::Text(Texts::Even(even))),
            _ => Self::new(joined(parts, None, none)?),
        }
    }

    /// Keys that have this form.
    pub(super) fn new(array: ArrayRef) -> Result<Self> {
        if array.len() > UNKNOWN as usize {
            return Err(Error::new(Kind::Resource, "more than 4,294,967,294 profiles in one store"));
        }
        Ok(match array.as_string_opt::<i64>() {
            Some(texts) => Self::Text(Texts::new(texts)),
            None => Self::Number(as_numbers(&array)?),
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(Texts::Even(keys)) => keys.len(),
            Self::Text(Texts::Any(keys)) => keys.len(),
            Self::Number(keys) => keys.len(),
        }
    }

    /// The bytes that they take.
    pub(super) fn memory(&self) -> usize {
        self.as_array().get_array_memory_size()
    }

    /// A range of the keys.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::Text(Texts::Even(keys)) => Self::Text(Texts::Even(keys.slice(range.start, range.len()))),
            Self::Text(Texts::Any(keys)) => Self::Text(Texts::Any(keys.slice(range.start, range.len()))),
            Self::Number(keys) => Self::Number(keys.slice(range.start, range.len())),
        }
    }

    /// Each key once, and for each position the number of its key among these.
    pub(super) fn distinct(self, n_threads: usize) -> Result<(Self, Vec<u32>)> {
        let keys = Keys::empty(self);
        let of_threads = keys.by_threads(n_threads, |part| {
            let mut known = Vec::with_capacity(part.len());
            keys.insert(part, |_, met| {
                known.push(small(met));
                true
            });
            known
        });
        let mut numbers = of_threads.concat();
        let first = (0..small(numbers.len())).zip(&numbers).filter(|(at, known)| at == *known);
        let first = UInt32Array::from_iter_values(first.map(|(at, _)| at));
        if first.len() == numbers.len() {
            return Ok((keys.kept, numbers));
        }
        let mut number_of = vec![NOBODY; numbers.len()];
        for (number, at) in (0..).zip(first.values()) {
            number_of[*at as usize] = number;
        }
        numbers.iter_mut().for_each(|known| *known = number_of[*known as usize]);
        Ok((keys.kept.some(&first)?, numbers))
    }

    /// The keys as a profile table of this type has them.
    pub(super) fn array(&self, data_type: &DataType) -> Result<ArrayRef> {
        as_declared(self.as_array(), data_type)
    }

    /// Some of them, likewise.
    pub(super) fn of(&self, positions: &UInt32Array, data_type: &DataType) -> Result<ArrayRef> {
        as_declared(self.some(positions)?.as_array(), data_type)
    }

    /// Some of the keys.
    pub(super) fn some(&self, positions: &UInt32Array) -> Result<Self> {
        let keys = take(self.as_array(), positions, None).map_err(|error| bug!("keys: {error}"))?;
        Ok(match keys.as_fixed_size_binary_opt() {
            Some(even) => Self::Text(Texts::Even(even.clone())),
            None => Self::new(keys)?,
        })
    }

    fn as_array(&self) -> &dyn Array {
        match self {
            Self::Text(Texts::Even(keys)) => keys,
            Self::Text(Texts::Any(keys)) => keys,
            Self::Number(keys) => keys,
        }
    }
}

/// A key that stands twice: the first one that does, and how many more rows repeat a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeated {
    pub(super) first: usize,
    pub(super) more: usize,
}

/// Whether profiles and events can be joined by keys of these types here: texts by texts, whole numbers by whole numbers.
pub fn joinable(profiles: &DataType, events: &DataType) -> bool {
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
    /// Finds keys again by their position. Refuses a key that stands twice.
    pub(super) fn new(kept: Kept, n_threads: usize) -> std::result::Result<Self, Repeated> {
        let keys = Self::empty(kept);
        let are_new = keys.by_threads(n_threads, |part| keys.insert(part, |at, met| at == met));
        if are_new.into_iter().all(|is_new| is_new) { Ok(keys) } else { Err(keys.repeated()) }
    }

    /// None of the keys is known yet.
    fn empty(kept: Kept) -> Self {
        let capacity = Self::capacity(kept.len());
        let mut slots = vec![];
        slots.resize_with(capacity, AtomicU64::default);
        Self { kept, slots, mask: capacity as u64 - 1, hasher: DefaultHashBuilder::default() }
    }

    /// Deals the positions of the keys out to threads; what each found, in the order of the positions.
    fn by_threads<T: Send>(&self, n_threads: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
        let n = self.len();
        let n_each = n.div_ceil(n_threads.max(1)).max(SERIAL);
        let mut parts = (0..n).step_by(n_each).map(|start| start..n.min(start + n_each));
        let (own, work) = (parts.next().unwrap_or_default(), &work);
        std::thread::scope(|scope| {
            let others: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
            let mut found = vec![work(own)];
            for other in others {
                found.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            found
        })
    }

    /// Makes some keys known as long as `goes_on` says so, given the position of each and the one at which its key is known;
    /// says whether it always did.
    fn insert(&self, positions: Range<usize>, mut goes_on: impl FnMut(usize, usize) -> bool) -> bool {
        let mut hashes = vec![];
        for start in positions.clone().step_by(BLOCK) {
            let block = start..positions.end.min(start + BLOCK);
            hashes.clear();
            hashes.extend(block.clone().map(|at| self.hash_of(at)));
            // Taking a slot waits for what came before it; looking at all slots first lets the cache misses overlap.
            for hash in &hashes {
                std::hint::black_box(self.slot(hash & self.mask).load(Relaxed));
            }
            for (at, hash) in block.zip(&hashes) {
                let entry = hash & 0xffff_ffff_0000_0000 | (at as u64 + 1);
                let (mut slot, mut met) = (hash & self.mask, at);
                // Another thread may take a slot that was free.
                while let Err(other) = self.slot(slot).compare_exchange(0, entry, Relaxed, Relaxed) {
                    if other >> 32 == hash >> 32 && self.same(ordinal(other), at) {
                        met = ordinal(other) as usize;
                        break;
                    }
                    slot = (slot + 1) & self.mask;
                }
                if !goes_on(at, met) {
                    return false;
                }
            }
        }
        true
    }

    /// What is to be said of keys that stand twice, which are there.
    fn repeated(&self) -> Repeated {
        let (mut known, mut first, mut more) = (HashSet::new(), None, 0);
        for at in 0..self.kept.len() {
            let is_new = match &self.kept {
                Kept::Text(keys) => known.insert(Known::Text(keys.get(at))),
                Kept::Number(keys) => known.insert(Known::Number(keys.value(at))),
            };
            if !is_new && first.replace(first.unwrap_or(at)).is_some() {
                more += 1;
            }
        }
        Repeated { first: first.unwrap_or_default(), more }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The bytes that finding so many takes, without the keys themselves.
    pub(super) fn memory(n: usize) -> usize {
        Self::capacity(n) * size_of::<AtomicU64>()
    }

    /// Few keys have more room, so that looking for others ends soon and within the processor's cache all the same.
    fn capacity(n: usize) -> usize {
        let wanted = if n < ROOMY { 3 * n } else { n + n / 2 };
        wanted.next_power_of_two().max(64)
    }

    fn slot(&self, at: u64) -> &AtomicU64 {
        // The mask keeps positions below the length, which fits.
        &self.slots[usize::try_from(at).unwrap_or_default()]
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
    pub(super) fn ordinals(&self, keys: &ArrayRef, coded: &mut Coded) -> Result<Vec<u32>> {
        if let Some(dictionary) = keys.as_any_dictionary_opt()
            && coded.meet(dictionary.values())
            && keys.len() * FEW >= dictionary.values().len()
        {
            coded.ordinals = self.find_all(dictionary.values())?;
        }
        coded.ordinals(keys, |keys| self.find_all(keys))
    }

    /// The ordinals of keys that are no codes.
    fn find_all(&self, keys: &ArrayRef) -> Result<Vec<u32>> {
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

    /// Hashes first, then slots, then keys, some at a time: each step's cache misses overlap.
    fn texts(&self, keys: &StringViewArray, kept: &Texts) -> Vec<u32> {
        let (mut out, mut hashes) = (Vec::with_capacity(keys.len()), vec![]);
        for start in (0..keys.len()).step_by(BLOCK) {
            let block = start..keys.len().min(start + BLOCK);
            hashes.clear();
            hashes.extend(block.clone().map(|at| self.hasher.hash_one(keys.value(at).as_bytes())));
            for hash in &hashes {
                std::hint::black_box(self.slot(hash & self.mask).load(Relaxed));
            }
            out.extend(hashes.iter().map(|&hash| self.find(hash, |_| true)));
            for ordinal in out[start..].iter().filter(|ordinal| **ordinal != NOBODY) {
                std::hint::black_box(kept.get(*ordinal as usize).first().copied());
            }
            for ((ordinal, hash), at) in out[start..].iter_mut().zip(&hashes).zip(block) {
                if *ordinal == NOBODY {
                    continue;
                }
                let same = |ordinal: u32| kept.get(ordinal as usize) == keys.value(at).as_bytes();
                if keys.is_null(at) {
                    *ordinal = NOBODY;
                } else if !same(*ordinal) {
                    // Another key with the same upper half of the hash.
                    *ordinal = self.find(*hash, same);
                }
            }
        }
        out
    }

    fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> u32 {
        let mut slot = hash & self.mask;
        loop {
            let entry = self.slot(slot).load(Relaxed);
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

/// Keys as a table of this type has them.
fn as_declared(keys: &dyn Array, data_type: &DataType) -> Result<ArrayRef> {
    let failed = |error| bug!("keys of type {data_type}: {error}");
    let Some(even) = keys.as_fixed_size_binary_opt() else { return cast(keys, data_type).map_err(failed) };
    // Views of the texts where they are.
    let mut views = StringViewBuilder::with_capacity(even.len());
    let length = even.value_size();
    let of_block = BLOCK_BYTES / length.max(1);
    for start in (0..even.len()).step_by(of_block) {
        let n = of_block.min(even.len() - start);
        let block = views.append_block(even.values().slice_with_length(start * length, n * length));
        for at in 0..n {
            views.try_append_view(block, small(at * length), small(length)).map_err(failed)?;
        }
    }
    cast(&views.finish(), data_type).map_err(failed)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts as they are put together by several threads, and one after the other.
    fn check(parts: &[&[&str]], n_threads: usize) -> bool {
        let parts: Vec<ArrayRef> = parts
            .iter()
            .map(|part| std::sync::Arc::new(LargeStringArray::from(part.to_vec())) as ArrayRef)
            .collect();
        let one_by_one = Kept::new(joined(parts.clone(), None, &DataType::LargeUtf8).unwrap()).unwrap();
        let together = Kept::together(parts.clone(), &DataType::LargeUtf8, n_threads).unwrap();
        let texts = |keys: &Kept| keys.array(&DataType::Utf8).unwrap();
        assert_eq!(&texts(&one_by_one), &texts(&together));
        Texts::together(&parts, n_threads).is_some()
    }

    #[test]
    fn parts_of_keys_are_put_together_in_order() {
        for n_threads in [1, 2, 7] {
            assert!(check(&[&["ab", "cd"], &[], &["ef"], &["gh", "ij", "kl"]], n_threads));
            assert!(!check(&[&["ab"], &["cde"]], n_threads));
            assert!(!check(&[&["ab", "c"], &["de"]], n_threads));
            assert!(!check(&[&[""], &[""]], n_threads));
            assert!(!check(&[&[], &[]], n_threads));
        }
        let own: Vec<String> = (0..300_000).map(|key| format!("{key:012}")).collect();
        let texts: Vec<&str> = own.iter().map(String::as_str).collect();
        let parts: Vec<&[&str]> = texts.chunks(7_919).collect();
        assert!(check(&parts, 3));
    }

    #[test]
    fn keys_that_come_again_have_the_number_of_the_first() {
        let even: Vec<String> = (0..200_000_u64).map(|at| format!("{:06}", at * 7_919 % 50_021)).collect();
        let uneven: Vec<String> = (0..100_000_u64).map(|at| format!("{}", at * 104_729 % 9_973)).collect();
        for (texts, n_distinct) in [(even, 50_021), (uneven, 9_973), (vec!["a".to_owned()], 1), (vec![], 0)] {
            for n_threads in [1, 2, 5] {
                let all = LargeStringArray::from(texts.clone());
                let (keys, numbers) =
                    Kept::new(std::sync::Arc::new(all)).unwrap().distinct(n_threads).unwrap();
                assert_eq!((keys.len(), numbers.len()), (n_distinct, texts.len()));
                let keys = keys.array(&DataType::Utf8).unwrap();
                let own = |number: &u32| keys.as_string::<i32>().value(*number as usize);
                assert!(numbers.iter().map(own).eq(texts.iter().map(String::as_str)));
            }
        }
        let numbers = Kept::Number(Int64Array::from(vec![5, 3, 5, 5, 4, 3])).distinct(3).unwrap();
        assert_eq!((numbers.0.len(), numbers.1), (3, vec![0, 1, 0, 0, 2, 1]));
    }
}
