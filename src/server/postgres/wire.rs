//! One connection's bytes: messages in, messages out, and whether anyone is still there.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::listener::Connection;

use super::message::{self, Malformed, Message};
use super::sqlstate::Fault;

/// How much is gathered before it is sent.
pub(super) const FULL: usize = 64 * 1024;
/// How much more of the client is read while a statement runs, to learn whether it is still there.
const AHEAD: usize = 256 * 1024;

/// A connection after its greeting.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Connection,
    arrived: BytesMut,
    /// What is to be sent. Whole messages only are appended.
    pub(super) outgoing: BytesMut,
    /// How long a message may be.
    pub(super) limit: usize,
    ended: bool,
}

/// Why nothing more can be said.
#[derive(Debug)]
pub(super) enum Gone {
    /// The client is not there any more, or was silent for too long.
    Away(io::Error),
    /// The client does not speak the protocol.
    Malformed(Malformed),
}

impl From<io::Error> for Gone {
    fn from(error: io::Error) -> Self {
        Self::Away(error)
    }
}

impl Wire {
    pub(super) fn new(stream: Connection, limit: usize) -> Self {
        Self { stream, arrived: BytesMut::new(), outgoing: BytesMut::new(), limit, ended: false }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.stream.address()
    }

    /// The next message; nothing is lost when the wait for it is given up.
    pub(super) async fn read(&mut self) -> Result<Message, Gone> {
        loop {
            if let Some(message) = message::take(&mut self.arrived, self.limit).map_err(Gone::Malformed)? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    /// The next `N` bytes, and as many after them as they say: the first message has no kind.
    pub(super) async fn read_greeting(&mut self, limit: usize) -> Result<BytesMut, Gone> {
        loop {
            if let Some(length) = self.arrived.first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                if !(8..=limit).contains(&length) {
                    return Err(Gone::Malformed(Malformed::Broken("invalid length of startup packet")));
                }
                if self.arrived.len() >= length {
                    let mut greeting = self.arrived.split_to(length);
                    greeting.advance(4);
                    return Ok(greeting);
                }
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Gone> {
        if self.ended || self.stream.read_buf(&mut self.arrived).await? == 0 {
            self.ended = true;
            return Err(Gone::Away(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// Waits until the client is gone: while a statement runs, nobody else would notice.
    pub(super) async fn gone(&mut self) -> Gone {
        loop {
            if self.arrived.len() >= AHEAD {
                // It sends more than it waits for: that it is gone is noticed when it is written to.
                return std::future::pending().await;
            }
            match self.fill().await {
                Ok(()) => {}
                // A statement may take long without a word of either side.
                Err(Gone::Away(error)) if error.kind() == io::ErrorKind::TimedOut => self.stream.keep(),
                Err(gone) => return gone,
            }
        }
    }

    /// Appends a message to what is to be sent.
    pub(super) fn send(&mut self, message: &PgWireBackendMessage) {
        // What pgwire refuses is longer than 1 GB, and nobody would take it.
        let whole = self.outgoing.len();
        if message.encode(&mut self.outgoing).is_err() {
            self.outgoing.truncate(whole);
        }
    }

    /// Appends an error.
    pub(super) fn send_fault(&mut self, fault: &Fault) {
        self.send(&PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fault.fields())));
    }

    /// Appends a warning.
    pub(super) fn send_notice(&mut self, fault: &Fault) {
        self.send(&PgWireBackendMessage::NoticeResponse(NoticeResponse::new(fault.fields())));
    }

    /// Sends what is gathered. When the wait is given up, what is left is sent the next time.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        while !self.outgoing.is_empty() {
            if self.stream.write_buf(&mut self.outgoing).await? == 0 {
                return Err(Gone::Away(io::ErrorKind::WriteZero.into()));
            }
        }
        // What one great row took is given back.
        if self.outgoing.capacity() > 16 * FULL {
            self.outgoing = BytesMut::new();
        }
        self.stream.flush().await?;
        Ok(())
    }

    /// Sends what is gathered if that is much.
    pub(super) async fn flush_if_full(&mut self) -> Result<(), Gone> {
        if self.outgoing.len() >= FULL { self.flush().await } else { Ok(()) }
    }

    /// Ends the connection in order.
    pub(super) async fn close(&mut self) {
        let _ = self.flush().await;
        let _ = self.stream.shutdown().await;
    }
}
