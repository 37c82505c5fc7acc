//! Statements about the conversation: transactions, settings, cursors, `COPY` over the connection.
//!
//! They are what PostgreSQL has and the engine has not. Everything else is the engine's.

mod copy;
mod tokens;

use std::ops::Range;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::sqlstate::{Fault, WRONG_CURSOR_STATE};

use tokens::{Parser, Result, unsupported};

pub(super) use copy::{CopyFormat, Options, Query};

/// What a statement asks of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Begin,
    Commit,
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// A setting; without a value, back to what it was at first.
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    Show(String),
    /// All settings back to what they were.
    ResetAll,
    /// Everything that the session remembers.
    DiscardAll,
    Declare {
        cursor: String,
        hold: bool,
        binary: bool,
        query: Range<usize>,
    },
    Fetch {
        cursor: String,
        rows: Rows,
        moves: bool,
    },
    CloseCursor(Option<String>),
    /// A prepared statement; without a name, all of them.
    Deallocate(Option<String>),
    CopyOut {
        query: Query,
        options: Options,
    },
    CopyIn {
        table: String,
        columns: Vec<String>,
        options: Options,
    },
    /// Fine, and nothing to do; the tag that tells so.
    Nothing(&'static str),
}

/// How many rows `FETCH` wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Some(u32),
    All,
}

/// The command that a statement is; `None` where it is the engine's.
pub(super) fn parse(text: &str) -> Result<Option<Command>> {
    const VERBS: &[&str] = &[
        "ABORT",
        "ALTER",
        "BEGIN",
        "CLOSE",
        "COMMIT",
        "COPY",
        "CREATE",
        "DEALLOCATE",
        "DECLARE",
        "DISCARD",
        "DROP",
        "END",
        "FETCH",
        "GRANT",
        "LISTEN",
        "LOCK",
        "MOVE",
        "NOTIFY",
        "RELEASE",
        "RESET",
        "REVOKE",
        "ROLLBACK",
        "SAVEPOINT",
        "SET",
        "SHOW",
        "START",
        "UNLISTEN",
    ];
    let first = first_word(text);
    if !VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(first)) {
        return Ok(None);
    }
    // What cannot be cut into tokens is the engine's to complain about.
    let Some(mut parser) = Parser::new(text) else { return Ok(None) };
    let command = parser.command()?;
    if command.is_some() {
        parser.end()?;
    }
    Ok(command)
}

/// The first word of a statement, behind comments and space.
pub(super) fn first_word(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, rest)| rest).trim_start();
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphabetic() || c == '_')).unwrap_or(rest.len());
            return &rest[..end];
        }
    }
}

impl Parser<'_> {
    fn command(&mut self) -> Result<Option<Command>> {
        let verb = self.word().unwrap_or_default();
        Ok(Some(match verb.as_str() {
            "BEGIN" => {
                let _ = self.eat("WORK") || self.eat("TRANSACTION");
                self.modes()?;
                Command::Begin
            }
            "START" => {
                self.expect("TRANSACTION")?;
                self.modes()?;
                Command::Begin
            }
            "COMMIT" | "END" => {
                if self.eat("PREPARED") {
                    return Err(unsupported("two-phase commit is not possible here"));
                }
                self.block_end()?;
                Command::Commit
            }
            "ROLLBACK" | "ABORT" => {
                let _ = self.eat("WORK") || self.eat("TRANSACTION");
                if self.eat("TO") {
                    let _ = self.eat("SAVEPOINT");
                    return Ok(Some(Command::RollbackTo(self.name()?)));
                }
                self.block_end()?;
                Command::Rollback
            }
            "SAVEPOINT" => Command::Savepoint(self.name()?),
            "RELEASE" => {
                let _ = self.eat("SAVEPOINT");
                Command::Release(self.name()?)
            }
            "SET" => self.set()?,
            "RESET" if self.eat("ALL") => Command::ResetAll,
            "RESET" => {
                let name = self.setting()?;
                Command::Set { name, value: None, local: false }
            }
            "SHOW" => return self.show(),
            "DISCARD" => match self.word().as_deref() {
                Some("ALL") => Command::DiscardAll,
                Some("PLANS" | "SEQUENCES" | "TEMP" | "TEMPORARY") => Command::Nothing("DISCARD"),
                _ => return Err(self.unexpected("ALL")),
            },
            "DECLARE" => self.declare()?,
            "FETCH" | "MOVE" => self.fetch(verb == "MOVE")?,
            "CLOSE" => Command::CloseCursor(if self.eat("ALL") { None } else { Some(self.name()?) }),
            "DEALLOCATE" => {
                let _ = self.eat("PREPARE");
                Command::Deallocate(if self.eat("ALL") { None } else { Some(self.name()?) })
            }
            "UNLISTEN" => {
                self.at = self.tokens.len();
                Command::Nothing("UNLISTEN")
            }
            "LISTEN" | "NOTIFY" => return Err(unsupported("notifications are not possible here")),
            "LOCK" => return Err(unsupported("tables cannot be locked here")),
            "ALTER" | "CREATE" | "DROP" if ["USER", "ROLE", "GROUP"].iter().any(|word| self.eat(word)) => {
                return Err(self.about_users(&verb));
            }
            "GRANT" | "REVOKE" => return Err(self.about_users(&verb)),
            "COPY" => return self.copy(),
            _ => return Ok(None),
        }))
    }

    /// Users are in a file, which the server reads and never writes: what is in it are two forms of each password, and a
    /// client sends neither.
    fn about_users(&self, verb: &str) -> Fault {
        let sets_password = self.tokens.iter().any(
            |token| matches!(&token.token, Token::Word(word) if word.value.eq_ignore_ascii_case("PASSWORD")),
        );
        let (message, hint) = match verb {
            "ALTER" if sets_password => (
                "passwords cannot be changed here",
                "an admin changes it on the server with `coterie user passwd`",
            ),
            "CREATE" => ("users cannot be made here", "add them on the server with `coterie user add`"),
            "DROP" => {
                ("users cannot be removed here", "remove them on the server with `coterie user remove`")
            }
            _ => (
                "rights cannot be changed here",
                "roles and grants are given on the server with `coterie user`",
            ),
        };
        unsupported(message).hint(hint)
    }

    /// Which isolation is asked for makes no difference: every statement sees one state of the catalog.
    fn modes(&mut self) -> Result<()> {
        while self.tokens.get(self.at).is_some_and(|token| token.token != Token::SemiColon) {
            if self.eat("ISOLATION") {
                self.expect("LEVEL")?;
                if self.eat("READ") {
                    let _ = self.eat("COMMITTED") || self.eat("UNCOMMITTED");
                } else if self.eat("REPEATABLE") {
                    self.expect("READ")?;
                } else {
                    self.expect("SERIALIZABLE")?;
                }
            } else if self.eat("READ") {
                if !self.eat("ONLY") {
                    self.expect("WRITE")?;
                }
            } else {
                let _ = self.eat("NOT");
                self.expect("DEFERRABLE")?;
            }
            let _ = self.eat_token(&Token::Comma);
        }
        Ok(())
    }

    fn block_end(&mut self) -> Result<()> {
        let _ = self.eat("WORK") || self.eat("TRANSACTION");
        if self.eat("AND") {
            if !self.eat("NO") {
                return Err(unsupported("AND CHAIN is not possible here"));
            }
            self.expect("CHAIN")?;
        }
        Ok(())
    }

    fn set(&mut self) -> Result<Command> {
        let local = self.eat("LOCAL");
        if !local && self.eat("SESSION") {
            if self.eat("CHARACTERISTICS") {
                self.at = self.tokens.len();
                return Ok(Command::Nothing("SET"));
            }
            if self.eat("AUTHORIZATION") {
                return Err(unsupported("another role cannot be taken here").hint("log in as that user"));
            }
        }
        if self.eat("TRANSACTION") {
            self.modes()?;
            return Ok(Command::Nothing("SET"));
        }
        if self.eat("ROLE") {
            return match self.word().as_deref() {
                Some("NONE" | "DEFAULT") => Ok(Command::Nothing("SET")),
                _ => Err(unsupported("another role cannot be taken here").hint("log in as that user")),
            };
        }
        let name = if self.eat("NAMES") { "client_encoding".to_owned() } else { self.setting()? };
        let is_short = matches!(name.as_str(), "timezone" | "client_encoding") && !self.has_assignment();
        if !is_short && !self.eat_token(&Token::Eq) {
            self.expect("TO")?;
        }
        if self.eat("DEFAULT") || is_short && self.eat("LOCAL") {
            return Ok(Command::Set { name, value: None, local });
        }
        let mut values = vec![self.value()?];
        while self.eat_token(&Token::Comma) {
            values.push(self.value()?);
        }
        Ok(Command::Set { name, value: Some(values.join(", ")), local })
    }

    fn has_assignment(&self) -> bool {
        let next = self.tokens.get(self.at).map(|token| &token.token);
        matches!(next, Some(Token::Eq))
            || matches!(next, Some(Token::Word(word)) if word.value.eq_ignore_ascii_case("TO"))
    }

    /// The name of a setting, in small letters.
    fn setting(&mut self) -> Result<String> {
        if self.eat("TIME") {
            self.expect("ZONE")?;
            return Ok("timezone".to_owned());
        }
        if self.eat("TRANSACTION") {
            self.expect("ISOLATION")?;
            self.expect("LEVEL")?;
            return Ok("transaction_isolation".to_owned());
        }
        if self.eat("SESSION") {
            self.expect("AUTHORIZATION")?;
            return Ok("session_authorization".to_owned());
        }
        let mut name = self.name()?.to_lowercase();
        while self.eat_token(&Token::Period) {
            name.push('.');
            name.push_str(&self.name()?.to_lowercase());
        }
        Ok(name)
    }

    fn show(&mut self) -> Result<Option<Command>> {
        // What the engine lists.
        const LISTS: &[&str] = &[
            "ALL",
            "AUDIENCES",
            "COLUMNS",
            "CREATE",
            "DATABASES",
            "FUNCTIONS",
            "PROFILE",
            "SCHEMAS",
            "SEGMENTS",
            "TABLES",
            "VIEWS",
        ];
        let word = self.peek();
        if word.as_deref().is_none_or(|word| LISTS.contains(&word)) {
            return Ok(None);
        }
        Ok(Some(Command::Show(self.setting()?)))
    }

    fn declare(&mut self) -> Result<Command> {
        let cursor = self.name()?;
        let mut binary = false;
        loop {
            match self.word().as_deref() {
                Some("BINARY") => binary = true,
                Some("INSENSITIVE" | "ASENSITIVE") => {}
                Some("NO") => self.expect("SCROLL")?,
                Some("SCROLL") => {
                    return Err(unsupported("cursors only go forward here").hint("declare it with NO SCROLL"));
                }
                Some("CURSOR") => break,
                _ => return Err(self.unexpected("CURSOR")),
            }
        }
        let mut hold = false;
        if self.eat("WITH") {
            hold = true;
            self.expect("HOLD")?;
        } else if self.eat("WITHOUT") {
            self.expect("HOLD")?;
        }
        self.expect("FOR")?;
        let query = self.here()..self.text.len();
        self.at = self.tokens.len();
        Ok(Command::Declare { cursor, hold, binary, query })
    }

    fn fetch(&mut self, moves: bool) -> Result<Command> {
        let backward = || {
            let fault = Fault::error(WRONG_CURSOR_STATE, "cursor can only scan forward");
            Err(fault.hint("cursors only go forward here"))
        };
        let mut rows = Rows::Some(1);
        if self.eat("NEXT") {
        } else if self.eat("ALL") {
            rows = Rows::All;
        } else if self.eat("FORWARD") {
            if self.eat("ALL") {
                rows = Rows::All;
            } else if let Some(count) = self.number() {
                rows = Rows::Some(count);
            }
        } else if ["PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "BACKWARD"]
            .iter()
            .any(|word| self.eat(word))
            || self.eat_token(&Token::Minus)
        {
            return backward();
        } else if let Some(count) = self.number() {
            rows = Rows::Some(count);
        }
        let _ = self.eat("FROM") || self.eat("IN");
        Ok(Command::Fetch { cursor: self.name()?, rows, moves })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sqlstate::{FEATURE_NOT_SUPPORTED, SYNTAX};
    use super::*;

    fn command(text: &str) -> Command {
        parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}")).unwrap()
    }

    fn set(name: &str, value: Option<&str>, local: bool) -> Command {
        Command::Set { name: name.to_owned(), value: value.map(str::to_owned), local }
    }

    #[test]
    fn transactions_have_many_spellings() {
        for text in [
            "BEGIN",
            "begin work;",
            "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            "/* x */ BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE NOT DEFERRABLE",
        ] {
            assert_eq!(command(text), Command::Begin, "{text}");
        }
        assert_eq!(command("-- x\nEND"), Command::Commit);
        assert_eq!(command("ABORT"), Command::Rollback);
        assert_eq!(command("ROLLBACK TO SAVEPOINT \"_pg3_1\""), Command::RollbackTo("_pg3_1".to_owned()));
        assert_eq!(command("RELEASE \"_pg3_1\""), Command::Release("_pg3_1".to_owned()));
        assert_eq!(parse("COMMIT PREPARED 'x'").unwrap_err().code, FEATURE_NOT_SUPPORTED);
        assert_eq!(parse("BEGIN nonsense").unwrap_err().code, SYNTAX);
    }

    #[test]
    fn settings_are_words_texts_and_numbers() {
        assert_eq!(
            command("SET search_path TO \"$user\", public"),
            set("search_path", Some("\"$user\", public"), false)
        );
        assert_eq!(command("SET LOCAL statement_timeout = '5s'"), set("statement_timeout", Some("5s"), true));
        assert_eq!(
            command("set session extra_float_digits = -3"),
            set("extra_float_digits", Some("-3"), false)
        );
        assert_eq!(command("SET TIME ZONE 'Europe/Berlin'"), set("timezone", Some("Europe/Berlin"), false));
        assert_eq!(command("SET NAMES 'UTF8'"), set("client_encoding", Some("UTF8"), false));
        assert_eq!(
            command("SET datafusion.execution.batch_size = 100"),
            set("datafusion.execution.batch_size", Some("100"), false)
        );
        assert_eq!(command("RESET TimeZone"), set("timezone", None, false));
        assert_eq!(
            command("SHOW transaction isolation level"),
            Command::Show("transaction_isolation".to_owned())
        );
        assert_eq!(command("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"), Command::Nothing("SET"));
        assert_eq!(parse("CREATE SEGMENT user AS true"), Ok(None));
        let fault = parse("ALTER USER \"ana\" PASSWORD 'SCRAM-SHA-256$4096:…'").unwrap_err();
        assert_eq!(fault.code, FEATURE_NOT_SUPPORTED);
        assert!(fault.hint.unwrap().contains("coterie user passwd"));
        assert_eq!(parse("SHOW PROFILE STORES"), Ok(None));
        assert_eq!(parse("SELECT 1"), Ok(None));
    }

    #[test]
    fn cursors_know_their_query() {
        let text = "DECLARE \"c 1\" NO SCROLL CURSOR WITH HOLD FOR SELECT 'é', 1";
        let Command::Declare { cursor, hold, binary, query } = command(text) else { panic!() };
        assert_eq!((cursor.as_str(), hold, binary, &text[query]), ("c 1", true, false, "SELECT 'é', 1"));
        let fetch = |cursor: &str, rows, moves| Command::Fetch { cursor: cursor.to_owned(), rows, moves };
        assert_eq!(command("FETCH c"), fetch("c", Rows::Some(1), false));
        assert_eq!(command("FETCH FORWARD 50 FROM c"), fetch("c", Rows::Some(50), false));
        assert_eq!(command("FETCH ALL IN c"), fetch("c", Rows::All, false));
        assert_eq!(command("MOVE FORWARD ALL FROM c"), fetch("c", Rows::All, true));
        assert_eq!(parse("FETCH BACKWARD 5 FROM c").unwrap_err().code, "55000");
        assert_eq!(command("CLOSE ALL"), Command::CloseCursor(None));
    }
}
