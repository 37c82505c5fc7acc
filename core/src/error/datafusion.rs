//! What DataFusion, arrow and Parquet report, converted once, so that plain SQL errors look like coterie's own.

use std::sync::Arc;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{Column, Diagnostic as Told, SchemaError, Span as Lines};
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::diagnostic::{Diagnostic, Kind, Span, offset_of};

use super::Error;
use super::storage::{Described, causes, describe, lower_first};

/// An error of DataFusion's, without places: the text that they point into is not known.
pub fn from_datafusion(error: DataFusionError) -> Error {
    finish(error, None)
}

/// The class of an error of DataFusion's.
pub fn kind_of(error: &DataFusionError) -> Kind {
    convert(error, None).kind()
}

/// An error of DataFusion's about the statement `text`: its lines and columns become byte ranges of it.
pub fn from_datafusion_in(error: DataFusionError, text: &str) -> Error {
    finish(error, Some(text))
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        from_datafusion(error)
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        from_datafusion(error.into())
    }
}

/// Our own errors travel through DataFusion's plans and streams unharmed.
impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

fn finish(error: DataFusionError, text: Option<&str>) -> Error {
    match convert(&error, text) {
        Error::Failed(failure) if failure.cause.is_none() => {
            let described = Described {
                kind: failure.kind,
                message: failure.message.clone(),
                help: failure.help.clone(),
            };
            described.caused_by(error)
        }
        own => own,
    }
}

fn convert(error: &DataFusionError, text: Option<&str>) -> Error {
    use DataFusionError as E;
    match error {
        E::ArrowError(inner, _) => from_arrow(inner, text),
        E::ParquetError(inner) => from_parquet(inner, text),
        E::ObjectStore(inner) => describe(inner).into_error(),
        E::IoError(inner) => match own(inner) {
            Some(known) => known,
            None => Described::of_io(inner, Kind::Storage).into_error(),
        },
        E::SQL(inner, _) => from_parser(inner, text).into(),
        E::NotImplemented(message) => fault(Kind::Unsupported, message).into(),
        E::Plan(message) => from_plan(message).into(),
        E::Configuration(message) => fault(Kind::Name, message).into(),
        E::SchemaError(inner, _) => from_schema(inner, text).into(),
        E::Execution(message) => Error::new(Kind::Execution, lower_first(first_line(message))),
        E::ResourcesExhausted(message) => from_exhausted(message),
        E::ExecutionJoin(inner) if inner.is_cancelled() => {
            Error::new(Kind::Cancelled, "the statement was cancelled")
        }
        E::ExecutionJoin(inner) => Error::new(Kind::Internal, inner.to_string()),
        E::External(inner) => from_foreign(inner.as_ref(), text),
        E::Context(_, inner) => convert(inner, text),
        E::Diagnostic(told, inner) => with_told(convert(inner, text), told, text),
        E::Collection(inner) => collect(inner, text),
        E::Shared(inner) => convert(inner, text),
        E::Internal(message) => Error::new(Kind::Internal, first_line(message)),
        E::Substrait(message) | E::Ffi(message) => Error::new(Kind::Execution, first_line(message)),
    }
}

/// An error that DataFusion only carries: the known ones are unwrapped, wherever they hide.
fn from_foreign(error: &(dyn std::error::Error + 'static), text: Option<&str>) -> Error {
    if let Some(known) = own(error) {
        return known;
    }
    for cause in causes(error) {
        if let Some(inner) = cause.downcast_ref::<DataFusionError>() {
            return convert(inner, text);
        }
        if let Some(inner) = cause.downcast_ref::<Arc<DataFusionError>>() {
            return convert(inner, text);
        }
        if let Some(inner) = cause.downcast_ref::<object_store::Error>() {
            return describe(inner).into_error();
        }
        if let Some(inner) = cause.downcast_ref::<ArrowError>() {
            return from_arrow(inner, text);
        }
        if let Some(inner) = cause.downcast_ref::<deltalake_core::DeltaTableError>() {
            return super::delta::describe_delta(inner).into_error();
        }
        if let Some(inner) = cause.downcast_ref::<std::io::Error>() {
            return Described::of_io(inner, Kind::Storage).into_error();
        }
    }
    Error::new(Kind::Execution, lower_first(first_line(&error.to_string())))
}

/// The error of coterie's own among the causes of `error`.
fn own(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    causes(error).find_map(|cause| {
        if let Some(known) = cause.downcast_ref::<Error>() {
            return Some(known.clone());
        }
        cause.downcast_ref::<Diagnostic>().map(|fault| fault.clone().into())
    })
}

fn from_arrow(error: &ArrowError, text: Option<&str>) -> Error {
    use ArrowError as E;
    match error {
        E::ExternalError(inner) => from_foreign(inner.as_ref(), text),
        E::IoError(_, inner) => Described::of_io(inner, Kind::Storage).into_error(),
        E::CsvError(message) | E::JsonError(message) | E::AvroError(message) | E::IpcError(message) => {
            Error::new(Kind::Storage, lower_first(first_line(message)))
        }
        E::ParquetError(message) => Error::new(Kind::Storage, lower_first(first_line(message))),
        E::MemoryError(message) => Error::new(Kind::Resource, lower_first(first_line(message))),
        E::NotYetImplemented(message) => Error::new(Kind::Unsupported, lower_first(first_line(message))),
        E::DivideByZero => Error::new(Kind::Execution, "division by zero"),
        E::CastError(message) | E::ParseError(message) | E::ComputeError(message) => {
            Error::new(Kind::Execution, lower_first(first_line(message)))
        }
        other => Error::new(Kind::Execution, lower_first(first_line(&other.to_string()))),
    }
}

fn from_parquet(error: &ParquetError, text: Option<&str>) -> Error {
    match error {
        ParquetError::External(inner) => match own(inner.as_ref()) {
            Some(known) => known,
            None => from_foreign(inner.as_ref(), text),
        },
        ParquetError::General(message) | ParquetError::EOF(message) | ParquetError::ArrowError(message) => {
            Error::new(Kind::Storage, lower_first(first_line(message)))
        }
        other => Error::new(Kind::Storage, lower_first(first_line(&other.to_string()))),
    }
}

fn from_parser(error: &ParserError, text: Option<&str>) -> Diagnostic {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => "the statement is nested too deeply",
    };
    // The place is part of the message, as in `Expected: an expression, found: EOF at Line: 1, Column: 8`.
    let (message, place) = match message.rsplit_once(" at Line: ") {
        Some((before, place)) => (before, place.split_once(", Column: ")),
        None => (message, None),
    };
    let fault = Diagnostic::new(Kind::Syntax, lower_first(message));
    let place = place.and_then(|(line, column)| Some((line.parse().ok()?, column.trim().parse().ok()?)));
    match (text, place) {
        (Some(text), Some((line, column))) => {
            let start = offset_of(text, line, column);
            fault.at(Span::new(start, word_end(text, start)))
        }
        _ => fault,
    }
}

fn from_plan(message: &str) -> Diagnostic {
    let told = first_line(message);
    if let Some(name) = told.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        return Diagnostic::new(Kind::NotFound, format!("table `{}` does not exist", as_written(name)));
    }
    if let Some((name, rest)) = told.strip_prefix("Invalid function '").and_then(|rest| rest.split_once('\''))
    {
        let fault = Diagnostic::new(Kind::Name, format!("unknown function `{name}`"));
        let near = rest
            .split_once("Did you mean '")
            .or_else(|| message.split_once("Did you mean '"))
            .and_then(|(_, near)| near.split_once('\''));
        return match near {
            // DataFusion names the nearest however far it is.
            Some((near, _)) => fault.suggest(name, [near]),
            None => fault,
        };
    }
    if let Some(fault) = from_signature(message) {
        return fault;
    }
    if told.contains(" not found") || told.starts_with("No field named") || told.starts_with("Unknown ") {
        return fault(Kind::Name, told);
    }
    fault(Kind::Type, message)
}

/// Arguments that a function does not take: DataFusion says so at length, and blames itself on the way.
fn from_signature(message: &str) -> Option<Diagnostic> {
    let (before, rest) = message.split_once("argument types '")?;
    // A function that reads its arguments itself says what is wrong with them.
    if let Some((_, told)) = before.split_once("user-defined coercion failed with: ") {
        let told = told.strip_suffix(". No function matches the given name and ").unwrap_or(told);
        let told = told.strip_prefix("Error during planning: ").unwrap_or(told);
        return Some(fault(Kind::Type, told));
    }
    let (call, rest) = rest.split_once('\'')?;
    let name = call.split('(').next()?;
    let fault = Diagnostic::new(Kind::Type, format!("`{call}` is no way to call `{name}`"));
    let wanted = format!("{name}(");
    let candidates: Vec<&str> =
        rest.lines().map(str::trim).filter(|line| line.starts_with(&wanted)).take(4).collect();
    Some(if candidates.is_empty() {
        fault
    } else {
        fault.help(format!("it takes {}", candidates.join(", ")))
    })
}

/// `catalog.public.name`, which DataFusion makes of `name`, as the user wrote it.
fn as_written(name: &str) -> &str {
    let mut parts = name.splitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (_, Some("public"), Some(table)) => table,
        (Some(catalog), Some(_), Some(_)) => &name[catalog.len() + 1..],
        _ => name,
    }
}

fn from_schema(error: &SchemaError, text: Option<&str>) -> Diagnostic {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let message = format!("unknown column `{}`", field.flat_name());
            let fault = Diagnostic::new(Kind::Name, message)
                .suggest(&field.name, valid_fields.iter().map(|valid| valid.name.as_str()));
            let fault = match valid_fields.iter().find(|valid| differs_in_case(field, valid)) {
                Some(valid) => fault.help(format!("a name with capitals is quoted: \"{}\"", valid.name)),
                None => fault,
            };
            placed(fault, field.spans().first(), text)
        }
        SchemaError::AmbiguousReference { field } => {
            let message = format!("column `{}` is ambiguous", field.flat_name());
            let fault = Diagnostic::new(Kind::Name, message).help("write the table's name before it");
            placed(fault, field.spans().first(), text)
        }
        other => fault(Kind::Name, &other.to_string()),
    }
}

fn differs_in_case(field: &Column, valid: &Column) -> bool {
    field.name != valid.name && field.name.eq_ignore_ascii_case(&valid.name)
}

fn from_exhausted(message: &str) -> Error {
    // After it comes who else holds memory, and whether they spill.
    let said = first_line(message).split(" with top memory consumers").next().unwrap_or_default();
    let told = Error::new(Kind::Resource, lower_first(said));
    let is_memory = said.to_lowercase().contains("allocat");
    if !is_memory && (message.contains("disk space") || message.contains("spill")) {
        return told.help("free some space for temporary files, or point TMPDIR elsewhere");
    }
    told.help("raise --memory-limit, or lower --threads: each holds its share")
}

/// DataFusion's own diagnostic knows the place and some help; our message is kept where we have a better one.
fn with_told(converted: Error, told: &Told, text: Option<&str>) -> Error {
    let Error::Wrong(mut faults) = converted else { return converted };
    if let Some(fault) = faults.first_mut() {
        // `expressions have incompatible types` says less than the error, which names them.
        let vague = told.message.contains("incompatible types");
        if matches!(fault.kind, Kind::Type | Kind::Unsupported) && !vague {
            fault.message = lower_first(first_line(&told.message));
        }
        let notes = told.notes.iter().map(|note| &note.message).filter(|_| !vague);
        for line in notes.chain(told.helps.iter().map(|help| &help.message)) {
            // We suggest names ourselves, the near ones only.
            if !line.to_lowercase().starts_with("possible ") {
                fault.help.push(lower_first(line));
            }
        }
        *fault = placed(fault.clone(), told.span, text);
    }
    Error::Wrong(faults)
}

/// Several errors at once: all faults of the user's, or the first failure.
fn collect(errors: &[DataFusionError], text: Option<&str>) -> Error {
    let mut faults: Vec<Diagnostic> = vec![];
    for error in errors {
        match convert(error, text) {
            Error::Wrong(more) => {
                faults.extend(more.into_iter().filter(|fault| !faults.contains(fault)).collect::<Vec<_>>());
            }
            failed => return failed,
        }
    }
    Error::Wrong(faults)
}

fn placed(fault: Diagnostic, lines: Option<Lines>, text: Option<&str>) -> Diagnostic {
    match (lines, text) {
        (Some(lines), Some(text)) if lines.start.line > 0 => fault.at(Span::new(
            offset_of(text, lines.start.line, lines.start.column),
            offset_of(text, lines.end.line, lines.end.column),
        )),
        _ => fault,
    }
}

/// A fault whose further lines are help.
fn fault(kind: Kind, message: &str) -> Diagnostic {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = Diagnostic::new(kind, lower_first(lines.next().unwrap_or("the statement is not valid")));
    lines.take(4).fold(first, |fault, line| fault.help(lower_first(line)))
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or(message).trim_end_matches('.')
}

/// The end of the word or sign that begins at `start`.
fn word_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    start + word.max(rest.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests;
