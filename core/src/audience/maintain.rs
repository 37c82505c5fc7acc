//! Keeps a table of many versions quick to read and no larger than it must be.
//!
//! Commits stay for good, since they are the list of evaluations. What goes is what they no longer need: data files
//! that no recent version holds, and checkpoints that newer ones replace.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use deltalake_core::checkpoints;
use deltalake_core::operations::vacuum::VacuumMode;
use futures::stream::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::log::Log;
use crate::error::Result;

/// A checkpoint every so many versions: few enough to read back, many enough to be cheap.
pub(super) const CHECKPOINT_INTERVAL: u64 = 10;

/// How long files are kept for queries that began before they were replaced. It is Delta Lake's own default.
const KEPT: TimeDelta = TimeDelta::days(7);

impl Log {
    /// Upkeep after `version` was made. That version is there already, so a failure here is none of the commit's:
    /// the next upkeep makes up for it.
    pub(super) async fn maintain(&self, version: u64) {
        if !(version + 1).is_multiple_of(CHECKPOINT_INTERVAL) {
            return;
        }
        if let Ok(state) = self.load().await
            && checkpoints::create_checkpoint(&state.table, None).await.is_ok()
        {
            drop(self.prune_checkpoints().await);
            drop(self.vacuum(KEPT).await);
        }
    }

    /// Deletes data files that no version of the last `kept` holds, those of runs that broke off among them. Says
    /// how many.
    pub(super) async fn vacuum(&self, kept: TimeDelta) -> Result<usize> {
        let state = self.load().await?;
        if state.version.is_none() {
            return Ok(0);
        }
        let vacuum = state
            .table
            .clone()
            .vacuum()
            .with_mode(VacuumMode::Full)
            .with_retention_period(kept)
            .with_enforce_retention_duration(false);
        let (_, metrics) = vacuum.await.map_err(|e| self.layout.failed("vacuum", e))?;
        Ok(metrics.files_deleted.len())
    }

    /// Deletes all checkpoints but the newest two, unless a reader may just be reading them.
    async fn prune_checkpoints(&self) -> Result<()> {
        let store = self.delta.object_store(None);
        let folder = Path::from("_delta_log");
        let mut checkpoints: Vec<ObjectMeta> = store
            .list(Some(&folder))
            .try_filter(|file| {
                let name = file.location.filename().unwrap_or_default();
                std::future::ready(name.ends_with(".parquet") && name.contains(".checkpoint."))
            })
            .try_collect()
            .await
            .map_err(|e| self.layout.failed("clean up", e))?;
        checkpoints.sort_unstable_by(|a, b| b.location.cmp(&a.location));
        let stale = Utc::now() - KEPT;
        for old in checkpoints.iter().skip(2).filter(|file| file.last_modified < stale) {
            Arc::clone(&store).delete(&old.location).await.map_err(|e| self.layout.failed("clean up", e))?;
        }
        Ok(())
    }
}
