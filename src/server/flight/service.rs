//! The calls.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command,
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    CommandStatementIngest, CommandStatementQuery, CommandStatementUpdate, DoPutPreparedStatementResult,
    ProstMessageExt, SqlInfo, TableExistsOption, TableNotExistOption, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, BasicAuth, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus,
    FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, SchemaAsIpc,
    SchemaResult, Ticket as FlightTicket,
};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Response, Status, Streaming};

use crate::diagnostic::Kind;
use crate::engine::{Existing, Ingest, Planned, Session};
use crate::error::{Error, Result};
use crate::server::Shared;
use crate::server::access::Credentials;
use crate::server::login::Login;
use crate::server::wire;
use crate::session::{CATALOG, PUBLIC};
use crate::statement::Statement;

use super::statement::{self, Listed, Rows, RunningTickets, Ticket};
use super::store::{Fetched, Store};
use super::{Peer, catalog, info, options, plain, status, unauthenticated};

/// What a call returns.
pub(super) type Reply<T> = Result<Response<T>, Status>;
/// Messages that a call returns.
pub(super) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(super) const CANCEL: &str = "CancelFlightInfo";

/// What the calls share.
pub(super) struct Service {
    pub(super) shared: Arc<Shared>,
    /// By token.
    pub(super) sessions: Store<Session>,
    pub(super) tickets: Store<Offer>,
    pub(super) fetched: Fetched,
    pub(super) prepared: Store<Prepared>,
    pub(super) running: RunningTickets,
}

/// A ticket that was handed out.
#[derive(Clone)]
pub(super) struct Offer {
    owner: String,
    ticket: Ticket,
    /// Set when it is cancelled, fetched or not.
    cancelled: CancellationToken,
}

/// A prepared statement: its text is planned anew each time it is run, on the catalog and at the time of the run.
#[derive(Clone)]
pub(super) struct Prepared {
    session: Session,
    statement: Arc<Statement>,
    /// The parameters that were bound, a set a run.
    values: Arc<Vec<Vec<ScalarValue>>>,
}

impl Prepared {
    async fn plan(&self) -> Result<Vec<Planned>> {
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

    fn text(&self) -> &str {
        &self.statement.source.text
    }
}

/// Who calls, and the session that the call belongs to.
struct Caller {
    session: Session,
    token: Option<String>,
}

impl Service {
    async fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let peer = peer(request)?;
        let credentials = credentials(request.metadata())?;
        let login = self.log_in(&credentials, &peer).await?;
        let begin = || self.shared.session(&login, "flight", peer.address);
        let Credentials::Bearer(token) = credentials else {
            let mut sessions = peer.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let session = sessions.entry(login.principal.name.clone()).or_insert_with(begin);
            // A user who got another role meanwhile gets another session.
            if session.client().principal != login.principal {
                *session = begin();
            }
            return Ok(Caller { session: session.clone(), token: None });
        };
        let known = self.sessions.get(&token).filter(|session| session.client().principal == login.principal);
        let session = match known {
            Some(session) => session,
            None => {
                let session = begin();
                self.sessions.put(token.clone(), session.clone()).map_err(plain)?;
                session
            }
        };
        Ok(Caller { session, token: Some(token) })
    }

    async fn session<T>(&self, request: &Request<T>) -> Result<Session, Status> {
        Ok(self.caller(request).await?.session)
    }

    async fn log_in(&self, credentials: &Credentials, peer: &Peer) -> Result<Login, Status> {
        self.shared.log_in(credentials, peer.address.ip()).await.map_err(|error| unauthenticated(&error))
    }

    fn limit(&self) -> Option<u64> {
        self.shared.max_result()
    }

    /// A ticket for rows, as the answer of `GetFlightInfo`.
    fn offer(&self, session: &Session, ticket: Ticket, descriptor: FlightDescriptor) -> Reply<FlightInfo> {
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

    fn prepared_of(&self, session: &Session, handle: &Bytes) -> Result<(String, Prepared), Status> {
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

    fn is_ended(&self) -> Result<(), Status> {
        if self.shared.stop.is_cancelled() {
            Err(Status::unavailable("the server is shutting down"))
        } else {
            Ok(())
        }
    }

    /// Stops the statement of a ticket, whether it runs or not yet.
    fn cancel(&self, session: &Session, info: Option<FlightInfo>) -> Result<bool, Status> {
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

    /// The answer of `GetFlightInfo` for metadata: the command itself is the ticket.
    async fn metadata(
        &self,
        request: Request<FlightDescriptor>,
        command: impl ProstMessageExt,
        schema: Result<SchemaRef>,
    ) -> Reply<FlightInfo> {
        self.session(&request).await?;
        let ticket = command.as_any().encode_to_vec();
        let schema = schema.map_err(plain)?;
        described(&schema, ticket, request.into_inner(), -1)
    }
}

fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    let peer = request.extensions().get::<Peer>().cloned();
    peer.ok_or_else(|| plain(crate::bug!("a call without a connection")))
}

fn credentials(metadata: &MetadataMap) -> Result<Credentials, Status> {
    let header = metadata.get("authorization").map(|value| value.to_str().unwrap_or_default());
    Credentials::parse(header).map_err(|error| unauthenticated(&error))
}

fn described(
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

/// One batch of metadata.
fn one(batch: Result<RecordBatch>) -> Reply<Rows> {
    let batch = batch.map_err(plain)?;
    let schema = batch.schema();
    let batches = stream::iter([Ok(batch)]).boxed();
    Ok(Response::new(statement::encode(schema, batches, String::new())))
}

fn one_result(body: impl Into<Bytes>) -> Messages<arrow_flight::Result> {
    Box::pin(stream::iter([Ok(arrow_flight::Result { body: body.into() })]))
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

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Reply<Messages<HandshakeResponse>> {
        let peer = peer(&request)?;
        let mut credentials = credentials(request.metadata())?;
        if credentials == Credentials::None {
            // The older way: name and password as a message.
            let first = request.into_inner().message().await?;
            let sent = first.and_then(|first| BasicAuth::decode(first.payload).ok());
            if let Some(BasicAuth { username, password }) = sent.filter(|sent| !sent.username.is_empty()) {
                credentials = Credentials::Basic { name: username, password };
            }
        }
        let login = self.log_in(&credentials, &peer).await?;
        let token = self.shared.logins.issue(&login).map_err(plain)?;
        let answer = HandshakeResponse { protocol_version: 0, payload: token.clone().into() };
        let messages: Messages<HandshakeResponse> = Box::pin(stream::iter([Ok(answer)]));
        let mut response = Response::new(messages);
        let header = MetadataValue::try_from(format!("Bearer {token}"));
        let header = header.map_err(|error| plain(crate::bug!("a token is no header: {error}")))?;
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        self.is_ended()?;
        let session = self.session(&request).await?;
        let sql = query.query;
        let planned = async {
            self.shared.check_sql(&sql)?;
            statement::ticket(vec![statement::plan(&session, &sql).await?.bind(vec![]).await?], self.limit())
                .await
        };
        let ticket = planned.await.map_err(|error| status(&error, &sql))?;
        self.offer(&session, ticket, request.into_inner())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        self.is_ended()?;
        let session = self.session(&request).await?;
        let (_, prepared) = self.prepared_of(&session, &query.prepared_statement_handle)?;
        let ticket = async { statement::ticket(prepared.plan().await?, self.limit()).await };
        let ticket = ticket.await.map_err(|error| status(&error, prepared.text()))?;
        self.offer(&session, ticket, request.into_inner())
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        self.is_ended()?;
        let session = self.session(&request).await?;
        let unknown = || {
            let error = Error::new(Kind::NotFound, "this ticket is unknown or has expired");
            plain(error.help("run the statement again"))
        };
        let name = String::from_utf8(ticket.statement_handle.to_vec()).map_err(|_| unknown())?;
        let offer = self.tickets.get(&name).ok_or_else(unknown)?;
        if offer.owner != session.client().principal.name {
            return Err(unknown());
        }
        if let Some(oldest) = self.fetched.add(name.clone()) {
            self.tickets.remove(&oldest);
        }
        let listed = Listed::new(Arc::clone(&self.running), name, offer.cancelled);
        let rows = statement::rows(offer.ticket, listed, self.limit()).await?;
        Ok(Response::new(rows))
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        let session = self.session(&request).await?;
        let (name, prepared) = self.prepared_of(&session, &query.prepared_statement_handle)?;
        let ticket = async { statement::ticket(prepared.plan().await?, self.limit()).await };
        let ticket = ticket.await.map_err(|error| status(&error, prepared.text()))?;
        let listed = Listed::new(Arc::clone(&self.running), name, CancellationToken::new());
        let rows = statement::rows(ticket, listed, self.limit()).await?;
        Ok(Response::new(rows))
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        let schema = Ok(query.into_builder().schema());
        self.metadata(request, query, schema).await
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        self.session(&request).await?;
        one(catalog::catalogs(query))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        let schema = Ok(query.clone().into_builder().schema());
        self.metadata(request, query, schema).await
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        let session = self.session(&request).await?;
        one(catalog::schemas(&session, query).await)
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        let schema = Ok(query.clone().into_builder().schema());
        self.metadata(request, query, schema).await
    }

    async fn do_get_tables(&self, query: CommandGetTables, request: Request<FlightTicket>) -> Reply<Rows> {
        let session = self.session(&request).await?;
        one(catalog::tables(&session, query).await)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        let schema = Ok(query.into_builder().schema());
        self.metadata(request, query, schema).await
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        self.session(&request).await?;
        one(catalog::table_types(query))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        let schema = info::sql_info_data().map(|data| data.schema());
        self.metadata(request, query, schema).await
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, request: Request<FlightTicket>) -> Reply<Rows> {
        self.session(&request).await?;
        one(info::sql_info(query))
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        let schema = info::type_info_data().map(|data| data.schema());
        self.metadata(request, query, schema).await
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        self.session(&request).await?;
        one(info::type_info(query))
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        self.metadata(request, query, Ok(catalog::primary_keys_schema())).await
    }

    async fn do_get_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        let session = self.session(&request).await?;
        one(catalog::primary_keys(&session, query).await)
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        self.metadata(request, query, Ok(catalog::foreign_keys_schema())).await
    }

    async fn do_get_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        let session = self.session(&request).await?;
        one(catalog::exported_keys(&session, query).await)
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        self.metadata(request, query, Ok(catalog::foreign_keys_schema())).await
    }

    async fn do_get_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        let session = self.session(&request).await?;
        one(catalog::imported_keys(&session, query).await)
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Reply<FlightInfo> {
        self.metadata(request, query, Ok(catalog::foreign_keys_schema())).await
    }

    async fn do_get_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightTicket>,
    ) -> Reply<Rows> {
        let session = self.session(&request).await?;
        one(catalog::cross_reference(&session, query).await)
    }

    async fn do_put_statement_update(
        &self,
        command: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.is_ended()?;
        let session = self.session(&request).await?;
        let sql = command.query;
        let done = async {
            self.shared.check_sql(&sql)?;
            let planned = statement::plan(&session, &sql).await?.bind(vec![]).await?;
            statement::update(&[planned], self.limit()).await
        };
        done.await.map_err(|error| status(&error, &sql))
    }

    async fn do_put_prepared_statement_query(
        &self,
        command: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let session = self.session(&request).await?;
        let (name, prepared) = self.prepared_of(&session, &command.prepared_statement_handle)?;
        let values = bound(request).await.map_err(plain)?;
        let prepared = Prepared { values: Arc::new(values), ..prepared };
        // What does not fit is said where it is bound, and not where it is run.
        prepared.plan().await.map_err(|error| status(&error, prepared.text()))?;
        self.prepared.put(name, prepared).map_err(plain)?;
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: None })
    }

    async fn do_put_prepared_statement_update(
        &self,
        command: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.is_ended()?;
        let session = self.session(&request).await?;
        let (_, mut prepared) = self.prepared_of(&session, &command.prepared_statement_handle)?;
        let mut request = request;
        // Some drivers send the parameters here, some have bound them before and send no rows.
        let first = request.get_mut().peek().await;
        if first.is_some_and(|first| first.as_ref().is_ok_and(|first| !first.data_header.is_empty())) {
            prepared.values = Arc::new(bound(request).await.map_err(plain)?);
        }
        let done = async { statement::update(&prepared.plan().await?, self.limit()).await };
        done.await.map_err(|error| status(&error, prepared.text()))
    }

    async fn do_put_statement_ingest(
        &self,
        command: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.is_ended()?;
        let session = self.session(&request).await?;
        let mode = mode(&command).map_err(plain)?;
        let mut batches = batches(request);
        // The schema comes before the first batch.
        let first = batches.try_next().await.map_err(|error| plain(malformed(error)))?;
        let Some(schema) = batches.schema().cloned() else {
            return Err(plain(Error::new(Kind::Usage, "the rows have no schema")));
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
        let count = session.ingest(&command.table, mode, rows).await.map_err(plain)?;
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let session = self.session(&request).await?;
        let sql = query.query;
        let prepared = async {
            self.shared.check_sql(&sql)?;
            let statement = statement::single(&session, &sql)?;
            let planned = session.prepare(&statement).await?;
            let schema = wire::schema(&planned.schema());
            let parameters = statement::parameter_schema(&planned)?;
            let prepared = Prepared { session, statement: Arc::new(statement), values: Arc::default() };
            Ok(ActionCreatePreparedStatementResult {
                prepared_statement_handle: self.prepared.add(prepared)?.into(),
                dataset_schema: statement::message(&schema)?,
                parameter_schema: statement::message(&parameters)?,
            })
        };
        prepared.await.map_err(|error: Error| status(&error, &sql))
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let session = self.session(&request).await?;
        // Closing what is closed is no fault.
        if let Ok((name, _)) = self.prepared_of(&session, &query.prepared_statement_handle) {
            self.prepared.remove(&name);
        }
        Ok(())
    }

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        /// The values of the message's field, which arrow-flight keeps to itself.
        const CANCELLED: i32 = 1;
        const NOT_CANCELLABLE: i32 = 3;
        let session = self.session(&request).await?;
        let cancelled = self.cancel(&session, FlightInfo::decode(query.info).ok())?;
        Ok(ActionCancelQueryResult { result: if cancelled { CANCELLED } else { NOT_CANCELLABLE } })
    }

    async fn list_custom_actions(&self) -> Option<Vec<Result<ActionType, Status>>> {
        let described = [
            (CANCEL, "Stop a statement. Request: CancelFlightInfoRequest. Response: CancelFlightInfoResult."),
            (
                options::SET,
                "Change settings. Request: SetSessionOptionsRequest. Response: SetSessionOptionsResult.",
            ),
            (
                options::GET,
                "Read settings. Request: GetSessionOptionsRequest. Response: GetSessionOptionsResult.",
            ),
            (
                options::CLOSE,
                "End the session and its token. Request: CloseSessionRequest. Response: CloseSessionResult.",
            ),
        ];
        let types = described
            .map(|(name, text)| Ok(ActionType { r#type: name.to_owned(), description: text.to_owned() }));
        Some(types.into())
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Reply<<Self as FlightService>::DoActionStream> {
        let caller = self.caller(&request).await?;
        let session = &caller.session;
        let Action { r#type: kind, body } = request.into_inner();
        let garbage = |error: prost::DecodeError| plain(Error::new(Kind::Usage, format!("{kind}: {error}")));
        let body = match kind.as_str() {
            CANCEL => {
                let ask = CancelFlightInfoRequest::decode(body).map_err(garbage)?;
                let cancelled = self.cancel(session, ask.info)?;
                let status = if cancelled { CancelStatus::Cancelled } else { CancelStatus::NotCancellable };
                CancelFlightInfoResult::new(status).encode_to_vec()
            }
            options::SET => {
                let ask = options::SetRequest::decode(body).map_err(garbage)?;
                options::set(session, ask).encode_to_vec()
            }
            options::GET => options::get(session).encode_to_vec(),
            options::CLOSE => {
                if let Some(token) = &caller.token {
                    self.sessions.remove(token);
                    self.shared.logins.revoke(token);
                }
                options::CloseResult { status: 1 }.encode_to_vec()
            }
            other => {
                return Err(plain(Error::new(Kind::Unsupported, format!("there is no action `{other}`"))));
            }
        };
        Ok(Response::new(one_result(body)))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}

/// The parameters that a client binds.
async fn bound(request: Request<PeekableFlightDataStream>) -> Result<Vec<Vec<ScalarValue>>> {
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
