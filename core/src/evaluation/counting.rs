//! The events of one table counted: one walk over each profile's events, newest first, makes leaves true.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::StringArray;

use crate::compile::{Arg, Counter, Evaluation, Leaf, Table};
use crate::error::Result;

use super::bind::BoundAggregate;
use super::bits::{Lists, Part, small};
use super::finish::{Facts, Scratch};
use super::leaves::{Asked, Bits};
use super::partition::Sorted;
use super::scatter::Scatter;
use super::sequels::{self, Following, Sequels};
use super::signature::Kept;
use super::sums::{Below, Kind, Summing};
use super::table::EventTable;
use super::tally::{self, Tallied, Tally};

/// No leaf, no chain.
const NONE: u32 = u32::MAX;

/// How the events of one table are counted.
pub(super) struct Counting {
    evaluation: Arc<Evaluation>,
    /// The position among the evaluation's tables.
    at: usize,
    pub(super) events: Arc<EventTable>,
    /// Instants since which something is counted, latest first.
    edges: Vec<i64>,
    /// Counts up to small numbers, and events with a sequel. What follows is about other counts, and those of distinct
    /// values.
    tally: Tally,
    sequels: Sequels,
    /// For each counter its first row.
    first: Vec<u32>,
    /// A row for each count that some leaf asks about, in order, and one for all others, after which it comes again.
    rows: Vec<Row>,
    /// For each chain and window the leaf that an event in it makes true.
    leaf: Vec<u32>,
    /// The leaves of each chain, narrowest window first: each implies the next.
    chains: Vec<Vec<u32>>,
    sums: Vec<Summing>,
    pub(super) aggregates: Vec<BoundAggregate>,
    /// For each group the leaves about it: at least so many, and the leaf.
    group_leaves: Vec<Vec<(u32, u32)>>,
    /// The counters of each atom that some leaf asks about.
    of_atom: Vec<Vec<u32>>,
}

/// How far a counter has come.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The row of the next event.
    next: u32,
    /// The chain of leaves that ask for this count.
    chain: u32,
}

/// What is known of the signatures found so far, and of the strings that are kept: more while events are read.
#[derive(Default)]
pub(super) struct Known {
    /// The atoms of each signature.
    atoms: Vec<Vec<u32>>,
    /// What is done with events of each signature: parts of the two lists.
    acts: Vec<Act>,
    bits: Vec<Bits>,
    items: Vec<u32>,
    /// The aggregates that events of a signature may matter to.
    feeds: Lists,
    /// What is kept of events of each signature.
    pub(super) kept: Vec<Kept>,
    /// For each signature, for each group, which of the group's counts an event is one of.
    groups: Vec<Vec<u64>>,
    /// The strings of each channel, where an aggregate takes them.
    pub(super) texts: Vec<StringArray>,
}

/// What is done with an event: in one place, since it is looked up for each.
#[derive(Clone, Copy, Debug)]
struct Act {
    tally: tally::Act,
    /// Whether that is all.
    only_tally: bool,
    sequels: sequels::Act,
    /// Counters of events, and of distinct values.
    counters: Part,
    distinct: Part,
    measures: Part,
}

/// The events of one table that are there to be counted.
pub(super) struct Counted<'a> {
    pub(super) scatters: &'a [Scatter],
    pub(super) known: &'a Known,
}

/// What is known of the profile at hand while its events are walked over.
#[derive(Default)]
pub(super) struct Walk {
    /// Marks what belongs to the profile at hand: what has another stamp is another profile's.
    stamp: u32,
    tallied: Tallied,
    /// For each counter when it was last counted, and its row.
    counters: Vec<(u32, u32)>,
    /// For each counter of distinct values those that were met.
    values: Vec<Vec<u64>>,
    following: Following,
    /// For each measure its sums, and the measures that have any.
    sums: Vec<super::sums::Sums>,
    summed: Vec<u32>,
    by_key: Vec<(u64, i64, u64)>,
}

impl Known {
    /// Whether an event is one of a condition, since an instant.
    pub(super) fn is_one(&self, event: Sorted, atom: usize, since: i64) -> bool {
        event.time >= since && holds(&self.atoms[event.signature as usize], atom)
    }
}

impl Counting {
    pub(super) fn new(
        evaluation: &Arc<Evaluation>,
        at: usize,
        events: Arc<EventTable>,
        aggregates: Vec<BoundAggregate>,
    ) -> Self {
        let table = &evaluation.tables[at];
        // The leaves of each counter: count, instant, leaf.
        let mut asked: Vec<Vec<(u32, i64, u32)>> = vec![vec![]; table.counters.len()];
        let mut group_leaves = vec![vec![]; table.groups.len()];
        let mut below: Vec<Vec<Below>> = vec![vec![]; table.measures.len()];
        let (mut edges, mut counts, mut sequels) = (vec![], vec![], vec![]);
        for (position, leaf) in evaluation.leaves.iter().enumerate() {
            match *leaf {
                Leaf::Count { table: of, counter, since, least } if of == at => {
                    let Counter { atom, distinct, sequel } = table.counters[counter];
                    let own = Asked { atom, since, leaf: small(position) };
                    match (sequel, distinct) {
                        // Whether there is one is all that is asked.
                        (Some(sequel), _) => sequels.push((own, table.sequels[sequel].clone())),
                        (None, None) if (1..=tally::MOST).contains(&least) => counts.push((least, own)),
                        _ => asked[counter].push((least, since, own.leaf)),
                    }
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
        let tally = Tally::new(counts, &table.atoms, &edges);
        let sequels = Sequels::new(sequels, &table.seconds, &table.atoms, &edges);
        let (mut first, mut rows, mut leaf, mut chains) = (vec![], vec![], vec![], vec![]);
        for asked in &mut asked {
            first.push(small(rows.len()));
            asked.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)));
            let most = asked.last().map_or(0, |(least, ..)| *least);
            for least in 1..=most {
                let own: Vec<(i64, u32)> =
                    asked.iter().filter(|leaf| leaf.0 == least).map(|leaf| (leaf.1, leaf.2)).collect();
                let next = small(rows.len() + 1);
                if own.is_empty() {
                    rows.push(Row { next, chain: NONE });
                    continue;
                }
                rows.push(Row { next, chain: small(chains.len()) });
                leaf.extend(
                    edges.iter().map(|edge| {
                        own.iter().find(|(since, _)| since <= edge).map_or(NONE, |(_, leaf)| *leaf)
                    }),
                );
                chains.push(own.into_iter().map(|(_, leaf)| leaf).collect());
            }
            rows.push(Row { next: small(rows.len()), chain: NONE });
        }
        let sums = below.into_iter().zip(&table.measures).map(|(below, measure)| {
            let kind = match (events.channels[measure.channel].is_float(), measure.mean) {
                (true, _) => Kind::Float,
                (false, true) => Kind::WholeToMean,
                (false, false) => Kind::Whole,
            };
            Summing::new(below, &edges, kind, measure.mean)
        });
        let sums = sums.collect();
        let mut of_atom: Vec<Vec<u32>> = vec![vec![]; table.atoms.len()];
        for (counter, asked) in asked.iter().enumerate() {
            if !asked.is_empty() {
                of_atom[table.counters[counter].atom].push(small(counter));
            }
        }
        let evaluation = Arc::clone(evaluation);
        Self {
            evaluation,
            at,
            events,
            edges,
            tally,
            sequels,
            first,
            rows,
            leaf,
            chains,
            sums,
            aggregates,
            group_leaves,
            of_atom,
        }
    }

    /// Learns what has been found since.
    pub(super) fn learn(&self, known: &mut Known) {
        let table = self.table();
        for own in self.events.signatures.from(known.atoms.len()) {
            let Known { bits, items, .. } = known;
            let all = || own.iter().flat_map(|atom| self.of_atom[*atom as usize].iter().copied());
            let is_distinct = |at: &u32| table.counters[*at as usize].distinct.is_some();
            let is_second = |at: &usize| holds(&own, table.seconds[*at].atom);
            let is_summed = |at: &usize| holds(&own, table.measures[*at].atom);
            let seconds = (0..table.seconds.len()).filter(is_second).map(small);
            let mut act = Act {
                tally: self.tally.of(&own, bits),
                only_tally: false,
                sequels: self.sequels.of(&own, seconds, bits, items),
                counters: Part::push(items, all().filter(|at| !is_distinct(at))),
                distinct: Part::push(items, all().filter(is_distinct)),
                measures: Part::push(items, (0..table.measures.len()).filter(is_summed).map(small)),
            };
            let others = [act.counters, act.distinct, act.measures];
            act.only_tally = act.sequels.is_empty() && others.iter().all(|part| part.is_empty());
            known.acts.push(act);
            let is_fed = |at: &usize| feeds_on(&table.aggregates[*at], &own);
            known.feeds.push((0..table.aggregates.len()).filter(is_fed).map(small));
            known.kept.push(self.events.terms.kept(&own));
            let masks = table.groups.iter().map(|group| {
                let leaves = group.leaves.iter().enumerate();
                let counted = leaves.filter(|(_, leaf)| holds(&own, table.counters[leaf.counter].atom));
                counted.fold(0, |mask, (at, _)| mask | 1 << at)
            });
            known.groups.push(masks.collect());
            known.atoms.push(own);
        }
        known.texts = Self::texts(table, &self.events.channels);
    }

    pub(super) fn table(&self) -> &Table {
        &self.evaluation.tables[self.at]
    }

    /// Walks over the events of a partition's profiles and sets the leaves that are counts.
    pub(super) fn count(
        &self,
        events: &Counted<'_>,
        partition: usize,
        n: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let known = events.known;
        scratch.partition.load(events.scatters, partition, n, &known.kept)?;
        scratch.partition.make(&self.events.channels, &self.events.time_type)?;
        let walk = &mut scratch.walk;
        walk.stamp = 0;
        self.tally.begin(&mut walk.tallied);
        walk.counters.clear();
        walk.counters.resize(self.table().counters.len(), (0, 0));
        walk.values.resize(self.table().counters.len(), vec![]);
        self.sequels.begin(&mut walk.following);
        walk.sums.clear();
        walk.sums.extend(self.sums.iter().map(Summing::nothing));
        scratch.fed.iter_mut().for_each(Vec::clear);
        scratch.fed.resize_with(self.table().aggregates.len(), Vec::new);
        for profile in 0..n {
            let range = scratch.partition.of(profile);
            if !range.is_empty() {
                self.walk(known, profile, range.clone(), scratch);
                if !self.aggregates.is_empty() {
                    self.feed(known, profile, range.clone(), scratch);
                }
                if !self.table().groups.is_empty() {
                    self.group(known, profile, range, scratch);
                }
            }
            if profile % 64 == 63 || profile + 1 == n {
                scratch.facts.settle(profile / 64);
                let Scratch { walk, facts, .. } = scratch;
                self.tally.settle(profile / 64, &mut walk.tallied, facts);
                self.sequels.settle(profile / 64, &mut walk.following, facts);
            }
        }
        for pair in self.chains.iter().flat_map(|chain| chain.windows(2)) {
            scratch.facts.imply(pair[0], pair[1]);
        }
        Ok(())
    }

    /// The newest event first: the k-th event of a counter that is met is its k-th latest, and the window it falls in
    /// says which leaf it makes true.
    fn walk(&self, known: &Known, profile: usize, range: Range<usize>, scratch: &mut Scratch) {
        let Scratch { partition, walk, facts, .. } = scratch;
        walk.stamp += 1;
        let n_edges = self.edges.len();
        let mut window = 0;
        for at in range.rev() {
            let event = partition.events[at];
            while window < n_edges && event.time < self.edges[window] {
                window += 1;
            }
            if window == n_edges {
                break;
            }
            let act = &known.acts[event.signature as usize];
            self.tally.count(act.tally, &known.bits, window, &mut walk.tallied);
            if act.only_tally {
                continue;
            }
            for &counter in act.counters.of(&known.items) {
                self.count_one(counter, window, profile, walk, facts);
            }
            for &measure in act.measures.of(&known.items) {
                let channel = self.table().measures[measure as usize].channel;
                let Some(value) = partition.value(at, channel, &known.kept) else { continue };
                if self.sums[measure as usize].add(&mut walk.sums[measure as usize], window, value) {
                    walk.summed.push(measure);
                }
            }
            for &counter in act.distinct.of(&known.items) {
                if self.is_full(counter, walk) {
                    continue;
                }
                let Some(channel) = self.table().counters[counter as usize].distinct else { continue };
                let Some(value) = partition.value(at, channel, &known.kept) else { continue };
                let met = &mut walk.values[counter as usize];
                if walk.counters[counter as usize].0 != walk.stamp {
                    met.clear();
                }
                // The last one is the most likely, and of values in the order of time the only one. No more are met than
                // some leaf counts, so that looking through them is quick.
                let is_known = match met.last() {
                    Some(last) if *last == value => true,
                    _ => !self.events.channels[channel].is_in_order() && met.contains(&value),
                };
                if !is_known {
                    met.push(value);
                    self.count_one(counter, window, profile, walk, facts);
                }
            }
            if event.time != i64::MIN {
                let lists = (&known.bits[..], &known.items[..]);
                self.sequels.look(act.sequels, lists, (window, event.time), walk.stamp, &mut walk.following);
            }
        }
        self.tally.end(profile, &mut walk.tallied);
        self.sequels.end(profile, &mut walk.following);
        while let Some(measure) = walk.summed.pop() {
            let sums = &mut walk.sums[measure as usize];
            self.sums[measure as usize].compare(sums, |leaf| facts.set(leaf, profile));
        }
    }

    /// Counts an event.
    #[inline]
    fn count_one(&self, counter: u32, window: usize, profile: usize, walk: &mut Walk, facts: &mut Facts) {
        let (stamp, row) = &mut walk.counters[counter as usize];
        let at = if *stamp == walk.stamp { *row } else { self.first[counter as usize] };
        let Row { next, chain } = self.rows[at as usize];
        (*stamp, *row) = (walk.stamp, next);
        if chain != NONE {
            let leaf = self.leaf[chain as usize * self.edges.len() + window];
            if leaf != NONE {
                facts.set(leaf, profile);
            }
        }
    }

    /// Whether no leaf asks for more events of a counter than the profile at hand has.
    #[inline]
    fn is_full(&self, counter: u32, walk: &Walk) -> bool {
        let (stamp, row) = walk.counters[counter as usize];
        stamp == walk.stamp && self.rows[row as usize].next == row
    }

    /// Remembers which events matter to which aggregates.
    fn feed(&self, known: &Known, profile: usize, range: Range<usize>, scratch: &mut Scratch) {
        for at in range {
            let event = scratch.partition.events[at];
            for &aggregate in known.feeds.get(event.signature as usize) {
                if event.time >= self.table().aggregates[aggregate as usize].since {
                    scratch.fed[aggregate as usize].push((small(profile), small(at)));
                }
            }
        }
    }

    /// For how many groups of a profile's events each group rule holds.
    fn group(&self, known: &Known, profile: usize, range: Range<usize>, scratch: &mut Scratch) {
        let Scratch { partition, walk, facts, .. } = scratch;
        for (at_group, (group, leaves)) in self.table().groups.iter().zip(&self.group_leaves).enumerate() {
            let by_key = &mut walk.by_key;
            by_key.clear();
            for at in range.clone() {
                let event = partition.events[at];
                let mask = known.groups[event.signature as usize][at_group];
                if mask != 0
                    && let Some(key) = partition.value(at, group.key, &known.kept)
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
                    facts.set(*leaf, profile);
                }
            }
        }
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
