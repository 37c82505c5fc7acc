//! Conditions for a few thousand profiles at once, a bit each.

use crate::compile::Tree;

use super::scatter::PROFILES;

/// Words of a partition's bitmap.
pub(super) const WORDS: usize = PROFILES / 64;

/// Which profiles of a partition a fact or rule holds for.
pub(super) type Word = [u64; WORDS];

/// A tree for 64 profiles a word.
pub(super) fn evaluate(tree: &Tree, bits: &[Word]) -> Word {
    match tree {
        Tree::Constant(value) => [if *value { u64::MAX } else { 0 }; WORDS],
        Tree::Leaf(leaf) => bits[*leaf],
        Tree::Not(leaf) => bits[*leaf].map(|word| !word),
        Tree::All(parts) => {
            let mut out = [u64::MAX; WORDS];
            for part in parts {
                match part {
                    Tree::Leaf(leaf) => out.iter_mut().zip(&bits[*leaf]).for_each(|(out, word)| *out &= word),
                    Tree::Not(leaf) => out.iter_mut().zip(&bits[*leaf]).for_each(|(out, word)| *out &= !word),
                    part => out.iter_mut().zip(&evaluate(part, bits)).for_each(|(out, word)| *out &= word),
                }
            }
            out
        }
        Tree::Any(parts) => {
            let mut out = [0; WORDS];
            for part in parts {
                out.iter_mut().zip(&evaluate(part, bits)).for_each(|(out, word)| *out |= word);
            }
            out
        }
    }
}

/// The positions of the bits that are set, from `start` on.
pub(super) fn positions(word: &Word, start: u32) -> impl Iterator<Item = u32> {
    word.iter().zip((0..).step_by(64)).flat_map(move |(word, first)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let found = (left != 0).then(|| start + first + left.trailing_zeros());
            left &= left.wrapping_sub(1);
            found
        })
    })
}

/// None of the profiles after the first `n`.
pub(super) fn clear_after(word: &mut Word, n: usize) {
    for (at, word) in word.iter_mut().enumerate() {
        let left = n.saturating_sub(at * 64);
        if left < 64 {
            *word &= (1 << left) - 1;
        }
    }
}
