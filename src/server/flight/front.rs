//! The service with the calls that arrow-flight's own does not know, each done where statements run.

use std::future::Future;
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tonic::{Request, Response, Status, Streaming};

use crate::server::work;

use super::plain;
use super::service::{CANCEL, Messages, Reply, Service};

/// The calls, without sight of what they work on: the compiler would prove for each of them anew that all of a service
/// may go to another thread.
trait Calls:
    FlightService<
        HandshakeStream = Messages<HandshakeResponse>,
        ListFlightsStream = Messages<FlightInfo>,
        DoGetStream = Messages<FlightData>,
        DoPutStream = Messages<PutResult>,
        DoActionStream = Messages<arrow_flight::Result>,
        ListActionsStream = Messages<ActionType>,
        DoExchangeStream = Messages<FlightData>,
    >
{
    /// The columns of a statement, without running it.
    fn columns(&self, request: Request<FlightDescriptor>) -> BoxFuture<'_, Reply<SchemaResult>>;
}

impl Calls for Service {
    fn columns(&self, request: Request<FlightDescriptor>) -> BoxFuture<'_, Reply<SchemaResult>> {
        Box::pin(self.schema_of(request))
    }
}

/// What answers clients.
pub(super) struct Front {
    service: Arc<dyn Calls>,
    workers: Handle,
}

impl Front {
    pub(super) fn new(service: Service) -> Self {
        Self { workers: service.shared.workers.clone(), service: Arc::new(service) }
    }

    async fn work<T, F>(&self, call: impl FnOnce(Arc<dyn Calls>) -> F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Status>> + Send + 'static,
    {
        let done = work::on(&self.workers, call(Arc::clone(&self.service))).await;
        done.unwrap_or_else(|error| Err(plain(error)))
    }
}

#[tonic::async_trait]
impl FlightService for Front {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoActionStream = Messages<arrow_flight::Result>;
    type ListActionsStream = Messages<ActionType>;
    type DoExchangeStream = Messages<FlightData>;

    async fn handshake(&self, request: Request<Streaming<HandshakeRequest>>) -> Reply<Self::HandshakeStream> {
        self.work(|service| async move { service.handshake(request).await }).await
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Reply<Self::ListFlightsStream> {
        self.work(|service| async move { service.list_flights(request).await }).await
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Reply<FlightInfo> {
        self.work(|service| async move { service.get_flight_info(request).await }).await
    }

    /// Everything is known at once: the first answer is the last.
    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Reply<PollInfo> {
        let info = self.get_flight_info(request).await?.into_inner();
        Ok(Response::new(PollInfo::new().with_info(info)))
    }

    /// The columns of a statement, without running it.
    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Reply<SchemaResult> {
        self.work(|service| async move { service.columns(request).await }).await
    }

    async fn do_get(&self, request: Request<Ticket>) -> Reply<Self::DoGetStream> {
        self.work(|service| async move { service.do_get(request).await }).await
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Reply<Self::DoPutStream> {
        self.work(|service| async move { service.do_put(request).await }).await
    }

    async fn do_action(&self, request: Request<Action>) -> Reply<Self::DoActionStream> {
        // What stops statements does not wait for them.
        if matches!(request.get_ref().r#type.as_str(), CANCEL | "CancelQuery") {
            return self.service.do_action(request).await;
        }
        self.work(|service| async move { service.do_action(request).await }).await
    }

    async fn list_actions(&self, request: Request<Empty>) -> Reply<Self::ListActionsStream> {
        self.work(|service| async move { service.list_actions(request).await }).await
    }

    async fn do_exchange(&self, request: Request<Streaming<FlightData>>) -> Reply<Self::DoExchangeStream> {
        self.work(|service| async move { service.do_exchange(request).await }).await
    }
}
