//! How a connection begins: encryption, who it is for, the login; or that it only wants another's statement stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{Authentication, NegotiateProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Shared;
use crate::server::listener::{Connection, Permit};
use crate::server::login::Login;
use crate::server::scram::Exchange;
use crate::server::tls::Protocol;

use super::message::{Body, Malformed, Message};
use super::sqlstate::{
    FEATURE_NOT_SUPPORTED, Fault, INVALID_AUTHORIZATION, INVALID_PASSWORD, PROTOCOL_VIOLATION,
};
use super::wire::{Gone, Wire};

/// The greetings that are no protocol version.
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// How long a greeting may be, as PostgreSQL has it, and a step of a login.
const GREETING: usize = 10_000;
/// How a TLS handshake begins: clients may come with it at once.
const HANDSHAKE: u8 = 0x16;
const MECHANISM: &str = "SCRAM-SHA-256";

/// What a connection is for.
pub(super) enum Purpose {
    /// To converse.
    Converse(Box<Caller>),
    /// To stop what the connection of this key does.
    Cancel(Key),
    /// Nothing more.
    Nothing,
}

/// The secret of a connection that stops its statements: number and key.
pub(super) type Key = (i32, Bytes);

/// A client that has logged in.
pub(super) struct Caller {
    pub(super) wire: Wire,
    pub(super) login: Login,
    /// What it said of itself: `database`, `application_name`, settings.
    pub(super) parameters: BTreeMap<String, String>,
    /// The minor version of the protocol.
    pub(super) minor: u16,
    pub(super) encrypted: bool,
}

/// Greets a client. Errors are told to it already.
pub(super) async fn greet(
    shared: &Arc<Shared>,
    mut stream: TcpStream,
    address: SocketAddr,
    permit: Permit,
) -> Result<Purpose, Gone> {
    let mut first = [0; 1];
    let tls = shared.tls.as_ref().map(|tls| tls.acceptor(Protocol::Postgres));
    let idle = shared.connections.idle();
    let mut encrypted = false;
    let connection = loop {
        if stream.peek(&mut first).await? == 0 {
            return Ok(Purpose::Nothing);
        }
        if first[0] == HANDSHAKE {
            let Some(tls) = tls else { return Ok(Purpose::Nothing) };
            encrypted = true;
            break Connection::encrypted(tls.accept(stream).await?, address, permit, idle);
        }
        // Only what is asked here is read: what follows may be encrypted already.
        let mut head = [0; 8];
        if stream.peek(&mut head).await? < head.len() {
            // A greeting comes in one piece, or not for long.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            continue;
        }
        let [.., a, b, c, d] = head;
        match (&head[..4], u32::from_be_bytes([a, b, c, d])) {
            (b"\0\0\0\x08", SSL) => {
                stream.read_exact(&mut head).await?;
                let Some(tls) = tls.clone() else {
                    stream.write_all(b"N").await?;
                    continue;
                };
                stream.write_all(b"S").await?;
                encrypted = true;
                break Connection::encrypted(tls.accept(stream).await?, address, permit, idle);
            }
            (b"\0\0\0\x08", GSS) => {
                stream.read_exact(&mut head).await?;
                stream.write_all(b"N").await?;
            }
            _ => break Connection::plain(stream, address, permit, idle),
        }
    };
    let mut wire = Wire::new(connection, GREETING);
    match log_in(shared, &mut wire, encrypted).await {
        Ok(Some((login, parameters, minor))) => {
            wire.limit = shared.config.max_message.map_or(usize::MAX, |size| size.0);
            Ok(Purpose::Converse(Box::new(Caller { wire, login, parameters, minor, encrypted })))
        }
        Ok(None) => Ok(Purpose::Nothing),
        Err(Refusal::Cancel(key)) => Ok(Purpose::Cancel(key)),
        Err(Refusal::Gone(Gone::Malformed(malformed))) => {
            refuse(&mut wire, &Fault::fatal(PROTOCOL_VIOLATION, malformed.to_string())).await;
            Ok(Purpose::Nothing)
        }
        Err(Refusal::Gone(gone)) => Err(gone),
        Err(Refusal::Told(fault)) => {
            refuse(&mut wire, &fault).await;
            Ok(Purpose::Nothing)
        }
    }
}

async fn refuse(wire: &mut Wire, fault: &Fault) {
    wire.send_fault(fault);
    wire.close().await;
}

/// Why a greeting leads to no conversation.
enum Refusal {
    Gone(Gone),
    Told(Box<Fault>),
    Cancel(Key),
}

impl From<Gone> for Refusal {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Gone(Gone::Malformed(malformed))
    }
}

fn told(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::Told(Box::new(Fault::fatal(code, message)))
}

type Greeting = (Login, BTreeMap<String, String>, u16);

async fn log_in(shared: &Arc<Shared>, wire: &mut Wire, encrypted: bool) -> Result<Option<Greeting>, Refusal> {
    let mut greeting = Body(wire.read_greeting(GREETING).await?.freeze());
    let version = u32::from_be_bytes(greeting.chunk()?);
    if version == CANCEL {
        let number = i32::from_be_bytes(greeting.chunk()?);
        return Err(Refusal::Cancel((number, greeting.0)));
    }
    let [major, minor] = [version >> 16, version & 0xffff].map(|part| u16::try_from(part).unwrap_or(0));
    if major != 3 {
        return Err(told(
            FEATURE_NOT_SUPPORTED,
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"),
        ));
    }
    let mut parameters = BTreeMap::new();
    loop {
        let name = greeting.name()?;
        if name.is_empty() {
            break;
        }
        parameters.insert(name, greeting.name()?);
    }
    if shared.tls.is_some() && !encrypted {
        let fault = Fault::fatal(INVALID_AUTHORIZATION, "this server takes encrypted connections only");
        return Err(Refusal::Told(Box::new(fault.hint("connect with sslmode=require, or verify-full"))));
    }
    let unknown: Vec<String> = parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    let spoken = minor.min(2) & 2;
    if spoken != minor || !unknown.is_empty() {
        let negotiate = NegotiateProtocolVersion::new(i32::from(spoken) | 3 << 16, unknown);
        wire.send(&PgWireBackendMessage::NegotiateProtocolVersion(negotiate));
    }
    parameters.retain(|name, _| !name.starts_with("_pq_."));
    let user = parameters.get("user").cloned().unwrap_or_default();
    if user.is_empty() {
        return Err(told(INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet"));
    }
    let login = authenticate(shared, wire, &user).await?;
    wire.send(&PgWireBackendMessage::Authentication(Authentication::Ok));
    Ok(Some((login, parameters, spoken)))
}

/// Runs a SCRAM exchange. Whoever the name is, it goes the same way up to the last message.
async fn authenticate(shared: &Arc<Shared>, wire: &mut Wire, user: &str) -> Result<Login, Refusal> {
    let from = wire.address().ip();
    let refused = |error: crate::error::Error| {
        let fault = Fault::of(&error, "");
        let code = if fault.code == "42501" { INVALID_PASSWORD } else { fault.code };
        Refusal::Told(Box::new(Fault {
            code,
            ..Fault { severity: super::sqlstate::Severity::Fatal, ..fault }
        }))
    };
    if shared.logins.are_open() {
        return shared.logins.by_scram(user, true, from).map_err(refused);
    }
    let verifier = shared.logins.verifier(user, from).map_err(refused)?;
    let mechanisms = Authentication::SASL(vec![MECHANISM.to_owned()]);
    wire.send(&PgWireBackendMessage::Authentication(mechanisms));
    let mut first = Body(password(wire).await?);
    let mechanism = first.name()?;
    let initial = first.value()?;
    let (MECHANISM, Some(initial)) = (mechanism.as_str(), initial) else {
        return Err(told(PROTOCOL_VIOLATION, "client selected an invalid SASL authentication mechanism"));
    };
    let wrong = |error: crate::error::Error| told(PROTOCOL_VIOLATION, error.message());
    let (exchange, reply) = Exchange::begin(verifier, &initial).map_err(wrong)?;
    wire.send(&PgWireBackendMessage::Authentication(Authentication::SASLContinue(reply.into())));
    let last = password(wire).await?;
    let proven = exchange.finish(&last).map_err(wrong)?;
    let login = shared.logins.by_scram(user, proven.is_some(), from);
    let login = login.inspect_err(|_| shared.metrics.count_failed_login()).map_err(refused)?;
    let signature = proven.unwrap_or_default();
    wire.send(&PgWireBackendMessage::Authentication(Authentication::SASLFinal(signature.into())));
    Ok(login)
}

/// The next step of a login.
async fn password(wire: &mut Wire) -> Result<Bytes, Refusal> {
    wire.flush().await?;
    match wire.read().await? {
        Message::Password(bytes) => Ok(bytes),
        Message::Terminate => Err(Refusal::Gone(Gone::Away(std::io::ErrorKind::UnexpectedEof.into()))),
        _ => Err(told(PROTOCOL_VIOLATION, "expected a SASL response")),
    }
}
