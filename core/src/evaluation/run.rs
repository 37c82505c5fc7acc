//! A prepared evaluation run over the tables as they are now.
//!
//! Where all event tables are cut into the same buckets, each thread takes a bucket, reads its events and is done with its
//! profiles before it takes the next one. Else all threads read events of all profiles, and then finish these together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use arrow::array::{ArrayRef, UInt32Array};
use datafusion::common::runtime::JoinSet;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::HashSet;
use roaring::RoaringBitmap;

use crate::bug;
use crate::error::Result;

use super::attributes::Suspects;
use super::counting::{Counted, Counting, Known};
use super::finish::{Finish, Scratch};
use super::keys::NOBODY;
use super::matcher::Read;
use super::pending::{self, Pending};
use super::prepare::Prepared;
use super::profiles::{Everyone, in_common};
use super::rank::Ordered;
use super::scan::{Reader, Scan};
use super::scatter::Scatter;
use super::shard::{Profiles, Shard};
use super::{LaidOut, Members, Outcome, Tables, Watch, rank};

/// What a run is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Whether every event's key is looked at, so that those of no profile are counted.
    pub orphans: bool,
    /// Whether the keys of members are enough, and no others are wanted.
    pub members_only: bool,
    /// Rules, by their positions in the resolved program, of which it is enough to know how many members they have.
    pub counted: HashSet<usize>,
    /// How many members of any rule are enough, where these do not depend on an order of all profiles.
    pub limit: Option<usize>,
    /// Whose membership is asked, if not everybody's: where events are cut by key, others' are not read, and others may or
    /// may not be among the members.
    pub keys: Option<ArrayRef>,
    /// Who is told how far it has come.
    pub watch: Arc<Watch>,
}

impl Prepared {
    /// Runs the program.
    pub async fn run(&self, tables: &dyn Tables, mut asked: Asked) -> Result<Outcome> {
        if !self.evaluation.ranks.is_empty() {
            (asked.limit, asked.keys) = (None, None);
        }
        let orphans = asked.orphans;
        let task = tables.state().task_ctx();
        let n_threads = tables.state().config().target_partitions().max(1);
        let copies = self.copies(tables).await?;
        let of_keys = match (&asked.keys, in_common(&copies)) {
            (Some(keys), Some(buckets)) => Some(buckets.of_any(keys)?),
            _ => None,
        };
        let profiles = self.open_profiles(tables, &copies).await?;
        let (mut counting, mut scans) = (vec![], vec![]);
        for (at, copy) in copies.iter().enumerate() {
            let mut table = self.event_table(tables, at).await?;
            if let Some(register) = copy.as_ref().and_then(|copy| copy.register.as_ref())
                && profiles.is_registered()
            {
                table.key.clone_from(&register.number);
            }
            let table = Arc::new(table);
            let scan = self.open_scan(tables, &table, copy.as_ref(), of_keys.as_deref()).await?;
            asked.watch.total.fetch_add(scan.rows(), Relaxed);
            let aggregates = self.tables[at].aggregates.clone();
            counting.push(Counting::new(&self.evaluation, at, table, aggregates));
            scans.push(scan);
        }
        // Where keys are numbers nothing is won by waiting.
        let may_wait =
            asked.members_only && !asked.orphans && !profiles.is_registered() && !self.events_need_profiles();
        let first = match may_wait {
            false => First::Profiles,
            true if self.evaluation.is_about_events() && asked.limit.is_none() => First::Members,
            true if self.evaluation.members_have_events() => First::Events,
            true => First::Both,
        };
        // Where profiles come after the events, buckets are of no use but to end early.
        let ends_early = asked.limit.is_some() || of_keys.is_some();
        let buckets = in_common(&copies).filter(|_| !first.is_events() || ends_early);
        // Who is not wanted counts all the same where profiles are ordered.
        let few = asked.members_only && !asked.orphans && self.evaluation.ranks.is_empty();
        let suspects = few.then(|| Suspects::new(&self.evaluation)).flatten();
        // After the events nobody asks about profiles without any.
        let suspects = suspects.filter(|suspects| !first.is_events() || !suspects.are_computed());
        let everyone = Everyone::new(profiles.wanting(buckets, suspects));
        let evaluation = Arc::clone(&self.evaluation);
        let counted = evaluation.rules.iter().flat_map(|rule| {
            let is_counted =
                rule.ranks.is_empty() && first != First::Members && asked.counted.contains(&rule.at);
            std::iter::repeat_n(is_counted, rule.trees.len())
        });
        let counted = counted.collect();
        let (values, ranks) = (self.values.clone(), self.ranks.clone());
        let finish = Finish { evaluation, tables: counting, values, ranks, counted };
        let (next, found) = (AtomicUsize::new(0), AtomicU64::new(0));
        let run = Arc::new(Run { finish, scans, everyone, asked, of_keys, task, next, found });
        let found = match buckets {
            Some(_) => run.bucket_by_bucket(n_threads).await?,
            None => run.all_at_once(n_threads, first).await?,
        };
        let profiles = run.everyone.profiles(&run.task).await?;
        let mut members = self.members(found.members, &found.ordered, profiles, &run.task).await?;
        let (keys, memory) = run.everyone.keys(&mut members, &run.task).await?;
        Ok(Outcome {
            profiles: Arc::clone(profiles),
            keys,
            members,
            _memory: found.memory.into_iter().chain([memory]).collect(),
            null_keys: profiles.null_keys,
            events: found.read.events,
            orphans: orphans.then_some(found.read.orphans),
            bytes: found.bytes,
        })
    }

    /// The laid-out copies of its event tables, as far as there are any.
    async fn copies(&self, tables: &dyn Tables) -> Result<Vec<Option<LaidOut>>> {
        let mut copies = vec![];
        for table in &self.evaluation.tables {
            copies.push(tables.laid_out(&self.program.store, table.events).await?);
        }
        Ok(copies)
    }

    /// Whether the events of some profiles can be read without those of all others.
    pub async fn is_cut(&self, tables: &dyn Tables) -> Result<bool> {
        Ok(self.evaluation.ranks.is_empty() && in_common(&self.copies(tables).await?).is_some())
    }

    /// The members of rules, given those of their trees.
    async fn members(
        &self,
        found: Vec<Members>,
        ordered: &[Ordered],
        profiles: &Profiles,
        task: &Arc<TaskContext>,
    ) -> Result<Vec<(usize, Members)>> {
        let (mut first, nobody) = (vec![], Ordered::default());
        for (at, rank) in self.evaluation.ranks.iter().enumerate() {
            let of_rank = ordered.get(at).unwrap_or(&nobody).first(rank, profiles.len())?;
            let keys = match of_rank.is_open() {
                true => Some(profiles.keys_of(of_rank.tied.iter().collect(), task).await?),
                false => None,
            };
            first.push(of_rank.by_key(keys)?);
        }
        let (mut found, mut members) = (found.into_iter(), vec![]);
        for rule in &self.evaluation.rules {
            let mut of_trees: Vec<Members> = found.by_ref().take(rule.trees.len()).collect();
            let of_rule = match of_trees.pop() {
                Some(only) if of_trees.is_empty() => only,
                last => {
                    of_trees.extend(last);
                    Members::Positions(rank::members(rule, of_trees, &first)?)
                }
            };
            members.push((rule.at, of_rule));
        }
        Ok(members)
    }

    pub(super) fn events(&self, at: usize) -> &crate::profile::Events {
        &self.program.store.store.events[self.evaluation.tables[at].events]
    }
}

/// What is read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Profiles,
    /// Both at once: events wait until all profiles have been read.
    Both,
    /// Events, if they are few; then those profiles alone that have any.
    Events,
    /// Events, if they are few, which say who the members are; then the profiles of these alone.
    Members,
}

impl First {
    /// Whether no profile is read before events.
    fn is_events(self) -> bool {
        matches!(self, Self::Events | Self::Members)
    }
}

/// Whose events are.
struct Owners {
    shard: Arc<Shard>,
    /// For each thread's events that wait, the ordinals by the numbers of their keys; where these have to be looked up, none.
    ordinals: Option<Vec<Vec<u32>>>,
    /// Whoever has events, where it is not known yet who of them has a profile.
    anybody: Option<Arc<Profiles>>,
}

/// A run, as all threads see it.
struct Run {
    finish: Finish,
    scans: Vec<Scan>,
    everyone: Everyone,
    asked: Asked,
    /// The shards of those whose membership is asked, if not everybody's is.
    of_keys: Option<Vec<usize>>,
    task: Arc<TaskContext>,
    /// What no thread has taken yet.
    next: AtomicUsize,
    /// Members found.
    found: AtomicU64,
}

/// What one thread found, or several.
#[derive(Default)]
struct Found {
    /// By tree, of all rules.
    members: Vec<Members>,
    /// By rank.
    ordered: Vec<Ordered>,
    /// What the members take.
    memory: Vec<MemoryReservation>,
    read: Read,
    bytes: u64,
}

impl Found {
    fn of(scratch: Scratch) -> Self {
        let Scratch { members, ordered, memory, .. } = scratch;
        Self { members, ordered, memory: vec![memory], ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        if self.members.is_empty() {
            self.members = other.members;
        } else {
            self.members.iter_mut().zip(other.members).for_each(|(all, found)| all.add(found));
        }
        self.ordered.resize_with(self.ordered.len().max(other.ordered.len()), Ordered::default);
        self.memory.extend(other.memory);
        self.ordered.iter_mut().zip(other.ordered).for_each(|(all, found)| all.append(found));
        self.read.events += other.read.events;
        self.read.orphans += other.read.orphans;
        self.bytes += other.bytes;
    }

    fn read(&mut self, reader: &Reader<'_>) {
        self.read.events += reader.matcher.read.events;
        self.read.orphans += reader.matcher.read.orphans;
        self.bytes += reader.bytes;
    }
}

impl Run {
    /// Takes the next of `n`, unless there is none or enough has been found.
    fn take(&self, n: usize) -> Option<usize> {
        if self.asked.limit.is_some_and(|limit| self.found.load(Relaxed) >= limit as u64) {
            return None;
        }
        let taken = self.next.fetch_add(1, Relaxed);
        (taken < n).then_some(taken)
    }

    fn reader(&self, table: usize) -> Result<Reader<'_>> {
        let events = &self.finish.tables[table].events;
        let scan = &self.scans[table];
        Reader::new(scan, events, &self.everyone, self.asked.orphans, &self.task, &self.asked.watch)
    }

    /// Finds the members in a partition of a shard.
    async fn finish(
        &self,
        shard: &Shard,
        partition: usize,
        events: &[Counted<'_>],
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.finish.partition(shard, partition, events, scratch)?;
        if self.asked.limit.is_some() {
            let found = scratch.members.iter().map(Members::len).max().unwrap_or_default();
            self.found.fetch_add(found - scratch.counted, Relaxed);
            scratch.counted = found;
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Nobody has been found yet.
    fn nobody(&self) -> Found {
        Found { members: self.finish.nobody(), ..Found::default() }
    }

    /// Each thread reads and finishes one shard after the other.
    async fn bucket_by_bucket(self: &Arc<Self>, n_threads: usize) -> Result<Found> {
        let n_shards = self.n_shards(self.everyone.profiles(&self.task).await?);
        let mut set = JoinSet::new();
        for _ in 0..n_threads.min(n_shards) {
            let run = Arc::clone(self);
            set.spawn(async move { run.shards().await });
        }
        let mut all = self.nobody();
        while let Some(done) = set.join_next().await {
            all.add(done.map_err(|error| bug!("a bucket of events: {error}"))??);
        }
        Ok(all)
    }

    /// How many shards are read.
    fn n_shards(&self, profiles: &Profiles) -> usize {
        self.of_keys.as_ref().map_or(profiles.n_shards(), Vec::len)
    }

    async fn shards(&self) -> Result<Found> {
        let (n_tables, profiles) = (self.scans.len(), self.everyone.profiles(&self.task).await?);
        let mut readers = (0..n_tables).map(|table| self.reader(table)).collect::<Result<Vec<_>>>()?;
        let mut known: Vec<Known> = (0..n_tables).map(|_| Known::default()).collect();
        let mut scratch = Scratch::new(self.task.memory_pool());
        while let Some(taken) = self.take(self.n_shards(profiles)) {
            let at = self.of_keys.as_ref().map_or(taken, |shards| shards[taken]);
            let shard = Arc::new(profiles.shard(at, 1, self.task.memory_pool())?);
            for ((reader, known), counting) in readers.iter_mut().zip(&mut known).zip(&self.finish.tables) {
                reader.begin(&shard)?;
                for part in reader.parts_of(at) {
                    reader.part(part).await?;
                }
                reader.end()?;
                counting.learn(known);
            }
            let scatters = readers.iter().map(|reader| std::slice::from_ref(&reader.matcher.scatter));
            let events: Vec<_> =
                scatters.zip(&known).map(|(scatters, known)| Counted { scatters, known }).collect();
            for partition in 0..shard.n_partitions() {
                self.finish(&shard, partition, &events, &mut scratch).await?;
            }
        }
        let mut found = Found::of(scratch);
        readers.iter().for_each(|reader| found.read(reader));
        Ok(found)
    }

    /// All threads read, then all threads finish.
    async fn all_at_once(self: &Arc<Self>, n_threads: usize, first: First) -> Result<Found> {
        let mut profiles = JoinSet::new();
        match first {
            First::Profiles => drop(self.everyone.shard(&self.task).await?),
            First::Both => {
                let run = Arc::clone(self);
                profiles.spawn(async move { run.everyone.shard(&run.task).await.map(drop) });
            }
            First::Events | First::Members => {}
        }
        let (mut all, mut events) = (self.nobody(), vec![]);
        for table in 0..self.scans.len() {
            self.next.store(0, Relaxed);
            let mut set = JoinSet::new();
            for _ in 0..n_threads.min(self.scans[table].n_parts().max(1)) {
                let run = Arc::clone(self);
                set.spawn(async move { run.scatter(table).await });
            }
            let mut of_table = vec![];
            while let Some(done) = set.join_next().await {
                let (scatter, pending, found) = done.map_err(|error| bug!("reading events: {error}"))??;
                of_table.push((scatter, pending));
                all.add(found);
            }
            events.push(of_table);
        }
        while let Some(done) = profiles.join_next().await {
            done.map_err(|error| bug!("reading profiles: {error}"))??;
        }
        let Owners { shard, ordinals, anybody } = self.owners(first, &mut events).await?;
        let mut ordinals = ordinals.map(Vec::into_iter);
        let mut counted = vec![];
        for (of_table, counting) in events.into_iter().zip(&self.finish.tables) {
            let (mut scatters, mut set) = (vec![], JoinSet::new());
            for (mut scatter, pending) in of_table {
                let Some(mut pending) = pending else {
                    scatters.push(scatter);
                    continue;
                };
                let shard = Arc::clone(&shard);
                let ordinals = ordinals.as_mut().and_then(Iterator::next);
                let at = counting.events.at;
                set.spawn(async move {
                    scatter.begin(shard.n_partitions());
                    let ordinals = ordinals.map_or_else(|| pending.ordinals(at, &shard), Ok)?;
                    pending.settle(&ordinals, &mut scatter);
                    Ok::<_, crate::error::Error>(scatter)
                });
            }
            while let Some(done) = set.join_next().await {
                scatters.push(done.map_err(|error| bug!("events that waited: {error}"))??);
            }
            let mut known = Known::default();
            counting.learn(&mut known);
            counted.push((scatters, known));
        }
        self.next.store(0, Relaxed);
        let events = Arc::new(counted);
        let mut set = JoinSet::new();
        // Sixteen partitions are a container of a bitmap, which two threads would make twice.
        let block = if shard.n_partitions() < 64 * n_threads { 1 } else { 16 };
        let n_blocks = shard.n_partitions().div_ceil(block);
        for _ in 0..n_threads.min(n_blocks.max(1)) {
            let (run, shard, events) = (Arc::clone(self), Arc::clone(&shard), Arc::clone(&events));
            set.spawn(async move {
                let events: Vec<_> =
                    events.iter().map(|(scatters, known)| Counted { scatters, known }).collect();
                let mut scratch = Scratch::new(run.task.memory_pool());
                while let Some(at) = run.take(n_blocks) {
                    for partition in at * block..shard.n_partitions().min((at + 1) * block) {
                        run.finish(&shard, partition, &events, &mut scratch).await?;
                    }
                }
                Ok::<_, crate::error::Error>(Found::of(scratch))
            });
        }
        while let Some(done) = set.join_next().await {
            all.add(done.map_err(|error| bug!("finishing an evaluation: {error}"))??);
        }
        if let Some(anybody) = anybody {
            self.with_profiles(&anybody, &mut all.members).await?;
        }
        Ok(all)
    }

    /// Whose the events are that were read, some of which may wait.
    async fn owners(&self, first: First, events: &mut [Vec<(Scatter, Option<Pending>)>]) -> Result<Owners> {
        if let Some(shard) = self.everyone.ready() {
            return Ok(Owners { shard: Arc::clone(shard), ordinals: None, anybody: None });
        }
        let waiting = || events.iter().flatten().filter_map(|(_, pending)| pending.as_ref());
        let _memory = Everyone::finding(waiting().map(Pending::n_keys).sum(), &self.task)?;
        let waiting = events.iter_mut().flatten().filter_map(|(_, pending)| pending.as_mut());
        let n_threads = self.task.session_config().target_partitions();
        let (keys, mut ordinals) = pending::together(waiting, &self.everyone.form(), n_threads)?;
        let anybody = self.everyone.anybody(keys, &self.task)?;
        if first == First::Members {
            return Ok(Owners {
                shard: Arc::new(anybody.whole()),
                ordinals: Some(ordinals),
                anybody: Some(anybody),
            });
        }
        let (profiles, places) = self.everyone.only(anybody.keys.clone(), &self.task).await?;
        for ordinal in ordinals.iter_mut().flatten().filter(|ordinal| **ordinal != NOBODY) {
            *ordinal = places[*ordinal as usize];
        }
        Ok(Owners { shard: Arc::new(profiles.whole()), ordinals: Some(ordinals), anybody: None })
    }

    /// Given members by their positions among anybody who has events, reads their profiles: those who have one stay, by its
    /// position.
    async fn with_profiles(&self, anybody: &Profiles, members: &mut [Members]) -> Result<()> {
        let mut of_trees = vec![];
        for members in members {
            let Members::Positions(members) = members else { return Err(bug!("members who were counted")) };
            of_trees.push(members);
        }
        let all: RoaringBitmap = of_trees.iter().fold(RoaringBitmap::new(), |all, own| all | &**own);
        let keys = anybody.keys.some(&UInt32Array::from_iter_values(&all))?;
        let (_, found) = self.everyone.only(keys, &self.task).await?;
        let mut places = vec![NOBODY; anybody.keys.len()];
        for (member, place) in all.iter().zip(found) {
            places[member as usize] = place;
        }
        for members in of_trees {
            let own = members.iter().map(|member| places[member as usize]);
            *members = own.filter(|place| *place != NOBODY).collect();
        }
        Ok(())
    }

    /// One thread's reading of an event table, as long as there are parts of it; with the events that wait, if no profile
    /// has been read.
    async fn scatter(&self, table: usize) -> Result<(Scatter, Option<Pending>, Found)> {
        let mut reader = self.reader(table)?;
        if let Some(shard) = self.everyone.ready() {
            reader.begin(shard)?;
        }
        let n_parts = self.scans[table].n_parts();
        while let Some(part) = self.take(n_parts) {
            reader.part(part).await?;
        }
        reader.end()?;
        let mut found = self.nobody();
        found.read(&reader);
        let pending = reader.waits().then_some(reader.matcher.pending);
        Ok((reader.matcher.scatter, pending, found))
    }
}
