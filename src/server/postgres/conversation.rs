//! A conversation with one client: its messages, one after another, and what they leave behind.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, Statement as PlannedStatement, WriteOp};
use futures::FutureExt;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, ReadyForQuery};
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Source;
use crate::engine::{Planned, Session};
use crate::error::Error;
use crate::server::Shared;
use crate::statement::{self, Statement};

use super::command::{self, Command};
use super::message::{Bind, Message, Target};
use super::portal::{Portal, Portals, State};
use super::prepared::{Body, Prepared};
use super::rows::{Column, Rows, columns, description, format_of, write_row};
use super::slot::Slot;
use super::sqlstate::{
    ACTIVE_TRANSACTION, DUPLICATE_STATEMENT, FAILED_TRANSACTION, FEATURE_NOT_SUPPORTED, Fault,
    INVALID_CURSOR, INVALID_ENCODING, INVALID_STATEMENT, NO_TRANSACTION, PROTOCOL_VIOLATION, QUERY_CANCELED,
    SHUTDOWN, SYNTAX,
};
use super::transaction::Transaction;
use super::value::{Given, read};
use super::variables::Variables;
use super::wire::{Gone, Wire};

/// How many prepared statements and portals a conversation may keep of each.
const KEPT: usize = 10_000;
/// How many values a statement may take: their number is written in 16 bits.
const VALUES: usize = 65_535;

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

/// What running a statement leads to.
pub(super) enum Outcome {
    /// Rows, for which there is a tag at the end.
    Rows(Rows, &'static str),
    /// A number of rows that were changed.
    Count(Rows, &'static str),
    /// Something without rows.
    Done(Rows, String),
}

/// How a message ends a conversation.
enum Next {
    Message,
    End,
}

/// Appends a row, given by its position, to what is sent.
pub(super) type WriteRow<'a> =
    dyn Fn(&[super::value::Writer], usize, &mut bytes::BytesMut) -> Result<(), Error> + Sync + 'a;

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

    // -- simple queries

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

    // -- extended queries

    async fn extended(&mut self, message: Message) -> Done<Next> {
        match message {
            Message::Parse { name, sql, types } => self.parse(name, &sql, types).await?,
            Message::Bind(bind) => self.bind(bind).await?,
            Message::Describe(Target::Statement(name)) => self.describe_statement(&name)?,
            Message::Describe(Target::Portal(name)) => self.describe_portal(&name)?,
            Message::Execute { portal, limit } => self.execute(&portal, limit).await?,
            Message::Close(Target::Statement(name)) => {
                self.prepared.remove(&name);
                self.wire.send(&PgWireBackendMessage::CloseComplete(CloseComplete::new()));
            }
            Message::Close(Target::Portal(name)) => {
                self.portals.remove(&name);
                self.wire.send(&PgWireBackendMessage::CloseComplete(CloseComplete::new()));
            }
            Message::Flush => self.push().await?,
            Message::FunctionCall => {
                return Err(Fault::error(
                    FEATURE_NOT_SUPPORTED,
                    "function calls by number are not possible here",
                )
                .into());
            }
            _ => {
                self.wire.send_fault(&Fault::fatal(PROTOCOL_VIOLATION, "unexpected message"));
                return Ok(Next::End);
            }
        }
        Ok(Next::Message)
    }

    async fn parse(&mut self, name: String, sql: &[u8], mut types: Vec<u32>) -> Done {
        let sql = utf8(sql)?;
        self.shared.check_sql(sql).map_err(|error| Fault::of(&error, sql))?;
        if !name.is_empty() && self.prepared.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Fault::error(DUPLICATE_STATEMENT, message).into());
        }
        if self.prepared.len() >= KEPT {
            return Err(Fault::error("53400", format!("more than {KEPT} prepared statements")).into());
        }
        let source = Source::typed(sql);
        let mut pieces = statement::split(sql).into_iter();
        let body = match (pieces.next(), pieces.next()) {
            (None, _) => Body::Empty,
            (Some(piece), None) => Body::parse(&source, piece.range, &mut types)?,
            (Some(_), Some(_)) => {
                let message = "cannot insert multiple commands into a prepared statement";
                return Err(Fault::error(SYNTAX, message).into());
            }
        };
        self.check_block(&body)?;
        let planned = match body.statement() {
            Some(statement) => Some(self.prepare(statement, sql).await?),
            None => None,
        };
        let prepared = Prepared::new(sql, body, types, planned)?;
        self.prepared.insert(name, Arc::new(prepared));
        self.wire.send(&PgWireBackendMessage::ParseComplete(ParseComplete::new()));
        Ok(())
    }

    async fn bind(&mut self, bind: Bind) -> Done {
        let prepared = self.prepared_of(&bind.statement)?;
        self.check_block(&prepared.body)?;
        if !bind.portal.is_empty() && self.portals.contains(&bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(Fault::error(super::sqlstate::DUPLICATE_CURSOR, message).into());
        }
        if self.portals.len() >= KEPT {
            return Err(Fault::error("53400", format!("more than {KEPT} portals")).into());
        }
        let wanted = prepared.parameters.len();
        let given = bind.values.len();
        if given != wanted {
            let message = format!(
                "bind message supplies {given} parameters, but prepared statement \"{}\" requires {wanted}",
                bind.statement
            );
            return Err(Fault::error(PROTOCOL_VIOLATION, message).into());
        }
        let formats = &bind.formats;
        if formats.len() > 1 && formats.len() != given {
            let message =
                format!("bind message has {} parameter formats but {given} parameters", formats.len());
            return Err(Fault::error(PROTOCOL_VIOLATION, message).into());
        }
        let mut values = vec![];
        for (at, (bytes, parameter)) in bind.values.iter().zip(&prepared.parameters).enumerate() {
            let code =
                formats.get(at).or(formats.first().filter(|_| formats.len() == 1)).copied().unwrap_or(0);
            let (oid, wanted) = (parameter.oid, parameter.wanted.as_ref());
            values.push(read(&Given { bytes, format: format_of(code)?, oid, wanted })?);
        }
        let planned = match prepared.body.statement() {
            None => None,
            // A plan that its values make anew is not worth keeping.
            Some(statement) => match prepared.take_fresh().filter(|planned| !planned.is_open()) {
                Some(planned) => {
                    let bound = planned.bind_by_number(values).await;
                    Some(bound.map_err(|error| Fault::of(&error, &prepared.sql))?)
                }
                None => Some(self.prepare_bound(statement, values, &prepared.sql).await?),
            },
        };
        let schema = self.schema_of(&prepared.body, planned.as_ref())?;
        let columns = match &schema {
            Some(schema) => columns(schema, &bind.results)?,
            None => vec![],
        };
        if prepared.is_described()
            && schema.is_some()
            && prepared.columns()?.is_some_and(|told| !same(&told, &columns))
        {
            return Err(Fault::error(FEATURE_NOT_SUPPORTED, "cached plan must not change result type").into());
        }
        let portal = Portal {
            prepared,
            columns: schema.is_some().then_some(columns),
            formats: bind.results,
            state: State::Bound(planned.map(Box::new)),
            hold: false,
        };
        self.portals.insert(bind.portal, portal);
        self.wire.send(&PgWireBackendMessage::BindComplete(BindComplete::new()));
        Ok(())
    }

    fn describe_statement(&mut self, name: &str) -> Done {
        let prepared = self.prepared_of(name)?;
        let types = prepared.parameters.iter().map(|parameter| parameter.oid).collect();
        let own = match &prepared.body {
            Body::Own { command, .. } => self.own_columns(command)?,
            _ => None,
        };
        let columns = match own {
            Some(columns) => Some(columns),
            None => prepared.columns()?,
        };
        self.wire.send(&PgWireBackendMessage::ParameterDescription(ParameterDescription::new(types)));
        prepared.set_described();
        self.describe(columns.as_deref());
        Ok(())
    }

    fn describe_portal(&mut self, name: &str) -> Done {
        let portal = self.portals.get(name).ok_or_else(|| no_cursor(name))?;
        let columns = portal.columns.clone();
        self.describe(columns.as_deref());
        Ok(())
    }

    fn describe(&mut self, columns: Option<&[Column]>) {
        match columns {
            Some(columns) => self.wire.send(&description(columns)),
            None => self.wire.send(&PgWireBackendMessage::NoData(NoData::new())),
        }
    }

    async fn execute(&mut self, name: &str, limit: u32) -> Done {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
        self.check_block(&portal.prepared.body)?;
        let prepared = Arc::clone(&portal.prepared);
        match std::mem::replace(&mut portal.state, State::Done) {
            State::Bound(planned) => match (&prepared.body, planned) {
                (Body::Empty, _) => {
                    self.wire.send(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
                }
                (Body::Own { command, .. }, planned) => {
                    let planned = planned.map(|planned| *planned);
                    self.command(command, planned, &prepared.sql, &portal.formats, false).await?;
                }
                (Body::Statement(_), Some(planned)) => {
                    let mut outcome = self.begin(&planned, &portal.formats, &prepared.sql).await?;
                    if self.finish(&mut outcome, u64::from(limit), &prepared.sql).await? {
                        portal.state = State::Running(outcome);
                    }
                }
                (Body::Statement(_), None) => return Err(lost().into()),
            },
            State::Running(mut outcome) => {
                if self.finish(&mut outcome, u64::from(limit), &prepared.sql).await? {
                    portal.state = State::Running(outcome);
                }
            }
            // All its rows were sent.
            State::Done => self.complete("SELECT 0"),
        }
        // What ends the transaction ends its portals; this one was not among them.
        if !name.is_empty() || matches!(portal.state, State::Running(_)) {
            self.portals.insert(name.to_owned(), portal);
        }
        Ok(())
    }

    pub(super) fn prepared_of(&self, name: &str) -> Result<Arc<Prepared>, Fault> {
        self.prepared.get(name).cloned().ok_or_else(|| {
            let shown = if name.is_empty() {
                "unnamed prepared statement".to_owned()
            } else {
                format!("prepared statement \"{name}\"")
            };
            Fault::error(INVALID_STATEMENT, format!("{shown} does not exist"))
        })
    }

    /// The columns of what is to be run: the engine's, or those of a command of the conversation.
    fn schema_of(
        &self,
        body: &Body,
        planned: Option<&Planned>,
    ) -> Result<Option<arrow::datatypes::SchemaRef>, Fault> {
        match body {
            Body::Empty => Ok(None),
            Body::Own { command, .. } => self.own_schema(command),
            Body::Statement(_) => {
                Ok(planned.filter(|planned| returns_rows(planned.plan())).map(Planned::schema))
            }
        }
    }

    fn own_columns(&self, command: &Command) -> Result<Option<Vec<Column>>, Fault> {
        self.own_schema(command)?.map(|schema| columns(&schema, &[])).transpose()
    }

    // -- statements of the engine

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

    /// Plans a statement, where statements run.
    pub(super) async fn prepare(&mut self, statement: &Statement, sql: &str) -> Done<Planned> {
        let (shared, session) = (Arc::clone(&self.shared), self.session.clone());
        let statement = statement.clone();
        let work = async move { shared.work(async move { session.prepare(&statement).await }.boxed()).await };
        self.attend(work.boxed(), sql).await
    }

    /// The same with values for its parameters.
    pub(super) async fn prepare_bound(
        &mut self,
        statement: &Statement,
        values: Vec<datafusion::common::ScalarValue>,
        sql: &str,
    ) -> Done<Planned> {
        let (shared, session) = (Arc::clone(&self.shared), self.session.clone());
        let statement = statement.clone();
        let work = async move {
            shared.work(async move { session.prepare_with(&statement, values).await }.boxed()).await
        };
        self.attend(work.boxed(), sql).await
    }

    /// Runs a statement that is planned, unless the block forbids it.
    pub(super) async fn begin(&mut self, planned: &Planned, formats: &[i16], sql: &str) -> Done<Outcome> {
        let plan = planned.plan();
        let changes = planned.changes() && !is_about_session(planned);
        if changes && self.transaction.is_block() {
            let fault = Fault::error(
                FEATURE_NOT_SUPPORTED,
                "what changes something is not possible in a transaction block",
            );
            return Err(fault
                .hint("it could not be rolled back: run it by itself, with autocommit on")
                .into());
        }
        if changes && self.variables.is_read_only() {
            return Err(Fault::error(
                "25006",
                "what changes something is not possible in a read-only transaction",
            )
            .into());
        }
        let (sort, tag) = kind_of(plan);
        let columns = match sort {
            Sort::Rows => columns(&planned.schema(), formats)?,
            Sort::Count | Sort::Nothing => vec![],
        };
        let done = match sort {
            Sort::Nothing => done_tag(planned),
            Sort::Rows | Sort::Count => String::new(),
        };
        let (limit, zone) = (self.shared.max_result(), self.variables.zone());
        let (shared, planned) = (Arc::clone(&self.shared), planned.clone());
        let work = async move {
            shared.work(async move { Ok::<_, Error>(Rows::of(planned.run().await?, limit)) }.boxed()).await
        };
        let begun = self.attend(work.boxed(), sql).await?;
        let columns_known = match sort {
            Sort::Rows => columns,
            Sort::Count | Sort::Nothing => super::rows::columns(&begun.0, &[])?,
        };
        let rows = Rows::new(begun, columns_known, zone);
        Ok(match sort {
            Sort::Rows => Outcome::Rows(rows, tag),
            Sort::Count => Outcome::Count(rows, tag),
            Sort::Nothing => Outcome::Done(rows, done),
        })
    }

    /// Sends the rows of a statement, `limit` at most where it is not 0; returns whether there may be more.
    pub(super) async fn finish(&mut self, outcome: &mut Outcome, limit: u64, sql: &str) -> Done<bool> {
        match outcome {
            Outcome::Rows(rows, tag) => {
                let before = rows.taken;
                if self.send_rows(rows, limit, sql, &write_row).await? {
                    self.wire.send(&PgWireBackendMessage::PortalSuspended(PortalSuspended::new()));
                    return Ok(true);
                }
                let sent = rows.taken - before;
                let tag = if *tag == "SELECT" { format!("SELECT {sent}") } else { (*tag).to_owned() };
                self.complete(&tag);
            }
            Outcome::Count(rows, tag) => {
                let mut count: u64 = 0;
                while self.attend(rows.ready(), sql).await? {
                    while let Some((writers, row)) = rows.take() {
                        let mut out = bytes::BytesMut::new();
                        if let Some(writer) = writers.first() {
                            writer.write(row, &mut out).map_err(|error| Fault::of(&error, sql))?;
                        }
                        let number = std::str::from_utf8(&out).ok().and_then(|text| text.parse::<u64>().ok());
                        count = count.saturating_add(number.unwrap_or(0));
                    }
                }
                let tag = format!("{tag} {count}");
                self.complete(&tag);
            }
            Outcome::Done(rows, tag) => {
                while self.attend(rows.ready(), sql).await? {
                    while rows.take().is_some() {}
                }
                let tag = tag.clone();
                self.complete(&tag);
            }
        }
        Ok(false)
    }

    /// Sends rows; returns whether the limit was reached and there may be more.
    pub(super) async fn send_rows(
        &mut self,
        rows: &mut Rows,
        limit: u64,
        sql: &str,
        write: &WriteRow<'_>,
    ) -> Done<bool> {
        let last = if limit == 0 { u64::MAX } else { rows.taken.saturating_add(limit) };
        loop {
            if rows.taken >= last {
                return Ok(true);
            }
            if !self.attend(rows.ready(), sql).await? {
                return Ok(false);
            }
            while rows.taken < last
                && self.wire.outgoing.len() < super::wire::FULL
                && let Some((writers, row)) = rows.take()
            {
                write(writers, row, &mut self.wire.outgoing).map_err(|error| Fault::of(&error, sql))?;
            }
            if self.wire.outgoing.len() >= super::wire::FULL {
                self.push().await?;
            }
        }
    }

    pub(super) fn complete(&mut self, tag: &str) {
        self.wire.send(&PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.to_owned())));
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

/// What a plan leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Rows,
    Count,
    Nothing,
}

fn kind_of(plan: &LogicalPlan) -> (Sort, &'static str) {
    match plan {
        LogicalPlan::Dml(change) => {
            let tag = match change.op {
                WriteOp::Insert(_) => "INSERT 0",
                WriteOp::Delete => "DELETE",
                WriteOp::Update => "UPDATE",
                _ => "SELECT",
            };
            (Sort::Count, tag)
        }
        LogicalPlan::Copy(_) => (Sort::Count, "COPY"),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => (Sort::Rows, "EXPLAIN"),
        plan if plan.schema().fields().is_empty() => (Sort::Nothing, ""),
        _ => (Sort::Rows, "SELECT"),
    }
}

/// Whether a plan's rows are the client's.
pub(super) fn returns_rows(plan: &LogicalPlan) -> bool {
    kind_of(plan).0 == Sort::Rows
}

/// Whether a statement changes only what the session remembers, or stops another.
fn is_about_session(planned: &Planned) -> bool {
    use datafusion::sql::parser::Statement as DFStatement;
    use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
    match &planned.statement().command {
        statement::Command::CancelQuery { .. } => true,
        statement::Command::Sql(sql) => match &**sql {
            DFStatement::Statement(sql) => {
                matches!(
                    **sql,
                    SqlStatement::Prepare { .. } | SqlStatement::Deallocate { .. } | SqlStatement::Set(_)
                )
            }
            DFStatement::Reset(_) => true,
            _ => matches!(planned.plan(), LogicalPlan::Statement(PlannedStatement::SetVariable(_))),
        },
        _ => false,
    }
}

/// The tag of a statement without rows: its first words, but for those that say how.
fn done_tag(planned: &Planned) -> String {
    let statement = planned.statement();
    let text =
        &statement.source.text[statement.span.start..statement.span.end.min(statement.source.text.len())];
    let skipped = ["OR", "REPLACE", "EXTERNAL", "UNBOUNDED", "TEMP", "TEMPORARY", "IF", "NOT", "EXISTS"];
    let verb = command::first_word(text).to_uppercase();
    if !matches!(verb.as_str(), "CREATE" | "DROP" | "ALTER") {
        return verb;
    }
    let mut words = text.split_whitespace().map(str::to_uppercase).skip_while(|word| *word != verb).skip(1);
    match words.find(|word| !skipped.contains(&word.as_str())) {
        Some(word) if word == "PROFILE" => format!("{verb} PROFILE STORE"),
        Some(word) => format!("{verb} {word}"),
        None => verb,
    }
}

/// Whether columns are what the client was told.
fn same(told: &[Column], now: &[Column]) -> bool {
    let types = |columns: &[Column]| {
        columns.iter().map(|column| (column.name.clone(), column.kind.oid())).collect::<Vec<_>>()
    };
    types(told) == types(now)
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes)
        .map_err(|_| Fault::error(INVALID_ENCODING, "invalid byte sequence for encoding \"UTF8\""))
}

pub(super) fn canceled() -> Fault {
    Fault::error(QUERY_CANCELED, "canceling statement due to user request")
}

pub(super) fn no_cursor(name: &str) -> Fault {
    let what = if name.is_empty() { "portal \"\"".to_owned() } else { format!("cursor \"{name}\"") };
    Fault::error(INVALID_CURSOR, format!("{what} does not exist"))
}

pub(super) fn lost() -> Fault {
    Fault::of(&crate::bug!("a bound statement has no plan"), "")
}

/// How many parameters a statement may have at most.
pub(super) fn check_count(count: usize) -> Result<(), Fault> {
    if count <= VALUES {
        return Ok(());
    }
    Err(Fault::error("54023", format!("{count} parameters are too many: {VALUES} are possible")))
}
