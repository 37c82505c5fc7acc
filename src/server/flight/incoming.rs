//! Rows that clients send: parameters, and rows to be stored.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::server::PeekableFlightDataStream;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tonic::Request;

use crate::diagnostic::Kind;
use crate::engine::{Existing, Ingest, Session};
use crate::error::{Error, Result};
use crate::server::wire;
use crate::session::{CATALOG, PUBLIC};

use super::statement;

/// Stores the rows of a call, all or none; returns how many those are.
pub(super) async fn store(
    session: &Session,
    command: &CommandStatementIngest,
    request: Request<PeekableFlightDataStream>,
) -> Result<u64> {
    let mode = mode(command)?;
    let mut batches = batches(request);
    // The schema comes before the first batch.
    let first = batches.try_next().await.map_err(malformed)?;
    let Some(schema) = batches.schema().cloned() else {
        return Err(Error::new(Kind::Usage, "the rows have no schema"));
    };
    let rest = batches.map_err(|error| DataFusionError::from(malformed(error)));
    let rows: BoxStream<'static, Result<RecordBatch, DataFusionError>> =
        stream::iter(first.map(Ok)).chain(rest).boxed();
    let schema = wire::schema(&schema);
    let rows = {
        let schema = Arc::clone(&schema);
        rows.map(move |batch| Ok(wire::batch(&batch?, &schema)?))
    };
    let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
    session.ingest(&command.table, mode, rows).await
}

/// The batches of a `DoPut`.
fn batches(request: Request<PeekableFlightDataStream>) -> FlightRecordBatchStream {
    let messages = request.into_inner().map_err(|status| FlightError::Tonic(Box::new(status)));
    FlightRecordBatchStream::new_from_flight_data(messages)
}

/// What a client sent wrongly.
fn malformed(error: FlightError) -> Error {
    match error {
        FlightError::Tonic(status) => {
            Error::new(Kind::Cancelled, format!("the client broke off: {}", status.message()))
        }
        error => Error::new(Kind::Usage, format!("the rows cannot be read: {error}")),
    }
}

/// The parameters that a client binds.
pub(super) async fn bound(request: Request<PeekableFlightDataStream>) -> Result<Vec<Vec<ScalarValue>>> {
    let mut batches = batches(request);
    let mut values = vec![];
    while let Some(batch) = batches.try_next().await.map_err(malformed)? {
        values.extend(statement::values(&batch)?);
    }
    Ok(values)
}

/// What a client wants done with a table.
fn mode(command: &CommandStatementIngest) -> Result<Ingest> {
    let unsupported = |what: &str| Err(Error::new(Kind::Unsupported, what));
    if command.temporary {
        return unsupported("there are no temporary tables");
    }
    if command.transaction_id.is_some() {
        return unsupported("there are no transactions; the rows of one call are stored all or not at all");
    }
    let known = |given: &Option<String>, own: &str| {
        given.as_deref().is_none_or(|given| given.is_empty() || given == own)
    };
    if !known(&command.catalog, CATALOG) || !known(&command.schema, PUBLIC) {
        return unsupported("tables are stored in schema `public` of catalog `coterie`");
    }
    let options = command.table_definition_options.as_ref();
    let create = match options.map(|options| options.if_not_exist()) {
        Some(TableNotExistOption::Fail) => false,
        None | Some(TableNotExistOption::Create | TableNotExistOption::Unspecified) => true,
    };
    let existing = match options.map(|options| options.if_exists()) {
        Some(TableExistsOption::Append) => Existing::Append,
        Some(TableExistsOption::Replace) => Existing::Replace,
        None | Some(TableExistsOption::Fail | TableExistsOption::Unspecified) => Existing::Fail,
    };
    Ok(Ingest { create, existing })
}
