//! Delta Lake tables, through delta-rs, over our own object stores.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::CreateExternalTable;
use deltalake_core::kernel::LogicalFileView;
use deltalake_core::logstore::{
    LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories,
};
use deltalake_core::{DeltaTable, DeltaTableBuilder};
use url::{Position, Url};

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Result, from_delta};
use crate::storage::{Files, shown};

use super::{Location, Table};

/// The one folder of a Delta table, which says all else itself.
pub(super) fn locations(statement: &CreateExternalTable, mut named: Vec<Files>) -> Result<Vec<Location>> {
    let wrong = |message: &str| Err(Diagnostic::new(Kind::Unsupported, message).into());
    if !statement.schema.fields().is_empty() || !statement.table_partition_cols.is_empty() {
        return wrong("a Delta table has its own columns: leave out the list");
    }
    match (named.pop(), named.is_empty()) {
        (Some(Files { mut url, pattern: None }), true) => {
            if !url.path().ends_with('/') {
                let path = format!("{}/", url.path());
                url.set_path(&path);
            }
            Ok(vec![Location { url: url.to_string(), pattern: None, deep: false }])
        }
        _ => wrong("a Delta table is one folder"),
    }
}

/// Opens the newest version.
pub(super) async fn open(table: &Table, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
    provider(&load(table, state).await?, state).await
}

/// Reads the log up to the newest version.
pub(super) async fn load(table: &Table, state: &SessionState) -> Result<DeltaTable> {
    let [location] = table.locations.as_slice() else {
        return Err(crate::bug!("the Delta table `{}` has {} locations", table.name, table.locations.len()));
    };
    let url = location.url()?;
    let root = ObjectStoreUrl::parse(&url[..Position::BeforePath])?;
    let store = state.runtime_env().object_store(root)?;
    know_scheme(&url)?;
    let builder = DeltaTableBuilder::from_url(url.clone()).map_err(from_delta)?;
    let loaded = builder.with_storage_backend(store, url.clone()).load().await;
    loaded.map_err(|error| from_delta(error).in_table(&url))
}

/// The table at the version that was read.
pub(super) async fn provider(loaded: &DeltaTable, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
    Ok(loaded.table_provider().with_session(Arc::new(state.clone())).await?)
}

/// What tells versions apart whose files are the same: the number, where rows are deleted beside the files.
pub(super) fn deletions(loaded: &DeltaTable) -> Result<Option<String>> {
    let snapshot = loaded.snapshot().map_err(from_delta)?.snapshot();
    let deleted = |file: &LogicalFileView| file.deletion_vector_descriptor().is_some();
    let any = snapshot.try_log_data().map_err(from_delta)?.iter().any(|file| deleted(&file));
    Ok(any.then(|| format!("version {}", loaded.version().unwrap_or_default())))
}

/// delta-rs asks its own list of schemes even when it is handed the store.
fn know_scheme(url: &Url) -> Result<()> {
    let scheme = Url::parse(&format!("{}://", url.scheme())).map_err(|error| crate::bug!("{error}"))?;
    logstore_factories().entry(scheme).or_insert_with(|| Arc::new(Ours));
    Ok(())
}

/// Commits by put-if-absent, as delta-rs does for local files; all our stores can.
struct Ours;

impl LogStoreFactory for Ours {
    fn with_options(
        &self,
        prefixed_store: ObjectStoreRef,
        root_store: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> Result<Arc<dyn LogStore>, deltalake_core::DeltaTableError> {
        Ok(default_logstore(prefixed_store, root_store, location, options))
    }
}

trait InTable {
    fn in_table(self, url: &Url) -> Self;
}

impl InTable for crate::error::Error {
    /// delta-rs does not say which table has no log.
    fn in_table(self, url: &Url) -> Self {
        let message = format!("cannot open the Delta table `{}`: {}", shown(url), self.message());
        let kind = self.kind();
        let help = match &self {
            Self::Failed(failure) => failure.help.clone(),
            Self::Wrong(_) => vec![],
        };
        help.into_iter().fold(Self::caused(kind, message, self), Self::help)
    }
}
