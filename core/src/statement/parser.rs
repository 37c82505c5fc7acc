//! The parser of statements: sqlparser's, with places in the user's text and errors in coterie's form.

use std::ops::Range;

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParser, DFParserBuilder};
use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Span as SqlSpan, Token};

use crate::diagnostic::{Diagnostic, Kind, Lines, Result, Source, Span};
use crate::segment::{Expr, Name};

use super::expr::Lowering;
use super::{
    Command, Dialect, RECURSION_LIMIT, Statement, create_profile_store, create_segment, evaluate_segments,
    optimize_events,
};

/// What `CREATE`, `DROP` and `SHOW` are about, for "did you mean".
const KINDS: &[&str] = &["EXTERNAL", "PROFILE", "SEGMENT", "SEGMENTS", "TABLE", "VIEW"];

/// What `EXPLAIN` may be followed by, for "did you mean".
const EXPLAINED: &[&str] =
    &["ANALYZE", "EVALUATE", "FORMAT", "INSERT", "SEGMENT", "SELECT", "VERBOSE", "WITH"];

/// How statements begin, for "did you mean".
const OPENINGS: &[&str] = &[
    "SELECT",
    "WITH",
    "VALUES",
    "CREATE",
    "DROP",
    "SHOW",
    "DESCRIBE",
    "EXPLAIN",
    "EVALUATE",
    "OPTIMIZE",
    "CANCEL",
    "INSERT",
    "SET",
    "RESET",
    "COPY",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "ALTER",
    "DELETE",
    "UPDATE",
    "TRUNCATE",
];

/// Parses the statement at `range` of a text.
pub(super) fn statement(source: &Source, range: Range<usize>) -> Result<Statement> {
    let text = &source.text[range.clone()];
    let offset = range.start;
    let parsed = Parser::new(text).and_then(|mut parser| {
        let start = parser.here();
        let command = command(&mut parser)?;
        parser.end_of_statement()?;
        Ok((command, start))
    });
    match parsed {
        Ok((mut command, start)) => {
            command.shift(offset);
            let end = offset + text.trim_end().len();
            let span = Span::new(offset + start.start, end);
            Ok(Statement { command, source: source.clone(), span, piece: range })
        }
        Err(fault) => Err(fault.shifted(offset).in_source(source)),
    }
}

/// Parses one boolean expression.
pub(super) fn rule(text: &str) -> Result<Expr> {
    let mut parser = Parser::new(text)?;
    let expr = parser.expr()?;
    parser.end_of_statement()?;
    Ok(expr)
}

fn command(parser: &mut Parser<'_>) -> Result<Command> {
    if parser.eat(&["CREATE", "OR", "REPLACE", "PROFILE", "STORE"]) {
        return create_profile_store::parse(parser, true).map(Command::CreateProfileStore);
    }
    if parser.eat(&["CREATE", "PROFILE", "STORE"]) {
        return create_profile_store::parse(parser, false).map(Command::CreateProfileStore);
    }
    if parser.eat(&["CREATE", "OR", "REPLACE", "SEGMENT"]) {
        return create_segment::parse(parser, true).map(Command::CreateSegment);
    }
    if parser.eat(&["CREATE", "SEGMENT"]) {
        return create_segment::parse(parser, false).map(Command::CreateSegment);
    }
    if parser.eat(&["DROP", "PROFILE", "STORE"]) {
        let if_exists = parser.eat(&["IF", "EXISTS"]);
        return Ok(Command::DropProfileStore { name: parser.name("a profile store")?, if_exists });
    }
    if parser.eat(&["DROP", "SEGMENT"]) {
        let if_exists = parser.eat(&["IF", "EXISTS"]);
        return Ok(Command::DropSegment { name: parser.name("a segment")?, if_exists });
    }
    if parser.eat(&["SHOW", "PROFILE", "STORES"]) {
        return Ok(Command::ShowProfileStores);
    }
    if parser.eat(&["SHOW", "SEGMENTS"]) {
        return Ok(Command::ShowSegments);
    }
    if parser.eat(&["SHOW", "FUNCTIONS"]) {
        return show_functions(parser);
    }
    if parser.eat(&["SHOW", "CREATE", "SEGMENT"]) {
        return Ok(Command::ShowCreateSegment(parser.name("a segment")?));
    }
    if parser.eat(&["DESCRIBE", "SEGMENT"]) || parser.eat(&["DESC", "SEGMENT"]) {
        return Ok(Command::DescribeSegment(parser.name("a segment")?));
    }
    if parser.eat(&["EXPLAIN", "SEGMENT"]) {
        return Ok(Command::ExplainSegment(parser.name("a segment")?));
    }
    if parser.eat(&["EXPLAIN", "EVALUATE"]) {
        return Ok(Command::Evaluate { run: evaluate_segments::parse(parser)?, explain: true });
    }
    if parser.eat(&["EVALUATE"]) {
        return Ok(Command::Evaluate { run: evaluate_segments::parse(parser)?, explain: false });
    }
    if parser.eat(&["OPTIMIZE"]) {
        parser.expect(&["EVENTS", "OF"])?;
        return optimize_events::parse(parser).map(Command::OptimizeEvents);
    }
    if parser.eat(&["CANCEL", "QUERY"]) {
        let (id, span) = parser.string("the id of a query, as `coterie.queries` shows it")?;
        return Ok(Command::CancelQuery { id, span });
    }
    let opening = parser.here();
    let first = parser.text[opening.start..opening.end].to_owned();
    match parser.inner.parse_statement() {
        Ok(statement) => Ok(Command::Sql(Box::new(statement))),
        Err(error) => {
            let fault = parser.fault(error);
            let known = OPENINGS.iter().any(|word| word.eq_ignore_ascii_case(&first));
            if !known {
                return Err(fault.suggest(&first, OPENINGS.iter().copied()));
            }
            // `CREATE PROFIL STORE`: the word at fault, if it is nearly one that may stand there.
            let word = fault.span.and_then(|span| parser.text.get(span.start..span.end)).unwrap_or_default();
            let word = word.to_owned();
            let explained = first.eq_ignore_ascii_case("EXPLAIN");
            Err(fault.suggest(&word, if explained { EXPLAINED } else { KINDS }.iter().copied()))
        }
    }
}

/// `SHOW FUNCTIONS [LIKE pattern]` reads `coterie.functions`: DataFusion's own statement leaves out the
/// functions of lambdas and the short forms of rules.
fn show_functions(parser: &mut Parser<'_>) -> Result<Command> {
    let mut query = "SELECT * FROM coterie.functions".to_owned();
    if parser.eat(&["LIKE"]) {
        let (pattern, _) = parser.string("a pattern like `'array%'`")?;
        query.push_str(&format!(" WHERE function LIKE '{}'", pattern.replace('\'', "''")));
    }
    let mut parser = Parser::new(&query)?;
    command(&mut parser)
}

impl Command {
    /// Moves the places by `offset`: the statement was cut out of a longer text.
    fn shift(&mut self, offset: usize) {
        let move_name = |name: &mut Name| name.span = name.span.shifted(offset);
        match self {
            Self::Sql(_) | Self::ShowProfileStores | Self::ShowSegments => {}
            Self::DropProfileStore { name, .. }
            | Self::DropSegment { name, .. }
            | Self::ShowCreateSegment(name)
            | Self::DescribeSegment(name)
            | Self::ExplainSegment(name) => move_name(name),
            Self::CancelQuery { span, .. } => *span = span.shifted(offset),
            Self::CreateSegment(create) => {
                move_name(&mut create.name);
                create.store.iter_mut().for_each(move_name);
                create.rule_span = create.rule_span.shifted(offset);
            }
            Self::CreateProfileStore(create) => {
                move_name(&mut create.name);
                [&mut create.profiles.0, &mut create.profiles.1].into_iter().for_each(move_name);
                for clause in &mut create.events {
                    [&mut clause.table, &mut clause.key, &mut clause.timestamp]
                        .into_iter()
                        .for_each(move_name);
                    clause.id.iter_mut().for_each(move_name);
                }
                for clause in &mut create.lookups {
                    let names = [&mut clause.table, &mut clause.key, &mut clause.on, &mut clause.column];
                    names.into_iter().for_each(move_name);
                }
            }
            Self::Evaluate { run, .. } => {
                run.names.iter_mut().for_each(move_name);
                run.as_of.iter_mut().for_each(|(_, span)| *span = span.shifted(offset));
            }
            Self::OptimizeEvents(optimize) => {
                move_name(&mut optimize.store);
                optimize.buckets.iter_mut().for_each(|(_, span)| *span = span.shifted(offset));
            }
        }
    }
}

/// sqlparser's parser over one statement.
pub(super) struct Parser<'a> {
    inner: DFParser<'a>,
    text: &'a str,
    lines: Lines<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self> {
        // A constant of the type: the parser borrows it for as long as the text.
        static DIALECT: std::sync::LazyLock<Dialect> = std::sync::LazyLock::new(Dialect::default);
        let lines = Lines::new(text);
        let built =
            DFParserBuilder::new(text).with_dialect(&*DIALECT).with_recursion_limit(RECURSION_LIMIT).build();
        match built {
            Ok(inner) => Ok(Self { inner, text, lines }),
            Err(error) => Err(syntax(&error, text, &lines)),
        }
    }

    /// Takes the words if they come next.
    pub(super) fn eat(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(at, word)| self.word_at(at, word));
        if found {
            for _ in words {
                self.inner.parser.next_token();
            }
        }
        found
    }

    /// Whether the next token is that word.
    pub(super) fn peek_word(&self, word: &str) -> bool {
        self.word_at(0, word)
    }

    fn word_at(&self, at: usize, word: &str) -> bool {
        matches!(&self.inner.parser.peek_nth_token_ref(at).token,
            Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// Takes the words, or fails at the first that is another one.
    pub(super) fn expect(&mut self, words: &[&str]) -> Result<()> {
        for (at, word) in words.iter().enumerate() {
            if !self.eat(&[word]) {
                return Err(self.unexpected(&format!("`{}`", words[at..].join(" "))));
            }
        }
        Ok(())
    }

    /// Whether the next token is that symbol.
    pub(super) fn peek_symbol(&self, symbol: &str) -> bool {
        self.inner.parser.peek_token_ref().token.to_string() == symbol
    }

    /// Takes the symbol or fails.
    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.peek_symbol(symbol) {
            self.inner.parser.next_token();
            return Ok(());
        }
        Err(self.unexpected(&format!("`{symbol}`")))
    }

    /// Takes a name: lower case unless quoted, as SQL has it.
    pub(super) fn name(&mut self, what: &str) -> Result<Name> {
        let span = self.here();
        match self.inner.parser.peek_token_ref().token.clone() {
            Token::Word(word) => {
                self.inner.parser.next_token();
                let quoted = word.quote_style.is_some();
                let value = if quoted { word.value } else { word.value.to_lowercase() };
                if value.is_empty() {
                    return Err(Diagnostic::new(Kind::Syntax, format!("{what} is empty")).at(span));
                }
                Ok(Name { value, span })
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Takes a table's name, qualified or not, as it would be written again.
    pub(super) fn table_name(&mut self) -> Result<Name> {
        let start = self.here();
        let parsed = self.inner.parser.parse_object_name(false);
        match parsed {
            Ok(name) => {
                let parts = name.0.iter().filter_map(|part| part.as_ident());
                let value = parts.map(|part| super::quote(&normalise(part))).collect::<Vec<_>>().join(".");
                Ok(Name { value, span: start.to(self.before()) })
            }
            Err(_) => Err(self.unexpected("a table")),
        }
    }

    /// Takes a number, as it is written.
    pub(super) fn number(&mut self, what: &str) -> Result<(String, Span)> {
        let span = self.here();
        match self.inner.parser.peek_token_ref().token.clone() {
            Token::Number(text, _) => {
                self.inner.parser.next_token();
                Ok((text, span))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Takes a string literal: its value, and where its content stands.
    pub(super) fn string(&mut self, what: &str) -> Result<(String, Span)> {
        let span = self.here();
        let value = match self.inner.parser.peek_token_ref().token.clone() {
            Token::SingleQuotedString(value) | Token::EscapedStringLiteral(value) => value,
            Token::DollarQuotedString(quoted) => quoted.value,
            _ => return Err(self.unexpected(what)),
        };
        self.inner.parser.next_token();
        // Without escapes the content stands in the text as it is, and places in it can be shown there.
        let content = self.text[span.start..].find(&value).map(|at| span.start + at);
        let span = match content {
            Some(start) if !value.is_empty() && start + value.len() <= span.end => {
                Span::new(start, start + value.len())
            }
            _ => span,
        };
        Ok((value, span))
    }

    /// Takes the rest of the statement as the SQL form of a rule: the rule, its text and its place.
    pub(super) fn sql_rule(&mut self) -> Result<(Expr, String, Span)> {
        let start = self.here().start;
        let rule = self.expr_from(start)?;
        let end = self.before().end;
        Ok((rule, self.text[start..end].to_owned(), Span::new(start, end)))
    }

    /// Takes an expression.
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.expr_from(0)
    }

    /// Takes an expression, whose places are those in the text that begins at `origin`.
    fn expr_from(&mut self, origin: usize) -> Result<Expr> {
        let start = self.here();
        if self.at_end() {
            return Err(self.unexpected("a boolean expression"));
        }
        let parsed =
            self.inner.parser.parse_expr().map_err(|error| parser_fault(&error, self.text, &self.lines))?;
        let end = self.before().end;
        let lowering = Lowering { text: self.text, lines: &self.lines, start: origin };
        let lowered = lowering.expr(&parsed, Span::new(start.start, end).relative_to(origin));
        lowered.map_err(|fault| fault.shifted(origin))
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&self) -> bool {
        matches!(self.inner.parser.peek_token_ref().token, Token::EOF)
    }

    fn end_of_statement(&self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.unexpected("the end of the statement")) }
    }

    /// The place of the next token.
    pub(super) fn here(&self) -> Span {
        place(self.inner.parser.peek_token_ref().span, self.text, &self.lines)
    }

    /// The place of the token before the next one.
    fn before(&self) -> Span {
        place(self.inner.parser.get_current_token().span, self.text, &self.lines)
    }

    /// The fault that something else was expected here.
    pub(super) fn unexpected(&self, expected: &str) -> Diagnostic {
        let found = match &self.inner.parser.peek_token_ref().token {
            Token::EOF => "the end of the statement".to_owned(),
            token => format!("`{token}`"),
        };
        Diagnostic::new(Kind::Syntax, format!("expected {expected}, found {found}")).at(self.here())
    }

    fn fault(&self, error: DataFusionError) -> Diagnostic {
        syntax(&error, self.text, &self.lines)
    }
}

/// An identifier as it is looked up.
pub(super) fn normalise(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Whether a name can stand in SQL without quotes and means itself, in PostgreSQL and DuckDB too.
pub fn is_plain_name(name: &str) -> bool {
    /// Words that sqlparser takes as names and other engines do not.
    const RESERVED_ELSEWHERE: &[&str] = &[
        "ALL",
        "AND",
        "ANY",
        "ARRAY",
        "AS",
        "ASC",
        "BOTH",
        "CASE",
        "CAST",
        "CHECK",
        "COLLATE",
        "COLUMN",
        "CONSTRAINT",
        "CREATE",
        "DEFAULT",
        "DESC",
        "DISTINCT",
        "DO",
        "ELSE",
        "FALSE",
        "FOR",
        "FOREIGN",
        "GRANT",
        "IN",
        "INTERVAL",
        "INTO",
        "NOT",
        "NULL",
        "ONLY",
        "OR",
        "PRIMARY",
        "REFERENCES",
        "SOME",
        "TABLE",
        "THEN",
        "TIMESTAMP",
        "TO",
        "TRUE",
        "UNIQUE",
        "USER",
        "WHEN",
        "DATE",
        "TIME",
        "VALUES",
    ];
    let mut chars = name.chars();
    let shaped = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let upper = name.to_ascii_uppercase();
    let reserved = |list: &[Keyword]| list.iter().any(|keyword| format!("{keyword:?}") == upper);
    shaped
        && !RESERVED_ELSEWHERE.contains(&upper.as_str())
        && !reserved(RESERVED_FOR_COLUMN_ALIAS)
        && !reserved(RESERVED_FOR_IDENTIFIER)
}

/// A place as sqlparser reports it, in bytes.
pub(super) fn place(span: SqlSpan, text: &str, lines: &Lines<'_>) -> Span {
    let at = |location: Location| match location {
        Location { line: 0, .. } => text.len(),
        Location { line, column } => lines.offset(line, column),
    };
    let start = at(span.start);
    Span::new(start, at(span.end).max(start))
}

fn syntax(error: &DataFusionError, text: &str, lines: &Lines<'_>) -> Diagnostic {
    match error {
        DataFusionError::SQL(error, _) => parser_fault(error, text, lines),
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => {
            syntax(inner, text, lines)
        }
        other => Diagnostic::new(Kind::Syntax, lower_first(&other.strip_backtrace())),
    }
}

fn parser_fault(error: &ParserError, text: &str, lines: &Lines<'_>) -> Diagnostic {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            let message = format!("the statement nests deeper than {RECURSION_LIMIT} levels");
            return Diagnostic::new(Kind::Syntax, message);
        }
    };
    // "Expected: an expression, found: EOF at Line: 1, Column: 9"
    let (head, location) = match message.rsplit_once(" at Line: ") {
        Some((head, tail)) => (head, parse_location(tail)),
        None => (message, None),
    };
    let start = location.map_or(text.len(), |(line, column)| lines.offset(line, column));
    let message = head
        .replace("Expected: ", "expected ")
        .replace(", found: EOF", ", found the end of the statement")
        .replace(", found: ", ", found ");
    Diagnostic::new(Kind::Syntax, lower_first(&message)).at(Span::new(start, token_end(text, start)))
}

/// `1, Column: 9`.
fn parse_location(text: &str) -> Option<(u64, u64)> {
    let (line, column) = text.split_once(", Column: ")?;
    Some((line.parse().ok()?, column.trim().parse().ok()?))
}

/// The end of the word or symbol that starts there.
fn token_end(text: &str, start: usize) -> usize {
    let rest = &text[start.min(text.len())..];
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let symbol = rest.chars().next().map_or(0, char::len_utf8);
    start + word.max(symbol)
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => message.to_owned(),
    }
}
