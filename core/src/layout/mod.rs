//! Laid-out events: copies of event tables cut by month and key, each file in the order of key and time.
//!
//! In comes an event table of a profile store: its declaration and its files as they are now. Out goes a Delta table
//! at `<warehouse>/layout/<store>/<events>`, which any Delta reader reads:
//!
//! ```text
//! event_month   partition   the month of the event in UTC, `2026-06`; null for an event without time
//! key_bucket    partition   `bucket_of` its key
//! <columns>                 the columns of the event table, in the types of Delta Lake
//! key_number                the number of its key among those of the bucket
//! ```
//!
//! ```text
//! source files ──scan──► rows ──scatter──► a spill file a bucket ──sort──► month, key, time ──write──► files ──log──► one commit
//! ```
//!
//! Buckets are written one by one, in the memory that the session may take. A bucket that is written is noted beside
//! the table, so that a run that broke off goes on where it was; nobody sees its files before the commit. The commit
//! names a list of the source files that it holds. A later run adds the files that are new; if one has changed or is
//! gone, all is written anew. In the end the profiles are registered by the numbers of their keys ([`register`]).
//!
//! Buckets are no hash partitions of DataFusion's: its hash is another.
//!
//! This module does not know what a rule is, nor who reads the copy.

mod beside;
mod bucket;
mod columns;
mod log;
mod note;
mod numbers;
mod read;
mod register;
mod scatter;
mod sort;
mod sources;
mod unfinished;
mod write;

pub use bucket::{MOST_BUCKETS, bucket_of};
pub use log::File;
pub use read::{Layout, Registered};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::runtime::JoinSet;
use datafusion::execution::SessionState;
use futures::stream::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::Mutex;
use url::Url;

use crate::delta::Appended;
use crate::diagnostic::Kind;
use crate::error::{Error, Result, from_object_store};
use crate::profile::Events;
use crate::source;
use crate::storage::folder;

use columns::Columns;
use log::{Definition, Log, State};
use register::Register;
use sources::Sources;
use unfinished::{Bucket, Unfinished};
use write::Writer;

/// How many rows a bucket has, by default: few enough that one is sorted in memory.
const ROWS_A_BUCKET: u64 = 1_500_000;

/// Below these a table is not cut just to use all cores.
const FEW_ROWS: u64 = 100_000;

/// A month of a bucket that has so many files is written anew as one with the rows to come.
const MANY_FILES: usize = 4;

/// The copies in a warehouse.
#[derive(Debug)]
pub struct Layouts {
    store: Arc<dyn ObjectStore>,
    root: Url,
    logs: Mutex<HashMap<(String, String), Arc<Log>>>,
}

/// The profile table of a store, declared on files.
#[derive(Clone, Debug)]
pub struct Profiles<'a> {
    /// Its declaration.
    pub table: &'a source::Table,
    /// Its key.
    pub key: &'a str,
    /// The type of its key.
    pub key_type: DataType,
}

/// An event table of a profile store.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The store.
    pub store: &'a str,
    /// The profiles whose events these are; `None` for a view.
    pub profiles: Option<Profiles<'a>>,
    /// What the store says about the table.
    pub events: &'a Events,
    /// The table's declaration.
    pub table: &'a source::Table,
    /// Its columns.
    pub schema: SchemaRef,
}

/// What [`Layouts::optimize`] did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether it wrote everything, the new files, or nothing.
    pub change: Change,
    /// The copy as it is now.
    pub layout: Layout,
    /// How many files of the source it holds.
    pub source_files: usize,
    /// How many rows were written.
    pub rows_written: u64,
}

/// How much of a copy was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The copy was current already.
    Current,
    /// The rows of new source files were added.
    Extended,
    /// All of it.
    Written,
    /// The profiles alone were registered anew.
    Registered,
}

/// A copy as it is stored, current or not.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The copy.
    pub layout: Layout,
    /// How many files of the source it holds.
    pub source_files: usize,
    /// Whether these are the source's files now.
    pub is_current: bool,
}

impl Layouts {
    /// The copies of the warehouse at `root`, which lies in `store`. Nothing is read or made yet.
    pub fn new(store: Arc<dyn ObjectStore>, root: Url) -> Self {
        Self { store, root, logs: Mutex::default() }
    }

    /// The copy of an event table, if there is one and it holds what the table's files hold now. One that cannot be
    /// read is none: the table itself is there.
    pub async fn current(&self, source: &Source<'_>, state: &SessionState) -> Option<Layout> {
        let stored = self.stored(source, state).await.ok()??;
        stored.is_current.then_some(stored.layout)
    }

    /// The copy of an event table as it is defined now, if there is one, current or not.
    pub async fn stored(&self, source: &Source<'_>, state: &SessionState) -> Result<Option<Stored>> {
        let Ok(columns) = Columns::new(source) else { return Ok(None) };
        let log = self.log(source).await?;
        let known = log.glance().await?;
        let Some(buckets) = known.matching(&columns, source)? else { return Ok(None) };
        let Some(held) = log.sources(&known).await? else { return Ok(None) };
        // A source whose files cannot be listed is no reason to fail here: reading it will say so.
        let present = source::files(source.table, state).await;
        let is_current = present.is_ok_and(|present| held.files == present);
        let mut layout = Layout::new(&log, &known, buckets, source)?;
        if let Some(register) = held.profiles
            && register.is_current(&log, source, state).await
        {
            layout.registered = Registered::new(&log, &register, source);
        }
        Ok(Some(Stored { layout, source_files: held.files.len(), is_current }))
    }

    /// Brings the copy of an event table up to date, cut into `buckets`, or as many as it has or as suit its size.
    pub async fn optimize(
        &self,
        source: &Source<'_>,
        buckets: Option<u32>,
        state: &SessionState,
    ) -> Result<Outcome> {
        let columns = Arc::new(Columns::new(source)?);
        let log = self.log(source).await?;
        let present = source::files(source.table, state).await?;
        let known = log.load().await?;
        let (mut change, Basis { buckets, held, new }) =
            match self.basis(&log, &known, &columns, source, &present, buckets).await? {
                Some(basis) if basis.new.is_empty() => (Change::Current, basis),
                Some(basis) => (Change::Extended, basis),
                None => {
                    let buckets = buckets.unwrap_or_else(|| suitable(source.table, &present, state));
                    (Change::Written, Basis { buckets, held: Sources::default(), new: present.clone() })
                }
            };
        let mut sources = Sources { files: present, ..held };
        let mut written = BTreeMap::new();
        if change != Change::Current {
            let job = Job {
                buckets,
                columns: Arc::clone(&columns),
                log: Arc::clone(&log),
                files: new,
                // What is replaced as a whole is not added to.
                base: if change == Change::Extended { Arc::clone(&known) } else { Arc::default() },
                keys: sources.keys.clone(),
            };
            written = job.run(source, state).await?;
        }
        let rows_written = written.values().map(|bucket| bucket.rows).sum();
        sources.keys.extend(written.iter().filter_map(|(at, bucket)| Some((*at, bucket.keys.clone()?))));
        let is_registered = change == Change::Current
            && match &sources.profiles {
                Some(register) => register.is_current(&log, source, state).await,
                None => false,
            };
        if !is_registered {
            sources.profiles = Register::write(&log, source, &sources.keys, buckets, state).await?;
            if change == Change::Current && sources.profiles.is_some() {
                change = Change::Registered;
            }
        }
        if change != Change::Current {
            let definition = Definition::new(source, &columns, buckets);
            let commit =
                log.append(&known, &columns, &definition, &sources, written.into_values(), change).await?;
            if commit == Appended::Beaten {
                let message = format!("someone else has laid out `{}` meanwhile", source.events.table);
                return Err(Error::new(Kind::Conflict, message).help("run the statement again"));
            }
            log.clean_up().await;
        }
        let known = log.load().await?;
        // The copy stands without it.
        drop(log.note(&known).await);
        let layout = Layout::new(&log, &known, buckets, source)?;
        Ok(Outcome { change, layout, source_files: sources.files.len(), rows_written })
    }

    /// Deletes all copies of a profile store.
    pub async fn remove(&self, profile_store: &str) -> Result<()> {
        self.logs.lock().await.retain(|(store, _), _| store != profile_store);
        let folder = Path::from_url_path(format!("{}layout/{}", self.root.path(), folder(profile_store)));
        let folder = folder.map_err(|error| from_object_store(error.into()))?;
        let files = self.store.list(Some(&folder)).map_ok(|file| file.location).boxed();
        self.store.delete_stream(files).try_for_each(|_| async { Ok(()) }).await.map_err(from_object_store)
    }

    /// What a stored copy can be added to.
    async fn basis(
        &self,
        log: &Log,
        known: &State,
        columns: &Columns,
        source: &Source<'_>,
        present: &[source::File],
        buckets: Option<u32>,
    ) -> Result<Option<Basis>> {
        let Some(stored) = known.matching(columns, source)? else { return Ok(None) };
        if buckets.is_some_and(|buckets| buckets != stored) {
            return Ok(None);
        }
        let Some(held) = log.sources(known).await? else { return Ok(None) };
        let there: HashSet<&source::File> = present.iter().collect();
        if !log.is_whole(known, &held).await? || !held.files.iter().all(|file| there.contains(file)) {
            return Ok(None);
        }
        let own: HashSet<&source::File> = held.files.iter().collect();
        let new = present.iter().filter(|file| !own.contains(file)).cloned().collect();
        Ok(Some(Basis { buckets: stored, held, new }))
    }

    async fn log(&self, source: &Source<'_>) -> Result<Arc<Log>> {
        let key = (source.store.to_owned(), source.events.table.clone());
        let mut logs = self.logs.lock().await;
        if let Some(log) = logs.get(&key) {
            return Ok(Arc::clone(log));
        }
        let log = Arc::new(Log::new(Arc::clone(&self.store), &self.root, source)?);
        logs.insert(key, Arc::clone(&log));
        Ok(log)
    }
}

/// A copy that a run adds to: what it holds, and the files that it lacks.
struct Basis {
    buckets: u32,
    held: Sources,
    new: Vec<source::File>,
}

/// How many buckets suit a table.
fn suitable(table: &source::Table, files: &[source::File], state: &SessionState) -> u32 {
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    let a_row = match table.format {
        source::Format::Parquet | source::Format::Delta => 30,
        _ => 120,
    };
    let rows = bytes / a_row;
    let cores = u64::try_from(state.config().target_partitions()).unwrap_or(1);
    let buckets = rows.div_ceil(ROWS_A_BUCKET).max(cores.min(rows.div_ceil(FEW_ROWS)));
    u32::try_from(buckets).map_or(MOST_BUCKETS, |buckets| buckets.next_power_of_two().clamp(1, MOST_BUCKETS))
}

/// One run: some source files into all buckets.
struct Job {
    buckets: u32,
    columns: Arc<Columns>,
    log: Arc<Log>,
    /// The source files to read.
    files: Vec<source::File>,
    /// The copy that is added to, and the lists of its keys by bucket.
    base: Arc<State>,
    keys: BTreeMap<u32, String>,
}

impl Job {
    /// Writes the files of all buckets and returns them.
    async fn run(self, source: &Source<'_>, state: &SessionState) -> Result<BTreeMap<u32, Bucket>> {
        let plan = source::scan(source.table, &self.files, state).await?;
        let definition = Definition::new(source, &self.columns, self.buckets);
        let unfinished = Unfinished::open(&self.log, &definition, &self.base, &self.files);
        let mut written = unfinished.buckets().await?;
        if written.len() == usize::try_from(self.buckets).unwrap_or(usize::MAX) {
            return Ok(written);
        }
        let runtime = sort::runtime(state)?;
        let pending: Vec<u32> = (0..self.buckets).filter(|bucket| !written.contains_key(bucket)).collect();
        let spilled = scatter::scatter(plan, &self.columns, self.buckets, &pending, state, &runtime).await?;
        let threads = state.config().target_partitions().max(1);
        let sorter = Arc::new(sort::Sorter {
            columns: Arc::clone(&self.columns),
            log: Arc::clone(&self.log),
            base: Arc::clone(&self.base),
            keys: self.keys,
            config: state.config().clone(),
            runtime,
        });
        let mut spilled = spilled.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < threads
                && let Some((bucket, spill)) = spilled.next()
            {
                let (sorter, unfinished) = (Arc::clone(&sorter), unfinished.clone());
                running.spawn(async move {
                    let files = sorter.write(bucket, spill).await?;
                    unfinished.note(bucket, &files).await?;
                    Ok::<_, Error>((bucket, files))
                });
            }
            let Some(done) = running.join_next().await else { break };
            let (bucket, files) = done.map_err(|error| crate::bug!("{error}"))??;
            written.insert(bucket, files);
        }
        Ok(written)
    }
}
