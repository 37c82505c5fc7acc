//! What the warehouse's catalog holds, as types.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Kind;
use crate::error::{Error, Result};
use crate::profile::ProfileStore;
use crate::segment::Segment;
use crate::source;
use crate::warehouse::Entry;

/// A name in schema `public`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Relation {
    /// An external table.
    Table(source::Table),
    /// A view.
    View {
        /// The query, without `CREATE VIEW`.
        sql: String,
    },
}

/// A body of a catalog entry.
pub(super) trait Typed: DeserializeOwned + Serialize + Send + Sync + 'static {}

impl Typed for Relation {}
impl Typed for ProfileStore {}
impl Typed for Segment {}

/// The body of an entry.
pub(super) fn parse<T: Typed>(entry: &Entry) -> Result<T> {
    T::deserialize(&entry.body).map_err(|error| {
        let message = format!(
            "the catalog entry of {} `{}`, version {}, is damaged",
            entry.kind, entry.name, entry.version
        );
        Error::caused(Kind::Storage, message, error)
    })
}
