//! How fast rows reach a client over Flight SQL, beside what arrow-flight does with batches that lie ready.
//!
//! `cargo bench --bench flight`. Both run in this process, over loopback, with a client that decodes every batch.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightClient, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use coterie::engine::{Engine, Options};
use coterie::server::{self, Config};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

const ROWS: i64 = 10_000_000;
const BATCH: i64 = 8192;

/// Serves batches that lie ready.
struct Ready(Vec<RecordBatch>);

type Messages<T> = BoxStream<'static, Result<T, Status>>;

fn no<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("only DoGet is measured"))
}

#[tonic::async_trait]
impl FlightService for Ready {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoActionStream = Messages<arrow_flight::Result>;
    type ListActionsStream = Messages<ActionType>;
    type DoExchangeStream = Messages<FlightData>;

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        no()
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        no()
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        no()
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        no()
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        no()
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let batches = stream::iter(self.0.clone().into_iter().map(Ok));
        let encoded = FlightDataEncoderBuilder::new().with_schema(self.0[0].schema()).build(batches);
        Ok(Response::new(encoded.map_err(Status::from).boxed()))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        no()
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        no()
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        no()
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        no()
    }
}

async fn serve_ready() -> SocketAddr {
    let batch = |start: i64| {
        let values = Int64Array::from_iter_values(start..(start + BATCH).min(ROWS + 1));
        RecordBatch::try_from_iter([("value", Arc::new(values) as _)]).unwrap()
    };
    let batches = (0..=ROWS / BATCH).map(|n| batch(1 + n * BATCH)).collect();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| {
            stream.set_nodelay(true).unwrap();
            stream
        });
        Some((accepted, listener))
    });
    let service = FlightServiceServer::new(Ready(batches));
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    address
}

async fn count(mut rows: impl futures::Stream<Item = arrow_flight::error::Result<RecordBatch>> + Unpin) {
    let mut n = 0;
    while let Some(batch) = rows.try_next().await.unwrap() {
        n += batch.num_rows();
    }
    assert_eq!(i64::try_from(n), Ok(ROWS));
}

fn measure(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connect = async |address: SocketAddr| {
        Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
    };
    let mut group = criterion.benchmark_group("flight");
    group.sample_size(10).throughput(Throughput::Elements(u64::try_from(ROWS).unwrap()));

    let channel = runtime.block_on(async { connect(serve_ready().await).await });
    group.bench_function("ready batches", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let mut client = FlightClient::new_from_inner(FlightServiceClient::new(channel.clone()));
                count(client.do_get(Ticket::new("all")).await.unwrap()).await;
            });
        });
    });

    let (servers, channel) = runtime.block_on(async {
        let engine = Engine::open(Options::default()).await.unwrap();
        let config = Config { flight: Some("127.0.0.1:0".parse().unwrap()), ..Config::default() };
        let servers = server::start(engine, config).await.unwrap();
        let channel = connect(servers.flight.unwrap()).await;
        (servers, channel)
    });
    let sql = format!("SELECT value FROM generate_series(1, {ROWS})");
    group.bench_function("a query", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let mut client = FlightSqlServiceClient::new(channel.clone());
                let info = client.execute(sql.clone(), None).await.unwrap();
                let ticket = info.endpoint[0].ticket.clone().unwrap();
                count(client.do_get(ticket).await.unwrap()).await;
            });
        });
    });
    group.finish();
    runtime.block_on(servers.shut_down());
}

criterion_group!(benches, measure);
criterion_main!(benches);
