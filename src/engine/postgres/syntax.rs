//! Statements that only PostgreSQL's own dialect parses.

use std::ops::Range;

use datafusion::sql::parser::{DFParserBuilder, Statement as DFStatement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use crate::diagnostic::{Source, Span};
use crate::statement::{Command, RECURSION_LIMIT, Statement};

/// Parses a statement in PostgreSQL's dialect, if it is one.
pub(super) fn parse(source: &Source, range: Range<usize>) -> Option<Statement> {
    let text = &source.text[range.clone()];
    let mut parser = DFParserBuilder::new(text)
        .with_dialect(&PostgreSqlDialect {})
        .with_recursion_limit(RECURSION_LIMIT)
        .build()
        .ok()?;
    let mut statements = parser.parse_statements().ok()?;
    let statement = statements.pop_front().filter(|_| statements.is_empty())?;
    // Other statements are not told apart from coterie's own.
    if !matches!(statement, DFStatement::Statement(_) | DFStatement::Explain(_)) {
        return None;
    }
    let start = range.start + (text.len() - text.trim_start().len());
    let span = Span::new(start, range.start + text.trim_end().len());
    let command = Command::Sql(Box::new(statement));
    Some(Statement { command, source: source.clone(), span, piece: range })
}
