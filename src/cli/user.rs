//! `coterie user`: who may use the servers.

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::arguments::{User, UserAction};
use super::output::{Output, Sink};
use super::stop::{Stop, note};
use crate::diagnostic::Kind;
use crate::error::{Error, Result};
use crate::server::Users;

pub(super) async fn run(arguments: &User) -> Result<(), Stop> {
    match &arguments.action {
        UserAction::Add { name, role, grants, file, password_stdin } => {
            let mut users = Users::read_or_empty(&file.users)?;
            // A name that cannot be is refused before a password is asked for.
            users.check_new(name)?;
            let grants = (!grants.is_empty()).then(|| grants.clone());
            users.add(name, &password(*password_stdin)?, *role, grants)?;
            users.write(&file.users)?;
            note(&format!("added {name}"));
        }
        UserAction::Remove { name, file } => {
            let mut users = Users::read(&file.users)?;
            users.remove(name)?;
            users.write(&file.users)?;
            note(&format!("removed {name}"));
        }
        UserAction::Passwd { name, file, password_stdin } => {
            let mut users = Users::read(&file.users)?;
            users.check_known(name)?;
            users.set_password(name, &password(*password_stdin)?)?;
            users.write(&file.users)?;
            note(&format!("{name} has another password"));
        }
        UserAction::List { file, format } => {
            let users = Users::read(&file.users)?;
            let rows = rows(&users)?;
            let schema = rows.schema();
            let stream = futures::stream::iter([Ok(rows)]);
            let stream =
                datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(Arc::clone(&schema), stream);
            Output::new(Sink::stdout(), *format).show("LIST", &schema, Box::pin(stream)).await?;
        }
    }
    Ok(())
}

fn rows(users: &Users) -> Result<RecordBatch> {
    let all = || users.all().iter();
    let names: StringArray = all().map(|(name, _)| Some(name.as_str())).collect();
    let roles: StringArray = all().map(|(_, user)| Some(user.role.as_str())).collect();
    let grants: StringArray = all()
        .map(|(_, user)| {
            let grants = user.grants.as_ref()?;
            Some(grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        })
        .collect();
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let schema = Arc::new(Schema::new(vec![text("user"), text("role"), text("grants")]));
    Ok(RecordBatch::try_new(schema, vec![Arc::new(names), Arc::new(roles), Arc::new(grants)])?)
}

/// A password: typed twice without showing it, or the first line of standard input.
fn password(from_stdin: bool) -> Result<String> {
    let failed = |why: String| Error::new(Kind::Usage, format!("no password: {why}"));
    if from_stdin || !std::io::stdin().is_terminal() {
        if !from_stdin {
            return Err(
                failed("standard input is no terminal".to_owned()).help("`--password-stdin` reads it there")
            );
        }
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(|error| failed(error.to_string()))?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let [first, second] = [ask("password: ")?, ask("once more: ")?];
    if first == second { Ok(first) } else { Err(failed("the two differ".to_owned())) }
}

fn ask(prompt: &str) -> Result<String> {
    let failed = |error: rustyline::error::ReadlineError| {
        Error::new(Kind::Usage, format!("no password was typed: {error}"))
    };
    let mut editor = rustyline::Editor::<Hidden, _>::new().map_err(failed)?;
    editor.set_helper(Some(Hidden));
    editor.readline(prompt).map_err(failed)
}

/// Shows stars.
#[derive(rustyline::Completer, rustyline::Helper, rustyline::Hinter, rustyline::Validator)]
struct Hidden;

impl rustyline::highlight::Highlighter for Hidden {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> std::borrow::Cow<'l, str> {
        std::borrow::Cow::Owned("*".repeat(line.chars().count()))
    }

    fn highlight_char(&self, _: &str, _: usize, _: rustyline::highlight::CmdKind) -> bool {
        true
    }
}
