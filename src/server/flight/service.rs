//! The calls.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest,
    CommandStatementQuery, CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo,
    TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, BasicAuth, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus,
    FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, Ticket as FlightTicket,
};
use bytes::Bytes;
use futures::stream;
use futures::{Stream, StreamExt};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use crate::diagnostic::Kind;
use crate::engine::Session;
use crate::error::{Error, Result};
use crate::server::Shared;
use crate::server::access::Credentials;
use crate::server::wire;

use super::caller::{credentials, peer};
use super::offer::{Offer, Prepared, described};
use super::statement::{self, Listed, Rows, RunningTickets};
use super::store::{Fetched, Store};
use super::{catalog, incoming, info, options, plain, status};

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

impl Service {
    pub(super) fn is_ended(&self) -> Result<(), Status> {
        if self.shared.stop.is_cancelled() {
            Err(Status::unavailable("the server is shutting down"))
        } else {
            Ok(())
        }
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
        let values = incoming::bound(request).await.map_err(plain)?;
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
            prepared.values = Arc::new(incoming::bound(request).await.map_err(plain)?);
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
        let count = incoming::store(&session, &command, request).await.map_err(plain)?;
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
