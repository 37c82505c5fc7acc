//! A conversation with one client: its messages, one after another, and what they leave behind.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{EmptyQueryResponse, ReadyForQuery};
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Source;
use crate::engine::Session;
use crate::error::Error;
use crate::server::Shared;
use crate::statement;

use super::command::Command;
use super::extended::Next;
use super::message::Message;
use super::portal::Portals;
use super::prepared::{Body, Prepared};
use super::rows::description;
use super::running::Outcome;
use super::slot::Slot;
use super::sqlstate::{
    ACTIVE_TRANSACTION, FAILED_TRANSACTION, Fault, INVALID_ENCODING, NO_TRANSACTION, QUERY_CANCELED, SHUTDOWN,
};
use super::transaction::Transaction;
use super::variables::Variables;
use super::wire::{Gone, Wire};

/// A conversation.
pub(super) struct Conversation {
    pub(super) shared: Arc<Shared>,
    pub(super) wire: Wire,
    pub(super) session: Session,
    pub(super) variables: Variables,
    pub(super) transaction: Transaction,
    pub(super) prepared: HashMap<String, Arc<Prepared>>,
    pub(super) portals: Portals,
    pub(super) slot: Arc<Slot>,
    /// Set when the statement that runs is to stop.
    pub(super) stop: CancellationToken,
    /// What the client was told of its settings.
    pub(super) told: Vec<(&'static str, String)>,
}

/// Why a message was not done.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client is told, and may go on.
    Fault(Box<Fault>),
    /// There is nobody to tell.
    Gone(Gone),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

pub(super) type Done<T = ()> = Result<T, Stop>;

impl Conversation {
    /// Goes on until the client or the server ends it.
    pub(super) async fn run(&mut self) -> Result<(), Gone> {
        let ended = self.shared.stop.clone();
        self.ready();
        self.wire.flush().await?;
        // After a fault in a group of messages, the rest of the group is skipped.
        let mut skipping = false;
        loop {
            let message = tokio::select! {
                biased;
                () = ended.cancelled() => {
                    self.wire.send_fault(&Fault::fatal(SHUTDOWN, "terminating connection due to administrator command"));
                    self.wire.close().await;
                    return Ok(());
                }
                message = self.wire.read() => message?,
            };
            let done = match message {
                Message::Terminate => return Ok(()),
                Message::Sync => {
                    skipping = false;
                    self.sync();
                    self.wire.flush().await?;
                    continue;
                }
                Message::Query(sql) => {
                    skipping = false;
                    let stop = self.slot.begin();
                    self.stop = stop;
                    let done = self.simple(&sql).await;
                    self.slot.end();
                    if let Err(stop) = done {
                        self.fail(stop).await?;
                    }
                    self.sync();
                    self.wire.flush().await?;
                    continue;
                }
                // Of a COPY that has failed.
                Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => continue,
                _ if skipping => continue,
                message => {
                    self.stop = self.slot.begin();
                    let done = self.extended(message).await;
                    self.slot.end();
                    done
                }
            };
            match done {
                Ok(Next::Message) => self.wire.flush_if_full().await?,
                Ok(Next::End) => {
                    self.wire.close().await;
                    return Ok(());
                }
                Err(stop) => {
                    self.fail(stop).await?;
                    skipping = true;
                }
            }
        }
    }

    /// Tells of a fault, which fails the block.
    async fn fail(&mut self, stop: Stop) -> Result<(), Gone> {
        match stop {
            Stop::Gone(gone) => Err(gone),
            Stop::Fault(fault) => {
                self.wire.send_fault(&fault);
                self.transaction.fail();
                // A client that asked for answers with Flush and not with Sync waits for this one, and the Flush
                // behind the message that failed is skipped.
                self.wire.flush().await
            }
        }
    }

    /// The end of a group of messages: outside of a block, that of a transaction too.
    fn sync(&mut self) {
        if !self.transaction.is_block() {
            self.portals.end_transaction();
        }
        self.prepared.values().for_each(|prepared| prepared.age());
        self.report();
        self.ready();
    }

    fn ready(&mut self) {
        let status = self.transaction.status();
        self.wire.send(&PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status)));
    }

    /// Tells of settings that have changed.
    fn report(&mut self) {
        let now = self.variables.reported();
        for ((name, value), told) in now.iter().zip(&self.told) {
            if *value != told.1 {
                self.wire.send(&super::parameter_status(name, value));
            }
        }
        self.told = now;
    }

    /// Waits for something while the client is there and lets it.
    pub(super) async fn attend<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
        sql: &str,
    ) -> Done<T> {
        tokio::select! {
            biased;
            gone = self.wire.gone() => Err(gone.into()),
            () = self.stop.cancelled() => Err(canceled().into()),
            done = work => done.map_err(|error| Fault::of(&error, sql).into()),
        }
    }

    /// Sends what is gathered, unless the statement is to stop.
    pub(super) async fn push(&mut self) -> Done {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(canceled().into()),
            sent = self.wire.flush() => Ok(sent?),
        }
    }

    async fn simple(&mut self, sql: &[u8]) -> Done {
        let sql = utf8(sql)?;
        self.shared.check_sql(sql).map_err(|error| Fault::of(&error, sql))?;
        let source = Source::typed(sql);
        let pieces = statement::split(sql);
        if pieces.is_empty() {
            self.wire.send(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
            return Ok(());
        }
        // A mistake in any of them keeps all of them from running.
        let bodies = pieces
            .into_iter()
            .map(|piece| Body::parse(&source, piece.range, &mut vec![]))
            .collect::<Result<Vec<_>, _>>()?;
        for body in bodies {
            self.run_simple(&body, sql).await?;
        }
        Ok(())
    }

    async fn run_simple(&mut self, body: &Body, sql: &str) -> Done {
        self.check_block(body)?;
        match body {
            Body::Empty => {
                self.wire.send(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
                Ok(())
            }
            Body::Own { command, inner } => {
                let planned = match inner {
                    Some(inner) => Some(self.prepare_bound(inner, vec![], sql).await?),
                    None => None,
                };
                self.command(command, planned, sql, &[], true).await
            }
            Body::Statement(statement) => {
                let planned = self.prepare_bound(statement, vec![], sql).await?;
                let mut outcome = self.begin(&planned, &[], sql).await?;
                if let Outcome::Rows(rows, _) = &outcome {
                    self.wire.send(&description(&rows.columns));
                }
                self.finish(&mut outcome, 0, sql).await.map(|_| ())
            }
        }
    }

    /// Whether a statement may be run now.
    pub(super) fn check_block(&self, body: &Body) -> Result<(), Fault> {
        let ends = matches!(
            body,
            Body::Own { command: Command::Commit | Command::Rollback | Command::RollbackTo(_), .. }
        );
        if self.transaction.has_failed() && !ends {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Fault::error(FAILED_TRANSACTION, message));
        }
        Ok(())
    }

    /// Tells of something that does no harm.
    pub(super) fn warn(&mut self, code: &'static str, message: &str) {
        self.wire.send_notice(&Fault::warning(code, message));
    }

    /// `BEGIN`.
    pub(super) fn begin_block(&mut self) {
        if self.transaction.is_block() {
            self.warn(ACTIVE_TRANSACTION, "there is already a transaction in progress");
        } else {
            self.transaction.begin(self.variables.moment());
        }
        self.complete("BEGIN");
    }

    /// `COMMIT` and `ROLLBACK`.
    pub(super) fn end_block(&mut self, commits: bool) {
        let mut tag = if commits { "COMMIT" } else { "ROLLBACK" };
        match self.transaction.end() {
            None => self.warn(NO_TRANSACTION, "there is no transaction in progress"),
            Some((went_well, block)) => {
                if commits && went_well {
                    for (name, before) in block.local.into_iter().rev() {
                        // It was a value of this setting before.
                        let _ = self.variables.set(&name, before.as_deref());
                    }
                } else {
                    tag = "ROLLBACK";
                    self.variables.restore(block.start);
                }
            }
        }
        self.portals.end_transaction();
        self.complete(tag);
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes)
        .map_err(|_| Fault::error(INVALID_ENCODING, "invalid byte sequence for encoding \"UTF8\""))
}

pub(super) fn canceled() -> Fault {
    Fault::error(QUERY_CANCELED, "canceling statement due to user request")
}
