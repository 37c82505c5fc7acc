//! Statements on their way from text to rows.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use datafusion::common::ScalarValue;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::diagnostic::Kind;
use crate::engine::{Planned, Query, Session};
use crate::error::{Error, Result};
use crate::server::{flow, wire, work};
use crate::statement::Statement;

use super::status;

/// The rows of a `DoGet`.
pub(super) type Rows = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// What a ticket stands for.
#[derive(Clone)]
pub(super) enum Ticket {
    /// Statements to run, one after the other; all have the same columns.
    Later(Arc<Vec<Planned>>, SchemaRef),
    /// Rows of a statement that was run.
    Done(Arc<Vec<RecordBatch>>, SchemaRef),
}

impl Ticket {
    pub(super) fn schema(&self) -> &SchemaRef {
        match self {
            Self::Later(_, schema) | Self::Done(_, schema) => schema,
        }
    }
}

/// The statements that run, by their tickets: to be cancelled.
pub(super) type RunningTickets = Arc<Mutex<HashMap<String, Arc<Query>>>>;

/// A ticket while its rows flow.
pub(super) struct Listed {
    tickets: RunningTickets,
    name: String,
    cancelled: CancellationToken,
}

impl Listed {
    pub(super) fn new(tickets: RunningTickets, name: String, cancelled: CancellationToken) -> Self {
        Self { tickets, name, cancelled }
    }

    /// Makes a statement one that can be cancelled by the ticket.
    fn begin(&self, query: Arc<Query>) {
        let listed = Arc::clone(&query);
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).insert(self.name.clone(), listed);
        // It may have been cancelled while it was not listed yet.
        if self.cancelled.is_cancelled() {
            query.cancel(&query.client.principal.name);
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Runs all statements of a text but the last, and plans that one.
pub(super) async fn plan(session: &Session, sql: &str) -> Result<Planned> {
    let statements = session.parse(sql)?;
    let Some((last, before)) = statements.split_last() else { return Err(nothing()) };
    for statement in before {
        let mut rows = session.execute(statement).await?.stream;
        while rows.try_next().await?.is_some() {}
    }
    session.prepare(last).await
}

/// The only statement of a text.
pub(super) fn single(session: &Session, sql: &str) -> Result<Statement> {
    let mut statements = session.parse(sql)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(nothing()),
        (Some(_), false) => {
            Err(Error::new(Kind::Unsupported, "one statement can be prepared or described at a time"))
        }
    }
}

fn nothing() -> Error {
    Error::new(Kind::Usage, "there is no statement")
}

/// What is to be fetched for a statement: what changes something is run now.
pub(super) async fn ticket(planned: Vec<Planned>, limit: Option<u64>) -> Result<Ticket> {
    if planned.iter().any(Planned::changes) {
        let (mut schema, mut batches) = (None, vec![]);
        for planned in &planned {
            let (columns, mut rows) = flow::rows(planned.run().await?, limit);
            let sent = wire::schema(&columns);
            while let Some(batch) = rows.try_next().await? {
                batches.push(wire::batch(&batch, &sent)?);
            }
            schema = Some(sent);
        }
        let schema = schema.unwrap_or_else(|| Arc::new(Schema::empty()));
        return Ok(Ticket::Done(Arc::new(batches), schema));
    }
    let Some(first) = planned.first() else { return Err(nothing()) };
    let schema = wire::schema(&first.schema());
    if planned.iter().any(|planned| wire::schema(&planned.schema()).fields() != schema.fields()) {
        return Err(Error::new(Kind::Type, "the sets of parameters give columns of different types"));
    }
    Ok(Ticket::Later(Arc::new(planned), schema))
}

/// How many rows statements changed; -1 when nobody counted.
pub(super) async fn update(planned: &[Planned], limit: Option<u64>) -> Result<i64> {
    let mut total: Option<i64> = None;
    for planned in planned {
        let (columns, mut rows) = flow::rows(planned.run().await?, limit);
        let counted = columns.fields().len() == 1 && columns.field(0).name() == "count";
        while let Some(batch) = rows.try_next().await? {
            let Some(column) = batch.columns().first().filter(|column| counted && !column.is_empty()) else {
                continue;
            };
            let count = match column.data_type() {
                DataType::UInt64 => i64::try_from(column.as_primitive::<UInt64Type>().value(0)).ok(),
                DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(0)),
                _ => None,
            };
            total = count.map(|count| total.unwrap_or(0).saturating_add(count)).or(total);
        }
        if columns.fields().is_empty() {
            total = total.or(Some(0));
        }
    }
    Ok(total.unwrap_or(-1))
}

/// The rows of a ticket.
pub(super) async fn rows(ticket: Ticket, listed: Listed, limit: Option<u64>) -> Result<Rows, Status> {
    let (planned, schema) = match ticket {
        Ticket::Done(batches, schema) => {
            let batches: Vec<Result<RecordBatch>> = batches.iter().cloned().map(Ok).collect();
            return Ok(encode(schema, stream::iter(batches).boxed(), String::new()));
        }
        Ticket::Later(planned, schema) => (planned, schema),
    };
    let sql = planned.first().map(|planned| planned.statement().source.text.to_string()).unwrap_or_default();
    let mut started = vec![];
    // The first is begun here, so that what fails at once fails the call and not the stream.
    if let Some(first) = planned.first() {
        started.push(begin(first, &schema, &listed, limit).await.map_err(|error| status(&error, &sql))?);
    }
    let sent = Arc::clone(&schema);
    // The others begin while the client reads, on the threads of this call.
    let here = Handle::current();
    let listed = Arc::new(listed);
    let rest = stream::unfold((1, planned, listed), move |(at, planned, listed)| {
        let (sent, here) = (Arc::clone(&sent), here.clone());
        async move {
            let next = planned.get(at)?.clone();
            let begun = {
                let listed = Arc::clone(&listed);
                work::on(&here, async move { begin(&next, &sent, &listed, limit).await }).await
            };
            let rows = begun.flatten().unwrap_or_else(|error| stream::iter([Err(error)]).boxed());
            Some((rows, (at + 1, planned, listed)))
        }
    });
    let batches = stream::iter(started).chain(rest).flatten().boxed();
    Ok(encode(schema, batches, sql))
}

async fn begin(
    planned: &Planned,
    schema: &SchemaRef,
    listed: &Listed,
    limit: Option<u64>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let answer = planned.run().await?;
    listed.begin(Arc::clone(&answer.query));
    let (_, rows) = flow::rows(answer, limit);
    let schema = Arc::clone(schema);
    Ok(rows.map(move |batch| wire::batch(&batch?, &schema)).boxed())
}

/// Rows as messages.
pub(super) fn encode(
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch>>,
    sql: String,
) -> Rows {
    let batches = batches.map_err(move |error| FlightError::Tonic(Box::new(status(&error, &sql))));
    let encoded = FlightDataEncoderBuilder::new().with_schema(schema).build(batches);
    Box::pin(encoded.map_err(Status::from))
}

/// A schema as a message.
pub(super) fn message(schema: &Schema) -> Result<bytes::Bytes> {
    let options = arrow::ipc::writer::IpcWriteOptions::default();
    let IpcMessage(message) = SchemaAsIpc::new(schema, &options).try_into()?;
    Ok(message)
}

/// The parameters of a statement as columns. A type that the statement leaves open is told as text.
pub(super) fn parameter_schema(planned: &Planned) -> Result<Schema> {
    let parameters = planned.parameters()?;
    let fields = parameters.into_iter().map(|(name, kind)| {
        let kind = kind.filter(|kind| *kind != DataType::Null).unwrap_or(DataType::Utf8);
        Field::new(name, wire::data_type(&kind), true)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The rows of a batch of parameters.
pub(super) fn values(batch: &RecordBatch) -> Result<Vec<Vec<ScalarValue>>> {
    let row = |row| {
        let values = batch.columns().iter().map(|column| {
            let column: &dyn Array = column.as_ref();
            Ok(ScalarValue::try_from_array(column, row)?)
        });
        values.collect::<Result<Vec<_>>>()
    };
    (0..batch.num_rows()).map(row).collect()
}
