//! The Delta log of a copy: what it was made from and how, which files it has, and the one place where a version is made.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::{Action, Add, MetadataExt, Protocol, Remove, StructType, new_metadata};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::vacuum::VacuumMode;
use deltalake_core::{DeltaTable, checkpoints};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;
use uuid::Uuid;

use crate::delta::{self, Appended};
use crate::diagnostic::Kind;
use crate::error::{Error, Result, from_object_store};
use crate::source;
use crate::storage::folder;

use super::bucket::digest;
use super::columns::Columns;
use super::note::Commit;
use super::sources::Sources;
use super::unfinished::Bucket;
use super::{Change, Source};

/// Where runs note what they have written.
pub(super) const UNFINISHED: &str = "_coterie/unfinished";
const SOURCES: &str = "_coterie/sources";

/// Properties of the Delta table.
const DEFINITION: &str = "coterie.layout";
const HELD: &str = "coterie.sources";

/// Tags of a file: rows, and the instants of the first and the last event in microseconds.
const ROWS: &str = "coterie.rows";
const FIRST: &str = "coterie.first";
const LAST: &str = "coterie.last";

/// The version of the format: how keys become buckets and numbers, how files are sorted.
const FORMAT: u32 = 2;

/// How long files are kept for queries that began before they were replaced.
const KEPT: TimeDelta = TimeDelta::days(1);

/// A checkpoint every so many versions.
const CHECKPOINT_INTERVAL: u64 = 10;

/// How a copy is made. Another definition is another copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Definition {
    format: u32,
    /// The declaration of the source table, digested: other options read other rows out of the same files.
    table: String,
    key: String,
    timestamp: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    month_column: String,
    bucket_column: String,
    #[serde(default)]
    number_column: String,
    pub(super) buckets: u32,
}

impl Definition {
    pub(super) fn new(source: &Source<'_>, columns: &Columns, buckets: u32) -> Self {
        Self {
            format: FORMAT,
            table: declaration(source.table),
            key: source.events.key.clone(),
            timestamp: source.events.timestamp.clone(),
            id: source.events.id.clone(),
            month_column: columns.month.clone(),
            bucket_column: columns.bucket.clone(),
            number_column: columns.number.clone(),
            buckets,
        }
    }
}

/// The declaration of a table, digested.
pub(super) fn declaration(table: &source::Table) -> String {
    // Metadata of columns have no order of their own.
    let mut table = serde_json::to_value(table).unwrap_or_default();
    table.sort_all_objects();
    format!("{:016x}", digest(table.to_string().as_bytes()))
}

/// A file of a copy, in the order of key, time and id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the object store.
    #[serde(skip)]
    pub path: Path,
    /// Its length in bytes.
    pub size: u64,
    /// The bucket of all its keys.
    pub bucket: u32,
    /// The month of all its events, `2026-06`; none for events without time.
    pub month: Option<String>,
    /// How many events it holds.
    pub rows: u64,
    /// The instants of its first and its last event, in microseconds since 1970.
    pub span: Option<(i64, i64)>,
    /// Its path in the table.
    pub(super) relative: String,
}

/// One version of a copy.
#[derive(Debug, Default)]
pub(super) struct State {
    /// None before the first commit, and for readers.
    pub(super) table: Option<DeltaTable>,
    /// None before the first commit.
    pub(super) version: Option<u64>,
    pub(super) definition: Option<Definition>,
    pub(super) schema: Option<StructType>,
    /// The path of the list of source files.
    pub(super) held: Option<String>,
    /// By bucket, then month.
    pub(super) files: Vec<File>,
    /// Another program has changed the files.
    pub(super) is_foreign: bool,
}

impl State {
    /// How many buckets the copy has, if it is one of that source.
    pub(super) fn matching(&self, columns: &Columns, source: &Source<'_>) -> Result<Option<u32>> {
        let (Some(schema), Some(definition)) = (&self.schema, &self.definition) else { return Ok(None) };
        let fits = !self.is_foreign && *definition == Definition::new(source, columns, definition.buckets);
        Ok((fits && *schema == kernel_schema(columns)?).then_some(definition.buckets))
    }

    /// The name of the column of keys' numbers.
    pub(super) fn number(&self) -> Option<&str> {
        Some(&self.definition.as_ref()?.number_column)
    }

    /// The files of a bucket whose months have at least `n` of them.
    pub(super) fn crowded(&self, bucket: u32, n: usize) -> Vec<&File> {
        let files: Vec<&File> = self.files.iter().filter(|file| file.bucket == bucket).collect();
        let mut months: HashMap<&Option<String>, usize> = HashMap::new();
        for file in &files {
            *months.entry(&file.month).or_default() += 1;
        }
        files.into_iter().filter(|file| months.get(&file.month).is_some_and(|files| *files >= n)).collect()
    }
}

/// The log of one copy.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The table's folder as a path in the store.
    pub(super) prefix: Path,
    pub(super) url: Url,
    delta: LogStoreRef,
    newest: Mutex<Option<Arc<State>>>,
    /// What was read of the newest version without its log.
    noted: Mutex<Option<(Commit, Arc<State>)>>,
}

impl Log {
    pub(super) fn new(store: Arc<dyn ObjectStore>, root: &Url, source: &Source<'_>) -> Result<Self> {
        let no_folder = || Error::new(Kind::Storage, format!("`{root}` cannot hold events: it is no folder"));
        let mut url = root.clone();
        url.path_segments_mut().map_err(|()| no_folder())?.pop_if_empty().extend([
            "layout",
            &folder(source.store),
            &folder(&source.events.table),
            "",
        ]);
        let prefix = Path::from_url_path(url.path()).map_err(|error| from_object_store(error.into()))?;
        let delta = delta::log(Arc::clone(&store), &url, prefix.clone());
        Ok(Self { store, prefix, url, delta, newest: Mutex::default(), noted: Mutex::default() })
    }

    /// A path in the table as a path in the store.
    pub(super) fn path(&self, relative: &str) -> Path {
        relative.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// The newest version, for who only reads it.
    pub(super) async fn glance(&self) -> Result<Arc<State>> {
        let Some(commit) = self.commit().await? else { return Ok(Arc::default()) };
        let mut noted = self.noted.lock().await;
        if let Some((known, state)) = noted.as_ref()
            && *known == commit
        {
            return Ok(Arc::clone(state));
        }
        let state = match self.noted(&commit).await {
            Some(state) => Arc::new(state),
            None => self.load().await?,
        };
        if state.version == Some(commit.version()) {
            *noted = Some((commit, Arc::clone(&state)));
        }
        Ok(state)
    }

    /// The newest version, for who makes the next.
    pub(super) async fn load(&self) -> Result<Arc<State>> {
        let mut newest = self.newest.lock().await;
        let known = newest.as_ref().and_then(|state| state.table.clone());
        let Some(table) = delta::newest(&self.delta, known).await.map_err(failed("read"))? else {
            *newest = None;
            return Ok(Arc::default());
        };
        if let Some(state) = newest.as_ref()
            && state.version == table.version()
        {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(self.state(table)?);
        *newest = Some(Arc::clone(&state));
        Ok(state)
    }

    fn state(&self, table: DeltaTable) -> Result<State> {
        let snapshot = table.snapshot().map_err(failed("read"))?.snapshot();
        let settings = snapshot.metadata().configuration();
        let definition: Option<Definition> =
            settings.get(DEFINITION).and_then(|text| serde_json::from_str(text).ok());
        let held = settings.get(HELD).cloned();
        let (mut files, mut is_foreign) = (vec![], false);
        for view in snapshot.try_log_data().map_err(failed("read"))?.iter() {
            #[expect(deprecated, reason = "the only way to a file's tags")]
            let add = view.add_action();
            let whole = view.deletion_vector_descriptor().is_none();
            match definition.as_ref().and_then(|definition| self.file(&add, definition)) {
                Some(file) if whole => files.push(file),
                _ => is_foreign = true,
            }
        }
        files.sort_by(|a, b| (a.bucket, &a.month, &a.relative).cmp(&(b.bucket, &b.month, &b.relative)));
        let version = table.version();
        let schema = Some(snapshot.schema().as_ref().clone());
        Ok(State { version, definition, schema, held, files, is_foreign, table: Some(table) })
    }

    fn file(&self, add: &Add, definition: &Definition) -> Option<File> {
        let tag = |name: &str| add.tags.as_ref()?.get(name)?.as_deref();
        let instant = |name| tag(name).and_then(|text| text.parse::<i64>().ok());
        let bucket = add.partition_values.get(&definition.bucket_column)?.as_ref()?.parse().ok()?;
        Some(File {
            path: Path::parse(format!("{}/{}", self.prefix, add.path)).ok()?,
            size: u64::try_from(add.size).ok()?,
            bucket,
            month: add.partition_values.get(&definition.month_column)?.clone(),
            rows: tag(ROWS)?.parse().ok()?,
            span: instant(FIRST).zip(instant(LAST)),
            relative: add.path.clone(),
        })
    }

    /// The source files that a version holds; none if the list is lost.
    pub(super) async fn sources(&self, state: &State) -> Result<Option<Sources>> {
        let Some(held) = &state.held else { return Ok(None) };
        match self.store.get(&self.path(held)).await {
            Ok(found) => {
                let bytes = found.bytes().await.map_err(from_object_store)?;
                Ok(serde_json::from_slice(&bytes).ok())
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(from_object_store(error)),
        }
    }

    /// Whether all files of a version are there, and the lists of its keys.
    pub(super) async fn is_whole(&self, state: &State, sources: &Sources) -> Result<bool> {
        let files: Vec<ObjectMeta> =
            self.store.list(Some(&self.prefix)).try_collect().await.map_err(from_object_store)?;
        let sizes: HashMap<Path, u64> = files.into_iter().map(|file| (file.location, file.size)).collect();
        let has_lists = sources.keys.values().all(|list| sizes.contains_key(&self.path(list)));
        Ok(has_lists && state.files.iter().all(|file| sizes.get(&file.path) == Some(&file.size)))
    }

    /// Makes the version after `state`, if no other writer has.
    pub(super) async fn append(
        &self,
        state: &State,
        columns: &Columns,
        definition: &Definition,
        sources: &Sources,
        written: impl Iterator<Item = Bucket> + Send,
        change: Change,
    ) -> Result<Appended> {
        let held = format!("{SOURCES}/{}.json", Uuid::new_v4());
        let list = serde_json::to_vec(sources).map_err(|error| crate::bug!("{error}"))?;
        self.store.put(&self.path(&held), list.into()).await.map_err(from_object_store)?;

        let mut actions = describe(state, columns, definition, &held)?.to_vec();
        let mut replaced: BTreeSet<String> = BTreeSet::new();
        if change == Change::Written {
            replaced.extend(state.all_paths()?);
        }
        for bucket in written {
            replaced.extend(bucket.replaced);
            actions.extend(bucket.files.into_iter().map(Action::Add));
        }
        let now = Utc::now().timestamp_millis();
        let removal =
            |path| Remove { path, data_change: true, deletion_timestamp: Some(now), ..Remove::default() };
        actions.extend(replaced.into_iter().map(|path| Action::Remove(removal(path))));
        let note = json!({"source_files": sources.files.len()});
        let table = state.table.as_ref();
        delta::append(&self.delta, table, "OPTIMIZE EVENTS", note, actions).await.map_err(failed("write"))
    }

    /// Deletes what no run and no query needs any more. The commit stands already, so a failure here is none of its:
    /// the next run makes up for it.
    pub(super) async fn clean_up(&self) {
        let Ok(state) = self.load().await else { return };
        let Some(table) = &state.table else { return };
        if state.version.is_some_and(|version| (version + 1).is_multiple_of(CHECKPOINT_INTERVAL)) {
            drop(checkpoints::create_checkpoint(table, None).await);
        }
        let vacuum = table.clone().vacuum().with_mode(VacuumMode::Full).with_retention_period(KEPT);
        drop(vacuum.with_enforce_retention_duration(false).await);
        // Delta Lake leaves folders that begin with `_` alone.
        let Ok(Some(sources)) = self.sources(&state).await else { return };
        let held = sources.beside().chain(state.held.as_deref()).map(|path| self.path(path));
        let held: HashSet<Path> = held.chain(state.version.map(|version| self.note_path(version))).collect();
        let stale = Utc::now() - KEPT;
        let ours = self.store.list(Some(&self.path("_coterie"))).try_collect::<Vec<_>>().await;
        for file in ours.unwrap_or_default() {
            if file.last_modified < stale && !held.contains(&file.location) {
                drop(self.store.delete(&file.location).await);
            }
        }
    }
}

impl State {
    /// All files of the version, those of other programs too.
    fn all_paths(&self) -> Result<Vec<String>> {
        let Some(table) = &self.table else { return Ok(vec![]) };
        let snapshot = table.snapshot().map_err(failed("read"))?.snapshot();
        Ok(snapshot
            .try_log_data()
            .map_err(failed("read"))?
            .iter()
            .map(|view| view.path().into_owned())
            .collect())
    }
}

/// Protocol, columns and properties: what a version is.
fn describe(state: &State, columns: &Columns, definition: &Definition, held: &str) -> Result<[Action; 2]> {
    let protocol = match columns.has_local_times() {
        true => {
            let features = ["timestampNtz"];
            json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features})
        }
        false => json!({"minReaderVersion": 1, "minWriterVersion": 2}),
    };
    let protocol: Protocol = serde_json::from_value(protocol).map_err(|error| crate::bug!("{error}"))?;
    let definition = serde_json::to_string(definition).map_err(|error| crate::bug!("{error}"))?;
    let settings = [(DEFINITION, definition), (HELD, held.to_owned())];
    let mut metadata = new_metadata(&kernel_schema(columns)?, [&columns.month, &columns.bucket], settings)
        .map_err(|error| failed("describe")(error.into()))?;
    if let Some(table) = &state.table {
        let id = table.snapshot().map_err(failed("read"))?.snapshot().metadata().id().to_owned();
        metadata = metadata.with_table_id(id).map_err(|error| failed("describe")(error.into()))?;
    }
    Ok([Action::Protocol(protocol), Action::Metadata(metadata)])
}

fn kernel_schema(columns: &Columns) -> Result<StructType> {
    (&columns.table).try_into_kernel().map_err(|error| {
        Error::caused(Kind::Unsupported, format!("a Delta table cannot have these columns: {error}"), error)
    })
}

/// The tags of a file.
pub(super) fn tags(rows: u64, span: Option<(i64, i64)>) -> HashMap<String, Option<String>> {
    let mut tags = HashMap::from([(ROWS.to_owned(), Some(rows.to_string()))]);
    if let Some((first, last)) = span {
        tags.insert(FIRST.to_owned(), Some(first.to_string()));
        tags.insert(LAST.to_owned(), Some(last.to_string()));
    }
    tags
}

/// What delta-rs reports about a copy.
fn failed(doing: &'static str) -> impl Fn(deltalake_core::DeltaTableError) -> Error {
    move |error| {
        let error = crate::error::from_delta(error);
        let message = format!("cannot {doing} laid-out events: {}", error.message());
        Error::caused(error.kind(), message, error)
            .help("they are a copy: if its files are damaged, delete its folder and lay the events out again")
    }
}
