//! The logs of Delta tables that coterie itself writes: the newest version, and the one after it.
//!
//! A commit is one file that is created if it is absent, so of two writers one comes first and the other looks again.
//! This module does not know what the tables hold.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use deltalake_core::kernel::transaction::{CommitData, PROTOCOL, TransactionError};
use deltalake_core::kernel::{Action, CommitInfo};
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

/// The key of what coterie says about a commit.
pub const NOTE: &str = "coterie";

/// How an attempt to make the next version ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The version was made: this one.
    Landed(u64),
    /// Another writer made that version.
    Beaten,
}

/// The log of the table at `url`, which is `prefix` in `store`. Nothing is read or made yet.
pub fn log(store: Arc<dyn ObjectStore>, url: &Url, prefix: Path) -> LogStoreRef {
    let prefixed = Arc::new(PrefixStore::new(Arc::clone(&store), prefix));
    default_logstore(prefixed, store, url, &StorageConfig::default())
}

/// The newest version, reached from one that is `known` with little reading; none before the first commit.
pub async fn newest(
    log: &LogStoreRef,
    known: Option<DeltaTable>,
) -> Result<Option<DeltaTable>, DeltaTableError> {
    let unread = || DeltaTable::new(Arc::clone(log));
    let mut table = known.unwrap_or_else(unread);
    if table.update_incremental(None).await.is_err() {
        // There may be no table, or another one by now. If it cannot be read, the second attempt says why; that one
        // comes after the look at the folder, since a table may have been made since the first.
        if !log.is_delta_table_location().await? {
            return Ok(None);
        }
        table = unread();
        table.update_incremental(None).await?;
    }
    Ok(Some(table))
}

/// Makes the version after `table`'s, if no other writer has. `operation` is for the history, and so is `note`.
pub async fn append(
    log: &LogStoreRef,
    table: Option<&DeltaTable>,
    operation: &str,
    note: Value,
    mut actions: Vec<Action>,
) -> Result<Appended, DeltaTableError> {
    let before = table.and_then(DeltaTable::version);
    let version = before.map_or(0, |version| version + 1);
    let info = CommitInfo {
        timestamp: Some(Utc::now().timestamp_millis()),
        operation: Some(operation.to_owned()),
        operation_parameters: Some(HashMap::new()),
        read_version: before,
        is_blind_append: Some(false),
        engine_info: Some(concat!("coterie/", env!("CARGO_PKG_VERSION")).to_owned()),
        info: HashMap::from([(NOTE.to_owned(), note)]),
        ..CommitInfo::default()
    };
    actions.insert(0, Action::CommitInfo(info));
    // delta-rs knows no operation of ours; to its checks this one is an overwrite.
    let known = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
    if let Some(Ok(snapshot)) = table.map(DeltaTable::snapshot) {
        PROTOCOL.can_commit(snapshot, &actions, &known)?;
    }
    let bytes = CommitData::new(actions, known, HashMap::new(), vec![]).get_bytes()?;
    let entry = CommitOrBytes::LogBytes(bytes.clone());
    match log.write_commit_entry(version, entry, Uuid::new_v4()).await {
        Ok(()) => Ok(Appended::Landed(version)),
        Err(TransactionError::VersionAlreadyExists(_)) => {
            // A store that answered too late and was asked again refuses what it has already taken.
            let winner = log.read_commit_entry(version).await?;
            Ok(if winner == Some(bytes) { Appended::Landed(version) } else { Appended::Beaten })
        }
        Err(error) => Err(error.into()),
    }
}
