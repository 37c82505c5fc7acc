//! The interactive shell.

pub(crate) mod command;
mod complete;
mod helper;
mod history;
mod lex;
mod words;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use super::output::{Format, Output, Sink};
use super::script;
use super::sql::include;
use super::stop::{Stop, note};
use crate::diagnostic::{Kind, Source};
use crate::engine::{Engine, Session};
use crate::error::{Error, Result};
use crate::statement::{quote, quote_string};

use command::Command;
use helper::LineHelper;

type LineEditor = Editor<LineHelper, FileHistory>;

struct Shell {
    session: Session,
    output: Output,
    timing: bool,
    /// Whether the names that completion offers are no longer all there are.
    stale: bool,
}

/// What comes after a line.
enum Next {
    Prompt,
    Leave,
}

/// Reads and runs statements until the user leaves.
pub(crate) async fn run(engine: &Arc<Engine>, session: Session, output: Output) -> Result<(), Stop> {
    let config = Config::builder()
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let mut editor: LineEditor = Editor::with_config(config).map_err(terminal)?;
    let colours = std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal();
    editor.set_helper(Some(LineHelper::new(session.names().await?, colours)));
    let history = history::load(&mut editor);

    note(&format!(
        "coterie {}. Statements end with `;`, \\? lists commands, Ctrl-D leaves.",
        env!("CARGO_PKG_VERSION")
    ));
    if engine.in_memory() {
        note("Everything is in memory and gone at the end; `--warehouse URL` keeps it.");
    }
    let mut shell = Shell { session, output, timing: true, stale: false };
    loop {
        // Reading a line blocks this thread, which runs nothing else: queries have threads of their own.
        match editor.readline("coterie> ") {
            Ok(line) => {
                history::append(&mut editor, history.as_deref());
                match Box::pin(shell.line(&line)).await {
                    Ok(Next::Prompt) => {}
                    Ok(Next::Leave) | Err(Stop::Closed) => return Ok(()),
                    Err(stop) => {
                        stop.report(false);
                    }
                }
                if std::mem::take(&mut shell.stale)
                    && let (Some(helper), Ok(names)) = (editor.helper_mut(), shell.session.names().await)
                {
                    helper.names = names;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(cause) => return Err(terminal(cause).into()),
        }
    }
}

fn terminal(cause: ReadlineError) -> Error {
    Error::caused(Kind::Internal, format!("cannot read from the terminal: {cause}"), cause)
}

impl Shell {
    async fn line(&mut self, line: &str) -> Result<Next, Stop> {
        let text = line.trim();
        if text.starts_with('\\') || helper::is_word_command(text) {
            return self.command(text).await;
        }
        self.script(&Source::typed(line)).await?;
        Ok(Next::Prompt)
    }

    /// Runs statements, each until it ends or Ctrl-C is typed.
    async fn script(&mut self, source: &Source) -> Result<(), Stop> {
        let mut statements = script::Statements::of(source);
        while let Some(statement) = statements.next().await? {
            let ran = tokio::select! {
                ran = script::run_one(&self.session, &statement, &mut self.output) => ran?,
                _ = tokio::signal::ctrl_c() => {
                    return Err(Error::new(Kind::Cancelled, "the statement was stopped").into());
                }
            };
            self.stale |= ran.changed_names;
            if self.timing {
                note(&format!("{:.3} s", ran.took.as_secs_f64()));
            }
        }
        Ok(())
    }

    async fn command(&mut self, text: &str) -> Result<Next, Stop> {
        let parsed = match text {
            "exit" | "quit" => Some((Command::Quit, "")),
            "help" => Some((Command::Help, "")),
            _ => command::parse(text),
        };
        let Some((command, argument)) = parsed else {
            let fault = crate::diagnostic::Diagnostic::new(Kind::Usage, format!("`{text}` is no command"));
            return Err(Error::from(fault.help("`\\?` lists the commands")).into());
        };
        if let Some(statement) = as_statement(command, argument) {
            self.script(&Source::typed(statement)).await?;
            return Ok(Next::Prompt);
        }
        match command {
            Command::Quit => return Ok(Next::Leave),
            Command::Help => note(&command::help()),
            Command::Format if argument.is_empty() => {
                note(&format!("format: {}", name_of(self.output.format)))
            }
            Command::Format => {
                self.output.format = Format::from_str(argument, true).map_err(|_| {
                    let formats: Vec<String> = Format::value_variants().iter().map(|f| name_of(*f)).collect();
                    Error::new(Kind::Usage, format!("`{argument}` is no format"))
                        .help(format!("the formats are {}", formats.join(", ")))
                })?;
            }
            Command::Expanded => {
                self.output.expanded = switch(argument, self.output.expanded)?;
                note(if self.output.expanded { "one value a line" } else { "tables" });
            }
            Command::Timing => {
                self.timing = switch(argument, self.timing)?;
                note(if self.timing { "timing is on" } else { "timing is off" });
            }
            Command::Limit if argument.is_empty() => self.output.limit = None,
            Command::Limit => {
                let wrong = |_| Error::new(Kind::Usage, format!("`{argument}` is no number of rows"));
                self.output.limit = Some(argument.parse().map_err(wrong)?);
            }
            Command::Output if argument.is_empty() => self.output.sink = Sink::stdout(),
            Command::Output => self.output.sink = Sink::file(Path::new(argument))?,
            Command::Include if argument.is_empty() => {
                return Err(Error::new(Kind::Usage, "which file? `\\i FILE`").into());
            }
            Command::Include => {
                let source = include(argument)?;
                self.script(&source).await?;
            }
            // They are statements.
            Command::Describe | Command::Segments | Command::Functions => {}
        }
        Ok(Next::Prompt)
    }
}

/// The statement that a command is short for, if it is.
pub(crate) fn as_statement(command: Command, argument: &str) -> Option<String> {
    Some(match command {
        Command::Describe if argument.is_empty() => "SELECT table_schema AS schema, table_name AS name, \
             table_type AS type FROM information_schema.tables WHERE table_schema <> 'information_schema' \
             ORDER BY table_schema = 'coterie', table_schema <> 'public', table_schema, table_name"
            .to_owned(),
        Command::Describe => format!("DESCRIBE {}", quoted(argument)),
        Command::Segments if argument.is_empty() => "SHOW SEGMENTS".to_owned(),
        Command::Segments => format!("DESCRIBE SEGMENT {}", quote(argument.trim_matches('"'))),
        Command::Functions => {
            let pattern = quote_string(&format!("%{argument}%"));
            format!(
                "SELECT \"function\", kind, syntax, description FROM coterie.functions \
                 WHERE \"function\" ILIKE {pattern} ORDER BY kind <> 'rule', \"function\""
            )
        }
        Command::Help
        | Command::Format
        | Command::Expanded
        | Command::Limit
        | Command::Timing
        | Command::Include
        | Command::Output
        | Command::Quit => return None,
    })
}

/// A table's name with its parts quoted: `DESCRIBE segment.x` would describe a segment, not its table.
fn quoted(name: &str) -> String {
    if name.contains('"') {
        return name.to_owned();
    }
    let parts = name.split('.').map(|part| format!("\"{}\"", part.to_lowercase()));
    parts.collect::<Vec<_>>().join(".")
}

fn name_of(format: Format) -> String {
    format.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

/// `on`, `off`, or the other of both.
fn switch(argument: &str, now: bool) -> Result<bool> {
    match argument.to_ascii_lowercase().as_str() {
        "" => Ok(!now),
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Error::new(Kind::Usage, format!("expected `on` or `off`, found `{argument}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_commands_are_short_for_a_statement() {
        let check = |line: &str| as_statement(command::parse(line)?.0, command::parse(line)?.1);
        assert_eq!(check("\\d Events").as_deref(), Some("DESCRIBE \"events\""));
        assert_eq!(check("\\d segment.x").as_deref(), Some("DESCRIBE \"segment\".\"x\""));
        assert_eq!(check("\\d \"A b\"").as_deref(), Some("DESCRIBE \"A b\""));
        assert_eq!(check("\\ds win_back").as_deref(), Some("DESCRIBE SEGMENT win_back"));
        assert_eq!(check("\\timing"), None);
        for statement in ["\\d", "\\d segment.x", "\\ds", "\\df it's"] {
            let statement = check(statement).unwrap();
            let all = 0..statement.len();
            assert!(crate::statement::parse(&Source::typed(statement), all).is_ok());
        }
    }
}
