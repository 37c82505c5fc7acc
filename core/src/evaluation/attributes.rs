//! What profiles answered to the questions about their rows, and who can be a member as far as these answers tell.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, UInt8Type, UInt16Type, UInt32Type};

use crate::compile::{Evaluation, Leaf, Of, Tree};

use super::bits::small;
use super::classes::Classes;
use super::scatter::PROFILES;
use super::words::{WORDS, Word, clear_after, evaluate, positions};

/// The answers of profiles, by class.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// For each subject the class of each profile, in as few bytes as that needs.
    classes: Vec<ArrayRef>,
    /// How many classes each subject has.
    n_classes: Vec<usize>,
    leaves: Vec<AttributeLeaf>,
}

/// A leaf about an attribute.
#[derive(Debug)]
struct AttributeLeaf {
    leaf: usize,
    subject: usize,
    /// The classes for which it holds, as runs: from, and up to.
    runs: Vec<(usize, usize)>,
}

impl Attributes {
    /// `classes` holds for each subject the class of each profile, `of` what the classes are.
    pub(super) fn new(evaluation: &Evaluation, classes: Vec<ArrayRef>, of: &[Classes]) -> Self {
        let questions = &evaluation.profiles;
        let position = questions.places();
        let mut leaves = vec![];
        for (leaf, fact) in evaluation.leaves.iter().enumerate() {
            let Leaf::Attribute(literal) = fact else { continue };
            let subject = questions.literals[*literal].subject;
            let mut runs: Vec<(usize, usize)> = vec![];
            for class in 0..of[subject].len() {
                if of[subject].holds(small(class), position[*literal] as usize) {
                    match runs.last_mut() {
                        Some((_, end)) if *end == class => *end += 1,
                        _ => runs.push((class, class + 1)),
                    }
                }
            }
            leaves.push(AttributeLeaf { leaf, subject, runs });
        }
        Self { classes, n_classes: of.iter().map(Classes::len).collect(), leaves }
    }

    /// Sets the leaves about attributes that hold for `n` profiles, at most a partition's, from the `first` on.
    pub(super) fn mark(&self, first: usize, n: usize, bits: &mut [Word]) {
        let mut upto: Vec<Vec<Word>> = vec![];
        for (classes, n_classes) in self.classes.iter().zip(&self.n_classes) {
            // Profiles of all classes up to one, so that a run of classes is a difference of two.
            let mut words = vec![[0; WORDS]; n_classes + 1];
            let classes = classes.slice(first, n);
            match classes.data_type() {
                DataType::UInt8 => mark(&mut words, classes.as_primitive::<UInt8Type>().values()),
                DataType::UInt16 => mark(&mut words, classes.as_primitive::<UInt16Type>().values()),
                _ => mark(&mut words, classes.as_primitive::<UInt32Type>().values()),
            }
            for class in 1..words.len() {
                let (before, own) = words.split_at_mut(class);
                own[0].iter_mut().zip(&before[class - 1]).for_each(|(own, before)| *own |= before);
            }
            upto.push(words);
        }
        for AttributeLeaf { leaf, subject, runs } in &self.leaves {
            let out = &mut bits[*leaf];
            for (start, end) in runs {
                let (below, upto) = (&upto[*subject][*start], &upto[*subject][*end]);
                let words = out.iter_mut().zip(upto.iter().zip(below));
                words.for_each(|(out, (upto, below))| *out |= upto & !below);
            }
        }
    }
}

/// Sets the bit of each profile in the words of its class, which come after those of none.
fn mark(words: &mut [Word], classes: &[impl Copy + Into<u32>]) {
    // A word that was just written is not there to be read at once: four of them take turns.
    const AT_ONCE: usize = 4;
    for (at, classes) in classes.chunks(64 * AT_ONCE).enumerate() {
        let mut set = |word: usize, bit: usize| {
            let class: u32 = classes[word * 64 + bit].into();
            words[class as usize + 1][at * AT_ONCE + word] |= 1 << bit;
        };
        if classes.len() == 64 * AT_ONCE {
            (0..64).for_each(|bit| (0..AT_ONCE).for_each(|word| set(word, bit)));
        } else {
            (0..classes.len()).for_each(|row| set(row / 64, row % 64));
        }
    }
}

/// The profiles that can be members of some rule as far as their attributes tell.
#[derive(Debug)]
pub(super) struct Suspects {
    evaluation: Arc<Evaluation>,
    /// What has to hold of attributes, whatever else does.
    tree: Tree,
}

impl Suspects {
    /// `None` where attributes exclude nobody.
    pub(super) fn new(evaluation: &Arc<Evaluation>) -> Option<Self> {
        let is_attribute = |leaf: usize| matches!(evaluation.leaves[leaf], Leaf::Attribute(_));
        let tree = Tree::any(evaluation.trees().map(|tree| tree.relaxed(&is_attribute)));
        (tree != Tree::Constant(true)).then(|| Self { evaluation: Arc::clone(evaluation), tree })
    }

    /// Whether something has to be computed to tell, which may fail for rows that nobody asks about.
    pub(super) fn are_computed(&self) -> bool {
        self.evaluation.profiles.subjects.iter().any(|subject| matches!(subject.of, Of::Row(_)))
    }

    /// Which rows of a batch they are, given the classes of each subject's values.
    pub(super) fn rows(&self, classes: &[ArrayRef], of: &[Classes], n_rows: usize) -> Vec<u32> {
        let attributes = Attributes::new(&self.evaluation, classes.to_vec(), of);
        let (mut rows, mut bits) = (vec![], vec![]);
        for first in (0..n_rows).step_by(PROFILES) {
            let n = PROFILES.min(n_rows - first);
            bits.clear();
            bits.resize(self.evaluation.leaves.len(), [0; WORDS]);
            attributes.mark(first, n, &mut bits);
            let mut found = evaluate(&self.tree, &bits);
            clear_after(&mut found, n);
            rows.extend(positions(&found, small(first)));
        }
        rows
    }
}
