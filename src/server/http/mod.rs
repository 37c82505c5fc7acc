//! HTTP: health, metrics, and SQL for whoever has nothing but a web client.

mod format;
mod sql;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use chrono::Utc;
use futures::TryStreamExt;
use serde_json::json;
use tokio::sync::{Mutex, mpsc};

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

use super::access::Credentials;
use super::listener::{Connection, Listener};
use super::login::Login;
use super::metrics::{Audience, Now};
use super::{Shared, shown};

/// How long the list of audiences is good for: finding them reads the warehouse.
const AUDIENCES_FRESH: Duration = Duration::from_secs(15);

struct Http {
    shared: Arc<Shared>,
    audiences: Mutex<Option<(Instant, Vec<Stored>)>>,
}

/// A stored audience: segment, members, and the instant that it is as of, in seconds.
type Stored = (String, i64, i64);

/// Serves until the process is told to end.
pub(super) async fn serve(shared: Arc<Shared>, listener: Listener) -> Result<()> {
    let address = listener.address();
    let stop = shared.stop.clone();
    let incoming =
        Incoming { address, connections: listener.connections(shared.tls.clone(), shared.stop.clone()) };
    let limit = shared.config.max_message.map_or(usize::MAX, |size| size.0);
    let http = Arc::new(Http { shared, audiences: Mutex::new(None) });
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .route("/v1/sql", post(sql::run))
        .layer(from_fn_with_state(Arc::clone(&http), guard))
        .layer(DefaultBodyLimit::max(limit))
        .with_state(http);
    let app = app.into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(incoming, app).with_graceful_shutdown(stop.cancelled_owned()).await;
    served.map_err(|error| crate::bug!("HTTP ended: {error}"))
}

/// Connections as axum takes them.
struct Incoming {
    address: SocketAddr,
    connections: mpsc::Receiver<Connection>,
}

impl axum::serve::Listener for Incoming {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.connections.recv().await {
            Some(connection) => {
                let address = connection.address();
                (connection, address)
            }
            // The process ends: there will be no more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, Incoming>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Where nobody has to log in, only clients on this machine may ask, and not through a web page: the name that a page
/// was loaded from stands in `Host`, and browsers say in `Origin` when a page of another site asks.
async fn guard(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let guarded = http.shared.logins.are_open() && !http.shared.config.insecure;
    let foreign = headers.contains_key(header::ORIGIN) || !text(header::HOST).is_none_or(is_local);
    if guarded && foreign {
        let error = Error::new(Kind::Permission, "this server has no users and answers local programs only");
        return refusal(&error, "", StatusCode::FORBIDDEN);
    }
    next.run(request).await
}

fn is_local(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    // An IPv6 address has colons of its own, so that it stands in brackets.
    let port = if host.ends_with(']') { None } else { host.rsplit_once(':') };
    let name = port.map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether statements can be run: not while the process ends, or when the warehouse cannot be reached.
async fn ready(State(http): State<Arc<Http>>) -> Response {
    if http.shared.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n").into_response();
    }
    match http.shared.engine.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the warehouse cannot be read\n").into_response()
        }
    }
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

async fn metrics(
    State(http): State<Arc<Http>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = http.log_in(&headers, peer).await {
        return refusal(&error, "", StatusCode::UNAUTHORIZED);
    }
    match http.metrics().await {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => refusal(&error, "", status(error.kind())),
    }
}

impl Http {
    async fn log_in(&self, headers: &HeaderMap, peer: Peer) -> Result<Login> {
        let header = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        self.shared.log_in(&Credentials::parse(header)?, peer.0.ip()).await
    }

    async fn metrics(&self) -> Result<String> {
        let shared = &self.shared;
        let now = Now {
            running: shared.engine.queries().running().len(),
            connections: shared.connections.open(),
            memory: shared.engine.memory().reserved(),
            audiences: self.audiences().await?,
        };
        shared.metrics.text(now)
    }

    /// The audiences as they are stored; asking often costs nothing.
    async fn audiences(&self) -> Result<Vec<Audience>> {
        let mut known = self.audiences.lock().await;
        if known.as_ref().is_none_or(|(since, _)| since.elapsed() > AUDIENCES_FRESH) {
            *known = Some((Instant::now(), self.stored().await?));
        }
        let now = Utc::now().timestamp();
        let all = known.as_ref().map_or(&[][..], |(_, all)| all);
        Ok(all
            .iter()
            .map(|(segment, members, as_of)| Audience {
                segment: segment.clone(),
                members: *members,
                age: now.saturating_sub(*as_of),
            })
            .collect())
    }

    async fn stored(&self) -> Result<Vec<Stored>> {
        const SQL: &str =
            "SELECT segment, members, evaluated_as_of FROM coterie.segments WHERE members IS NOT NULL";
        let session = self.shared.engine.session();
        let mut found = vec![];
        for statement in session.parse(SQL)? {
            let rows: Vec<_> = session.execute(&statement).await?.stream.try_collect().await?;
            for batch in rows {
                let segments = batch.column(0).as_string::<i32>();
                let members = batch.column(1).as_primitive::<Int64Type>();
                let as_of = batch.column(2).as_primitive::<TimestampMicrosecondType>();
                for row in (0..batch.num_rows()).filter(|row| !as_of.is_null(*row)) {
                    let seconds = as_of.value(row).div_euclid(1_000_000);
                    found.push((segments.value(row).to_owned(), members.value(row), seconds));
                }
            }
        }
        Ok(found)
    }
}

/// What a kind of error is in HTTP.
fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Permission => StatusCode::FORBIDDEN,
        Kind::Resource => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Cancelled => StatusCode::REQUEST_TIMEOUT,
        Kind::Storage => StatusCode::BAD_GATEWAY,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Execution | Kind::Data => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// An error as a response.
fn refusal(error: &Error, sql: &str, status: StatusCode) -> Response {
    let body = json!({
        "error": { "kind": error.kind().as_str(), "message": error.message(), "shown": shown(error, sql) }
    });
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = header::HeaderValue::from_static("Basic realm=\"coterie\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_local_names() {
        for local in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]"] {
            assert!(is_local(local), "{local}");
        }
        for foreign in
            ["example.org", "localhost.example.org:80", "10.0.0.1:8080", "", "127.0.0.1.example.org"]
        {
            assert!(!is_local(foreign), "{foreign}");
        }
    }
}
