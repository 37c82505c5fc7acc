//! A note beside the table of what its newest version holds, so that readers need not go through the log, which takes longer
//! than many a rule.
//!
//! A note says from which commit it was made. A version by another program has none, and the log is read.

use std::sync::Arc;

use deltalake_core::kernel::StructType;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::error::{Result, from_object_store};

use super::log::{Definition, File, Log, State};

/// Where notes are, by version.
const NOTES: &str = "_coterie/versions";

/// A commit as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commit {
    version: u64,
    size: u64,
    /// When it was written, in microseconds since 1970.
    modified: i64,
    etag: Option<String>,
}

/// What a commit made of the table.
#[derive(Serialize, Deserialize)]
struct Note {
    commit: Commit,
    definition: Option<Definition>,
    schema: Option<StructType>,
    held: Option<String>,
    files: Vec<File>,
    is_foreign: bool,
}

impl Commit {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// None for what is no commit.
    fn new(meta: &ObjectMeta) -> Option<Self> {
        let name = meta.location.filename()?.strip_suffix(".json")?;
        // Others than commits have longer names.
        let version = (name.len() == 20).then(|| name.parse().ok())??;
        let modified = meta.last_modified.timestamp_micros();
        Some(Self { version, size: meta.size, modified, etag: meta.e_tag.clone() })
    }
}

impl Log {
    /// The newest commit; none if there is no table.
    pub(super) async fn commit(&self) -> Result<Option<Commit>> {
        let files = self.store.list(Some(&self.path("_delta_log"))).try_collect::<Vec<ObjectMeta>>().await;
        let files = files.map_err(from_object_store)?;
        Ok(files.iter().filter_map(Commit::new).max_by_key(|commit| commit.version))
    }

    /// What is noted of a commit, without its log.
    pub(super) async fn noted(&self, commit: &Commit) -> Option<State> {
        let bytes = self.store.get(&self.note_path(commit.version)).await.ok()?.bytes().await.ok()?;
        let note: Note = serde_json::from_slice(&bytes).ok()?;
        if note.commit != *commit {
            return None;
        }
        let Note { definition, schema, held, mut files, is_foreign, .. } = note;
        for file in &mut files {
            file.path = self.path(&file.relative);
        }
        Some(State {
            version: Some(commit.version),
            definition,
            schema,
            held,
            files,
            is_foreign,
            table: None,
        })
    }

    /// Notes what a version holds. It stands without the note.
    pub(super) async fn note(&self, state: &Arc<State>) -> Result<()> {
        let newest = self.commit().await?;
        let Some(commit) = newest.filter(|commit| state.version == Some(commit.version)) else {
            return Ok(());
        };
        let State { definition, schema, held, files, is_foreign, .. } = state.as_ref();
        let note = Note {
            definition: definition.clone(),
            schema: schema.clone(),
            held: held.clone(),
            files: files.clone(),
            is_foreign: *is_foreign,
            commit,
        };
        let path = self.note_path(note.commit.version);
        let note = serde_json::to_vec(&note).map_err(|error| crate::bug!("{error}"))?;
        self.store.put(&path, note.into()).await.map_err(from_object_store)?;
        Ok(())
    }

    /// Where the note of a version is.
    pub(super) fn note_path(&self, version: u64) -> Path {
        self.path(&format!("{NOTES}/{version}.json"))
    }
}
