//! What an evaluation hands in, and what it did: the report that rides in the commit.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use chrono::{DateTime, Utc};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;

/// The members that one evaluation found.
#[derive(Clone, Debug)]
pub struct Run {
    /// Names the evaluation; unique in the store.
    pub id: String,
    /// The instant the rules were asked about, kept to the microsecond.
    pub as_of: DateTime<Utc>,
    /// Profile keys, distinct and not null.
    pub keys: ArrayRef,
    /// For each segment its members, as positions in `keys`.
    pub members: Vec<(String, RoaringBitmap)>,
    /// What else the report should say: profiles, events read, seconds, …
    pub figures: Value,
}

/// What an evaluation did, or would do, to one audience.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The segment.
    pub segment: String,
    /// The change, or why this audience stays as it was.
    pub change: Result<Change>,
}

/// How one audience differs from the one stored before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Members now.
    pub members: u64,
    /// Members now that were none before, new ones and those who came back.
    pub entered: u64,
    /// Members before that are none now.
    pub exited: u64,
}

/// One audience as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The segment.
    pub segment: String,
    /// Members as of the last evaluation.
    pub members: u64,
    /// Rows kept of those who were members before.
    pub exited: u64,
    /// The instant of the last evaluation.
    pub as_of: DateTime<Utc>,
    /// The last evaluation; unknown where another program has rewritten the table.
    pub evaluation: Option<String>,
}

/// One evaluation of the past, as its commit reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The version of the Delta table that it made.
    pub version: u64,
    /// When it became visible.
    pub committed_at: DateTime<Utc>,
    /// What it did.
    pub report: Report,
}

/// What one evaluation did to all of its segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Names the evaluation.
    pub evaluation: String,
    /// The instant the rules were asked about.
    pub as_of: DateTime<Utc>,
    /// Every segment evaluated, also those whose members stayed the same.
    pub segments: BTreeMap<String, Change>,
    /// Profiles, events read and what else the engine told.
    #[serde(default)]
    pub figures: Value,
}
