//! What delta-rs reports, in coterie's words.

use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::TransactionError;

use crate::diagnostic::Kind;

use super::storage::{Described, causes, describe, lower_first};
use super::{Error, from_datafusion};

/// A failure of a Delta table.
pub fn from_delta(error: DeltaTableError) -> Error {
    match error {
        DeltaTableError::ObjectStore { source } => super::from_object_store(source),
        DeltaTableError::GenericError { source } => from_datafusion(DataFusionError::External(source)),
        other => describe_delta(&other).caused_by(other),
    }
}

pub(super) fn describe_delta(error: &DeltaTableError) -> Described {
    use DeltaTableError as E;
    match error {
        E::ObjectStore { source } => describe(source),
        E::Io { source } => Described::of_io(source, Kind::Storage),
        E::NotATable(_) | E::NotInitialized => {
            Described::new(Kind::Storage, "there is no Delta table at the location")
                .help("the folder of a Delta table holds a folder `_delta_log`")
        }
        E::VersionAlreadyExists(version) => {
            Described::new(Kind::Conflict, format!("another writer committed version {version} first"))
        }
        E::Transaction {
            source: TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_),
        } => Described::new(Kind::Conflict, lower_first(&error.to_string())),
        _ => match causes(error).find_map(|cause| cause.downcast_ref::<object_store::Error>()) {
            Some(source) => describe(source),
            None => Described::new(Kind::Storage, lower_first(&error.to_string())),
        },
    }
}
