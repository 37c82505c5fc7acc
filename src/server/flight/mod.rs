//! Flight SQL.
//!
//! `GetFlightInfo` plans a statement and answers with its columns and a ticket; `DoGet` runs it and streams the rows.
//! A statement that changes something acts at `GetFlightInfo` already: drivers may never come for rows that are none.

mod caller;
mod catalog;
mod front;
mod incoming;
mod info;
mod offer;
mod options;
mod service;
mod statement;
mod store;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::stream::unfold;
use tonic::transport::server::Connected;
use tonic::{Code, Status};

use crate::diagnostic::Kind;
use crate::engine::Session;
use crate::error::{Error, Result};

use super::listener::{Connection, Listener};
use super::{Shared, shown};

use service::Service;
use store::{Fetched, Store};

/// How long a ticket can be fetched.
const TICKET: Duration = Duration::from_secs(600);
/// How long a prepared statement, and what a token remembers, is kept without being used.
const IDLE: Duration = Duration::from_secs(3600);
/// How many tickets, prepared statements and sessions there may be of each.
const KEPT: usize = 20_000;
/// How many tickets that were fetched already can be fetched again: drivers retry at once, or not at all, and each ticket
/// holds a plan.
const RETRIES: usize = 256;
/// How many calls a connection may make at once.
const CALLS: u32 = 256;
/// How long a message of an error may be: it travels in a header.
const MESSAGE: usize = 4000;

/// Serves until the process is told to end.
pub(super) async fn serve(shared: Arc<Shared>, listener: Listener) -> Result<()> {
    let stop = shared.stop.clone();
    let limit = shared.config.max_message.map_or(usize::MAX, |size| size.0);
    let incoming = listener.connections(shared.tls.clone(), stop.clone());
    let incoming = unfold(incoming, |mut incoming| async {
        incoming.recv().await.map(|connection| (Ok::<_, std::io::Error>(connection), incoming))
    });
    let service = Service {
        shared,
        sessions: Store::new(IDLE, KEPT),
        tickets: Store::new(TICKET, KEPT),
        fetched: Fetched::new(RETRIES),
        prepared: Store::new(IDLE, KEPT),
        running: Arc::default(),
    };
    let service = FlightServiceServer::new(front::Front::new(service))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(usize::MAX);
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(CALLS)
        // A client that is gone without a word is found out.
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .http2_max_header_list_size(64 * 1024)
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await;
    served.map_err(|error| crate::bug!("Flight SQL ended: {error}"))
}

/// Where a call comes from, and what the connection remembers of clients without a token.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    /// By user name.
    sessions: Arc<Mutex<HashMap<String, Session>>>,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer { address: self.address(), sessions: Arc::default() }
    }
}

/// What a kind of error is in gRPC.
fn code(kind: Kind) -> Code {
    match kind {
        Kind::NotFound => Code::NotFound,
        Kind::Conflict => Code::AlreadyExists,
        Kind::Permission => Code::PermissionDenied,
        Kind::Resource => Code::ResourceExhausted,
        Kind::Cancelled => Code::Cancelled,
        Kind::Storage => Code::Unavailable,
        Kind::Unsupported => Code::Unimplemented,
        Kind::Internal => Code::Internal,
        Kind::Execution | Kind::Data => Code::FailedPrecondition,
        _ => Code::InvalidArgument,
    }
}

/// An error as a client gets it; the places are in `sql`.
fn status(error: &Error, sql: &str) -> Status {
    let mut message = shown(error, sql);
    if message.len() > MESSAGE {
        let mut end = MESSAGE;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str("\n…");
    }
    Status::new(code(error.kind()), message)
}

/// The error of a login.
fn unauthenticated(error: &Error) -> Status {
    Status::new(Code::Unauthenticated, shown(error, ""))
}

/// An error that is about no text.
fn plain(error: impl Into<Error>) -> Status {
    status(&error.into(), "")
}
