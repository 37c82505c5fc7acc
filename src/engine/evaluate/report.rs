//! What an evaluation says about itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::engine::execute::{batch, text_columns};
use crate::error::{Error, Result};

/// Shows how an evaluation gets on.
pub trait Progress: Send + Sync {
    /// So many events have been read, of so many if that is known.
    fn read(&self, events: u64, of: Option<u64>);
    /// A store's pass is over.
    fn finished(&self, figures: &Figures);
}

/// The outcome of an evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The instant.
    pub as_of: DateTime<Utc>,
    /// Whether nothing was kept.
    pub dry_run: bool,
    /// One pass a profile store.
    pub runs: Vec<Figures>,
    /// What became of each segment, by name.
    pub segments: Vec<Outcome>,
}

/// The figures of one pass over a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The store.
    pub store: String,
    /// Profiles with a key.
    pub profiles: u64,
    /// Profiles without a key: they were skipped.
    pub null_keys: u64,
    /// Events read.
    pub events: u64,
    /// Events read whose key is no profile's; none in a dry run, which looks at no key that matters to no rule.
    pub orphan_events: Option<u64>,
    /// Bytes read from files, where the format counts them.
    pub bytes_scanned: u64,
    /// From the start to the last member, without keeping them.
    pub seconds: f64,
}

/// What became of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The segment.
    pub segment: String,
    /// `evaluated`, `counted` in a dry run, or `failed`.
    pub status: &'static str,
    /// How many profiles are members now.
    pub members: Option<u64>,
    /// How many became members.
    pub entered: Option<u64>,
    /// How many ceased to be members.
    pub exited: Option<u64>,
    /// Why it failed.
    pub message: Option<String>,
}

impl Report {
    pub(super) fn new(as_of: DateTime<Utc>, dry_run: bool) -> Self {
        Self { as_of, dry_run, runs: vec![], segments: vec![] }
    }

    pub(super) fn evaluated(&mut self, segment: &str, members: u64, entered: u64, exited: u64) {
        self.segments.push(Outcome {
            segment: segment.to_owned(),
            status: if self.dry_run { "counted" } else { "evaluated" },
            members: Some(members),
            entered: Some(entered),
            exited: Some(exited),
            message: None,
        });
    }

    pub(super) fn failed(&mut self, segment: &str, error: &Error) {
        self.segments.push(Outcome {
            segment: segment.to_owned(),
            status: "failed",
            members: None,
            entered: None,
            exited: None,
            message: Some(format!("error[{}]: {}", error.kind(), error.message())),
        });
    }

    pub(super) fn sort(&mut self) {
        self.segments.sort_by(|left, right| left.segment.cmp(&right.segment));
    }

    /// A row a segment, as `EVALUATE` returns them.
    pub fn rows(&self) -> Result<RecordBatch> {
        rows(self)
    }

    /// Whether some segment failed.
    pub fn has_failures(&self) -> bool {
        self.segments.iter().any(|outcome| outcome.status == "failed")
    }
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("segment", DataType::Utf8, false),
        Field::new("status", DataType::Utf8, false),
        Field::new("members", DataType::Int64, true),
        Field::new("entered", DataType::Int64, true),
        Field::new("exited", DataType::Int64, true),
        Field::new("message", DataType::Utf8, true),
    ]))
}

pub(super) fn rows(report: &Report) -> Result<RecordBatch> {
    let count = |f: fn(&Outcome) -> Option<u64>| -> ArrayRef {
        let counts = report.segments.iter().map(|outcome| f(outcome).and_then(|n| i64::try_from(n).ok()));
        Arc::new(counts.collect::<Int64Array>())
    };
    let text = |f: fn(&Outcome) -> Option<&str>| -> ArrayRef {
        Arc::new(report.segments.iter().map(f).collect::<StringArray>())
    };
    batch(
        schema(),
        vec![
            text(|outcome| Some(&outcome.segment)),
            text(|outcome| Some(outcome.status)),
            count(|outcome| outcome.members),
            count(|outcome| outcome.entered),
            count(|outcome| outcome.exited),
            text(|outcome| outcome.message.as_deref()),
        ],
    )
}

pub(super) fn plan_rows(rows: &[(&str, String)]) -> Result<RecordBatch> {
    let kinds: StringArray = rows.iter().map(|(kind, _)| Some(*kind)).collect();
    let texts: StringArray = rows.iter().map(|(_, text)| Some(text.trim_end())).collect();
    batch(text_columns(&["plan_type", "plan"]), vec![Arc::new(kinds), Arc::new(texts)])
}
