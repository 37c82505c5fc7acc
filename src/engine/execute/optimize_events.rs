//! `OPTIMIZE EVENTS`: brings the laid-out copy of each event table of a store up to date.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::diagnostic::{Diagnostic, Kind};
use crate::engine::Session;
use crate::error::Result;
use crate::layout::{Change, MOST_BUCKETS};
use crate::statement::OptimizeEvents;

use super::batch;

/// The columns of the answer: a row an event table.
pub(super) fn schema() -> SchemaRef {
    let texts = ["events", "status"].map(|name| Field::new(name, DataType::Utf8, false));
    let counts = ["source_files", "rows_written", "rows", "buckets", "files", "bytes"]
        .map(|name| Field::new(name, DataType::Int64, false));
    Arc::new(Schema::new(texts.into_iter().chain(counts).collect::<Vec<_>>()))
}

pub(super) async fn run(session: &Session, optimize: &OptimizeEvents) -> Result<RecordBatch> {
    let scope = session.scope().await?;
    let name = &optimize.store;
    if scope.store(&name.value)?.is_none() {
        return Err(scope.unknown_store(&name.value).at(name.span).into());
    }
    let buckets = match optimize.buckets {
        Some((buckets, span)) if buckets == 0 || buckets > MOST_BUCKETS => {
            let message = format!("events cannot be laid out into {buckets} buckets");
            let fault = Diagnostic::new(Kind::Unsupported, message).at(span);
            return Err(fault.help(format!("write a number from 1 to {MOST_BUCKETS}")).into());
        }
        buckets => buckets.map(|(buckets, _)| buckets),
    };
    let bound = scope.bound(&name.value).await?;
    let state = scope.state();
    // All tables are found before the first is written.
    let tables = scope.event_tables(&bound)?;
    let mut outcomes = vec![];
    for table in &tables {
        outcomes.push(session.engine.layouts().optimize(&table.source(&bound), buckets, &state).await?);
    }
    let status = |change: Change| match change {
        Change::Current => "current",
        Change::Extended => "extended",
        Change::Written => "written",
        Change::Registered => "registered",
    };
    let names = bound.store.events.iter().map(|events| Some(events.table.as_str()));
    let counts = |of: &dyn Fn(usize) -> u64| -> Arc<Int64Array> {
        let counts = (0..outcomes.len()).map(|at| i64::try_from(of(at)).unwrap_or(i64::MAX));
        Arc::new(counts.collect())
    };
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    batch(
        schema(),
        vec![
            Arc::new(names.collect::<StringArray>()),
            Arc::new(outcomes.iter().map(|outcome| Some(status(outcome.change))).collect::<StringArray>()),
            counts(&|at| number(outcomes[at].source_files)),
            counts(&|at| outcomes[at].rows_written),
            counts(&|at| outcomes[at].layout.rows()),
            counts(&|at| u64::from(outcomes[at].layout.buckets)),
            counts(&|at| number(outcomes[at].layout.files.len())),
            counts(&|at| outcomes[at].layout.bytes()),
        ],
    )
}
