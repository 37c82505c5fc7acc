//! `coterie sql`: statements given, piped in, or typed.

use std::io::IsTerminal;
use std::path::Path;

use super::arguments::{Global, Input, Sql};
use super::output::{Output, Sink};
use super::progress::Bar;
use super::shell::{self, command};
use super::stop::{Stop, note};
use super::{open, script};
use crate::diagnostic::{Kind, Source};
use crate::error::{Error, Result};

pub(super) async fn run(global: &Global, arguments: &Sql) -> Result<(), Stop> {
    let inputs = &arguments.inputs.0;
    let engine = open(global).await?;
    let session = engine.session();
    session.set_progress(Bar::on_terminal(global.verbose).map(|bar| bar as _));
    let mut output = Output::new(Sink::stdout(), arguments.format);
    if inputs.is_empty() && std::io::stdin().is_terminal() {
        return shell::run(&engine, session, output).await;
    }
    let stdin = [Input::File("-".into())];
    for input in if inputs.is_empty() { &stdin } else { &inputs[..] } {
        let source = match input {
            Input::Text(text) if text.trim_start().starts_with('\\') => {
                let (command, argument) = command::parse(text).ok_or_else(|| {
                    Error::new(Kind::Usage, format!("`{}` is no command", text.trim()))
                        .help("`\\?` lists the commands")
                })?;
                let statement = shell::as_statement(command, argument).ok_or_else(|| {
                    Error::new(Kind::Usage, format!("`{}` is for the interactive shell", text.trim()))
                })?;
                Source::typed(statement)
            }
            Input::Text(text) => Source::typed(text.as_str()),
            Input::File(path) => script::read(path)?,
        };
        let mut statements = script::Statements::of(&source);
        while let Some(statement) = statements.next().await? {
            let ran = script::run_one(&session, &statement, &mut output).await?;
            if global.verbose {
                let line = &source.text[statement.piece];
                let first = line.trim().lines().next().unwrap_or_default();
                note(&format!("{:.3} s  {first}", ran.took.as_secs_f64()));
            }
        }
    }
    Ok(())
}

/// Runs a file in a shell.
pub(super) fn include(path: &str) -> Result<Source> {
    script::read(Path::new(path))
}
