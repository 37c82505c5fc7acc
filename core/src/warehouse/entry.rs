//! One version of one thing in the catalog.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::error::Result;

use super::Change;

/// What sort of thing an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A declared table.
    Table,
    /// A profile store.
    ProfileStore,
    /// A segment.
    Segment,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Table, Self::ProfileStore, Self::Segment];

    /// The name of its folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::ProfileStore => "profile_store",
            Self::Segment => "segment",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::ProfileStore => "profile store",
            Self::Segment => "segment",
        })
    }
}

/// One version of a thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What sort of thing it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Counts from 1 for each name.
    pub version: u64,
    /// When this version was made.
    pub created_at: DateTime<Utc>,
    /// This version drops the thing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Tells a writer that an entry it meets is its own.
    pub(super) id: Uuid,
    /// The thing itself.
    pub body: Value,
}

impl Entry {
    pub(super) fn new(change: Change, version: u64) -> Self {
        let Change { kind, name, after: _, body, created_at, deleted } = change;
        Self { kind, name, version, created_at, deleted, id: Uuid::new_v4(), body }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| crate::bug!("{error}"))?;
        json.push(b'\n');
        Ok(json)
    }

    pub(super) fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}
