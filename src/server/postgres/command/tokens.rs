//! A statement as tokens, read one by one.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::diagnostic::offset_of;
use crate::statement::Dialect;

use super::super::sqlstate::{FEATURE_NOT_SUPPORTED, Fault, SYNTAX};

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// Where reading has got to.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<TokenWithSpan>,
    pub(super) at: usize,
}

impl<'a> Parser<'a> {
    /// At the beginning of a statement; `None` where it cannot be cut into tokens.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let dialect = Dialect::default();
        let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().ok()?;
        let tokens = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
        Some(Self { text, tokens: tokens.collect(), at: 0 })
    }

    /// The next word in large letters, unless it is quoted.
    pub(super) fn peek(&self) -> Option<String> {
        match &self.tokens.get(self.at)?.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    pub(super) fn word(&mut self) -> Option<String> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        let is_next = self.peek().is_some_and(|next| next == word);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn eat_token(&mut self, token: &Token) -> bool {
        let is_next = self.tokens.get(self.at).is_some_and(|next| next.token == *token);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<()> {
        if self.eat(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        match self.tokens.get(self.at).map(|token| &token.token) {
            Some(Token::Number(digits, _)) => {
                let number = digits.parse().ok()?;
                self.at += 1;
                Some(number)
            }
            _ => None,
        }
    }

    /// An identifier.
    pub(super) fn name(&mut self) -> Result<String> {
        match self.tokens.get(self.at).map(|token| &token.token) {
            Some(Token::Word(word)) => {
                let name =
                    if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// A value: a word, a text, a number.
    pub(super) fn value(&mut self) -> Result<String> {
        let minus = if self.eat_token(&Token::Minus) { "-" } else { "" };
        let value = match self.tokens.get(self.at).map(|token| &token.token) {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => text.clone(),
            Some(Token::Number(digits, _)) => format!("{minus}{digits}"),
            Some(Token::Word(word)) => match word.quote_style {
                Some(_) => format!("\"{}\"", word.value),
                None => word.value.clone(),
            },
            _ => return Err(self.unexpected("a value")),
        };
        self.at += 1;
        Ok(value)
    }

    pub(super) fn end(&mut self) -> Result<()> {
        while self.eat_token(&Token::SemiColon) {}
        if self.at >= self.tokens.len() { Ok(()) } else { Err(self.unexpected("the end of the statement")) }
    }

    /// Where the next token begins.
    pub(super) fn here(&self) -> usize {
        self.place(self.at)
    }

    pub(super) fn place(&self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else { return self.text.len() };
        offset_of(self.text, token.span.start.line, token.span.start.column)
    }

    pub(super) fn end_of(&self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else { return self.text.len() };
        offset_of(self.text, token.span.end.line, token.span.end.column)
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Fault {
        let found = match self.tokens.get(self.at) {
            Some(token) => format!("at or near \"{}\"", token.token),
            None => "at end of input".to_owned(),
        };
        let mut fault = Fault::error(SYNTAX, format!("syntax error {found}: expected {wanted}"));
        fault.position = self.text.get(..self.here()).map(|before| before.chars().count() + 1);
        fault
    }
}

pub(super) fn unsupported(message: &str) -> Fault {
    Fault::error(FEATURE_NOT_SUPPORTED, message)
}
