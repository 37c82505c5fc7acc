//! An event table in an evaluation: what is asked of a row, and what is kept of it.

use std::slice;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{cast, is_null, kernels::nullif::nullif};
use arrow::datatypes::{DataType, Int64Type};
use hashbrown::HashMap;

use crate::bug;
use crate::compile::Questions;
use crate::error::Result;

use super::bind::{Input, RowExpr};
use super::channel::Channel;
use super::classes::{Bound, LookupRows};
use super::signature::{Signatures, Terms};

/// The most channels of one event: which of them are there is a word.
pub(super) const MAX_CHANNELS: usize = 64;

/// An event table, as all threads see it.
#[derive(Debug)]
pub(super) struct EventTable {
    /// Its position among the evaluation's tables.
    pub(super) at: usize,
    /// The column of keys, or of the numbers that stand for these, and that of timestamps.
    pub(super) key: String,
    pub(super) time: String,
    pub(super) time_type: DataType,
    /// Events before this instant do not matter.
    pub(super) since: i64,
    /// Events after this instant are hidden.
    pub(super) until: Option<i64>,
    /// The instants since which something is asked of events; the times of two events with none of these between them
    /// are alike.
    pub(super) edges: Vec<i64>,
    /// Whether more is asked of times than which windows they are in.
    pub(super) exact: bool,
    pub(super) questions: Questions,
    /// What the automaton reads, in order; the first `n_early` need nothing but the event's own columns.
    pub(super) levels: Vec<Level>,
    pub(super) n_early: usize,
    pub(super) terms: Terms,
    pub(super) signatures: Signatures,
    pub(super) channels: Vec<Channel>,
    /// The tests of the subjects, bound, by subject.
    pub(super) bound: Vec<Vec<Option<Bound>>>,
    /// The tested rows of lookups, by subject.
    pub(super) lookup_rows: HashMap<usize, LookupRows>,
    pub(super) lookups: HashMap<usize, Lookup>,
}

/// What one step of the automaton looks at.
#[derive(Debug)]
pub(super) enum Level {
    /// A column, with the fields below it.
    Column { subject: usize, path: Vec<String> },
    /// An expression that is computed for each row that is left.
    Row { subject: usize, expr: RowExpr },
    /// Whether a channel's value is not NULL.
    Valid { channel: usize },
}

/// The rows of a lookup by key.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The column by which events refer to it.
    pub(super) on: String,
    pub(super) rows: HashMap<Box<str>, u32>,
    pub(super) batch: RecordBatch,
}

impl EventTable {
    /// The instant that stands for all from the first to the last, if all are in the same windows.
    pub(super) fn alike(&self, first: i64, last: i64) -> Option<i64> {
        let parts = |edge: &i64| first < *edge && *edge <= last;
        let hides = |until: i64| first <= until && until < last;
        (!self.edges.iter().any(parts) && !self.until.is_some_and(hides)).then_some(first)
    }

    /// The columns that decide whether a row matters, its timestamp first unless it is known as far as that goes.
    pub(super) fn early_columns(&self, known: Option<i64>) -> Vec<&[String]> {
        let mut columns = vec![];
        if known.is_none() {
            columns.push(slice::from_ref(&self.time));
        }
        columns.extend(self.levels.iter().filter_map(|level| match level {
            Level::Column { path, .. } => Some(&path[..]),
            _ => None,
        }));
        unique(columns)
    }

    /// The times of a batch. An event without one is before all windows, and not before any instant.
    pub(super) fn times(&self, batch: &RecordBatch) -> Result<ScalarBuffer<i64>> {
        let time = column(batch, slice::from_ref(&self.time))?;
        let times = cast(&time, &DataType::Int64)
            .or_else(|_| cast(&cast(&time, &DataType::Int32)?, &DataType::Int64))
            .map_err(|error| bug!("timestamps: {error}"))?;
        let times = times.as_primitive::<Int64Type>();
        Ok(match times.nulls() {
            None => times.values().clone(),
            Some(_) => times.iter().map(|time| time.unwrap_or(i64::MIN)).collect(),
        })
    }

    /// Whether a time is within the widest window.
    #[inline]
    pub(super) fn is_within(&self, time: i64) -> bool {
        // No window ends before the beginning of time, which is when events without a time are.
        let from = if self.until.is_some() { self.since.max(i64::MIN + 1) } else { self.since };
        (from..=self.until.unwrap_or(i64::MAX)).contains(&time)
    }

    /// All columns that are read.
    pub(super) fn columns(&self, known: Option<i64>) -> Vec<&[String]> {
        let mut columns = self.early_columns(known);
        columns.extend(self.late_columns(known));
        unique(columns)
    }

    /// The columns that are read of rows that matter, the key first.
    pub(super) fn late_columns(&self, known: Option<i64>) -> Vec<&[String]> {
        let mut columns = vec![slice::from_ref(&self.key)];
        if known.is_some() && self.exact {
            columns.push(slice::from_ref(&self.time));
        }
        columns.extend(self.computed_columns());
        unique(columns)
    }

    /// The columns that something is computed from for rows that matter.
    pub(super) fn computed_columns(&self) -> Vec<&[String]> {
        let mut columns: Vec<&[String]> = vec![];
        let kept = self.channels.iter().filter(|channel| !channel.is_of_time).map(|channel| &channel.expr);
        let exprs = kept.chain(self.levels.iter().filter_map(|level| match level {
            Level::Row { expr, .. } => Some(expr),
            _ => None,
        }));
        for input in exprs.flat_map(|expr| &expr.inputs) {
            match input {
                Input::Event(column) => columns.push(column),
                Input::Lookup(at, _) => {
                    columns.extend(self.lookups.get(at).map(|lookup| slice::from_ref(&lookup.on)));
                }
                Input::Profile(_) | Input::Feature(_) => {}
            }
        }
        unique(columns)
    }
}

fn unique(columns: Vec<&[String]>) -> Vec<&[String]> {
    let mut out: Vec<&[String]> = vec![];
    for column in columns {
        if !out.contains(&column) {
            out.push(column);
        }
    }
    out
}

/// A column, or a field below it: NULL where a struct around it is.
pub(super) fn column(batch: &RecordBatch, path: &[String]) -> Result<ArrayRef> {
    let Some((first, fields)) = path.split_first() else { return Err(bug!("a column without a name")) };
    let found = batch.column_by_name(first).ok_or_else(|| bug!("column `{first}` was not read"))?;
    let mut column = Arc::clone(found);
    for name in fields {
        let parent =
            column.as_any().downcast_ref::<StructArray>().ok_or_else(|| bug!("`{first}` has no fields"))?;
        let child = parent.column_by_name(name).ok_or_else(|| bug!("`{first}` has no field `{name}`"))?;
        column = if parent.null_count() > 0 {
            let nulls = is_null(parent).map_err(|error| bug!("nulls: {error}"))?;
            nullif(child, &nulls).map_err(|error| bug!("nulls: {error}"))?
        } else {
            Arc::clone(child)
        };
    }
    Ok(column)
}
