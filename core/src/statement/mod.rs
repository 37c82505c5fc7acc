//! SQL statements: coterie's own, and DataFusion's.
//!
//! [`parse`] reads one statement. What begins like one of ours is parsed here, one file a statement; everything
//! else is DataFusion's. Nothing here knows which tables or segments exist.

mod create_profile_store;
mod create_segment;
mod dialect;
mod evaluate_segments;
mod expr;
mod optimize_events;
mod parser;
mod split;

use std::fmt;

use datafusion::sql::parser::Statement as DFStatement;

use crate::diagnostic::{Result, Source, Span};
use crate::segment::{Expr, Language, Name, Segment};

pub use create_profile_store::CreateProfileStore;
pub use create_segment::CreateSegment;
pub use dialect::Dialect;
pub use evaluate_segments::EvaluateSegments;
pub use optimize_events::OptimizeEvents;
pub use parser::is_plain_name;
pub use split::{Piece, split};

/// How deep expressions and queries may nest; deeper ones are an error, whatever the size of the stack.
pub const RECURSION_LIMIT: usize = 128;

/// A parsed statement with the text it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What to do.
    pub command: Command,
    /// The text that spans point into, which may hold other statements too.
    pub source: Source,
    /// Where the statement stands in the text.
    pub span: Span,
    /// The part of the text that was parsed: DataFusion counts lines from its start.
    pub piece: std::ops::Range<usize>,
}

/// What a statement asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// One of DataFusion's statements.
    Sql(Box<DFStatement>),
    /// `CREATE PROFILE STORE`.
    CreateProfileStore(CreateProfileStore),
    /// `DROP PROFILE STORE [IF EXISTS] name`.
    DropProfileStore {
        /// The store.
        name: Name,
        /// Whether its absence is fine.
        if_exists: bool,
    },
    /// `SHOW PROFILE STORES`.
    ShowProfileStores,
    /// `CREATE SEGMENT`.
    CreateSegment(CreateSegment),
    /// `DROP SEGMENT [IF EXISTS] name`.
    DropSegment {
        /// The segment.
        name: Name,
        /// Whether its absence is fine.
        if_exists: bool,
    },
    /// `SHOW SEGMENTS`.
    ShowSegments,
    /// `SHOW CREATE SEGMENT name`.
    ShowCreateSegment(Name),
    /// `DESCRIBE SEGMENT name`.
    DescribeSegment(Name),
    /// `EXPLAIN SEGMENT name`.
    ExplainSegment(Name),
    /// `CANCEL QUERY 'id'`.
    CancelQuery {
        /// The query's id, as `coterie.queries` shows it.
        id: String,
        /// Where it stands.
        span: Span,
    },
    /// `EVALUATE …`, and `EXPLAIN EVALUATE …`.
    Evaluate {
        /// Which segments, when, and whether to store.
        run: EvaluateSegments,
        /// Show how, instead of doing it.
        explain: bool,
    },
    /// `OPTIMIZE EVENTS OF …`.
    OptimizeEvents(OptimizeEvents),
}

/// Parses the statement at `range` of a text.
pub fn parse(source: &Source, range: std::ops::Range<usize>) -> Result<Statement> {
    parser::statement(source, range)
}

/// Parses all statements of a text; the first mistake ends it.
pub fn parse_all(source: &Source) -> Result<Vec<Statement>> {
    split(&source.text).into_iter().map(|piece| parse(source, piece.range)).collect()
}

/// Parses the SQL form of a rule: one boolean expression.
pub fn parse_rule(text: &str) -> Result<Expr> {
    parser::rule(text)
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(statement) => statement.fmt(f),
            Self::CreateProfileStore(statement) => statement.fmt(f),
            Self::DropProfileStore { name, if_exists } => {
                write!(f, "DROP PROFILE STORE {}{}", if_exists_text(*if_exists), quote(&name.value))
            }
            Self::ShowProfileStores => f.write_str("SHOW PROFILE STORES"),
            Self::CreateSegment(statement) => statement.fmt(f),
            Self::DropSegment { name, if_exists } => {
                write!(f, "DROP SEGMENT {}{}", if_exists_text(*if_exists), quote(&name.value))
            }
            Self::ShowSegments => f.write_str("SHOW SEGMENTS"),
            Self::ShowCreateSegment(name) => write!(f, "SHOW CREATE SEGMENT {}", quote(&name.value)),
            Self::DescribeSegment(name) => write!(f, "DESCRIBE SEGMENT {}", quote(&name.value)),
            Self::ExplainSegment(name) => write!(f, "EXPLAIN SEGMENT {}", quote(&name.value)),
            Self::CancelQuery { id, .. } => write!(f, "CANCEL QUERY {}", quote_string(id)),
            Self::Evaluate { run, explain } => write!(f, "{}{run}", if *explain { "EXPLAIN " } else { "" }),
            Self::OptimizeEvents(optimize) => optimize.fmt(f),
        }
    }
}

fn if_exists_text(if_exists: bool) -> &'static str {
    if if_exists { "IF EXISTS " } else { "" }
}

/// An identifier as SQL: quoted where it must be.
pub fn quote(name: &str) -> String {
    if is_plain_name(name) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A string as SQL.
pub fn quote_string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A segment as the statement that creates it.
pub fn create_statement(segment: &Segment) -> String {
    CreateSegment {
        name: Name::new(&segment.name),
        store: Some(Name::new(&segment.store)),
        id: segment.id.clone(),
        comment: segment.comment.clone(),
        language: segment.language,
        rule: segment.rule.clone(),
        parsed: None,
        rule_span: Span::default(),
        or_replace: false,
        if_not_exists: false,
    }
    .to_string()
}

/// How a rule stands in a statement: an SQL rule as it is, another one quoted.
fn rule_text(language: Language, rule: &str) -> String {
    match language {
        Language::Sql => rule.to_owned(),
        Language::Pql | Language::PqlJson if !rule.contains("$$") && !rule.ends_with('$') => {
            format!("$$ {} $$", rule.trim())
        }
        Language::Pql | Language::PqlJson => quote_string(rule),
    }
}
