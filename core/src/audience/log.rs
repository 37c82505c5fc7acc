//! The Delta log: which files hold which segment, and the one place where a new version is made.
//!
//! A commit is one file that is created if it is absent, so of two writers one comes first and the other looks
//! again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::{Action, Add, EagerSnapshot, Protocol, StructType, new_metadata};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::layout::{Layout, SEGMENT};
use super::maintain::CHECKPOINT_INTERVAL;
use crate::delta::{self, Appended};
use crate::diagnostic::Kind;
use crate::error::{Error, Result};

const AS_OF: &str = "coterie.as_of";
const EVALUATION: &str = "coterie.evaluation";
const MEMBERS: &str = "coterie.members";
const EXITED: &str = "coterie.exited";

/// What was evaluated last, kept with the data file of the segment so that it is part of every snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) as_of: DateTime<Utc>,
    /// Unknown where another program has rewritten the files.
    pub(super) evaluation: Option<String>,
    pub(super) members: u64,
    pub(super) exited: u64,
}

/// One segment as some version holds it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Its data files: one, unless another program has rewritten the table.
    pub(super) files: Vec<Add>,
    /// None where another program has rewritten the table: the rows themselves tell then.
    pub(super) mark: Option<Mark>,
}

/// One version of the table.
#[derive(Debug)]
pub(super) struct State {
    pub(super) table: DeltaTable,
    /// None before the first commit.
    pub(super) version: Option<u64>,
    pub(super) segments: BTreeMap<String, Arc<Segment>>,
}

/// What a commit does, for the history.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Evaluate,
    Remove,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) layout: Arc<Layout>,
    pub(super) delta: LogStoreRef,
    /// The newest state seen, from which newer ones are reached with little reading.
    newest: Mutex<Option<Arc<State>>>,
}

impl Mark {
    fn of(tags: Option<&HashMap<String, Option<String>>>) -> Option<Self> {
        let tag = |name| tags?.get(name)?.as_deref();
        Some(Self {
            as_of: DateTime::parse_from_rfc3339(tag(AS_OF)?).ok()?.to_utc(),
            evaluation: tag(EVALUATION).map(str::to_owned),
            members: tag(MEMBERS)?.parse().ok()?,
            exited: tag(EXITED)?.parse().ok()?,
        })
    }

    pub(super) fn tags(&self) -> HashMap<String, Option<String>> {
        let mut tags = HashMap::from([
            (AS_OF.to_owned(), Some(self.as_of.to_rfc3339_opts(SecondsFormat::Micros, true))),
            (MEMBERS.to_owned(), Some(self.members.to_string())),
            (EXITED.to_owned(), Some(self.exited.to_string())),
        ]);
        if let Some(evaluation) = &self.evaluation {
            tags.insert(EVALUATION.to_owned(), Some(evaluation.clone()));
        }
        tags
    }
}

impl Segment {
    /// Whether both are one state of the segment.
    pub(super) fn is(&self, other: &Self) -> bool {
        let paths =
            |segment: &Self| segment.files.iter().map(|file| file.path.clone()).collect::<BTreeSet<_>>();
        self.mark == other.mark && paths(self) == paths(other)
    }
}

impl Log {
    pub(super) fn new(store: Arc<dyn ObjectStore>, layout: Arc<Layout>) -> Self {
        let delta = delta::log(store, &layout.url, layout.prefix.clone());
        Self { layout, delta, newest: Mutex::new(None) }
    }

    /// The newest version.
    pub(super) async fn load(&self) -> Result<Arc<State>> {
        let mut newest = self.newest.lock().await;
        let known = newest.as_ref().map(|state| state.table.clone());
        let table =
            match delta::newest(&self.delta, known).await.map_err(|e| self.layout.failed("read", e))? {
                Some(table) => table,
                None => {
                    *newest = None;
                    let table = DeltaTable::new(Arc::clone(&self.delta));
                    return Ok(Arc::new(State { table, version: None, segments: BTreeMap::new() }));
                }
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
        let failed = |e| self.layout.failed("read", e);
        let snapshot = table.snapshot().map_err(failed)?.snapshot();
        self.check_columns(snapshot)?;
        let mut files: BTreeMap<String, Vec<Add>> = BTreeMap::new();
        for file in snapshot.try_log_data().map_err(failed)?.iter() {
            if file.deletion_vector_descriptor().is_some() {
                let message = format!("another program has deleted rows in {}", self.layout.url);
                return Err(Error::new(Kind::Unsupported, message).help(
                    "rewrite the table without deletion vectors, or drop its segments and evaluate anew",
                ));
            }
            #[expect(deprecated, reason = "the only way to a file's tags")]
            let add = file.add_action();
            let segment = add.partition_values.get(SEGMENT).cloned().flatten().unwrap_or_default();
            files.entry(segment).or_default().push(add);
        }
        let segments = files
            .into_iter()
            .map(|(name, files)| {
                // Files of another program's making are of any number and in any order.
                let mark = match files.as_slice() {
                    [file] => Mark::of(file.tags.as_ref()),
                    _ => None,
                };
                (name, Arc::new(Segment { files, mark }))
            })
            .collect();
        let version = table.version();
        Ok(State { table, version, segments })
    }

    fn check_columns(&self, snapshot: &EagerSnapshot) -> Result<()> {
        let expected: StructType = self.schema()?;
        if snapshot.schema().as_ref() == &expected {
            return Ok(());
        }
        let Layout { store, url, key, .. } = self.layout.as_ref();
        if snapshot.schema().field(key.name()) == expected.field(key.name()) {
            let message = format!("another program has changed the columns of {url}");
            return Err(
                Error::new(Kind::Conflict, message).help("give the table its columns back, or delete it")
            );
        }
        let message = format!(
            "the audiences of store `{store}` at {url} are kept by another profile key than `{}` of type {}",
            key.name(),
            key.data_type(),
        );
        Err(Error::new(Kind::Conflict, message)
            .help("give the store its earlier key, another name, or delete that folder"))
    }

    fn schema(&self) -> Result<StructType> {
        (&self.layout.table_schema()).try_into_kernel().map_err(|e| self.layout.failed("describe", e))
    }

    /// Makes the version after `state`, if no other writer has.
    pub(super) async fn append(
        &self,
        state: &State,
        operation: Operation,
        mut actions: Vec<Action>,
        report: &Value,
    ) -> Result<Appended> {
        if state.version.is_none() {
            actions.splice(0..0, self.first_actions()?);
        }
        let table = state.version.map(|_| &state.table);
        let appended = delta::append(&self.delta, table, operation.name(), report.clone(), actions).await;
        let appended = appended.map_err(|e| self.layout.failed("write", e))?;
        if let Appended::Landed(version) = appended {
            self.maintain(version).await;
        }
        Ok(appended)
    }

    /// Protocol and columns, which the first version sets.
    fn first_actions(&self) -> Result<[Action; 2]> {
        let failed = |e: DeltaTableError| self.layout.failed("create", e);
        let protocol: Protocol =
            serde_json::from_value(json!({"minReaderVersion": 1, "minWriterVersion": 2}))
                .map_err(|e| self.layout.failed("create", e))?;
        // Other programs that commit here must not clean up the list of evaluations either.
        let settings = [
            ("delta.enableExpiredLogCleanup", "false".to_owned()),
            ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_string()),
        ];
        let metadata = new_metadata(&self.schema()?, [SEGMENT], settings).map_err(|e| failed(e.into()))?;
        Ok([Action::Protocol(protocol), Action::Metadata(metadata)])
    }
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Evaluate => "EVALUATE",
            Self::Remove => "DROP SEGMENT",
        }
    }
}
