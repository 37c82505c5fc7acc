//! Partition by partition: the events of a few thousand profiles become facts, and facts become members.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use hashbrown::{HashMap, HashSet};
use roaring::RoaringBitmap;

use crate::bug;
use crate::compile::{Arg, Evaluation, Leaf, Table, Tree, float_key};
use crate::error::Result;

use super::bind::{BoundAggregate, Input, RowExpr};
use super::bits::{Lists, small};
use super::classes::Classes;
use super::scatter::{Event, PROFILES, SHIFT, Scatter};
use super::table::{EventTable, Profiles};

/// Words of a partition's bitmap.
const WORDS: usize = PROFILES / 64;
/// No leaf, no chain.
const NONE: u32 = u32::MAX;

/// Which profiles of a partition a fact or rule holds for.
type Word = [u64; WORDS];

/// What all threads need to finish partitions.
pub(super) struct Finish {
    pub(super) evaluation: Arc<Evaluation>,
    pub(super) profiles: Arc<Profiles>,
    pub(super) tables: Vec<Counting>,
    pub(super) attributes: Attributes,
    pub(super) values: Vec<RowExpr>,
    /// The columns of profiles that values need.
    pub(super) value_columns: HashMap<String, ArrayRef>,
}

/// What profiles answered to the questions about their rows.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// For each subject the class of each profile.
    pub(super) classes: Vec<Vec<u32>>,
    /// The classes themselves.
    pub(super) of: Vec<Classes>,
}

/// How the events of one table are counted.
pub(super) struct Counting {
    evaluation: Arc<Evaluation>,
    /// The position among the evaluation's tables.
    at: usize,
    events: Arc<EventTable>,
    scatters: Vec<Scatter>,
    /// The counters of each signature: those of all events, and those of distinct values.
    counters: Lists,
    distinct: Lists,
    /// Instants since which something is counted, latest first.
    edges: Vec<i64>,
    /// For each counter where its rows begin; a row for each count that some leaf asks about, in order.
    rows: Vec<u32>,
    /// For each row the chain of leaves that ask for this count.
    chain: Vec<u32>,
    /// For each chain and window the leaf that an event in it makes true.
    leaf: Vec<u32>,
    /// The leaves of each chain, narrowest window first: each implies the next.
    chains: Vec<Vec<u32>>,
    /// The measures of each signature.
    measures: Lists,
    sums: Vec<Summing>,
    /// The channels of each signature, in order.
    channels: Vec<Vec<u32>>,
    /// The aggregates that events of a signature may matter to.
    feeds: Lists,
    aggregates: Vec<BoundAggregate>,
    /// For each group, for each signature, which of the group's counts an event is one of.
    groups: Vec<Vec<u64>>,
    /// For each group the leaves about it: at least so many, and the leaf.
    group_leaves: Vec<Vec<(u32, u32)>>,
    /// The atoms of each signature.
    atoms: Vec<Vec<u32>>,
}

impl Counting {
    pub(super) fn new(
        evaluation: &Arc<Evaluation>,
        at: usize,
        events: Arc<EventTable>,
        scatters: Vec<Scatter>,
        aggregates: Vec<BoundAggregate>,
    ) -> Self {
        let table = &evaluation.tables[at];
        // The leaves of each counter: count, instant, leaf.
        let mut asked: Vec<Vec<(u32, i64, u32)>> = vec![vec![]; table.counters.len()];
        let mut group_leaves = vec![vec![]; table.groups.len()];
        let mut below: Vec<Vec<Below>> = vec![vec![]; table.measures.len()];
        let mut edges = vec![];
        for (position, leaf) in evaluation.leaves.iter().enumerate() {
            match *leaf {
                Leaf::Count { table, counter, since, least } if table == at => {
                    asked[counter].push((least, since, small(position)));
                    edges.push(since);
                }
                Leaf::Below { table, measure, since, bound, or_equal } if table == at => {
                    below[measure].push(Below { since, bound, or_equal, leaf: small(position), window: 0 });
                    edges.push(since);
                }
                Leaf::Groups { table, group, least } if table == at => {
                    group_leaves[group].push((least, small(position)));
                }
                _ => {}
            }
        }
        edges.sort_unstable_by(|left, right| right.cmp(left));
        edges.dedup();
        let (mut rows, mut chain, mut leaf, mut chains) = (vec![], vec![], vec![], vec![]);
        for asked in &mut asked {
            rows.push(small(chain.len()));
            asked.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)));
            let most = asked.last().map_or(0, |(least, ..)| *least);
            for least in 1..=most {
                let own: Vec<(i64, u32)> =
                    asked.iter().filter(|leaf| leaf.0 == least).map(|leaf| (leaf.1, leaf.2)).collect();
                if own.is_empty() {
                    chain.push(NONE);
                    continue;
                }
                chain.push(small(chains.len()));
                leaf.extend(
                    edges.iter().map(|edge| {
                        own.iter().find(|(since, _)| since <= edge).map_or(NONE, |(_, leaf)| *leaf)
                    }),
                );
                chains.push(own.into_iter().map(|(_, leaf)| leaf).collect());
            }
        }
        rows.push(small(chain.len()));
        let atoms = events.signatures.all();
        let sums = below.into_iter().zip(&table.measures).map(|(below, measure)| {
            Summing::new(below, &edges, !measure.mean && !events.channels[measure.channel].is_float())
        });
        let sums = sums.collect();
        let (mut counters, mut distinct, mut feeds) = (Lists::default(), Lists::default(), Lists::default());
        let mut measures = Lists::default();
        let mut of_atom: Vec<Vec<u32>> = vec![vec![]; table.atoms.len()];
        for (counter, asked) in asked.iter().enumerate() {
            if !asked.is_empty() {
                of_atom[table.counters[counter].atom].push(small(counter));
            }
        }
        let mut channels = vec![];
        for own in &atoms {
            let all = || own.iter().flat_map(|atom| of_atom[*atom as usize].iter().copied());
            let is_distinct = |counter: &u32| table.counters[*counter as usize].distinct.is_some();
            counters.push(all().filter(|counter| !is_distinct(counter)));
            distinct.push(all().filter(is_distinct));
            let is_own = |at: &usize| holds(own, table.measures[*at].atom);
            measures.push((0..table.measures.len()).filter(is_own).map(small));
            feeds.push(
                (0..table.aggregates.len()).filter(|at| feeds_on(&table.aggregates[*at], own)).map(small),
            );
            channels.push(events.terms.channels(own));
        }
        let groups = table.groups.iter().map(|group| {
            let mask = |own: &Vec<u32>| {
                let leaves = group.leaves.iter().enumerate();
                let counted = leaves.filter(|(_, leaf)| holds(own, table.counters[leaf.counter].atom));
                counted.fold(0, |mask, (at, _)| mask | 1 << at)
            };
            atoms.iter().map(mask).collect()
        });
        let groups = groups.collect();
        Self {
            evaluation: Arc::clone(evaluation),
            at,
            events,
            scatters,
            counters,
            distinct,
            edges,
            rows,
            chain,
            leaf,
            chains,
            measures,
            sums,
            channels,
            feeds,
            aggregates,
            groups,
            group_leaves,
            atoms,
        }
    }

    fn table(&self) -> &Table {
        &self.evaluation.tables[self.at]
    }
}

/// How one measure is summed: by its own windows, narrowest first, each the events that the one before lacks.
#[derive(Debug)]
struct Summing {
    /// For each of the table's edges the first of the measure's windows that holds an event there.
    window: Vec<u32>,
    n_windows: usize,
    /// Whether sums are whole numbers.
    whole: bool,
    leaves: Vec<Below>,
}

/// A leaf about a measure.
#[derive(Clone, Copy, Debug)]
struct Below {
    since: i64,
    bound: crate::compile::Number,
    or_equal: bool,
    leaf: u32,
    /// The position of its window among the measure's.
    window: usize,
}

/// What is summed of one profile's events in one window.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    n: i64,
    float: f64,
    whole: i64,
}

impl Summing {
    fn new(mut leaves: Vec<Below>, edges: &[i64], whole: bool) -> Self {
        let mut windows: Vec<i64> = leaves.iter().map(|leaf| leaf.since).collect();
        windows.sort_unstable_by(|left, right| right.cmp(left));
        windows.dedup();
        for leaf in &mut leaves {
            leaf.window = windows.iter().position(|since| *since == leaf.since).unwrap_or_default();
        }
        let first = |edge: &i64| windows.iter().position(|since| since <= edge).map_or(NONE, small);
        Self { window: edges.iter().map(first).collect(), n_windows: windows.len(), whole, leaves }
    }
}

impl Below {
    fn holds(&self, sum: Sum, mean: bool, whole: bool) -> bool {
        if sum.n == 0 {
            return false;
        }
        let order = if whole {
            match self.bound.whole {
                Some(bound) => sum.whole.cmp(&bound),
                #[expect(clippy::cast_precision_loss, reason = "as SQL compares a whole number with another")]
                None => float_key(sum.whole as f64).cmp(&self.bound.float),
            }
        } else {
            #[expect(clippy::cast_precision_loss, reason = "a count")]
            let value = if mean { sum.float / sum.n as f64 } else { sum.float };
            float_key(value).cmp(&self.bound.float)
        };
        order.is_lt() || (self.or_equal && order.is_eq())
    }
}

/// Whether an event with these atoms may matter to an aggregate.
fn feeds_on(aggregate: &crate::compile::Aggregate, atoms: &[u32]) -> bool {
    let condition = |arg: &Arg| matches!(arg, Arg::Condition(atom, _) if holds(atoms, *atom));
    holds(atoms, aggregate.atom) && (!aggregate.matching || aggregate.args.iter().any(condition))
}

fn holds(atoms: &[u32], atom: usize) -> bool {
    atoms.binary_search(&small(atom)).is_ok()
}

/// An event of a partition, sorted by profile.
#[derive(Clone, Copy, Debug, Default)]
struct Sorted {
    time: i64,
    signature: u32,
    /// Where its values begin.
    values: u32,
}

/// One thread's working memory.
#[derive(Default)]
pub(super) struct Scratch {
    events: Vec<Event>,
    values: Vec<u64>,
    sorted: Vec<Sorted>,
    offsets: Vec<u32>,
    /// For each leaf the partition's bitmap.
    bits: Vec<Word>,
    /// For each leaf the word of the 64 profiles at hand.
    word: Vec<u64>,
    /// For each counter when it was last counted, and its row.
    state: Vec<(u32, u32)>,
    seen: HashMap<u32, (u32, HashSet<u64>)>,
    /// For each measure its sums by window, and the measures that the profile at hand has any of.
    sums: Vec<Vec<Sum>>,
    summed: Vec<u32>,
    stamp: u32,
    /// For each aggregate the events that matter to it.
    fed: Vec<Vec<(u32, u32)>>,
    by_key: Vec<(u64, i64, u64)>,
    /// The members found so far, by rule.
    pub(super) members: Vec<RoaringBitmap>,
}

impl Finish {
    /// How many partitions there are.
    pub(super) fn n_partitions(&self) -> usize {
        self.profiles.keys.len().div_ceil(PROFILES)
    }

    /// Finds the members among the profiles of a partition.
    pub(super) fn partition(&self, partition: usize, scratch: &mut Scratch) -> Result<()> {
        let first = partition << SHIFT;
        let n = (self.profiles.keys.len() - first).min(PROFILES);
        scratch.bits.clear();
        scratch.bits.resize(self.evaluation.leaves.len(), [0; WORDS]);
        scratch.word.clear();
        scratch.word.resize(self.evaluation.leaves.len(), 0);
        scratch.members.resize(self.evaluation.rules.len(), RoaringBitmap::new());
        self.attribute_leaves(first, n, scratch);
        let mut features: HashMap<usize, ArrayRef> = HashMap::new();
        for table in &self.tables {
            table.count(partition, n, scratch)?;
            for (at, bound) in table.aggregates.iter().enumerate() {
                let value = table.aggregate(at, bound, n, scratch)?;
                features.insert(table.table().aggregates[at].feature, value);
            }
        }
        self.value_leaves(first, n, &features, scratch)?;
        self.rules(first, n, scratch)
    }

    fn attribute_leaves(&self, first: usize, n: usize, scratch: &mut Scratch) {
        // The literals of each subject in their order, as the classes know them.
        let questions = &self.evaluation.profiles;
        let mut position = vec![0; questions.literals.len()];
        let mut counts = vec![0_usize; questions.subjects.len()];
        for (at, literal) in questions.literals.iter().enumerate() {
            position[at] = counts[literal.subject];
            counts[literal.subject] += 1;
        }
        let mut by_class: Vec<Vec<Word>> = vec![vec![]; questions.subjects.len()];
        for (subject, classes) in self.attributes.classes.iter().enumerate() {
            // Profiles of all classes up to one, so that a run of classes is a difference of two.
            let words = &mut by_class[subject];
            words.resize(self.attributes.of[subject].len() + 1, [0; WORDS]);
            for (at, class) in classes[first..first + n].iter().enumerate() {
                words[*class as usize + 1][at / 64] |= 1 << (at % 64);
            }
            for class in 1..words.len() {
                let (before, own) = words.split_at_mut(class);
                own[0].iter_mut().zip(&before[class - 1]).for_each(|(own, before)| *own |= before);
            }
        }
        for (at, leaf) in self.evaluation.leaves.iter().enumerate() {
            let Leaf::Attribute(literal) = leaf else { continue };
            let subject = questions.literals[*literal].subject;
            let (classes, words) = (&self.attributes.of[subject], &by_class[subject]);
            let out = &mut scratch.bits[at];
            let mut class = 0;
            while class < classes.len() {
                if !classes.holds(small(class), position[*literal]) {
                    class += 1;
                    continue;
                }
                let start = class;
                while class < classes.len() && classes.holds(small(class), position[*literal]) {
                    class += 1;
                }
                let (below, upto) = (&words[start], &words[class]);
                out.iter_mut()
                    .zip(upto.iter().zip(below))
                    .for_each(|(out, (upto, below))| *out |= upto & !below);
            }
        }
    }

    fn value_leaves(
        &self,
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
                    let answers = self.value(&self.values[*value], first, n, features)?;
                    known[*value].insert(answers)
                }
            };
            for row in 0..n {
                if answers.is_valid(row) && answers.value(row) == *truth {
                    scratch.bits[at][row / 64] |= 1 << (row % 64);
                }
            }
        }
        Ok(())
    }

    fn value(
        &self,
        expr: &RowExpr,
        first: usize,
        n: usize,
        features: &HashMap<usize, ArrayRef>,
    ) -> Result<BooleanArray> {
        let mut columns = vec![];
        for (input, field) in expr.inputs.iter().zip(expr.parts().1.fields()) {
            let column = match input {
                Input::Profile(name) => {
                    let all = self.value_columns.get(name).ok_or_else(|| bug!("`{name}` was not read"))?;
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
        let answers = expr.evaluate(columns, n)?;
        let answers = cast(&answers, &DataType::Boolean).map_err(|error| bug!("a condition: {error}"))?;
        Ok(answers.as_boolean().clone())
    }

    fn rules(&self, first: usize, n: usize, scratch: &mut Scratch) -> Result<()> {
        let start = u32::try_from(first).map_err(|_| bug!("too many profiles"))?;
        let mut bytes = [0; PROFILES / 8];
        for ((_, tree), members) in self.evaluation.rules.iter().zip(&mut scratch.members) {
            let mut out = evaluate(tree, &scratch.bits);
            clear_after(&mut out, n);
            if out.iter().all(|word| *word == 0) {
                continue;
            }
            for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&out) {
                *bytes = word.to_le_bytes();
            }
            *members |= RoaringBitmap::from_lsb0_bytes(start, &bytes);
        }
        Ok(())
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

fn clear_after(word: &mut Word, n: usize) {
    for (at, word) in word.iter_mut().enumerate() {
        let left = n.saturating_sub(at * 64);
        if left < 64 {
            *word &= (1 << left) - 1;
        }
    }
}

impl Counting {
    /// Walks over the events of a partition's profiles and sets the leaves that are counts.
    fn count(&self, partition: usize, n: usize, scratch: &mut Scratch) -> Result<()> {
        self.sort(partition, n, scratch)?;
        scratch.state.clear();
        scratch.state.resize(self.table().counters.len(), (0, 0));
        scratch.seen.clear();
        scratch.sums.clear();
        scratch.sums.extend(self.sums.iter().map(|summing| vec![Sum::default(); summing.n_windows]));
        scratch.stamp = 0;
        scratch.fed.iter_mut().for_each(Vec::clear);
        scratch.fed.resize_with(self.table().aggregates.len(), Vec::new);
        for profile in 0..n {
            let range = scratch.offsets[profile] as usize..scratch.offsets[profile + 1] as usize;
            if !range.is_empty() {
                self.walk(profile, range.clone(), scratch);
                if !self.aggregates.is_empty() {
                    self.feed(profile, range.clone(), scratch);
                }
                if !self.groups.is_empty() {
                    self.group(profile, range, scratch);
                }
            }
            self.compare_sums(profile, scratch);
            if profile % 64 == 63 || profile + 1 == n {
                for chain in &self.chains {
                    for leaf in chain {
                        let word = std::mem::take(&mut scratch.word[*leaf as usize]);
                        scratch.bits[*leaf as usize][profile / 64] |= word;
                    }
                }
            }
        }
        for chain in &self.chains {
            for pair in chain.windows(2) {
                let narrow = scratch.bits[pair[0] as usize];
                let wide = &mut scratch.bits[pair[1] as usize];
                wide.iter_mut().zip(&narrow).for_each(|(wide, narrow)| *wide |= narrow);
            }
        }
        Ok(())
    }

    /// Sorts a partition's events by profile and time.
    fn sort(&self, partition: usize, n: usize, scratch: &mut Scratch) -> Result<()> {
        let Scratch { events, values, sorted, offsets, .. } = scratch;
        events.clear();
        values.clear();
        for scatter in &self.scatters {
            scatter.read(partition, events, values)?;
        }
        offsets.clear();
        offsets.resize(n + 1, 0);
        for event in &*events {
            offsets[usize::from(event.profile) + 1] += 1;
        }
        for profile in 0..n {
            offsets[profile + 1] += offsets[profile];
        }
        sorted.clear();
        sorted.resize(events.len(), Sorted::default());
        let mut next = offsets.clone();
        let mut at_value = 0_usize;
        for event in &*events {
            let slot = &mut next[usize::from(event.profile)];
            sorted[*slot as usize] =
                Sorted { time: event.time, signature: event.signature, values: small(at_value) };
            *slot += 1;
            let kept = self.channels[event.signature as usize].len();
            if kept > 0 {
                at_value += kept + 1;
            }
        }
        for profile in 0..n {
            let own = &mut sorted[offsets[profile] as usize..offsets[profile + 1] as usize];
            // Files are nearly in the order of time.
            if !own.is_sorted_by_key(|event| event.time) {
                own.sort_by_key(|event| event.time);
            }
        }
        Ok(())
    }

    /// The newest event first: the k-th event of a counter that is met is its k-th latest, and the window it falls in
    /// says which leaf it makes true.
    fn walk(&self, profile: usize, range: std::ops::Range<usize>, scratch: &mut Scratch) {
        scratch.stamp += 1;
        let (stamp, bit) = (scratch.stamp, 1 << (profile % 64));
        let n_edges = self.edges.len();
        let mut window = 0;
        for at in range.rev() {
            let event = scratch.sorted[at];
            while window < n_edges && event.time < self.edges[window] {
                window += 1;
            }
            if window == n_edges {
                break;
            }
            for &counter in self.counters.get(event.signature as usize) {
                let state = &mut scratch.state[counter as usize];
                if state.0 != stamp {
                    *state = (stamp, self.rows[counter as usize]);
                }
                if state.1 == self.rows[counter as usize + 1] {
                    continue;
                }
                let chain = self.chain[state.1 as usize];
                state.1 += 1;
                if chain != NONE {
                    let leaf = self.leaf[chain as usize * n_edges + window];
                    if leaf != NONE {
                        scratch.word[leaf as usize] |= bit;
                    }
                }
            }
            self.sum(event, window, scratch);
            for &counter in self.distinct.get(event.signature as usize) {
                let Some(channel) = self.table().counters[counter as usize].distinct else { continue };
                let Some(value) = self.value(&scratch.values, event, channel) else { continue };
                let seen = scratch.seen.entry(counter).or_default();
                if seen.0 != stamp {
                    seen.0 = stamp;
                    seen.1.clear();
                    scratch.state[counter as usize] = (stamp, self.rows[counter as usize]);
                }
                let state = &mut scratch.state[counter as usize];
                if state.1 == self.rows[counter as usize + 1] || !seen.1.insert(value) {
                    continue;
                }
                let chain = self.chain[state.1 as usize];
                state.1 += 1;
                if chain != NONE {
                    let leaf = self.leaf[chain as usize * n_edges + window];
                    if leaf != NONE {
                        scratch.word[leaf as usize] |= bit;
                    }
                }
            }
        }
    }

    /// Adds an event's values to the sums that they belong to.
    fn sum(&self, event: Sorted, window: usize, scratch: &mut Scratch) {
        for &at in self.measures.get(event.signature as usize) {
            let (summing, measure) = (&self.sums[at as usize], self.table().measures[at as usize]);
            let own = summing.window[window];
            let Some(value) = self.value(&scratch.values, event, measure.channel) else { continue };
            if own == NONE {
                continue;
            }
            let sums = &mut scratch.sums[at as usize];
            if sums.iter().all(|sum| sum.n == 0) {
                scratch.summed.push(at);
            }
            let sum = &mut sums[own as usize];
            sum.n += 1;
            if summing.whole {
                sum.whole = sum.whole.wrapping_add(value.cast_signed());
            } else if self.events.channels[measure.channel].is_float() {
                sum.float += f64::from_bits(value);
            } else {
                #[expect(clippy::cast_precision_loss, reason = "as SQL's mean of whole numbers")]
                let value = value.cast_signed() as f64;
                sum.float += value;
            }
        }
    }

    /// Compares the sums of a profile, and forgets them.
    fn compare_sums(&self, profile: usize, scratch: &mut Scratch) {
        while let Some(at) = scratch.summed.pop() {
            let (summing, measure) = (&self.sums[at as usize], self.table().measures[at as usize]);
            let sums = &mut scratch.sums[at as usize];
            for window in 1..sums.len() {
                let before = sums[window - 1];
                let sum = &mut sums[window];
                sum.n += before.n;
                sum.float += before.float;
                sum.whole = sum.whole.wrapping_add(before.whole);
            }
            for leaf in &summing.leaves {
                if leaf.holds(sums[leaf.window], measure.mean, summing.whole) {
                    scratch.bits[leaf.leaf as usize][profile / 64] |= 1 << (profile % 64);
                }
            }
            sums.fill(Sum::default());
        }
    }

    /// The value kept of an event in a channel, unless it is NULL.
    fn value(&self, values: &[u64], event: Sorted, channel: usize) -> Option<u64> {
        let channels = &self.channels[event.signature as usize];
        let at = channels.binary_search(&small(channel)).ok()?;
        let start = event.values as usize;
        (values[start] >> at & 1 == 1).then(|| values[start + 1 + at])
    }

    /// Remembers which events matter to which aggregates.
    fn feed(&self, profile: usize, range: std::ops::Range<usize>, scratch: &mut Scratch) {
        for at in range {
            let event = scratch.sorted[at];
            for &aggregate in self.feeds.get(event.signature as usize) {
                if event.time >= self.table().aggregates[aggregate as usize].since {
                    scratch.fed[aggregate as usize].push((small(profile), small(at)));
                }
            }
        }
    }

    /// The value of an aggregate for each profile of the partition.
    fn aggregate(&self, at: usize, bound: &BoundAggregate, n: usize, scratch: &Scratch) -> Result<ArrayRef> {
        let (aggregate, fed) = (&self.table().aggregates[at], &scratch.fed[at]);
        let function = Arc::clone(&bound.function);
        let mut accumulator: Box<dyn GroupsAccumulator> = if function.groups_accumulator_supported() {
            function.create_groups_accumulator()?
        } else {
            Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator()))
        };
        let groups: Vec<usize> = fed.iter().map(|(profile, _)| *profile as usize).collect();
        let events = || fed.iter().map(|(_, at)| scratch.sorted[*at as usize]);
        let mut columns: Vec<ArrayRef> = vec![];
        for (arg, data_type) in bound.types.iter().enumerate() {
            let column: ArrayRef = match (aggregate.args.get(arg), &bound.constants[arg]) {
                (_, Some(constant)) => {
                    let empty =
                        arrow::array::RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
                    constant.evaluate(&empty)?.into_array(fed.len().max(1))?.slice(0, fed.len())
                }
                (Some(Arg::Time), _) => {
                    let times: Int64Array =
                        events().map(|event| (event.time != i64::MIN).then_some(event.time)).collect();
                    self.times(times)?
                }
                (Some(Arg::Condition(atom, since)), _) => {
                    let truth = |event: Sorted| {
                        event.time >= *since && holds(&self.atoms[event.signature as usize], *atom)
                    };
                    Arc::new(events().map(|event| Some(truth(event))).collect::<BooleanArray>())
                }
                (Some(Arg::Channel(channel)), _) => {
                    let values: Vec<Option<u64>> =
                        events().map(|event| self.value(&scratch.values, event, *channel)).collect();
                    let channel = &self.events.channels[*channel];
                    channel.decode(&values, &channel.texts())?
                }
                (Some(Arg::Constant) | None, None) => return Err(bug!("a constant without a value")),
            };
            columns.push(cast(&column, data_type).map_err(|error| bug!("an argument: {error}"))?);
        }
        // Without a filter DataFusion's accumulators take every group for one that has rows: a profile without events
        // would get a value, 0, instead of none.
        let all = BooleanArray::new(BooleanBuffer::new_set(groups.len()), None);
        accumulator.update_batch(&columns, &groups, Some(&all), n)?;
        Ok(accumulator.evaluate(EmitTo::All)?)
    }

    /// Times as the table's timestamp column has them.
    fn times(&self, times: Int64Array) -> Result<ArrayRef> {
        let failed = |error| bug!("timestamps: {error}");
        let times: ArrayRef = Arc::new(times);
        match &self.events.time_type {
            DataType::Date32 => {
                let days = cast(&times, &DataType::Int32).map_err(failed)?;
                cast(&days, &DataType::Date32).map_err(failed)
            }
            data_type => cast(&times, data_type).map_err(failed),
        }
    }

    /// For how many groups of a profile's events each group rule holds.
    fn group(&self, profile: usize, range: std::ops::Range<usize>, scratch: &mut Scratch) {
        for ((group, masks), leaves) in self.table().groups.iter().zip(&self.groups).zip(&self.group_leaves) {
            let mut by_key = std::mem::take(&mut scratch.by_key);
            by_key.clear();
            for at in range.clone() {
                let event = scratch.sorted[at];
                let mask = masks[event.signature as usize];
                if mask != 0
                    && let Some(key) = self.value(&scratch.values, event, group.key)
                {
                    by_key.push((key, event.time, mask));
                }
            }
            by_key.sort_unstable();
            let mut found = 0_u32;
            let mut counts = vec![0_u32; group.leaves.len()];
            for own in by_key.chunk_by(|left, right| left.0 == right.0) {
                counts.fill(0);
                for (_, time, mask) in own {
                    for (at, leaf) in group.leaves.iter().enumerate() {
                        counts[at] += u32::from(mask >> at & 1 == 1 && *time >= leaf.since);
                    }
                }
                let met = |at: usize| counts[at] >= group.leaves[at].least;
                found += u32::from(group.rule.holds(&met));
            }
            for (least, leaf) in leaves {
                if found >= *least {
                    scratch.bits[*leaf as usize][profile / 64] |= 1 << (profile % 64);
                }
            }
            scratch.by_key = by_key;
        }
    }
}
