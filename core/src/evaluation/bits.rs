//! Small sets of numbers as bits.

/// A set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set with room for numbers below `n`.
    pub(super) fn new(n: usize) -> Self {
        Self(vec![0; n.div_ceil(64)])
    }

    /// Adds a number below the size.
    pub(super) fn insert(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// Adds a number, making room for it.
    pub(super) fn add(&mut self, at: usize) {
        self.0.resize(self.0.len().max(at / 64 + 1), 0);
        self.insert(at);
    }

    /// Adds all numbers of another set.
    pub(super) fn extend(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// How many numbers are in the set.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether a number is in the set.
    pub(super) fn contains(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

/// Lists of small numbers by a small number, in one allocation.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    offsets: Vec<u32>,
    items: Vec<u32>,
}

impl Default for Lists {
    fn default() -> Self {
        Self { offsets: vec![0], items: vec![] }
    }
}

impl Lists {
    /// Adds a list at the end.
    pub(super) fn push(&mut self, items: impl IntoIterator<Item = u32>) {
        self.items.extend(items);
        self.offsets.push(u32::try_from(self.items.len()).unwrap_or(u32::MAX));
    }

    /// A list.
    pub(super) fn get(&self, at: usize) -> &[u32] {
        &self.items[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }
}

/// Some neighbours in a list, in eight bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    start: u32,
    end: u32,
}

impl Part {
    /// Adds things at the end of a list.
    pub(super) fn push<T>(all: &mut Vec<T>, own: impl IntoIterator<Item = T>) -> Self {
        let start = small(all.len());
        all.extend(own);
        Self { start, end: small(all.len()) }
    }

    /// They themselves.
    #[inline]
    pub(super) fn of<T>(self, all: &[T]) -> &[T] {
        &all[self.start as usize..self.end as usize]
    }

    /// Whether there are none.
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A position as the 32 bits it is kept in; positions of things that fit in memory by far.
pub(super) fn small(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
