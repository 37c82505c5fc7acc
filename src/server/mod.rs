//! The servers: one process, several protocols, every statement of coterie through each of them.
//!
//! They translate and never decide: who may do what, and what a statement means, is known to [`crate::engine`].

mod access;
pub mod config;
mod flight;
pub mod flow;
mod http;
pub mod listener;
pub mod login;
mod metrics;
mod postgres;
pub mod scram;
pub mod tls;
pub mod users;
pub mod wire;
mod work;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::{Kind, Source, Span as Place, render};
use crate::engine::{Client, Engine, Session};
use crate::error::{Error, Result};

pub use config::{Config, LogFormat, Size, Span};
pub use users::{User, Users};

use listener::{Connections, Listener};
use login::{Login, Logins};
use metrics::Metrics;
use tls::{Protocol, Tls};
use work::Workers;

/// Longer than any process lives, and short enough to be added to an instant.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What all protocols share.
struct Shared {
    engine: Arc<Engine>,
    config: Config,
    logins: Logins,
    tls: Option<Arc<Tls>>,
    metrics: Arc<Metrics>,
    connections: Arc<Connections>,
    /// Where statements run.
    workers: Handle,
    /// Set when the process is told to end: nothing new begins.
    stop: CancellationToken,
}

impl Shared {
    /// A session for who has logged in.
    fn session(&self, login: &Login, protocol: &'static str, address: SocketAddr) -> Session {
        let principal = Arc::clone(&login.principal);
        self.engine.session_of(Client { principal, protocol, address: Some(address) })
    }

    /// Does something on the threads where statements run.
    async fn work<T, E>(&self, work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        work::on(&self.workers, work).await?
    }

    /// Refuses a text of SQL that is too long.
    fn check_sql(&self, sql: &str) -> Result<()> {
        let limit = self.config.max_sql.map_or(usize::MAX, |size| size.0);
        if sql.len() <= limit {
            return Ok(());
        }
        let message = format!("the statement has {} bytes, and {limit} are allowed", sql.len());
        Err(Error::new(Kind::Resource, message).help("raise --max-sql"))
    }

    /// How large a result may be, in bytes.
    fn max_result(&self) -> Option<u64> {
        self.config.max_result.and_then(|size| u64::try_from(size.0).ok())
    }
}

/// Servers that run.
#[derive(Debug)]
pub struct Servers {
    /// Where Flight SQL is spoken.
    pub flight: Option<SocketAddr>,
    /// Where HTTP is spoken.
    pub http: Option<SocketAddr>,
    /// Where PostgreSQL's protocol is spoken.
    pub postgres: Option<SocketAddr>,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<Result<()>>>,
    _workers: Workers,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Starts the servers of a configuration. All ports are bound when this returns.
pub async fn start(engine: Arc<Engine>, config: Config) -> Result<Servers> {
    config.check()?;
    let span = |span: Option<Span>| span.map_or(FOR_EVER, |span| span.0.min(FOR_EVER));
    let tls = match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Some(Arc::new(Tls::open(certificate, key)?)),
        _ => None,
    };
    let logins = Logins::open(config.users.clone(), span(config.token_lifetime))?;
    let idle = span(config.idle_timeout);
    let connections = Connections::new(config.max_connections.unwrap_or(u32::MAX), idle);
    let metrics = Arc::new(Metrics::default());
    engine.queries().observe(Arc::clone(&metrics) as _);
    let (flight, http, postgres) = (config.flight, config.http, config.postgres);
    let workers = Workers::start(config.threads)?;
    let shared = Arc::new(Shared {
        engine,
        config,
        logins,
        tls,
        metrics,
        connections,
        workers: workers.handle()?,
        stop: CancellationToken::new(),
    });
    let bind = async |address: Option<SocketAddr>, protocol| match address {
        None => Ok(None),
        Some(address) => Listener::bind(address, protocol, Arc::clone(&shared.connections)).await.map(Some),
    };
    let flight = bind(flight, Protocol::Grpc).await?;
    let http = bind(http, Protocol::Http).await?;
    let postgres = bind(postgres, Protocol::Postgres).await?;
    let address = |listener: &Option<Listener>| listener.as_ref().map(Listener::address);
    let (at_flight, at_http, at_postgres) = (address(&flight), address(&http), address(&postgres));
    let mut tasks = vec![];
    if let Some(listener) = flight {
        tasks.push(tokio::spawn(flight::serve(Arc::clone(&shared), listener)));
    }
    if let Some(listener) = http {
        tasks.push(tokio::spawn(http::serve(Arc::clone(&shared), listener)));
    }
    if let Some(listener) = postgres {
        tasks.push(tokio::spawn(postgres::serve(Arc::clone(&shared), listener)));
    }
    Ok(Servers { flight: at_flight, http: at_http, postgres: at_postgres, shared, tasks, _workers: workers })
}

impl Servers {
    /// How many connections are open, of all protocols.
    pub fn connections(&self) -> i64 {
        self.shared.connections.open()
    }

    /// Reads certificates anew. Users are read whenever their file has changed.
    pub fn reload(&self) -> Result<()> {
        self.shared.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
    }

    /// What is spoken where.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let known = [("Flight SQL", self.flight), ("Postgres", self.postgres), ("HTTP", self.http)];
        known.into_iter().filter_map(|(name, address)| Some((name, address?))).collect()
    }

    /// Waits until a server ends by itself, which is a failure.
    pub async fn failed(&mut self) -> Error {
        let ended = futures::future::select_all(&mut self.tasks).await;
        match ended {
            (Ok(Err(error)), ..) => error,
            (Ok(Ok(())), ..) => crate::bug!("a server ended by itself"),
            (Err(error), ..) => crate::bug!("a server ended: {error}"),
        }
    }

    /// Ends: nothing new begins, what runs may go on for a while, then it is cancelled.
    pub async fn shut_down(self) {
        let shared = &self.shared;
        shared.stop.cancel();
        let patience = shared.config.shutdown_timeout.map_or(Duration::ZERO, |span| span.0);
        let drained = async {
            while !shared.engine.queries().running().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(patience, drained).await.is_err() {
            let running = shared.engine.queries().running();
            tracing::warn!(queries = running.len(), "cancelling what still runs");
            running.iter().for_each(|query| query.cancel("the shutdown of the server"));
        }
        // What is left are connections without a statement, and answers on their last way.
        let _ = tokio::time::timeout(Duration::from_secs(1), shared.connections.closed()).await;
        for task in self.tasks {
            task.abort();
        }
    }
}

/// An error as a client sees it: the faults with the places in its text, as the shell shows them.
fn shown(error: &Error, sql: &str) -> String {
    if sql.is_empty() {
        return error.to_string();
    }
    let source = Source::typed(sql);
    let faults = error.diagnostics(&source, Place::new(0, sql.len()));
    faults.iter().map(render).collect::<Vec<_>>().join("\n")
}
