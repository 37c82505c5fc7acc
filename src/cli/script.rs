//! Statements from a text, one after another.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::output::Output;
use super::stop::Stop;
use crate::bug;
use crate::diagnostic::{Kind, Source, Span};
use crate::engine::Session;
use crate::error::{Error, Result};
use crate::statement::{self, Command, Statement};

/// Reads a file as a text; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Source> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let mut bytes = vec![];
    let read = if is_stdin {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    read.map_err(|cause| Error::caused(Kind::Storage, format!("cannot read `{name}`: {cause}"), cause))?;
    let text = String::from_utf8(bytes).map_err(|cause| {
        let at = cause.utf8_error().valid_up_to();
        Error::caused(Kind::Syntax, format!("`{name}` is not UTF-8: byte {at} begins no character"), cause)
    })?;
    // Editors on Windows begin a file with a byte order mark.
    let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
    Ok(Source::named(name, text))
}

/// Runs the statements of a text; the first error ends it, and what ran before stays done.
pub(crate) async fn run(session: &Session, source: &Source, output: &mut Output) -> Result<(), Stop> {
    let mut statements = Statements::of(source);
    while let Some(statement) = statements.next().await? {
        run_one(session, &statement, output).await?;
    }
    Ok(())
}

/// So many statements at most are parsed together.
const AHEAD: usize = 64;

/// What some statements were parsed to.
type Parsed = Vec<Result<Statement, Stop>>;

/// The statements of a text in order. While one runs, some that come after it are parsed by another thread.
pub(crate) struct Statements {
    source: Source,
    pieces: std::vec::IntoIter<Range<usize>>,
    ready: std::vec::IntoIter<Result<Statement, Stop>>,
    ahead: Option<JoinHandle<Parsed>>,
    /// How many are parsed next.
    n: usize,
}

impl Statements {
    pub(crate) fn of(source: &Source) -> Self {
        let pieces: Vec<_> = statement::split(&source.text).into_iter().map(|piece| piece.range).collect();
        let (mut pieces, source) = (pieces.into_iter(), source.clone());
        // The first is wanted at once, and is often the only one.
        let first: Parsed = pieces.next().map(|piece| parse(&source, piece)).into_iter().collect();
        let mut statements = Self { source, pieces, ready: first.into_iter(), ahead: None, n: 1 };
        statements.parse_ahead();
        statements
    }

    /// The next one; a mistake in it comes when those before it have run.
    pub(crate) async fn next(&mut self) -> Result<Option<Statement>, Stop> {
        if let Some(statement) = self.ready.next() {
            return statement.map(Some);
        }
        let Some(parsed) = self.ahead.take() else { return Ok(None) };
        let parsed = parsed.await.map_err(|error| Stop::from(bug!("parsing a text: {error}")))?;
        self.ready = parsed.into_iter();
        self.parse_ahead();
        self.ready.next().transpose()
    }

    fn parse_ahead(&mut self) {
        let pieces: Vec<_> = self.pieces.by_ref().take(self.n).collect();
        if pieces.is_empty() {
            return;
        }
        self.n = AHEAD.min(2 * self.n);
        let source = self.source.clone();
        let parsed = move || pieces.into_iter().map(|piece| parse(&source, piece)).collect();
        self.ahead = Some(tokio::task::spawn_blocking(parsed));
    }
}

fn parse(source: &Source, piece: Range<usize>) -> Result<Statement, Stop> {
    let whole = Span::new(piece.start, piece.end);
    statement::parse(source, piece).map_err(|fault| Stop::from(Error::from(fault)).at(source, whole))
}

/// What running a statement came to.
pub(crate) struct Ran {
    pub(crate) took: Duration,
    /// Whether names that people can type may have changed.
    pub(crate) changed_names: bool,
}

/// Runs a statement.
pub(crate) async fn run_one(
    session: &Session,
    statement: &Statement,
    output: &mut Output,
) -> Result<Ran, Stop> {
    let started = Instant::now();
    let at = |stop: Stop| stop.at(&statement.source, statement.span);
    let answer = session.execute(statement).await.map_err(|error| at(error.into()))?;
    output.show(&tag(&statement.command), &answer.schema, answer.stream).await.map_err(at)?;
    let changed_names =
        answer.schema.fields().is_empty() || matches!(statement.command, Command::Evaluate { .. });
    Ok(Ran { took: started.elapsed(), changed_names })
}

/// What a statement without rows did, as its first words.
fn tag(command: &Command) -> String {
    match command {
        Command::CreateProfileStore(_) => "CREATE PROFILE STORE".to_owned(),
        Command::DropProfileStore { .. } => "DROP PROFILE STORE".to_owned(),
        Command::CreateSegment(_) => "CREATE SEGMENT".to_owned(),
        Command::DropSegment { .. } => "DROP SEGMENT".to_owned(),
        Command::CancelQuery { .. } => "CANCEL QUERY".to_owned(),
        Command::Sql(_)
        | Command::ShowProfileStores
        | Command::ShowSegments
        | Command::ShowCreateSegment(_)
        | Command::DescribeSegment(_)
        | Command::ExplainSegment(_)
        | Command::Evaluate { .. }
        | Command::OptimizeEvents(_) => {
            let text = command.to_string();
            let words = text.split_whitespace().filter(|word| !OPTIONAL.contains(word));
            let words: Vec<&str> = words.take_while(|word| VERBS.contains(word)).collect();
            if words.is_empty() { "OK".to_owned() } else { words.join(" ") }
        }
    }
}

/// The words that statements begin with, and those that make no difference to what was done.
const VERBS: &[&str] = &[
    "CREATE",
    "EXTERNAL",
    "TABLE",
    "VIEW",
    "DROP",
    "SET",
    "RESET",
    "PREPARE",
    "DEALLOCATE",
    "COPY",
    "INSERT",
];
const OPTIONAL: &[&str] = &["OR", "REPLACE", "UNBOUNDED", "TEMPORARY"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str) -> String {
        let source = Source::typed(sql);
        tag(&statement::parse(&source, 0..sql.len()).unwrap().command)
    }

    #[test]
    fn statements_have_tags() {
        assert_eq!(check("create segment a as true"), "CREATE SEGMENT");
        assert_eq!(
            check("CREATE EXTERNAL TABLE IF NOT EXISTS t STORED AS CSV LOCATION 'x'"),
            "CREATE EXTERNAL TABLE"
        );
        assert_eq!(check("create or replace view v as select 1"), "CREATE VIEW");
        assert_eq!(check("SET coterie.now = '2026-06-15'"), "SET");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sql");
        std::fs::write(&path, b"\xef\xbb\xbfSELECT 1;\r\n").unwrap();
        assert_eq!(&*read(&path).unwrap().text, "SELECT 1;\r\n");
        std::fs::write(&path, b"SELECT '\xff'").unwrap();
        assert!(read(&path).unwrap_err().message().ends_with("is not UTF-8: byte 8 begins no character"));
        assert_eq!(read(&folder.path().join("b.sql")).unwrap_err().kind(), Kind::Storage);
    }
}
