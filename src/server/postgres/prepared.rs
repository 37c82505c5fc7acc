//! Prepared statements: what a text is, and what is known of it before it is run.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::diagnostic::Source;
use crate::engine::{self, Planned};
use crate::statement::Statement;

use super::command::{self, Command, Query};
use super::extended::check_count;
use super::rows::{Column, columns};
use super::running::returns_rows;
use super::sqlstate::Fault;
use crate::engine::postgres_types::{cast_of, declared, type_of};

/// What a text is.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// A statement about the conversation, with the query that it is about.
    Own { command: Command, inner: Option<Statement> },
    /// A statement of the engine's.
    Statement(Statement),
}

impl Body {
    /// Parses one statement of a text; `types` are those that the client declares for its parameters. Where it does not,
    /// those that the statement casts them to are put there.
    pub(super) fn parse(source: &Source, piece: Range<usize>, types: &mut Vec<u32>) -> Result<Self, Fault> {
        let casts: Vec<_> = types.iter().map(|oid| cast_of(*oid)).collect();
        let text = &source.text[piece.clone()];
        let before = || source.text[..piece.start].chars().count();
        let mut statement = |range: Range<usize>| {
            let parsed = engine::parse_postgres(source, range, &casts);
            let (statement, told) = parsed.map_err(|error| Fault::of(&error, &source.text))?;
            if types.len() < told.len() {
                types.resize(told.len(), 0);
            }
            let open = types.iter_mut().zip(told).filter(|(kind, _)| matches!(**kind, 0 | 705));
            open.for_each(|(kind, told)| *kind = told);
            Ok::<_, Fault>(statement)
        };
        let Some(command) = command::parse(text).map_err(|fault| fault.shifted(before()))? else {
            return statement(piece).map(Self::Statement);
        };
        let inner = match &command {
            Command::Declare { query, .. } | Command::CopyOut { query: Query::Text(query), .. } => {
                Some(statement(piece.start + query.start..piece.start + query.end)?)
            }
            Command::CopyOut { query: Query::Table(query), .. } => {
                let source = Source::typed(query.as_str());
                let parsed = engine::parse_postgres(&source, 0..query.len(), &[]);
                Some(parsed.map_err(|error| Fault::of(&error, query))?.0)
            }
            _ => None,
        };
        Ok(Self::Own { command, inner })
    }

    /// The engine's statement in it.
    pub(super) fn statement(&self) -> Option<&Statement> {
        match self {
            Self::Empty => None,
            Self::Own { inner, .. } => inner.as_ref(),
            Self::Statement(statement) => Some(statement),
        }
    }
}

/// A parameter.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    /// The type that the client is told, or that it declared.
    pub(super) oid: u32,
    /// The type that the statement wants, where it says.
    pub(super) wanted: Option<DataType>,
}

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) sql: Arc<str>,
    pub(super) body: Body,
    pub(super) parameters: Vec<Parameter>,
    /// What it returns, if rows.
    schema: Option<SchemaRef>,
    /// The plan of a moment ago, for who binds at once. Later the catalog and the clock may say something else.
    fresh: Mutex<Option<Planned>>,
    /// Whether the client was told the columns.
    described: AtomicBool,
}

impl Prepared {
    pub(super) fn new(
        sql: &str,
        body: Body,
        types: Vec<u32>,
        planned: Option<Planned>,
    ) -> Result<Self, Fault> {
        let failed = |error: crate::error::Error| Fault::of(&error, sql);
        let mut parameters = vec![];
        let mut schema = None;
        if let Some(planned) = &planned {
            let known = planned.parameters().map_err(failed)?;
            let number = |name: &str| name.trim_start_matches('$').parse::<usize>().unwrap_or(0);
            let greatest = known.iter().map(|(name, _)| number(name)).max().unwrap_or(0);
            let count = greatest.max(types.len());
            check_count(count)?;
            // Some may have gone with parts of the statement that have no rows.
            for at in 1..=count {
                let wanted =
                    known.iter().find(|(name, _)| number(name) == at).and_then(|(_, kind)| kind.clone());
                parameters.push(parameter(types.get(at - 1).copied().unwrap_or(0), wanted));
            }
            if returns_rows(planned.plan()) {
                // Columns may have the type of a parameter: with values of these types all is known.
                let types: Vec<DataType> = parameters.iter().map(Parameter::kind).collect();
                schema = Some(planned.schema_with(&types).unwrap_or_else(|_| planned.schema()));
            }
        }
        let (fresh, described) = (Mutex::new(planned), AtomicBool::new(false));
        Ok(Self { sql: sql.into(), body, parameters, schema, fresh, described })
    }

    /// The columns that it returns; none for a statement without rows.
    pub(super) fn columns(&self) -> Result<Option<Vec<Column>>, Fault> {
        if matches!(self.body, Body::Own { .. }) {
            return Ok(None);
        }
        self.schema.as_ref().map(|schema| columns(schema, &[])).transpose()
    }

    /// The plan that was made in this group of messages.
    pub(super) fn take_fresh(&self) -> Option<Planned> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A group of messages ends.
    pub(super) fn age(&self) {
        self.take_fresh();
    }

    pub(super) fn set_described(&self) {
        self.described.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_described(&self) -> bool {
        self.described.load(Ordering::Relaxed)
    }
}

impl Parameter {
    fn kind(&self) -> DataType {
        self.wanted.clone().or_else(|| declared(self.oid)).unwrap_or(DataType::Utf8)
    }
}

/// A parameter by what the client declares and what the statement wants.
pub(super) fn parameter(declared: u32, wanted: Option<DataType>) -> Parameter {
    let wanted = wanted.filter(|kind| *kind != DataType::Null);
    // 705 is `unknown`: the client leaves it to us, as with 0.
    let oid = match (declared, &wanted) {
        (0 | 705, Some(wanted)) => {
            let sent = crate::server::wire::data_type(wanted);
            type_of(&Field::new("", sent, true)).oid()
        }
        (0 | 705, None) => pgwire::api::Type::TEXT.oid(),
        (oid, _) => oid,
    };
    Parameter { oid, wanted }
}
