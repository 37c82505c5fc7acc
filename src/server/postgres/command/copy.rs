//! `COPY` over the connection: what it reads and writes, and in which format.

use std::ops::Range;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::super::sqlstate::{Fault, INVALID_PARAMETER, SYNTAX};
use super::Command;
use super::tokens::{Parser, Result, unsupported};

/// What `COPY … TO STDOUT` reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server::postgres) enum Query {
    /// A query, as a part of the text.
    Text(Range<usize>),
    /// A table with columns, as the query that it stands for.
    Table(String),
}

/// How `COPY` writes and reads rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server::postgres) struct Options {
    pub(in crate::server::postgres) format: CopyFormat,
    pub(in crate::server::postgres) delimiter: u8,
    pub(in crate::server::postgres) null: String,
    pub(in crate::server::postgres) header: bool,
    pub(in crate::server::postgres) quote: u8,
    pub(in crate::server::postgres) escape: u8,
    pub(in crate::server::postgres) force_quote: bool,
}

/// The formats of `COPY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server::postgres) enum CopyFormat {
    Text,
    Csv,
    Binary,
}

impl Parser<'_> {
    pub(super) fn copy(&mut self) -> Result<Option<Command>> {
        let query = if self.eat_token(&Token::LParen) {
            let start = self.here();
            let mut depth = 1;
            while depth > 0 {
                match self.tokens.get(self.at).map(|token| &token.token) {
                    Some(Token::LParen) => depth += 1,
                    Some(Token::RParen) => depth -= 1,
                    Some(_) => {}
                    None => return Ok(None),
                }
                self.at += 1;
            }
            Query::Text(start..self.place(self.at - 1))
        } else {
            let start = self.here();
            self.name()?;
            while self.eat_token(&Token::Period) {
                self.name()?;
            }
            let table = self.text[start..self.end_of(self.at - 1)].to_owned();
            let mut columns = vec![];
            if self.eat_token(&Token::LParen) {
                loop {
                    columns.push(self.name()?);
                    if !self.eat_token(&Token::Comma) {
                        break;
                    }
                }
                if !self.eat_token(&Token::RParen) {
                    return Err(self.unexpected(")"));
                }
            }
            if self.eat("FROM") {
                // From a file: the engine says that there is no such thing.
                if !self.eat("STDIN") {
                    return Ok(None);
                }
                return Ok(Some(Command::CopyIn { table, columns, options: self.options()? }));
            }
            let listed: Vec<String> = columns.iter().map(|column| crate::statement::quote(column)).collect();
            let listed = if listed.is_empty() { "*".to_owned() } else { listed.join(", ") };
            Query::Table(format!("SELECT {listed} FROM {table}"))
        };
        if !self.eat("TO") || !self.eat("STDOUT") {
            return Ok(None);
        }
        Ok(Some(Command::CopyOut { query, options: self.options()? }))
    }

    fn options(&mut self) -> Result<Options> {
        let mut said = Said::default();
        let _ = self.eat("WITH");
        if self.eat_token(&Token::LParen) {
            loop {
                let name = self.word().unwrap_or_default();
                match name.as_str() {
                    "FORMAT" => {
                        said.format = match self.value()?.to_lowercase().as_str() {
                            "text" => CopyFormat::Text,
                            "csv" => CopyFormat::Csv,
                            "binary" => CopyFormat::Binary,
                            other => {
                                return Err(wrong_option(format!("COPY format \"{other}\" not recognized")));
                            }
                        };
                    }
                    "HEADER" => said.header = self.switch()?,
                    "FREEZE" => {
                        self.switch()?;
                    }
                    "FORCE_QUOTE" => {
                        said.force_quote = true;
                        self.columns()?;
                    }
                    "FORCE_NULL" | "FORCE_NOT_NULL" => {
                        return Err(unsupported("which columns may be null cannot be forced here"));
                    }
                    _ => said.option(&name, self)?,
                }
                if !self.eat_token(&Token::Comma) {
                    break;
                }
            }
            if !self.eat_token(&Token::RParen) {
                return Err(self.unexpected(")"));
            }
            return said.finish();
        }
        // As it was before PostgreSQL 9.
        while let Some(name) = self.word() {
            match name.as_str() {
                "BINARY" => said.format = CopyFormat::Binary,
                "CSV" => said.format = CopyFormat::Csv,
                "HEADER" => said.header = true,
                "FORCE" => {
                    self.expect("QUOTE")?;
                    said.force_quote = true;
                    self.columns()?;
                }
                _ => {
                    let _ = self.eat("AS");
                    said.option(&name, self)?;
                }
            }
        }
        said.finish()
    }

    /// `*`, or names in parentheses: all columns are meant here.
    fn columns(&mut self) -> Result<()> {
        if self.eat_token(&Token::Mul) {
            return Ok(());
        }
        let in_parentheses = self.eat_token(&Token::LParen);
        loop {
            self.name()?;
            if !self.eat_token(&Token::Comma) {
                break;
            }
        }
        if in_parentheses && !self.eat_token(&Token::RParen) {
            return Err(self.unexpected(")"));
        }
        Ok(())
    }

    fn switch(&mut self) -> Result<bool> {
        let next = self.tokens.get(self.at).map(|token| &token.token);
        if matches!(next, Some(Token::Comma | Token::RParen) | None) {
            return Ok(true);
        }
        match self.value()?.to_lowercase().as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            "match" => Ok(true),
            _ => Err(self.unexpected("true or false")),
        }
    }
}

/// What was said of a format; the rest has defaults that depend on it.
struct Said {
    format: CopyFormat,
    header: bool,
    force_quote: bool,
    delimiter: Option<u8>,
    null: Option<String>,
    quote: Option<u8>,
    escape: Option<u8>,
}

impl Default for Said {
    fn default() -> Self {
        let format = CopyFormat::Text;
        Self {
            format,
            header: false,
            force_quote: false,
            delimiter: None,
            null: None,
            quote: None,
            escape: None,
        }
    }
}

impl Said {
    fn option(&mut self, name: &str, parser: &mut Parser<'_>) -> Result<()> {
        let value = parser.value()?;
        let character = || match value.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
            _ => {
                Err(wrong_option(format!("COPY {} must be a single one-byte character", name.to_lowercase())))
            }
        };
        match name {
            "DELIMITER" => self.delimiter = Some(character()?),
            "QUOTE" => self.quote = Some(character()?),
            "ESCAPE" => self.escape = Some(character()?),
            "NULL" => self.null = Some(value),
            "ENCODING" if value.replace('-', "").eq_ignore_ascii_case("utf8") => {}
            "ENCODING" => return Err(unsupported("rows are in UTF8 here")),
            other => {
                return Err(Fault::error(
                    SYNTAX,
                    format!("option \"{}\" not recognized", other.to_lowercase()),
                ));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Options> {
        let is_csv = self.format == CopyFormat::Csv;
        if self.format == CopyFormat::Binary
            && (self.delimiter.is_some() || self.null.is_some() || self.header)
        {
            return Err(wrong_option("cannot specify DELIMITER, NULL or HEADER in BINARY mode".to_owned()));
        }
        let quote = self.quote.unwrap_or(b'"');
        Ok(Options {
            format: self.format,
            delimiter: self.delimiter.unwrap_or(if is_csv { b',' } else { b'\t' }),
            null: self.null.unwrap_or_else(|| if is_csv { String::new() } else { "\\N".to_owned() }),
            header: self.header,
            quote,
            escape: self.escape.unwrap_or(quote),
            force_quote: self.force_quote,
        })
    }
}

fn wrong_option(message: String) -> Fault {
    Fault::error(INVALID_PARAMETER, message)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn command(text: &str) -> Command {
        parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}")).unwrap()
    }

    #[test]
    fn copies_know_what_and_how() {
        let text = "COPY (SELECT f(a, ')') FROM t) TO STDOUT (FORMAT csv, HEADER, DELIMITER ';', NULL 'x')";
        let Command::CopyOut { query: Query::Text(query), options } = command(text) else { panic!() };
        assert_eq!(&text[query], "SELECT f(a, ')') FROM t");
        assert_eq!(
            (options.format, options.header, options.delimiter, options.null.as_str()),
            (CopyFormat::Csv, true, b';', "x")
        );
        let Command::CopyOut { query: Query::Table(query), options } =
            command("COPY public.t (a, \"B\") TO STDOUT WITH BINARY")
        else {
            panic!()
        };
        assert_eq!((query.as_str(), options.format), ("SELECT a, \"B\" FROM public.t", CopyFormat::Binary));
        let Command::CopyIn { table, columns, options } = command("COPY t (id, name) FROM STDIN") else {
            panic!()
        };
        assert_eq!(
            (table.as_str(), columns, options.null.as_str()),
            ("t", vec!["id".to_owned(), "name".to_owned()], "\\N")
        );
        assert_eq!(parse("COPY t TO 'file.parquet'"), Ok(None));
        assert_eq!(parse("COPY t TO STDOUT (FORMAT avro)").unwrap_err().code, "22023");
        assert!(parse("COPY t FROM STDIN (DELIMITER 'ab')").is_err());
    }
}
