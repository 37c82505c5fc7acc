//! What a run has written before its commit, so that a run that broke off goes on where it was.

use std::collections::BTreeMap;

use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::error::{Result, from_object_store};
use crate::source;

use super::bucket::digest;
use super::log::{Definition, Log, State, UNFINISHED};

/// The files of one bucket that a run has written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub(super) files: Vec<Add>,
    /// Paths of files whose rows are in these now.
    pub(super) replaced: Vec<String>,
    /// How many rows came from the source.
    pub(super) rows: u64,
    /// The list of its keys by number, if rows came.
    pub(super) keys: Option<String>,
}

/// The notes of one run: what it reads and writes makes its name.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    store: Arc<dyn ObjectStore>,
    log: Path,
    folder: Path,
}

impl Unfinished {
    pub(super) fn open(log: &Log, definition: &Definition, base: &State, files: &[source::File]) -> Self {
        let run = serde_json::json!({"definition": definition, "base": base.version, "files": files});
        let folder = log.path(&format!("{UNFINISHED}/{:016x}", digest(run.to_string().as_bytes())));
        Self { store: Arc::clone(&log.store), log: log.prefix.clone(), folder }
    }

    /// The buckets that an earlier run of the same name has written, if their files are there.
    pub(super) async fn buckets(&self) -> Result<BTreeMap<u32, Bucket>> {
        let notes: Vec<Path> = self
            .store
            .list(Some(&self.folder))
            .map_ok(|file| file.location)
            .try_collect()
            .await
            .map_err(from_object_store)?;
        let mut buckets = BTreeMap::new();
        for note in notes {
            let number = note.filename().and_then(|name| name.strip_suffix(".json")?.parse::<u32>().ok());
            let bytes = self.store.get(&note).await.map_err(from_object_store)?.bytes().await;
            // A note that was cut short is one less.
            let noted = serde_json::from_slice::<Bucket>(&bytes.map_err(from_object_store)?);
            if let (Some(number), Ok(bucket)) = (number, noted)
                && self.has_all(&bucket).await
            {
                buckets.insert(number, bucket);
            }
        }
        Ok(buckets)
    }

    /// Notes that a bucket is written.
    pub(super) async fn note(&self, number: u32, bucket: &Bucket) -> Result<()> {
        let note = serde_json::to_vec(bucket).map_err(|error| crate::bug!("{error}"))?;
        let path = self.folder.clone().join(format!("{number}.json"));
        self.store.put(&path, note.into()).await.map_err(from_object_store)?;
        Ok(())
    }

    async fn has_all(&self, bucket: &Bucket) -> bool {
        for file in &bucket.files {
            let Ok(path) = Path::parse(format!("{}/{}", self.log, file.path)) else { return false };
            let size = self.store.head(&path).await.ok().and_then(|meta| i64::try_from(meta.size).ok());
            if size != Some(file.size) {
                return false;
            }
        }
        let Some(keys) = &bucket.keys else { return true };
        let Ok(path) = Path::parse(format!("{}/{keys}", self.log)) else { return false };
        self.store.head(&path).await.is_ok()
    }
}
