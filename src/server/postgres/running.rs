//! Statements of the engine as they are planned and run, and what the client is sent of them.

use std::sync::Arc;

use bytes::BytesMut;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{LogicalPlan, Statement as PlannedStatement, WriteOp};
use futures::FutureExt;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::PortalSuspended;
use pgwire::messages::response::CommandComplete;

use crate::engine::Planned;
use crate::error::Error;
use crate::statement::{self, Statement};

use super::command;
use super::conversation::{Conversation, Done};
use super::rows::{Rows, columns, write_row};
use super::sqlstate::{FEATURE_NOT_SUPPORTED, Fault};
use super::value::Writer;
use super::wire::FULL;

/// What running a statement leads to.
pub(super) enum Outcome {
    /// Rows, for which there is a tag at the end.
    Rows(Rows, &'static str),
    /// A number of rows that were changed.
    Count(Rows, &'static str),
    /// Something without rows.
    Done(Rows, String),
}

/// Appends a row, given by its position, to what is sent.
pub(super) type WriteRow<'a> = dyn Fn(&[Writer], usize, &mut BytesMut) -> Result<(), Error> + Sync + 'a;

impl Conversation {
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
        values: Vec<ScalarValue>,
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
                        let mut out = BytesMut::new();
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
                && self.wire.outgoing.len() < FULL
                && let Some((writers, row)) = rows.take()
            {
                write(writers, row, &mut self.wire.outgoing).map_err(|error| Fault::of(&error, sql))?;
            }
            if self.wire.outgoing.len() >= FULL {
                self.push().await?;
            }
        }
    }

    pub(super) fn complete(&mut self, tag: &str) {
        self.wire.send(&PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.to_owned())));
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
