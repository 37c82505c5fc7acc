//! Leaves as bits of words: what holds of one profile, until 64 profiles are put down together.

use crate::compile::Atom;

use super::bits::{Part, small};
use super::finish::Facts;

/// Bits of a word, by the word's position.
pub(super) type Bits = (u32, u64);

/// A leaf about events of an atom since an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) atom: usize,
    pub(super) since: i64,
    pub(super) leaf: u32,
}

/// Leaves about events, a bit each.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    /// The leaves of each word's bits, lowest first.
    words: Vec<Vec<u32>>,
    /// By edge, by word, the bits of leaves that are about an event there.
    open: Vec<Vec<u64>>,
    /// The bits of each atom.
    of_atom: Vec<Vec<Bits>>,
}

/// Which leaves hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// For the profile at hand, by word.
    pub(super) done: Vec<u64>,
    /// For the 64 profiles around it.
    of_profiles: Vec<[u64; 64]>,
}

/// In the order in which `Leaves` has them: atoms with literals in common are often those of the same events, and fewer
/// words are about those then.
pub(super) fn by_atom(atoms: &[Atom], left: &Asked, right: &Asked) -> std::cmp::Ordering {
    atoms[left.atom].terms.cmp(&atoms[right.atom].terms).then(left.atom.cmp(&right.atom))
}

impl Leaves {
    /// `edges` are the instants since which anything is asked, latest first.
    pub(super) fn new(asked: &[Asked], n_atoms: usize, edges: &[i64]) -> Self {
        let mut leaves = Self { of_atom: vec![vec![]; n_atoms], ..Self::default() };
        leaves.open.resize(edges.len(), vec![]);
        for asked in asked.chunks(64) {
            let at = small(leaves.words.len());
            for (edge, open) in edges.iter().zip(&mut leaves.open) {
                open.push(word(asked, |asked| asked.since <= *edge));
            }
            for (bit, asked) in asked.iter().enumerate() {
                match leaves.of_atom[asked.atom].last_mut() {
                    Some((last, bits)) if *last == at => *bits |= 1 << bit,
                    _ => leaves.of_atom[asked.atom].push((at, 1 << bit)),
                }
            }
            leaves.words.push(asked.iter().map(|asked| asked.leaf).collect());
        }
        leaves
    }

    /// The bits of some atoms, added to `all`.
    pub(super) fn of(&self, atoms: &[u32], all: &mut Vec<Bits>) -> Part {
        Part::push(all, joined(atoms.iter().flat_map(|atom| self.of_atom[*atom as usize].iter().copied())))
    }

    /// The bits of leaves that are about an event after an edge, by word.
    #[inline]
    pub(super) fn open(&self, edge: usize) -> &[u64] {
        &self.open[edge]
    }

    /// Forgets all profiles.
    pub(super) fn begin(&self, found: &mut Found) {
        found.done.clear();
        found.done.resize(self.words.len(), 0);
        found.of_profiles.clear();
        found.of_profiles.resize(self.words.len(), [0; 64]);
    }

    /// All events of a profile have been looked at.
    #[inline]
    pub(super) fn end(&self, profile: usize, found: &mut Found) {
        for (of_profiles, done) in found.of_profiles.iter_mut().zip(&mut found.done) {
            of_profiles[profile % 64] = std::mem::take(done);
        }
    }

    /// Puts down what was found for the 64 profiles from `64 * block` on.
    pub(super) fn settle(&self, block: usize, found: &mut Found, facts: &mut Facts) {
        for (of_profiles, leaves) in found.of_profiles.iter_mut().zip(&self.words) {
            if of_profiles.iter().all(|bits| *bits == 0) {
                continue;
            }
            transpose(of_profiles);
            for (leaf, bits) in leaves.iter().zip(of_profiles.iter()) {
                facts.put(*leaf, block, *bits);
            }
            of_profiles.fill(0);
        }
    }
}

/// A bit for each thing, the first one lowest.
pub(super) fn word<T>(things: &[T], bit: impl Fn(&T) -> bool) -> u64 {
    things.iter().rev().fold(0, |word, thing| word << 1 | u64::from(bit(thing)))
}

/// The same bits, each word once.
pub(super) fn joined(bits: impl Iterator<Item = Bits>) -> Vec<Bits> {
    let mut all: Vec<Bits> = bits.collect();
    all.sort_unstable();
    all.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        kept.1 |= if is_same { next.1 } else { 0 };
        is_same
    });
    all
}

/// Rows of bits become columns: halves of squares change places, then quarters, and so on (Warren, Hacker's Delight,
/// 2nd edition, section 7-3).
fn transpose(rows: &mut [u64; 64]) {
    let (mut width, mut mask) = (32, u64::MAX >> 32);
    while width > 0 {
        let mut row = 0;
        while row < 64 {
            let swapped = (rows[row] >> width ^ rows[row + width]) & mask;
            rows[row] ^= swapped << width;
            rows[row + width] ^= swapped;
            row = (row + width + 1) & !width;
        }
        width >>= 1;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn rows_become_columns() {
        let mut random = StdRng::seed_from_u64(7);
        let rows: [u64; 64] = std::array::from_fn(|_| random.random());
        let mut columns = rows;
        transpose(&mut columns);
        for (row, bits) in rows.iter().enumerate() {
            for (column, other) in columns.iter().enumerate() {
                assert_eq!(bits >> column & 1, other >> row & 1);
            }
        }
    }
}
