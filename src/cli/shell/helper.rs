//! What rustyline asks about the line being typed.

use std::borrow::Cow;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Hinter};

use super::complete::complete;
use super::lex::{Token, tokens};
use super::words::is_keyword;
use crate::engine::Names;
use crate::statement;

/// Completion, colours, and whether a statement has ended.
#[derive(Helper, Hinter)]
pub(super) struct LineHelper {
    pub(super) names: Names,
    pub(super) colours: bool,
    files: FilenameCompleter,
}

impl LineHelper {
    pub(super) fn new(names: Names, colours: bool) -> Self {
        Self { names, colours, files: FilenameCompleter::new() }
    }
}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, ctx: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if ["\\i ", "\\o "].iter().any(|command| line.trim_start().starts_with(command)) {
            return self.files.complete(line, at, ctx);
        }
        let (start, found) = complete(line, at, &self.names);
        Ok((start, found.into_iter().map(|name| Pair { display: name.clone(), replacement: name }).collect()))
    }
}

impl Validator for LineHelper {
    fn validate(&self, ctx: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_complete(ctx.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

/// Whether Enter sends the text: it is a command, or its last statement has ended.
fn is_complete(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || text.starts_with('\\')
        || is_word_command(text)
        || statement::split(text).last().is_none_or(|piece| piece.terminated && !piece.open)
}

/// Words that people type to get out or to get help, in any shell.
pub(super) fn is_word_command(text: &str) -> bool {
    matches!(text, "exit" | "quit" | "help")
}

impl Highlighter for LineHelper {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.colours {
            return Cow::Borrowed(line);
        }
        Cow::Owned(paint(line))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        // A cursor that only moves changes no colour.
        self.colours && kind != CmdKind::MoveCursor
    }
}

fn paint(line: &str) -> String {
    let mut painted = String::with_capacity(line.len() * 2);
    for (token, range) in tokens(line) {
        let text = &line[range];
        let colour = match token {
            Token::Word if is_keyword(text) => "1;34",
            Token::Text => "32",
            Token::Number => "36",
            Token::Comment => "2",
            Token::Word | Token::Quoted | Token::Other => {
                painted.push_str(text);
                continue;
            }
        };
        painted.push_str(&format!("\x1b[{colour}m{text}\x1b[0m"));
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_at_its_semicolon() {
        for text in ["", "SELECT 1;", "\\d", "SELECT ';';", "quit", "SELECT 1; -- done", "A $$ ; $$;"] {
            assert!(is_complete(text), "{text}");
        }
        for text in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT 2", "A $$ ;", "/* ; ", "SELECT 1 -- ;"] {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn keywords_strings_and_comments_have_colours() {
        assert_eq!(paint("SELECT a"), "\x1b[1;34mSELECT\x1b[0m a");
        assert_eq!(paint("'x' --y"), "\x1b[32m'x'\x1b[0m \x1b[2m--y\x1b[0m");
    }
}
