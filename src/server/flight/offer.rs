//! What clients come back for: tickets, and prepared statements with what was bound to them.

use std::sync::{Arc, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{
    FlightDescriptor, FlightEndpoint, FlightInfo, SchemaAsIpc, SchemaResult, Ticket as FlightTicket,
};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::diagnostic::Kind;
use crate::engine::{Planned, Session};
use crate::error::{Error, Result};
use crate::server::wire;
use crate::statement::Statement;

use super::service::{Reply, Service};
use super::statement::{self, Ticket};
use super::{plain, status};

/// A ticket that was handed out.
#[derive(Clone)]
pub(super) struct Offer {
    pub(super) owner: String,
    pub(super) ticket: Ticket,
    /// Set when it is cancelled, fetched or not.
    pub(super) cancelled: CancellationToken,
}

/// A prepared statement: its text is planned anew each time it is run, on the catalog and at the time of the run.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) session: Session,
    pub(super) statement: Arc<Statement>,
    /// The parameters that were bound, a set a run.
    pub(super) values: Arc<Vec<Vec<ScalarValue>>>,
}

impl Prepared {
    pub(super) async fn plan(&self) -> Result<Vec<Planned>> {
        let planned = self.session.prepare(&self.statement).await?;
        if self.values.is_empty() {
            return Ok(vec![planned.bind(vec![]).await?]);
        }
        let mut bound = vec![];
        for values in self.values.iter() {
            bound.push(planned.bind(values.clone()).await?);
        }
        Ok(bound)
    }

    pub(super) fn text(&self) -> &str {
        &self.statement.source.text
    }
}

impl Service {
    pub(super) fn limit(&self) -> Option<u64> {
        self.shared.max_result()
    }

    /// A ticket for rows, as the answer of `GetFlightInfo`.
    pub(super) fn offer(
        &self,
        session: &Session,
        ticket: Ticket,
        descriptor: FlightDescriptor,
    ) -> Reply<FlightInfo> {
        let schema = Arc::clone(ticket.schema());
        let records = match &ticket {
            Ticket::Done(batches, _) => {
                i64::try_from(batches.iter().map(RecordBatch::num_rows).sum::<usize>()).ok()
            }
            Ticket::Later(..) => None,
        };
        let owner = session.client().principal.name.clone();
        let offer = Offer { owner, ticket, cancelled: CancellationToken::new() };
        let name = self.tickets.add(offer).map_err(plain)?;
        let ticket = TicketStatementQuery { statement_handle: name.into() };
        described(&schema, ticket.as_any().encode_to_vec(), descriptor, records.unwrap_or(-1))
    }

    pub(super) fn prepared_of(
        &self,
        session: &Session,
        handle: &Bytes,
    ) -> Result<(String, Prepared), Status> {
        let unknown = || {
            plain(Error::new(Kind::NotFound, "this prepared statement is unknown, or was not used for long"))
        };
        let name = String::from_utf8(handle.to_vec()).map_err(|_| unknown())?;
        let prepared = self.prepared.get(&name).ok_or_else(unknown)?;
        // Another user's is as unknown as none.
        if prepared.session.client().principal != session.client().principal {
            return Err(unknown());
        }
        Ok((name, prepared))
    }

    /// Stops the statement of a ticket, whether it runs or not yet.
    pub(super) fn cancel(&self, session: &Session, info: Option<FlightInfo>) -> Result<bool, Status> {
        let endpoints = info.map(|info| info.endpoint).unwrap_or_default();
        let mut any = false;
        for ticket in endpoints.into_iter().filter_map(|endpoint| endpoint.ticket) {
            let ticket = Any::decode(&*ticket.ticket)
                .ok()
                .and_then(|any| any.unpack::<TicketStatementQuery>().ok()?);
            let name = ticket.and_then(|ticket| String::from_utf8(ticket.statement_handle.to_vec()).ok());
            let Some(name) = name else { continue };
            let user = &session.client().principal.name;
            if let Some(offer) = self.tickets.get(&name).filter(|offer| offer.owner == *user) {
                // First the mark, then the query: one that begins meanwhile sees the mark.
                offer.cancelled.cancel();
                self.tickets.remove(&name);
                any = true;
            }
            let query = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
            if let Some(query) = query.filter(|query| query.client.principal.name == *user) {
                query.cancel(user);
                any = true;
            }
        }
        Ok(any)
    }

    /// The columns of a statement, without running it.
    pub(super) async fn schema_of(&self, request: Request<FlightDescriptor>) -> Reply<SchemaResult> {
        let session = self.session(&request).await?;
        let command = Any::decode(&*request.get_ref().cmd).ok().and_then(|any| Command::try_from(any).ok());
        let schema = match command {
            Some(Command::CommandStatementQuery(query)) => {
                let sql = query.query;
                let planned = async {
                    self.shared.check_sql(&sql)?;
                    session.prepare(&statement::single(&session, &sql)?).await
                };
                planned.await.map_err(|error| status(&error, &sql))?.schema()
            }
            Some(Command::CommandPreparedStatementQuery(query)) => {
                let (_, prepared) = self.prepared_of(&session, &query.prepared_statement_handle)?;
                let planned = session.prepare(&prepared.statement).await;
                let planned = planned.map_err(|error| status(&error, prepared.text()))?;
                let bound = match prepared.values.first() {
                    Some(values) => planned.bind(values.clone()).await,
                    None => Ok(planned),
                };
                bound.map_err(|error| status(&error, prepared.text()))?.schema()
            }
            // Of metadata the columns are part of the answer that costs nothing.
            _ => {
                let info = self.get_flight_info(request).await?.into_inner();
                return Ok(Response::new(SchemaResult { schema: info.schema }));
            }
        };
        let schema = wire::schema(&schema);
        let ipc = arrow::ipc::writer::IpcWriteOptions::default();
        let result = SchemaResult::try_from(SchemaAsIpc::new(&schema, &ipc));
        result.map(Response::new).map_err(|error| plain(Error::from(error)))
    }
}

pub(super) fn described(
    schema: &Schema,
    ticket: Vec<u8>,
    descriptor: FlightDescriptor,
    records: i64,
) -> Reply<FlightInfo> {
    let endpoint = FlightEndpoint::new().with_ticket(FlightTicket::new(ticket));
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|error| plain(Error::from(error)))?
        .with_endpoint(endpoint)
        .with_descriptor(descriptor)
        .with_total_records(records)
        .with_ordered(true);
    Ok(Response::new(info))
}
