//! The servers, in this process, on ports of loopback that are free.

mod catalog;
mod flight;
mod hostile;
mod http;
mod parameters;
mod permission;
mod postgres;
mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use coterie::engine::{Engine, Options, Query, Role};
use coterie::server::{self, Config, Servers, Users};
use futures::TryStreamExt;
use tonic::transport::{Channel, Endpoint};

use super::common::{NOW, SHOP, run};

/// An address of which the system chooses the port.
fn anywhere() -> Option<SocketAddr> {
    Some("127.0.0.1:0".parse().unwrap())
}

/// Flight SQL and HTTP.
fn both() -> Config {
    Config { flight: anywhere(), http: anywhere(), ..Config::default() }
}

/// The tiny shop, served.
struct Server {
    servers: Servers,
    engine: Arc<Engine>,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(config: Config) -> Self {
        Self::start_with(config, Options::default()).await
    }

    async fn start_with(config: Config, options: Options) -> Self {
        let now = Some(NOW.parse().unwrap());
        let engine = Engine::open(Options { now, ..options }).await.unwrap();
        run(&engine.session(), SHOP).await.unwrap();
        let servers = server::start(Arc::clone(&engine), config).await.unwrap();
        Self { servers, engine, _folder: tempfile::tempdir().unwrap() }
    }

    /// With ana the author, rex the reader, aud who may read audiences only, and max the admin; password `<name>`s secret.
    async fn with_users() -> Self {
        Self::with_users_and(both()).await
    }

    async fn with_users_and(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        let mut users = Users::default();
        let audiences = vec!["schema:audience".parse().unwrap(), "segment:buyers".parse().unwrap()];
        for (name, role, grants) in [
            ("ana", Role::Author, None),
            ("rex", Role::Reader, None),
            ("aud", Role::Reader, Some(audiences)),
            ("max", Role::Admin, None),
        ] {
            users.add(name, &password(name), role, grants).unwrap();
        }
        users.write(&file).unwrap();
        let started = Self::start(Config { users: Some(file), ..config }).await;
        Self { _folder: folder, ..started }
    }

    async fn client(&self) -> Client {
        Client(FlightSqlServiceClient::new(channel(self.servers.flight.unwrap()).await))
    }

    async fn client_of(&self, name: &str) -> Client {
        let mut client = self.client().await;
        client.0.handshake(name, &password(name)).await.unwrap();
        client
    }

    /// Waits until a statement runs.
    async fn running(&self) -> Arc<Query> {
        loop {
            if let Some(query) = self.engine.queries().running().into_iter().find(|query| query.is_running())
            {
                return query;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until nothing runs: what is stopped ends a moment later.
    async fn is_idle(&self) {
        for _ in 0..500 {
            if self.engine.queries().running().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("still running: {:?}", self.engine.queries().running());
    }
}

fn password(name: &str) -> String {
    format!("{name}'s secret")
}

async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// A client of Flight SQL.
struct Client(FlightSqlServiceClient<Channel>);

impl Client {
    /// The rows of a statement; its columns are those that were announced.
    async fn query(&mut self, sql: &str) -> Result<Vec<RecordBatch>, String> {
        let info = self.0.execute(sql.to_owned(), None).await.map_err(|error| error.to_string())?;
        self.fetch(info).await
    }

    async fn fetch(&mut self, info: FlightInfo) -> Result<Vec<RecordBatch>, String> {
        let announced = info.clone().try_decode_schema().unwrap();
        let text = |error: FlightError| error.to_string();
        let mut rows = vec![];
        for endpoint in info.endpoint {
            let ticket = endpoint.ticket.unwrap();
            let mut stream = self.0.do_get(ticket).await.map_err(|error| error.to_string())?;
            while let Some(batch) = stream.try_next().await.map_err(text)? {
                assert_eq!(*batch.schema(), announced);
                rows.push(batch);
            }
            if let Some(schema) = stream.schema() {
                assert_eq!(**schema, announced);
            }
        }
        Ok(rows)
    }

    /// The only value of a statement.
    async fn value(&mut self, sql: &str) -> String {
        let rows = self.query(sql).await.unwrap_or_else(|error| panic!("{error}"));
        let batch = rows.iter().find(|batch| batch.num_rows() > 0).unwrap();
        arrow::util::display::array_value_to_string(batch.column(0), 0).unwrap()
    }
}

/// A statement that goes on for as long as it is let.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000000) t (v) WHERE v % 7 = 3";
