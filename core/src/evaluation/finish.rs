//! Partition by partition: the events of a few thousand profiles become facts, and facts become members.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use crate::bug;
use crate::compile::{Evaluation, Leaf};
use crate::error::Result;

use super::Members;
use super::bind::{Input, RowExpr};
use super::counting::{Counted, Counting, Walk};
use super::partition::Partition;
use super::rank::Ordered;
use super::scatter::PROFILES;
use super::shard::{Profiles, Shard};
use super::words::{WORDS, Word, clear_after, evaluate, positions};

/// So few members of a partition are added one by one.
const FEW: u32 = 256;

/// What all threads need to finish partitions.
pub(super) struct Finish {
    pub(super) evaluation: Arc<Evaluation>,
    pub(super) tables: Vec<Counting>,
    pub(super) values: Vec<RowExpr>,
    pub(super) ranks: Vec<RowExpr>,
    /// The trees, of all rules, whose members are only counted.
    pub(super) counted: Vec<bool>,
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
    pub(super) fn clear(&mut self, n_leaves: usize) {
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

    /// A leaf holds for some of the 64 profiles from `64 * block` on.
    #[inline]
    pub(super) fn put(&mut self, leaf: u32, block: usize, profiles: u64) {
        self.bits[leaf as usize][block] |= profiles;
    }

    /// Whether a leaf holds for a profile.
    #[cfg(test)]
    pub(super) fn holds(&self, leaf: u32, profile: usize) -> bool {
        self.bits[leaf as usize][profile / 64] >> (profile % 64) & 1 == 1
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
        shard.profiles.attributes.mark(first, n, &mut scratch.facts.bits);
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
