//! PostgreSQL's protocol, version 3: what psql, drivers and BI tools speak.
//!
//! [`startup`] greets a client and logs it in; a [`conversation`] takes its messages one after another, those of the [`extended`] protocol among them. A statement is one
//! about the conversation ([`command`], at work in [`own`]) or the engine's; its rows go out as [`value`]s in the formats
//! that the client asked for, a few batches ahead of it and no further.
//!
//! pgwire has the messages of the server. Its own loop is not used: it shares one session between all clients, cannot
//! stop a statement whose client is gone, and reads past the end of messages that are too short.

mod command;
mod conversation;
mod copy;
mod extended;
mod message;
mod own;
mod portal;
mod prepared;
mod rows;
mod running;
mod slot;
mod sqlstate;
mod startup;
mod transaction;
mod value;
mod variables;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::startup::{BackendKeyData, ParameterStatus, SecretKey};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::engine::Facts;
use crate::error::Result;
use crate::session::CATALOG;

use super::Shared;
use super::listener::{GREETING, Listener, Permit};

use conversation::Conversation;
use slot::Slots;
use sqlstate::{
    CANNOT_CONNECT_NOW, FEATURE_NOT_SUPPORTED, Fault, INVALID_CATALOG, PROTOCOL_VIOLATION, Severity,
    TOO_MANY_CONNECTIONS,
};
use startup::{Caller, Purpose, greet};
use variables::Variables;
use wire::{Gone, Wire};

/// Serves until the process is told to end.
pub(super) async fn serve(shared: Arc<Shared>, listener: Listener) -> Result<()> {
    let stop = shared.stop.clone();
    let slots = Arc::new(Slots::default());
    loop {
        let (stream, address, permit) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (shared, slots) = (Arc::clone(&shared), Arc::clone(&slots));
        tokio::spawn(async move {
            match permit {
                Some(permit) => Box::pin(connection(shared, slots, stream, address, permit)).await,
                None => {
                    tracing::warn!(%address, "too many connections");
                    turn_away(stream).await;
                }
            }
        });
    }
}

/// Says why nobody speaks to a client. It is not waited for: it may never read.
async fn turn_away(mut stream: TcpStream) {
    let fault = Fault::fatal(TOO_MANY_CONNECTIONS, "sorry, too many clients already");
    let mut bytes = BytesMut::new();
    let message = PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fault.fields()));
    if message.encode(&mut bytes).is_ok() {
        let _ = stream.try_write(&bytes);
        let _ = stream.shutdown().await;
    }
}

async fn connection(
    shared: Arc<Shared>,
    slots: Arc<Slots>,
    stream: TcpStream,
    address: SocketAddr,
    permit: Permit,
) {
    let greeted = tokio::select! {
        () = shared.stop.cancelled() => return,
        greeted = tokio::time::timeout(GREETING, greet(&shared, stream, address, permit)) => greeted,
    };
    match greeted {
        Ok(Ok(Purpose::Converse(caller))) => Box::pin(converse(&shared, &slots, *caller)).await,
        Ok(Ok(Purpose::Cancel(key))) => slots.cancel(&key),
        Ok(Ok(Purpose::Nothing)) => {}
        Ok(Err(gone)) => tracing::debug!(%address, ?gone, "a client went away before it was greeted"),
        Err(_) => tracing::info!(%address, "a client took too long to log in"),
    }
}

async fn converse(shared: &Arc<Shared>, slots: &Arc<Slots>, caller: Caller) {
    let Caller { mut wire, login, parameters, minor, encrypted } = caller;
    let address = wire.address();
    let session = shared.session(&login, "postgres", address);
    let slot = slots.enter(minor);
    let user = parameters.get("user").cloned().unwrap_or_default();
    let facts = Arc::new(Facts::new(user, slot.number(), &login.principal, address));
    session.speak_postgres(&facts);
    let mut variables = Variables::new(session.clone(), facts, encrypted);
    if let Err(fault) = settle(&mut variables, &parameters) {
        slot.leave();
        wire.send_fault(&Fault { severity: Severity::Fatal, ..fault });
        return wire.close().await;
    }
    if shared.stop.is_cancelled() {
        slot.leave();
        wire.send_fault(&Fault::fatal(CANNOT_CONNECT_NOW, "the database system is shutting down"));
        return wire.close().await;
    }
    let told = variables.reported();
    for (name, value) in &told {
        wire.send(&parameter_status(name, value));
    }
    let key = match <[u8; 4]>::try_from(&slot.key()[..]) {
        Ok(short) => SecretKey::I32(i32::from_be_bytes(short)),
        Err(_) => SecretKey::Bytes(slot.key().clone()),
    };
    wire.send(&PgWireBackendMessage::BackendKeyData(BackendKeyData::new(slot.number(), key)));
    let mut conversation = Conversation {
        shared: Arc::clone(shared),
        wire,
        session,
        variables,
        transaction: transaction::Transaction::default(),
        prepared: HashMap::new(),
        portals: portal::Portals::default(),
        slot: Arc::clone(&slot),
        stop: CancellationToken::new(),
        told,
    };
    let ended = Box::pin(conversation.run()).await;
    slot.leave();
    match ended {
        Ok(()) => {}
        Err(Gone::Malformed(malformed)) => {
            tracing::info!(%address, %malformed, "a client does not speak the protocol");
            goodbye(&mut conversation.wire, &Fault::fatal(PROTOCOL_VIOLATION, malformed.to_string())).await;
        }
        Err(Gone::Away(error)) => tracing::debug!(%address, %error, "a client went away"),
    }
}

/// Says why a connection ends, to a client that may not listen.
async fn goodbye(wire: &mut Wire, fault: &Fault) {
    wire.send_fault(fault);
    let _ = tokio::time::timeout(GREETING, wire.close()).await;
}

/// Takes what the client says of itself.
fn settle(
    variables: &mut Variables,
    parameters: &std::collections::BTreeMap<String, String>,
) -> std::result::Result<(), Fault> {
    let user = parameters.get("user").map_or("", String::as_str);
    // Clients that name no database name the user.
    let database = parameters.get("database").map_or(CATALOG, String::as_str);
    if database != CATALOG && database != user && !database.is_empty() {
        let fault = Fault::fatal(INVALID_CATALOG, format!("database \"{database}\" does not exist"));
        return Err(fault.hint(format!("the only one is {CATALOG}")));
    }
    if parameters
        .get("replication")
        .is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0"))
    {
        return Err(Fault::fatal(FEATURE_NOT_SUPPORTED, "there is no replication here"));
    }
    if let Some(options) = parameters.get("options") {
        for (name, value) in options_of(options)? {
            variables.set_initial(&name, &value)?;
        }
    }
    let settings = parameters
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "user" | "database" | "replication" | "options"));
    for (name, value) in settings {
        variables.set_initial(name, value)?;
    }
    Ok(())
}

/// Settings as on the command line of a server: `-c name=value --name=value`; a backslash keeps a space.
fn options_of(text: &str) -> std::result::Result<Vec<(String, String)>, Fault> {
    let mut words: Vec<String> = vec![];
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let mut settings = vec![];
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => Some(setting.to_owned()),
            None if word == "-c" => words.next(),
            None => word.strip_prefix("-c").map(str::to_owned),
        };
        let setting = setting.as_deref().and_then(|setting| setting.split_once('='));
        let Some((name, value)) = setting else {
            let message = format!("invalid command-line argument for server process: {word}");
            return Err(Fault::fatal(sqlstate::SYNTAX, message));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// What a client is told of a setting.
fn parameter_status(name: &str, value: &str) -> PgWireBackendMessage {
    PgWireBackendMessage::ParameterStatus(ParameterStatus::new(
        name.to_owned(),
        value.replace('\0', "\u{fffd}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_a_command_line() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            options_of("-c statement_timeout=5s  --search-path=a\\ b -cjit=off").unwrap(),
            [pair("statement_timeout", "5s"), pair("search_path", "a b"), pair("jit", "off")]
        );
        assert!(options_of("-x").is_err());
    }
}
