//! The entries as this process knows them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::layout::Place;
use super::marker::Mark;
use super::{Entry, Kind};

/// All is listed again after this time, or after a multiple of what listing takes, whichever is longer.
const RELIST: Duration = Duration::from_secs(5);
const RELIST_SHARE: u32 = 20;

/// Entries are spread over this many maps: a change copies one of them if a snapshot still reads it, and not ten
/// thousand entries.
const SHARDS: u64 = 64;

/// Entries by name.
type Shard = HashMap<Arc<str>, Arc<Entry>>;

/// The newest version of every entry, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    shards: BTreeMap<(Kind, u64), Arc<Shard>>,
}

impl Snapshot {
    /// The thing of that name, unless it was never made or is dropped.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Arc<Entry>> {
        self.newest(kind, name).filter(|entry| !entry.deleted)
    }

    /// The newest version of that name, which may say that the thing is dropped.
    pub fn newest(&self, kind: Kind, name: &str) -> Option<&Arc<Entry>> {
        self.shards.get(&(kind, shard(name)))?.get(name)
    }

    /// All things of a kind that are not dropped, by name.
    pub fn all(&self, kind: Kind) -> Vec<&Arc<Entry>> {
        let shards = self.shards.range((kind, 0)..(kind, SHARDS));
        let entries = shards.flat_map(|(_, shard)| shard.values());
        let mut entries: Vec<_> = entries.filter(|entry| !entry.deleted).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// The names of a kind that were ever used, dropped ones included, by name.
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        let shards = self.shards.range((kind, 0)..(kind, SHARDS));
        let mut names: Vec<_> = shards.flat_map(|(_, shard)| shard.keys().map(|name| &**name)).collect();
        names.sort_unstable();
        names
    }

    fn add(&mut self, entry: Entry) {
        let shard = self.shards.entry((entry.kind, shard(&entry.name))).or_default();
        let known = shard.get(entry.name.as_str()).map_or(0, |known| known.version);
        if entry.version > known {
            Arc::make_mut(shard).insert(entry.name.as_str().into(), Arc::new(entry));
        }
    }
}

fn shard(name: &str) -> u64 {
    // FNV-1a; any spread will do, as long as it is the same within a process.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash % SHARDS
}

/// The snapshot to hand out, and what is known about its age.
#[derive(Debug)]
pub(super) struct Cache {
    /// The next snapshot; copied when it changes while somebody reads it.
    snapshot: Arc<Snapshot>,
    /// Others may write too: the warehouse is not in this process's memory.
    shared: bool,
    /// `coterie.json` is there.
    format: bool,
    /// The marker as it was before the last listing, and when that was.
    fresh: Option<(Mark, Instant)>,
    /// How long a listing stays good without a change of the marker.
    period: Duration,
}

impl Cache {
    pub(super) fn new(shared: bool, format: bool) -> Self {
        Self { snapshot: Arc::default(), shared, format, fresh: None, period: RELIST }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    pub(super) fn has_format(&self) -> bool {
        self.format
    }

    pub(super) fn set_format(&mut self) {
        self.format = true;
    }

    pub(super) fn is_listed(&self) -> bool {
        self.fresh.is_some()
    }

    pub(super) fn is_fresh(&self, mark: &Mark) -> bool {
        self.fresh.as_ref().is_some_and(|(known, listed)| known == mark && listed.elapsed() < self.period)
    }

    pub(super) fn set_fresh(&mut self, mark: Mark, took: Duration) {
        self.fresh = Some((mark, Instant::now()));
        self.period = RELIST.max(took * RELIST_SHARE);
    }

    pub(super) fn set_stale(&mut self) {
        self.fresh = None;
    }

    /// This process changed the marker from `before` to `after`. Where `before` is not what is known, another
    /// writer was there too, and the next snapshot lists.
    pub(super) fn set_marked(&mut self, before: &Mark, after: Mark) {
        self.fresh = match self.fresh.take() {
            Some((known, listed)) if known == *before => Some((after, listed)),
            _ => None,
        };
    }

    /// Is the version at `place` newer than what is known?
    pub(super) fn lacks(&self, place: &Place) -> bool {
        self.snapshot.newest(place.kind, &place.name).is_none_or(|known| known.version < place.version)
    }

    pub(super) fn add(&mut self, entry: Entry) {
        Arc::make_mut(&mut self.snapshot).add(entry);
    }

    pub(super) fn add_all(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let snapshot = Arc::make_mut(&mut self.snapshot);
        entries.into_iter().for_each(|entry| snapshot.add(entry));
    }
}
