//! `SET`, `RESET`, `DEALLOCATE`: what a session remembers.

use datafusion::common::config::ConfigField;
use datafusion::logical_expr::Statement;

use crate::diagnostic::{Diagnostic, Kind, nearest};
use crate::engine::Session;
use crate::error::Result;
use crate::session::instant;

pub(super) fn run(session: &Session, statement: &Statement) -> Result<()> {
    match statement {
        Statement::SetVariable(change) => set(session, &change.variable, Some(&change.value)),
        Statement::ResetVariable(reset) => set(session, &reset.variable, None),
        _ => Err(crate::bug!("neither SET nor RESET")),
    }
}

/// Changes a setting, or gives it back the value that it began with.
pub(in crate::engine) fn set(session: &Session, variable: &str, value: Option<&str>) -> Result<()> {
    let variable = variable.to_lowercase();
    if variable.starts_with("datafusion.runtime.") {
        let fault = Diagnostic::new(Kind::Unsupported, format!("`{variable}` is a limit of the process"));
        return Err(fault.help("set it when coterie starts: `--memory-limit`, `--threads`").into());
    }
    let mut config = session.config();
    // The names that PostgreSQL's clients and DataFusion's own shell use.
    let variable = match variable.as_str() {
        "timezone" | "time.zone" => "datafusion.execution.time_zone",
        "statement_timeout" => TIMEOUT,
        other => other,
    };
    match value {
        Some(value) => {
            if variable == "coterie.now" && !value.is_empty() {
                instant(value)?;
            }
            let millis = (variable == TIMEOUT).then(|| milliseconds(value)).transpose()?;
            let value = millis.as_deref().unwrap_or(value);
            config.options_mut().set(variable, value).map_err(|error| unknown(session, variable, error))?;
        }
        None => {
            let initial = session.engine.base.config();
            let entries = initial.options().entries();
            let Some(entry) = entries.into_iter().find(|entry| entry.key == variable) else {
                return Err(not_found(session, variable).into());
            };
            match entry.value {
                Some(value) => config.options_mut().set(variable, &value)?,
                // An empty text is not no value: no time zone is called so.
                None => config.options_mut().reset(variable)?,
            }
        }
    }
    session.remembered(|state| state.config = config);
    Ok(())
}

const TIMEOUT: &str = "coterie.statement_timeout";

/// A time limit as PostgreSQL's clients write it, in milliseconds: `5000`, `5s`, `2min`.
fn milliseconds(text: &str) -> Result<String> {
    let text = text.trim();
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[unit..].trim() {
        "" | "ms" => Some(1),
        "s" => Some(1000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number: Option<u64> = text[..unit].parse().ok();
    match number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor)) {
        Some(millis) => Ok(millis.to_string()),
        None => {
            let fault = Diagnostic::new(Kind::Type, format!("`{text}` is not a time limit"));
            Err(fault.help("write milliseconds, or `5s`, `2min`; 0 is no limit").into())
        }
    }
}

pub(super) fn deallocate(session: &Session, name: &str) -> Result<()> {
    if session.remembered(|state| state.prepared.remove(name)).is_some() {
        return Ok(());
    }
    Err(Diagnostic::new(Kind::NotFound, format!("no prepared statement is called `{name}`")).into())
}

fn unknown(
    session: &Session,
    variable: &str,
    error: datafusion::error::DataFusionError,
) -> crate::error::Error {
    let known = session.config().options().entries().iter().any(|entry| entry.key == variable);
    if known { crate::error::from_datafusion(error) } else { not_found(session, variable).into() }
}

fn not_found(session: &Session, variable: &str) -> Diagnostic {
    let config = session.config();
    let entries = config.options().entries();
    let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let near = nearest(variable, names.iter().copied()).or_else(|| {
        // Of `datafusion.execution.time_zone` the end alone.
        let end = nearest(variable, names.iter().filter_map(|name| name.rsplit('.').next()))?;
        names.iter().copied().find(|name| name.rsplit('.').next() == Some(end))
    });
    let fault = Diagnostic::new(Kind::Name, format!("no setting is called `{variable}`"));
    let fault = match near {
        Some(name) => fault.help(format!("did you mean `{name}`?")),
        None => fault,
    };
    fault.help("`SHOW ALL` lists them")
}
