//! The statements about the conversation at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::unfold;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use tokio::sync::mpsc;

use crate::diagnostic::{Kind, Source};
use crate::engine::{self, Existing, Ingest, Planned};
use crate::error::Error;
use crate::server::work;

use super::command::{Command, CopyFormat, Options, Rows as Count};
use super::conversation::{Conversation, Done, Stop, canceled};
use super::copy::{self, Incoming};
use super::extended::{lost, no_cursor};
use super::message::Message;
use super::portal::{Portal, State};
use super::prepared::{Body, Prepared};
use super::rows::{Column, columns, description, write_row};
use super::running::{Outcome, returns_rows};
use super::sqlstate::{
    ACTIVE_TRANSACTION, DUPLICATE_CURSOR, Fault, INVALID_STATEMENT, NO_TRANSACTION, PROTOCOL_VIOLATION,
    QUERY_CANCELED,
};
use super::value::Format;

impl Conversation {
    /// The columns of a command's rows; none for a command without rows.
    pub(super) fn own_schema(&self, command: &Command) -> Result<Option<SchemaRef>, Fault> {
        match command {
            Command::Show(name) => {
                let (written, _) = self.variables.show(name)?;
                Ok(Some(Arc::new(Schema::new(vec![Field::new(written, DataType::Utf8, true)]))))
            }
            Command::Fetch { cursor, moves: false, .. } => {
                let portal = self.portals.get(cursor).ok_or_else(|| no_cursor(cursor))?;
                Ok(portal.schema())
            }
            _ => Ok(None),
        }
    }

    /// Runs a command; `planned` is the query that it is about. In the simple protocol, columns are announced.
    pub(super) async fn command(
        &mut self,
        command: &Command,
        planned: Option<Planned>,
        sql: &str,
        formats: &[i16],
        announce: bool,
    ) -> Done {
        match command {
            Command::Begin => self.begin_block(),
            Command::Commit => self.end_block(true),
            Command::Rollback => self.end_block(false),
            Command::Savepoint(name) => {
                self.transaction.savepoint(name.clone(), self.variables.moment())?;
                self.complete("SAVEPOINT");
            }
            Command::Release(name) => {
                self.transaction.release(name)?;
                self.complete("RELEASE");
            }
            Command::RollbackTo(name) => {
                let settings = self.transaction.roll_back_to(name)?;
                self.variables.restore(settings);
                self.complete("ROLLBACK");
            }
            Command::Set { name, value, local } => self.set(name, value.as_deref(), *local)?,
            Command::Show(name) => self.show(name, formats, announce)?,
            Command::ResetAll => {
                self.variables.reset_all();
                self.complete("RESET");
            }
            Command::DiscardAll => {
                if self.transaction.is_block() {
                    let message = "DISCARD ALL cannot run inside a transaction block";
                    return Err(Fault::error(ACTIVE_TRANSACTION, message).into());
                }
                self.portals.clear();
                self.prepared.clear();
                self.session.forget_prepared();
                self.variables.reset_all();
                self.complete("DISCARD ALL");
            }
            Command::Declare { cursor, hold, binary, .. } => {
                self.declare(cursor, *hold, *binary, planned.ok_or_else(lost)?, sql).await?;
            }
            Command::Fetch { cursor, rows, moves } => {
                self.fetch(cursor, *rows, *moves, formats, announce, sql).await?
            }
            Command::CloseCursor(None) => {
                self.portals.clear();
                self.complete("CLOSE CURSOR ALL");
            }
            Command::CloseCursor(Some(name)) => {
                self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
                self.complete("CLOSE CURSOR");
            }
            Command::Deallocate(None) => {
                self.prepared.clear();
                self.session.forget_prepared();
                self.complete("DEALLOCATE ALL");
            }
            Command::Deallocate(Some(name)) => {
                // The statements of `PREPARE` are the engine's, those of the protocol ours.
                if self.prepared.remove(name).is_none() && !self.session.forget(name) {
                    let message = format!("prepared statement \"{name}\" does not exist");
                    return Err(Fault::error(INVALID_STATEMENT, message).into());
                }
                self.complete("DEALLOCATE");
            }
            Command::CopyOut { options, .. } => {
                self.copy_out(planned.ok_or_else(lost)?, options, sql).await?
            }
            Command::CopyIn { table, columns, options } => self.copy_in(table, columns, options).await?,
            Command::Nothing(tag) => self.complete(tag),
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<(), Fault> {
        if local && !self.transaction.is_block() {
            self.warn(NO_TRANSACTION, "SET LOCAL can only be used in transaction blocks");
        } else {
            let before = self.variables.show(name).ok().map(|(_, value)| value);
            self.variables.set(name, value)?;
            if local {
                self.transaction.set_local(name, before);
            }
        }
        self.complete(if value.is_some() { "SET" } else { "RESET" });
        Ok(())
    }

    fn show(&mut self, name: &str, formats: &[i16], announce: bool) -> Result<(), Fault> {
        let (written, value) = self.variables.show(name)?;
        let schema = Schema::new(vec![Field::new(written, DataType::Utf8, true)]);
        if announce {
            self.wire.send(&description(&columns(&schema, formats)?));
        }
        // A text is the same in both formats.
        let array: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(vec![value]));
        let writer =
            super::value::Writer::new(&array, &pgwire::api::Type::TEXT, Format::Text, self.variables.zone());
        let written = writer.and_then(|writer| write_row(&[writer], 0, &mut self.wire.outgoing));
        written.map_err(|error| Fault::of(&error, ""))?;
        self.complete("SHOW");
        Ok(())
    }

    async fn declare(&mut self, cursor: &str, hold: bool, binary: bool, planned: Planned, sql: &str) -> Done {
        if !hold && !self.transaction.is_block() {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(Fault::error(NO_TRANSACTION, message).into());
        }
        if self.portals.contains(cursor) {
            return Err(Fault::error(DUPLICATE_CURSOR, format!("cursor \"{cursor}\" already exists")).into());
        }
        if !returns_rows(planned.plan()) {
            return Err(Fault::error("42601", "a cursor is for a query").into());
        }
        let formats = vec![i16::from(binary)];
        let outcome = self.begin(&planned, &formats, sql).await?;
        let Outcome::Rows(rows, _) = &outcome else { return Err(lost().into()) };
        let columns = Some(rows.columns.clone());
        let prepared = Arc::new(Prepared::new(sql, Body::Empty, vec![], None)?);
        let portal = Portal { prepared, columns, formats, state: State::Running(outcome), hold };
        self.portals.insert(cursor.to_owned(), portal);
        self.complete("DECLARE CURSOR");
        Ok(())
    }

    async fn fetch(
        &mut self,
        cursor: &str,
        count: Count,
        moves: bool,
        formats: &[i16],
        announce: bool,
        sql: &str,
    ) -> Done {
        let mut portal = self.portals.remove(cursor).ok_or_else(|| no_cursor(cursor))?;
        if announce
            && !moves
            && let Some(columns) = &portal.columns
        {
            self.wire.send(&description(columns));
        }
        let fetched = self.fetch_from(&mut portal, count, moves, formats, sql).await;
        // A cursor whose query failed is gone, as is what it has read.
        let fetched = fetched?;
        self.portals.insert(cursor.to_owned(), portal);
        self.complete(&format!("{} {fetched}", if moves { "MOVE" } else { "FETCH" }));
        Ok(())
    }

    async fn fetch_from(
        &mut self,
        portal: &mut Portal,
        count: Count,
        moves: bool,
        formats: &[i16],
        sql: &str,
    ) -> Done<u64> {
        if matches!(portal.state, State::Bound(_)) {
            let message = "a portal that was not run yet is run by Execute";
            return Err(Fault::error(super::sqlstate::WRONG_CURSOR_STATE, message).into());
        }
        let State::Running(Outcome::Rows(rows, _)) = &mut portal.state else { return Ok(0) };
        if let [_, ..] = formats
            && let Some(announced) = &portal.columns
        {
            let columns = super::rows::with_formats(announced, formats)?;
            rows.set_columns(columns).map_err(|error| Fault::of(&error, sql))?;
        }
        let before = rows.taken;
        let limit = match count {
            Count::Some(0) => return Ok(0),
            Count::Some(count) => u64::from(count),
            Count::All => 0,
        };
        if moves {
            let nothing = |_: &[super::value::Writer], _: usize, _: &mut bytes::BytesMut| Ok(());
            self.send_rows(rows, limit, sql, &nothing).await?;
        } else {
            self.send_rows(rows, limit, sql, &write_row).await?;
        }
        Ok(rows.taken - before)
    }

    async fn copy_out(&mut self, planned: Planned, options: &Options, sql: &str) -> Done {
        if !returns_rows(planned.plan()) {
            return Err(Fault::error("0A000", "COPY is for queries").into());
        }
        let format = copy::value_format(options);
        let code = i16::from(format == Format::Binary);
        let Outcome::Rows(mut rows, _) = self.begin(&planned, &[code], sql).await? else {
            return Err(lost().into());
        };
        let count = rows.columns.len();
        let formats = vec![code; count];
        let response =
            CopyOutResponse::new(i8::from(code == 1), i16::try_from(count).unwrap_or(i16::MAX), formats);
        self.wire.send(&PgWireBackendMessage::CopyOutResponse(response));
        let failed = |error: Error| Stop::from(Fault::of(&error, sql));
        let columns: Vec<Column> = rows.columns.clone();
        copy::write_header(&columns, options, &mut self.wire.outgoing).map_err(failed)?;
        // Binary data begin in the message of the first row: some clients look for them there.
        let first = AtomicBool::new(true);
        let write = |writers: &[super::value::Writer], row: usize, out: &mut bytes::BytesMut| {
            copy::write_row(writers, row, options, first.swap(false, Ordering::Relaxed), out)
        };
        self.send_rows(&mut rows, 0, sql, &write).await?;
        let none = first.load(Ordering::Relaxed);
        copy::write_tail(options, none, &mut self.wire.outgoing).map_err(failed)?;
        self.wire.send(&PgWireBackendMessage::CopyDone(CopyDone::new()));
        self.complete(&format!("COPY {}", rows.taken));
        Ok(())
    }

    /// Stores rows of the client: all of them or none.
    async fn copy_in(&mut self, table: &str, wanted: &[String], options: &Options) -> Done {
        if self.transaction.is_block() {
            let fault =
                Fault::error("0A000", "what changes something is not possible in a transaction block");
            return Err(fault
                .hint("it could not be rolled back: run it by itself, with autocommit on")
                .into());
        }
        if self.variables.is_read_only() {
            let message = "what changes something is not possible in a read-only transaction";
            return Err(Fault::error("25006", message).into());
        }
        let name = self.table(table)?;
        let listed: Vec<String> = wanted.iter().map(|column| crate::statement::quote(column)).collect();
        let listed = if listed.is_empty() { "*".to_owned() } else { listed.join(", ") };
        let query = format!("SELECT {listed} FROM {table}");
        let parsed = engine::parse_postgres(&Source::typed(query.as_str()), 0..query.len(), &[]);
        let (parsed, _) = parsed.map_err(|error| Fault::of(&error, &query))?;
        let schema = self.prepare(&parsed, &query).await?.schema();
        let fields: Vec<Field> =
            schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let code = i16::from(options.format == CopyFormat::Binary);
        let count = i16::try_from(fields.len()).unwrap_or(i16::MAX);
        let response = CopyInResponse::new(i8::from(code == 1), count, vec![code; fields.len()]);
        self.wire.send(&PgWireBackendMessage::CopyInResponse(response));
        self.push().await?;

        let mut incoming = Incoming::new(&fields, options.clone());
        let (batches, receiver) = mpsc::channel::<Result<arrow::array::RecordBatch, Error>>(2);
        let mut stored = self.store(name, incoming.schema(), receiver);
        let mut failed = None;
        loop {
            let message = tokio::select! {
                biased;
                () = self.stop.cancelled() => { failed = Some(Stop::from(canceled())); break }
                message = self.wire.read() => match message {
                    Ok(message) => message,
                    Err(gone) => { failed = Some(gone.into()); break }
                },
            };
            let batch = match message {
                Message::CopyData(data) => incoming.push(&data),
                Message::CopyDone => break,
                Message::CopyFail(why) => {
                    Err(Fault::error(QUERY_CANCELED, format!("COPY from stdin failed: {why}")))
                }
                // Some clients send them after the statement at once.
                Message::Flush | Message::Sync => continue,
                _ => Err(Fault::error(PROTOCOL_VIOLATION, "unexpected message during COPY from stdin")),
            };
            match batch {
                Ok(None) => {}
                // Nobody takes it: the table has refused a batch already, and says why.
                Ok(Some(batch)) => {
                    if batches.send(Ok(batch)).await.is_err() {
                        break;
                    }
                }
                Err(fault) => {
                    failed = Some(fault.into());
                    break;
                }
            }
        }
        if failed.is_none() {
            match incoming.finish() {
                Ok(Some(batch)) => drop(batches.send(Ok(batch)).await),
                Ok(None) => {}
                Err(fault) => failed = Some(fault.into()),
            }
        }
        if failed.is_some() {
            let given_up = Error::new(Kind::Cancelled, "the client gave its rows up");
            let _ = batches.send(Err(given_up)).await;
        }
        drop(batches);
        // Files of rows that are not stored are removed before the client hears of it.
        let done = stored.recv().await.unwrap_or_else(|| Err(crate::bug!("the storing of rows was lost")));
        if let Some(stop) = failed {
            return Err(stop);
        }
        let count = done.map_err(|error| Fault::of(&error, ""))?;
        self.complete(&format!("COPY {count}"));
        Ok(())
    }

    /// Stores batches as they come, where statements run; goes on by itself to a clean end whatever becomes of us.
    fn store(
        &self,
        name: String,
        schema: SchemaRef,
        receiver: mpsc::Receiver<Result<arrow::array::RecordBatch, Error>>,
    ) -> mpsc::Receiver<Result<u64, Error>> {
        let (tell, told) = mpsc::channel(1);
        let session = self.session.clone();
        let rows = unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|batch| (batch.map_err(DataFusionError::from), receiver))
        });
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        let workers = self.shared.workers.clone();
        tokio::spawn(async move {
            let mode = Ingest { create: false, existing: Existing::Append };
            let done = work::on(&workers, async move { session.ingest(&name, mode, rows).await }).await;
            let _ = tell.send(done.flatten()).await;
        });
        told
    }

    /// The table of schema `public` that a name means.
    fn table(&self, name: &str) -> Result<String, Fault> {
        let reference = datafusion::common::TableReference::parse_str(name);
        match reference.schema() {
            None | Some(crate::session::PUBLIC) => Ok(reference.table().to_owned()),
            Some(_) => Err(Fault::error("0A000", format!("no rows can be stored in {name}"))),
        }
    }
}

impl Portal {
    fn schema(&self) -> Option<SchemaRef> {
        match &self.state {
            State::Running(Outcome::Rows(rows, _)) => Some(rows.schema()),
            _ => self.columns.as_ref().map(|columns| {
                let fields = columns.iter().map(|column| Field::new(&column.name, DataType::Utf8, true));
                Arc::new(Schema::new(fields.collect::<Vec<_>>())) as SchemaRef
            }),
        }
    }
}
