//! The extended protocol: statements that are prepared, bound to values, described and executed, message by message.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete};
use pgwire::messages::response::EmptyQueryResponse;

use crate::diagnostic::Source;
use crate::engine::Planned;
use crate::statement;

use super::command::Command;
use super::conversation::{Conversation, Done, utf8};
use super::message::{Bind, Message, Target};
use super::portal::{Portal, State};
use super::prepared::{Body, Prepared};
use super::rows::{Column, columns, description, format_of};
use super::running::returns_rows;
use super::sqlstate::{
    DUPLICATE_CURSOR, DUPLICATE_STATEMENT, FEATURE_NOT_SUPPORTED, Fault, INVALID_CURSOR, INVALID_STATEMENT,
    PROTOCOL_VIOLATION, SYNTAX,
};
use super::value::{Given, read};

/// How many prepared statements and portals a conversation may keep of each.
const KEPT: usize = 10_000;

/// How many values a statement may take: their number is written in 16 bits.
const VALUES: usize = 65_535;

/// How a message ends a conversation.
pub(super) enum Next {
    Message,
    End,
}

impl Conversation {
    pub(super) async fn extended(&mut self, message: Message) -> Done<Next> {
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
            return Err(Fault::error(DUPLICATE_CURSOR, message).into());
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
    fn schema_of(&self, body: &Body, planned: Option<&Planned>) -> Result<Option<SchemaRef>, Fault> {
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
}

/// Whether columns are what the client was told.
fn same(told: &[Column], now: &[Column]) -> bool {
    let types = |columns: &[Column]| {
        columns.iter().map(|column| (column.name.clone(), column.kind.oid())).collect::<Vec<_>>()
    };
    types(told) == types(now)
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
