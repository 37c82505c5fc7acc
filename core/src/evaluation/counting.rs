//! The events of one table counted: one walk over each profile's events, newest first, makes leaves true.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::StringArray;

use crate::compile::{Arg, Counter, Evaluation, Leaf, Sequel, Table};
use crate::error::Result;

use super::bind::BoundAggregate;
use super::bits::{Lists, small};
use super::finish::{Facts, Scratch};
use super::partition::Sorted;
use super::scatter::Scatter;
use super::signature::Kept;
use super::sums::{Below, Kind, Summing};
use super::table::EventTable;

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
    /// By counter, what its events must be followed by, and what must have been met for that.
    sequels: Vec<Option<Sequel>>,
    needs: Vec<u64>,
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
    /// For each signature whether all that its events do is to be counted, by `counters`.
    is_counted: Vec<bool>,
    /// The counters of each signature: those of all events, of distinct values, and of events with a sequel.
    counters: Lists,
    distinct: Lists,
    with_sequel: Lists,
    /// For each signature what must have been met for some of `with_sequel` to count.
    needs: Vec<u64>,
    /// What events of each signature may be the sequel of.
    seconds: Lists,
    /// The measures of each signature.
    measures: Lists,
    /// The aggregates that events of a signature may matter to.
    feeds: Lists,
    /// What is kept of events of each signature.
    pub(super) kept: Vec<Kept>,
    /// For each signature, for each group, which of the group's counts an event is one of.
    groups: Vec<Vec<u64>>,
    /// The strings of each channel, where an aggregate takes them.
    pub(super) texts: Vec<StringArray>,
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
    /// For each counter when it was last counted, and its row.
    counters: Vec<(u32, u32)>,
    /// For each counter of distinct values those that were met.
    values: Vec<Vec<u64>>,
    /// For each second the soonest events of it after the event at hand, and the kinds of those that there are.
    seconds: Vec<Soonest>,
    met: u64,
    /// For each measure its sums, and the measures that have any.
    sums: Vec<super::sums::Sums>,
    summed: Vec<u32>,
    by_key: Vec<(u64, i64, u64)>,
}

/// The soonest events of a kind, walking back in time.
#[derive(Clone, Copy, Debug, Default)]
struct Soonest {
    stamp: u32,
    /// The last one met,
    here: i64,
    /// and the one strictly after it.
    after: Option<i64>,
}

impl Soonest {
    fn after(&self, time: i64, stamp: u32) -> Option<i64> {
        if self.stamp != stamp {
            None
        } else if self.here > time {
            Some(self.here)
        } else {
            self.after
        }
    }

    fn meet(&mut self, time: i64, stamp: u32) {
        if self.stamp != stamp {
            *self = Self { stamp, here: time, after: None };
        } else if time < self.here {
            *self = Self { stamp, here: time, after: Some(self.here) };
        }
    }
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
        let sequel_of = |counter: &Counter| counter.sequel.map(|at| table.sequels[at].clone());
        let sequels: Vec<Option<Sequel>> = table.counters.iter().map(sequel_of).collect();
        let need = |sequel: &Option<Sequel>| match sequel {
            None => 0,
            Some(Sequel { second, missing_at: None, .. }) => kind(*second),
            Some(_) => ALWAYS,
        };
        let needs = sequels.iter().map(need).collect();
        let evaluation = Arc::clone(evaluation);
        Self {
            evaluation,
            at,
            events,
            edges,
            first,
            rows,
            leaf,
            chains,
            sums,
            aggregates,
            group_leaves,
            of_atom,
            sequels,
            needs,
        }
    }

    /// Learns what has been found since.
    pub(super) fn learn(&self, known: &mut Known) {
        let table = self.table();
        for own in self.events.signatures.from(known.atoms.len()) {
            let all = || own.iter().flat_map(|atom| self.of_atom[*atom as usize].iter().copied());
            let counter = |at: &u32| table.counters[*at as usize];
            let (is_distinct, has_sequel) =
                (|at: &u32| counter(at).distinct.is_some(), |at: &u32| counter(at).sequel.is_some());
            let is_second = |at: &usize| holds(&own, table.seconds[*at].atom);
            let is_summed = |at: &usize| holds(&own, table.measures[*at].atom);
            known.is_counted.push(
                !all().any(|at| is_distinct(&at) || has_sequel(&at))
                    && !(0..table.seconds.len()).any(|at| is_second(&at))
                    && !(0..table.measures.len()).any(|at| is_summed(&at)),
            );
            known.counters.push(all().filter(|at| !is_distinct(at) && !has_sequel(at)));
            known.distinct.push(all().filter(is_distinct));
            known.with_sequel.push(all().filter(has_sequel));
            known.needs.push(all().fold(0, |needs, at| needs | self.needs[at as usize]));
            known.seconds.push((0..table.seconds.len()).filter(is_second).map(small));
            known.measures.push((0..table.measures.len()).filter(is_summed).map(small));
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
        walk.counters.clear();
        walk.counters.resize(self.table().counters.len(), (0, 0));
        walk.values.resize(self.table().counters.len(), vec![]);
        walk.seconds.clear();
        walk.seconds.resize(self.table().seconds.len(), Soonest::default());
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
        walk.met = ALWAYS;
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
            let signature = event.signature as usize;
            for &counter in known.counters.get(signature) {
                self.count_one(counter, window, profile, walk, facts);
            }
            if known.is_counted[signature] {
                continue;
            }
            for &measure in known.measures.get(signature) {
                let channel = self.table().measures[measure as usize].channel;
                let Some(value) = partition.value(at, channel, &known.kept) else { continue };
                if self.sums[measure as usize].add(&mut walk.sums[measure as usize], window, value) {
                    walk.summed.push(measure);
                }
            }
            for &counter in known.distinct.get(signature) {
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
                if known.needs[signature] & walk.met != 0 {
                    for &counter in known.with_sequel.get(signature) {
                        if self.needs[counter as usize] & walk.met != 0
                            && !self.is_full(counter, walk)
                            && self.has_sequel(counter, event.time, walk)
                        {
                            self.count_one(counter, window, profile, walk, facts);
                        }
                    }
                }
                for &second in known.seconds.get(signature) {
                    if event.time >= self.table().seconds[second as usize].since {
                        walk.seconds[second as usize].meet(event.time, walk.stamp);
                        walk.met |= kind(second as usize);
                    }
                }
            }
        }
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

    /// Whether an event of the profile at hand is followed as a counter asks.
    fn has_sequel(&self, counter: u32, time: i64, walk: &Walk) -> bool {
        let Some(sequel) = &self.sequels[counter as usize] else { return false };
        let soonest = walk.seconds[sequel.second].after(time, walk.stamp);
        let within = |second: i64| sequel.within.as_ref().is_none_or(|span| second <= span.reach(time));
        match sequel.missing_at {
            None => soonest.is_some_and(within),
            Some(now) => {
                let over = sequel.within.as_ref().is_none_or(|span| span.over(time) <= now);
                over && !soonest.is_some_and(within)
            }
        }
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

/// The kind of a second, a bit that it has in common with others where there are many.
fn kind(second: usize) -> u64 {
    1 << (second % 63)
}

/// What is met by all events.
const ALWAYS: u64 = 1 << 63;

/// Whether an event with these atoms may matter to an aggregate.
fn feeds_on(aggregate: &crate::compile::Aggregate, atoms: &[u32]) -> bool {
    let condition = |arg: &Arg| matches!(arg, Arg::Condition(atom, _) if holds(atoms, *atom));
    holds(atoms, aggregate.atom) && (!aggregate.matching || aggregate.args.iter().any(condition))
}

fn holds(atoms: &[u32], atom: usize) -> bool {
    atoms.binary_search(&small(atom)).is_ok()
}
