//! Errors as PostgreSQL's clients know them.

use crate::diagnostic::{Diagnostic, Kind, Source, Span};
use crate::error::Error;

/// An error as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) severity: Severity,
    /// SQLSTATE.
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    /// The character of the statement, from 1.
    pub(super) position: Option<usize>,
}

/// What an error means for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// Nothing.
    Warning,
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

pub(super) const ACTIVE_TRANSACTION: &str = "25001";
pub(super) const CANNOT_CONNECT_NOW: &str = "57P03";
pub(super) const CANT_CHANGE_PARAMETER: &str = "55P02";
pub(super) const DUPLICATE_CURSOR: &str = "42P03";
pub(super) const DUPLICATE_STATEMENT: &str = "42P05";
pub(super) const FAILED_TRANSACTION: &str = "25P02";
pub(super) const FEATURE_NOT_SUPPORTED: &str = "0A000";
pub(super) const INVALID_AUTHORIZATION: &str = "28000";
pub(super) const INVALID_BINARY: &str = "22P03";
pub(super) const INVALID_CATALOG: &str = "3D000";
pub(super) const INVALID_CURSOR: &str = "34000";
pub(super) const INVALID_ENCODING: &str = "22021";
pub(super) const INVALID_PARAMETER: &str = "22023";
pub(super) const INVALID_PASSWORD: &str = "28P01";
pub(super) const INVALID_SAVEPOINT: &str = "3B001";
pub(super) const INVALID_STATEMENT: &str = "26000";
pub(super) const INVALID_TEXT: &str = "22P02";
pub(super) const NO_TRANSACTION: &str = "25P01";
pub(super) const BAD_COPY: &str = "22P04";
pub(super) const OUT_OF_RANGE: &str = "22003";
pub(super) const PROTOCOL_VIOLATION: &str = "08P01";
pub(super) const QUERY_CANCELED: &str = "57014";
pub(super) const SHUTDOWN: &str = "57P01";
pub(super) const SYNTAX: &str = "42601";
pub(super) const TOO_MANY_CONNECTIONS: &str = "53300";
pub(super) const UNDEFINED_OBJECT: &str = "42704";
pub(super) const WRONG_CURSOR_STATE: &str = "55000";

impl Fault {
    /// That a statement failed.
    pub(super) fn error(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, code, message, detail: None, hint: None, position: None }
    }

    /// That the connection ends.
    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Fatal, ..Self::error(code, message) }
    }

    /// What does no harm.
    pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// What would help.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error of coterie's; its places are in `sql`.
    pub(super) fn of(error: &Error, sql: &str) -> Self {
        let faults = error.diagnostics(&Source::typed(sql), Span::default());
        let Some((first, others)) = faults.split_first() else {
            return Self::error("XX000", error.message());
        };
        let mut fault = Self::error(code(first), first.message.clone());
        if !first.help.is_empty() {
            fault.hint = Some(first.help.join("\n"));
        }
        // The other faults of the statement, where it has several.
        let others: Vec<&str> = others.iter().map(|other| other.message.as_str()).collect();
        if !others.is_empty() {
            fault.detail = Some(others.join("\n"));
        }
        if let (Some(source), Some(span)) = (&first.source, first.span)
            && source.name.is_none()
            && *source.text == *sql
            && span.end > span.start
        {
            fault.position = sql.get(..span.start).map(|before| before.chars().count() + 1);
        }
        fault
    }

    /// The same, with the places moved to a text that this one is part of.
    pub(super) fn shifted(mut self, characters: usize) -> Self {
        self.position = self.position.map(|position| position + characters);
        self
    }

    /// What is sent.
    pub(super) fn fields(&self) -> Vec<(u8, String)> {
        let severity = self.severity.as_str().to_owned();
        let mut fields = vec![(b'S', severity.clone()), (b'V', severity), (b'C', self.code.to_owned())];
        let position = self.position.map(|position| position.to_string());
        let optional = [
            (b'M', Some(self.message.clone())),
            (b'D', self.detail.clone()),
            (b'H', self.hint.clone()),
            (b'P', position),
        ];
        // A zero byte ends a text.
        let present =
            optional.into_iter().filter_map(|(field, text)| Some((field, text?.replace('\0', "\u{fffd}"))));
        fields.extend(present);
        fields
    }
}

/// The SQLSTATE of a fault: its kind's, unless the message says more.
fn code(fault: &Diagnostic) -> &'static str {
    let says = |part: &str| fault.message.contains(part);
    match fault.kind {
        Kind::Syntax | Kind::Parse if says("nested too deeply") || says("nests deeper") => "54001",
        Kind::Usage | Kind::Syntax | Kind::Parse => SYNTAX,
        Kind::Name if says("unknown function") || says("table function") => "42883",
        Kind::Name if says("no setting is called") => UNDEFINED_OBJECT,
        Kind::Name if says("more than one function") => "42725",
        Kind::Name if says("ambiguous") => "42702",
        Kind::Name | Kind::UnknownField => "42703",
        Kind::UnknownFunction => "42883",
        Kind::NotFound if says("prepared statement") => INVALID_STATEMENT,
        Kind::NotFound if fault.message.starts_with("schema") => "3F000",
        Kind::NotFound if says("table") || says("view") => "42P01",
        Kind::NotFound => UNDEFINED_OBJECT,
        Kind::Type if says("has no value") => "42P02",
        Kind::Type => "42804",
        Kind::Unsupported => FEATURE_NOT_SUPPORTED,
        Kind::Conflict if says("already") || says("exists") => "42P07",
        Kind::Conflict if says("use") => "2BP01",
        Kind::Conflict => "40001",
        Kind::Permission => "42501",
        Kind::Execution if says("division by zero") || says("Divide by zero") => "22012",
        Kind::Execution if says("overflow") || says("out of range") || says("Overflow") => OUT_OF_RANGE,
        Kind::Execution if says("ast") || says("arse") => INVALID_TEXT,
        Kind::Execution => "22000",
        Kind::Resource if says("bytes") => "54000",
        Kind::Resource => "53200",
        Kind::Cancelled if says("server ends") || says("shutdown") => SHUTDOWN,
        Kind::Cancelled => QUERY_CANCELED,
        Kind::Storage => "58030",
        Kind::Data => "23505",
        _ => "XX000",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let sql = "SELECT 'é', nothing";
        let at = sql.find("nothing").unwrap();
        let fault = Diagnostic::new(Kind::Name, "unknown column `nothing`").at(Span::new(at, sql.len()));
        let fault = Fault::of(&fault.in_source(&Source::typed(sql)).into(), sql);
        assert_eq!((fault.code, fault.position), ("42703", Some(13)));
        assert_eq!(fault.shifted(10).position, Some(23));
    }

    #[test]
    fn kinds_have_their_states() {
        let state = |kind, message: &str| Fault::of(&Error::new(kind, message), "").code;
        assert_eq!(state(Kind::NotFound, "table `t` does not exist"), "42P01");
        assert_eq!(state(Kind::NotFound, "no segment is called `s`"), "42704");
        assert_eq!(state(Kind::Name, "unknown function `f`"), "42883");
        assert_eq!(state(Kind::Syntax, "the statement is nested too deeply"), "54001");
        assert_eq!(state(Kind::Cancelled, "the statement was cancelled"), "57014");
        assert_eq!(state(Kind::Internal, "oops"), "XX000");
    }
}
