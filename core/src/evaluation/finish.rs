//! Partition by partition: the events of a few thousand profiles become facts, and facts become members.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt8Type, UInt16Type, UInt32Type};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use crate::bug;
use crate::compile::{Evaluation, Leaf, Tree};
use crate::error::Result;

use super::Members;
use super::bind::{Input, RowExpr};
use super::bits::small;
use super::classes::Classes;
use super::counting::{Counted, Counting, Walk};
use super::partition::Partition;
use super::rank::Ordered;
use super::scatter::PROFILES;
use super::shard::{Profiles, Shard};

/// Words of a partition's bitmap.
const WORDS: usize = PROFILES / 64;
/// So few members of a partition are added one by one.
const FEW: u32 = 256;

/// Which profiles of a partition a fact or rule holds for.
type Word = [u64; WORDS];

/// What all threads need to finish partitions.
pub(super) struct Finish {
    pub(super) evaluation: Arc<Evaluation>,
    pub(super) tables: Vec<Counting>,
    pub(super) values: Vec<RowExpr>,
    pub(super) ranks: Vec<RowExpr>,
    /// The trees, of all rules, whose members are only counted.
    pub(super) counted: Vec<bool>,
}

/// What profiles answered to the questions about their rows.
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
        // The literals of each subject in their order, as the classes know them.
        let questions = &evaluation.profiles;
        let mut position = vec![];
        let mut counts = vec![0_usize; questions.subjects.len()];
        for literal in &questions.literals {
            position.push(counts[literal.subject]);
            counts[literal.subject] += 1;
        }
        let mut leaves = vec![];
        for (leaf, fact) in evaluation.leaves.iter().enumerate() {
            let Leaf::Attribute(literal) = fact else { continue };
            let subject = questions.literals[*literal].subject;
            let mut runs: Vec<(usize, usize)> = vec![];
            for class in 0..of[subject].len() {
                if of[subject].holds(small(class), position[*literal]) {
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
}

/// One thread's working memory, and what it has found.
pub(super) struct Scratch {
    pub(super) partition: Partition,
    pub(super) walk: Walk,
    pub(super) facts: Facts,
    /// For each aggregate the events that matter to it, with their profiles.
    pub(super) fed: Vec<Vec<(u32, u32)>>,
    /// The members found so far, by tree, of all rules.
    pub(super) members: Vec<Members>,
    /// The values by which profiles are ordered, by rank.
    pub(super) ordered: Vec<Ordered>,
    /// How many of them the run has counted.
    pub(super) counted: u64,
    /// The bytes that they take.
    held: usize,
    pub(super) memory: MemoryReservation,
}

impl Scratch {
    pub(super) fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        Self {
            partition: Partition::default(),
            walk: Walk::default(),
            facts: Facts::default(),
            fed: vec![],
            members: vec![],
            ordered: vec![],
            counted: 0,
            held: 0,
            memory: MemoryConsumer::new("members found by an evaluation").register(pool),
        }
    }
}

/// Which leaves hold for which profiles of a partition.
#[derive(Default)]
pub(super) struct Facts {
    bits: Vec<Word>,
    /// The 64 profiles at hand: few enough bytes for all leaves to stay near.
    word: Vec<u64>,
}

impl Facts {
    /// No leaf holds.
    fn clear(&mut self, n_leaves: usize) {
        self.bits.clear();
        self.bits.resize(n_leaves, [0; WORDS]);
        self.word.clear();
        self.word.resize(n_leaves, 0);
    }

    /// A leaf holds for a profile, one of the 64 that are settled next.
    #[inline]
    pub(super) fn set(&mut self, leaf: u32, profile: usize) {
        self.word[leaf as usize] |= 1 << (profile % 64);
    }

    /// Puts down what was set for the 64 profiles from `64 * block` on.
    pub(super) fn settle(&mut self, block: usize) {
        for (bits, word) in self.bits.iter_mut().zip(&mut self.word) {
            if *word != 0 {
                bits[block] |= std::mem::take(word);
            }
        }
    }

    /// Where one leaf holds, another does too.
    pub(super) fn imply(&mut self, leaf: u32, other: u32) {
        let own = self.bits[leaf as usize];
        self.bits[other as usize].iter_mut().zip(&own).for_each(|(other, own)| *other |= own);
    }
}

impl Finish {
    /// No member of any tree has been found.
    pub(super) fn nobody(&self) -> Vec<Members> {
        let of_rule = |counted: &bool| match counted {
            true => Members::Count(0),
            false => Members::Positions(RoaringBitmap::new()),
        };
        self.counted.iter().map(of_rule).collect()
    }

    /// Finds the members among the profiles of a shard's partition, given the events of each table.
    pub(super) fn partition(
        &self,
        shard: &Shard,
        partition: usize,
        events: &[Counted<'_>],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let profiles = shard.partition(partition);
        let (first, n) = (profiles.start, profiles.len());
        scratch.facts.clear(self.evaluation.leaves.len());
        if scratch.members.is_empty() {
            scratch.members = self.nobody();
        }
        scratch.ordered.resize_with(self.ranks.len(), Ordered::default);
        attribute_leaves(&shard.profiles.attributes, first, n, scratch);
        let mut features: HashMap<usize, ArrayRef> = HashMap::new();
        for (table, events) in self.tables.iter().zip(events) {
            table.count(events, partition, n, scratch)?;
            for at in 0..table.aggregates.len() {
                let value = table.aggregate(events.known, at, n, scratch)?;
                features.insert(table.table().aggregates[at].feature, value);
            }
        }
        self.value_leaves(&shard.profiles, first, n, &features, scratch)?;
        for (by, ordered) in self.ranks.iter().zip(&mut scratch.ordered) {
            ordered.add(first, &value(&shard.profiles, by, first, n, &features)?)?;
        }
        self.rules(first, n, scratch)?;
        Ok(scratch.memory.try_resize(scratch.held)?)
    }

    fn value_leaves(
        &self,
        profiles: &Profiles,
        first: usize,
        n: usize,
        features: &HashMap<usize, ArrayRef>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let mut known: Vec<Option<BooleanArray>> = vec![None; self.values.len()];
        for (at, leaf) in self.evaluation.leaves.iter().enumerate() {
            let Leaf::Value { value, truth } = leaf else { continue };
            let answers = match &known[*value] {
                Some(answers) => answers,
                None => {
                    let answers = self::value(profiles, &self.values[*value], first, n, features)?;
                    let answers =
                        cast(&answers, &DataType::Boolean).map_err(|error| bug!("a condition: {error}"))?;
                    known[*value].insert(answers.as_boolean().clone())
                }
            };
            for row in 0..n {
                if answers.is_valid(row) && answers.value(row) == *truth {
                    scratch.facts.bits[at][row / 64] |= 1 << (row % 64);
                }
            }
        }
        Ok(())
    }

    fn rules(&self, first: usize, n: usize, scratch: &mut Scratch) -> Result<()> {
        let start = u32::try_from(first).map_err(|_| bug!("too many profiles"))?;
        // A bitmap's bytes begin at a multiple of eight.
        let shift = start % 8;
        let mut bytes = [0; PROFILES / 8 + 8];
        for (tree, members) in self.evaluation.trees().zip(&mut scratch.members) {
            let mut out = evaluate(tree, &scratch.facts.bits);
            clear_after(&mut out, n);
            let n_members: u32 = out.iter().map(|word| word.count_ones()).sum();
            let members = match members {
                Members::Positions(members) => members,
                Members::Count(n) => {
                    *n += u64::from(n_members);
                    continue;
                }
            };
            // As a bit each, or two bytes where they are few.
            scratch.held += (2 * n_members as usize).min(PROFILES / 8);
            if n_members < FEW {
                // A thread's partitions come in order.
                members
                    .append(positions(&out, start))
                    .map_err(|error| bug!("members out of order: {error}"))?;
                continue;
            }
            let mut carried = 0;
            for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(out.iter().chain(&[0])) {
                *bytes = (word << shift | carried).to_le_bytes();
                carried = word.unbounded_shr(64 - shift);
            }
            *members |= RoaringBitmap::from_lsb0_bytes(start - shift, &bytes);
        }
        Ok(())
    }
}

/// The values of an expression for the profiles of a partition.
fn value(
    profiles: &Profiles,
    expr: &RowExpr,
    first: usize,
    n: usize,
    features: &HashMap<usize, ArrayRef>,
) -> Result<ArrayRef> {
    let mut columns = vec![];
    for (input, field) in expr.inputs.iter().zip(expr.parts().1.fields()) {
        let column = match input {
            Input::Profile(name) => {
                let all = profiles.columns.get(name).ok_or_else(|| bug!("`{name}` was not read"))?;
                all.slice(first, n)
            }
            Input::Feature(at) => {
                let value = features.get(at).ok_or_else(|| bug!("feature {at} was not computed"))?;
                value.slice(0, n)
            }
            Input::Event(_) | Input::Lookup(..) => {
                return Err(bug!("an event in a rule about a profile"));
            }
        };
        columns.push(cast(&column, field.data_type()).map_err(|error| bug!("a value: {error}"))?);
    }
    expr.evaluate(columns, n)
}

/// Sets the leaves that are about attributes.
fn attribute_leaves(of: &Attributes, first: usize, n: usize, scratch: &mut Scratch) {
    let Attributes { classes, n_classes, leaves } = of;
    let mut upto: Vec<Vec<Word>> = vec![];
    for (classes, n_classes) in classes.iter().zip(n_classes) {
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
    for AttributeLeaf { leaf, subject, runs } in leaves {
        let out = &mut scratch.facts.bits[*leaf];
        for (start, end) in runs {
            let (below, upto) = (&upto[*subject][*start], &upto[*subject][*end]);
            out.iter_mut().zip(upto.iter().zip(below)).for_each(|(out, (upto, below))| *out |= upto & !below);
        }
    }
}

/// Sets the bit of each profile in the words of its class, which come after those of none.
fn mark(words: &mut [Word], classes: &[impl Copy + Into<u32>]) {
    for (at, class) in classes.iter().enumerate() {
        let class: u32 = (*class).into();
        words[class as usize + 1][at / 64] |= 1 << (at % 64);
    }
}

/// A tree for 64 profiles a word.
fn evaluate(tree: &Tree, bits: &[Word]) -> Word {
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
fn positions(word: &Word, start: u32) -> impl Iterator<Item = u32> {
    word.iter().zip((0..).step_by(64)).flat_map(move |(word, first)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let found = (left != 0).then(|| start + first + left.trailing_zeros());
            left &= left.wrapping_sub(1);
            found
        })
    })
}

fn clear_after(word: &mut Word, n: usize) {
    for (at, word) in word.iter_mut().enumerate() {
        let left = n.saturating_sub(at * 64);
        if left < 64 {
            *word &= (1 << left) - 1;
        }
    }
}
