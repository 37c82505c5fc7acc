//! `CREATE [OR REPLACE] PROFILE STORE [IF NOT EXISTS] name PROFILES t KEY (k) {EVENTS … | LOOKUP …}`.

use std::fmt;

use crate::diagnostic::{Diagnostic, Kind, Result};
use crate::segment::Name;

use super::parser::Parser;
use super::quote;

/// Declares which tables are profiles, events and lookups, and by which columns they hang together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateProfileStore {
    /// The store's name.
    pub name: Name,
    /// Replace a store of that name.
    pub or_replace: bool,
    /// Keep a store of that name.
    pub if_not_exists: bool,
    /// The profile table and its key.
    pub profiles: (Name, Name),
    /// The event tables.
    pub events: Vec<EventsClause>,
    /// The lookup tables.
    pub lookups: Vec<LookupClause>,
}

/// `EVENTS table KEY (key) TIMESTAMP (timestamp) [ID (id)]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventsClause {
    /// The table.
    pub table: Name,
    /// Whose event it is.
    pub key: Name,
    /// When it happened.
    pub timestamp: Name,
    /// What breaks ties of time.
    pub id: Option<Name>,
}

/// `LOOKUP table KEY (key) ON referrer (column)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LookupClause {
    /// The table.
    pub table: Name,
    /// Its key.
    pub key: Name,
    /// The event table, or the profile table, that refers to it.
    pub on: Name,
    /// By this column.
    pub column: Name,
}

pub(super) fn parse(parser: &mut Parser<'_>, or_replace: bool) -> Result<CreateProfileStore> {
    let if_not_exists = parser.eat(&["IF", "NOT", "EXISTS"]);
    let name = parser.name("the name of the profile store")?;
    parser.expect(&["PROFILES"])?;
    let profiles = (parser.table_name()?, keyed(parser, "KEY")?);
    let (mut events, mut lookups) = (vec![], vec![]);
    loop {
        if parser.eat(&["EVENTS"]) {
            let table = parser.table_name()?;
            let (key, timestamp) = (keyed(parser, "KEY")?, keyed(parser, "TIMESTAMP")?);
            let id = if parser.eat(&["ID"]) { Some(column(parser)?) } else { None };
            events.push(EventsClause { table, key, timestamp, id });
        } else if parser.eat(&["LOOKUP"]) {
            let table = parser.table_name()?;
            let key = keyed(parser, "KEY")?;
            parser.expect(&["ON"])?;
            let on = parser.table_name()?;
            lookups.push(LookupClause { table, key, on, column: column(parser)? });
        } else if parser.at_end() {
            return Ok(CreateProfileStore { name, or_replace, if_not_exists, profiles, events, lookups });
        } else {
            return Err(parser.unexpected("`EVENTS`, `LOOKUP` or the end of the statement"));
        }
    }
}

fn keyed(parser: &mut Parser<'_>, word: &str) -> Result<Name> {
    parser.expect(&[word])?;
    column(parser)
}

/// `(column)`.
fn column(parser: &mut Parser<'_>) -> Result<Name> {
    parser.expect_symbol("(")?;
    let name = parser.name("a column")?;
    if parser.peek_symbol(",") {
        let fault = Diagnostic::new(Kind::Unsupported, "expected one column, found several");
        let help = "declare a view with one key column, such as `a || '-' || b AS key`, and use that";
        return Err(fault.at(parser.here()).help(help));
    }
    parser.expect_symbol(")")?;
    Ok(name)
}

impl fmt::Display for CreateProfileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_replace = if self.or_replace { "OR REPLACE " } else { "" };
        let if_not_exists = if self.if_not_exists { "IF NOT EXISTS " } else { "" };
        let (table, key) = (&self.profiles.0.value, quote(&self.profiles.1.value));
        write!(f, "CREATE {or_replace}PROFILE STORE {if_not_exists}{}", quote(&self.name.value))?;
        write!(f, "\n  PROFILES {table} KEY ({key})")?;
        for clause in &self.events {
            let (key, timestamp) = (quote(&clause.key.value), quote(&clause.timestamp.value));
            write!(f, "\n  EVENTS {} KEY ({key}) TIMESTAMP ({timestamp})", clause.table.value)?;
            if let Some(id) = &clause.id {
                write!(f, " ID ({})", quote(&id.value))?;
            }
        }
        for clause in &self.lookups {
            let (key, column) = (quote(&clause.key.value), quote(&clause.column.value));
            write!(f, "\n  LOOKUP {} KEY ({key}) ON {} ({column})", clause.table.value, clause.on.value)?;
        }
        Ok(())
    }
}
