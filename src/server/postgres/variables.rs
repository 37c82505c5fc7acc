//! Settings, as far as PostgreSQL's clients set and ask for them.
//!
//! Some mean something here (`search_path`, `statement_timeout`, `TimeZone`), some have one value that is possible, most
//! are only remembered. Names with `coterie.` and `datafusion.` are the engine's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::{Facts, Session};
use crate::error::Error;

use super::sqlstate::{
    CANT_CHANGE_PARAMETER, FEATURE_NOT_SUPPORTED, Fault, INVALID_PARAMETER, UNDEFINED_OBJECT,
};
use super::value::Zone;

/// What we say we are: a version whose clients' questions are answered.
pub(super) const VERSION: &str = "15.0";

/// A setting: its name, what it is at first, and what may become of it.
type Known = (&'static str, &'static str, Sort);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Anything, without a meaning here.
    Any,
    /// `on` or `off`, without a meaning here.
    Switch,
    /// Only what it is.
    Fixed,
    /// Not even to be set to what it is.
    Shown,
    Encoding,
    DateStyle,
    SearchPath,
    Timeout,
    TimeZone,
}

const SETTINGS: &[Known] = &[
    ("application_name", "", Sort::Any),
    ("array_nulls", "on", Sort::Fixed),
    ("block_size", "8192", Sort::Shown),
    ("bytea_output", "hex", Sort::Fixed),
    ("check_function_bodies", "on", Sort::Switch),
    ("client_encoding", "UTF8", Sort::Encoding),
    ("client_min_messages", "notice", Sort::Any),
    ("cursor_tuple_fraction", "0.1", Sort::Any),
    ("DateStyle", "ISO, MDY", Sort::DateStyle),
    ("default_statistics_target", "100", Sort::Any),
    ("default_table_access_method", "heap", Sort::Any),
    ("default_tablespace", "", Sort::Any),
    ("default_transaction_deferrable", "off", Sort::Switch),
    ("default_transaction_isolation", "read committed", Sort::Any),
    ("default_transaction_read_only", "off", Sort::Switch),
    ("enable_hashjoin", "on", Sort::Switch),
    ("enable_mergejoin", "on", Sort::Switch),
    ("enable_nestloop", "on", Sort::Switch),
    ("enable_seqscan", "on", Sort::Switch),
    ("escape_string_warning", "on", Sort::Switch),
    ("extra_float_digits", "1", Sort::Any),
    ("from_collapse_limit", "8", Sort::Any),
    ("geqo", "on", Sort::Switch),
    ("gin_fuzzy_search_limit", "0", Sort::Any),
    ("idle_in_transaction_session_timeout", "0", Sort::Any),
    ("idle_session_timeout", "0", Sort::Any),
    ("in_hot_standby", "off", Sort::Shown),
    ("integer_datetimes", "on", Sort::Shown),
    ("IntervalStyle", "postgres", Sort::Fixed),
    ("is_superuser", "off", Sort::Shown),
    ("jit", "off", Sort::Switch),
    ("join_collapse_limit", "8", Sort::Any),
    ("lc_collate", "C", Sort::Shown),
    ("lc_ctype", "C", Sort::Shown),
    ("lc_messages", "C", Sort::Any),
    ("lc_monetary", "C", Sort::Any),
    ("lc_numeric", "C", Sort::Any),
    ("lc_time", "C", Sort::Any),
    ("lock_timeout", "0", Sort::Any),
    ("maintenance_work_mem", "64MB", Sort::Any),
    ("max_connections", "100", Sort::Shown),
    ("max_identifier_length", "63", Sort::Shown),
    ("max_index_keys", "32", Sort::Shown),
    ("max_parallel_workers_per_gather", "2", Sort::Any),
    ("plan_cache_mode", "auto", Sort::Any),
    ("quote_all_identifiers", "off", Sort::Switch),
    ("random_page_cost", "4", Sort::Any),
    ("role", "none", Sort::Fixed),
    ("row_security", "on", Sort::Switch),
    ("search_path", "\"$user\", public", Sort::SearchPath),
    ("seq_page_cost", "1", Sort::Any),
    ("server_encoding", "UTF8", Sort::Shown),
    ("server_version", "", Sort::Shown),
    ("server_version_num", "150000", Sort::Shown),
    ("session_authorization", "", Sort::Shown),
    ("ssl", "off", Sort::Shown),
    ("standard_conforming_strings", "on", Sort::Fixed),
    ("statement_timeout", "0", Sort::Timeout),
    ("synchronize_seqscans", "on", Sort::Switch),
    ("synchronous_commit", "on", Sort::Any),
    ("temp_buffers", "8MB", Sort::Any),
    ("TimeZone", "UTC", Sort::TimeZone),
    ("transaction_deferrable", "off", Sort::Switch),
    ("transaction_isolation", "read committed", Sort::Any),
    ("transaction_read_only", "off", Sort::Switch),
    ("transaction_timeout", "0", Sort::Any),
    ("vacuum_cost_delay", "0", Sort::Any),
    ("wal_level", "replica", Sort::Shown),
    ("work_mem", "4MB", Sort::Any),
    ("xmloption", "content", Sort::Any),
];

/// The settings that clients are told of whenever they change.
const REPORTED: &[&str] = &[
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "search_path",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// The settings of a conversation.
pub(super) struct Variables {
    session: Session,
    shared: Arc<Facts>,
    /// What they are when nothing is said.
    initial: BTreeMap<String, String>,
    /// The engine's that were changed, with what they were.
    changed: BTreeMap<String, Option<String>>,
}

/// All settings at a moment, to come back to.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    values: BTreeMap<String, String>,
    engines: BTreeMap<String, Option<String>>,
}

type Result<T> = std::result::Result<T, Fault>;

impl Variables {
    pub(super) fn new(session: Session, shared: Arc<Facts>, encrypted: bool) -> Self {
        let mut initial: BTreeMap<String, String> =
            SETTINGS.iter().map(|(name, value, _)| (name.to_lowercase(), (*value).to_owned())).collect();
        let mut put = |name: &str, value: String| initial.insert(name.to_owned(), value);
        put("server_version", format!("{VERSION} (coterie {})", env!("CARGO_PKG_VERSION")));
        put("session_authorization", shared.user.clone());
        put("is_superuser", if shared.is_admin { "on" } else { "off" }.to_owned());
        put("ssl", if encrypted { "on" } else { "off" }.to_owned());
        shared.set_all(initial.clone());
        Self { session, shared, initial, changed: BTreeMap::new() }
    }

    /// What is told to the client when it begins, and when something changed since.
    pub(super) fn reported(&self) -> Vec<(&'static str, String)> {
        REPORTED.iter().map(|name| (*name, self.get(&name.to_lowercase()).unwrap_or_default())).collect()
    }

    fn get(&self, name: &str) -> Option<String> {
        self.shared.get(name)
    }

    /// The time zone in which instants are shown.
    pub(super) fn zone(&self) -> Zone {
        self.get("timezone").and_then(|name| Zone::named(&name)).unwrap_or(Zone::UTC)
    }

    /// Whether nothing may be changed.
    pub(super) fn is_read_only(&self) -> bool {
        ["default_transaction_read_only", "transaction_read_only"]
            .iter()
            .any(|name| self.get(name).is_some_and(|value| value == "on"))
    }

    /// The value of a setting, with its name as it is written.
    pub(super) fn show(&self, name: &str) -> Result<(String, String)> {
        if is_engines(name) {
            let entries = self.session.config().options().entries();
            let entry = entries.into_iter().find(|entry| entry.key == name);
            let entry = entry.ok_or_else(|| unknown(name))?;
            return Ok((entry.key, entry.value.unwrap_or_default()));
        }
        let written = known(name).map_or(name, |(written, ..)| written);
        Ok((written.to_owned(), self.get(name).ok_or_else(|| unknown(name))?))
    }

    /// Changes a setting, or gives it back the value that it began with.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        if is_engines(name) {
            let failed = |error: Error| Fault::of(&error, "");
            let before =
                self.session.config().options().entries().into_iter().find(|entry| entry.key == name);
            match value {
                Some(value) => self.session.set(name, value).map_err(failed)?,
                None => self.session.reset(name).map_err(failed)?,
            }
            self.changed.entry(name.to_owned()).or_insert(before.and_then(|entry| entry.value));
            return Ok(());
        }
        let Some((written, _, sort)) = known(name) else {
            // A program's own settings have a point in their names.
            if !name.contains('.') {
                return Err(unknown(name));
            }
            self.shared.put(name, value.map(str::to_owned));
            return Ok(());
        };
        let initial = self.initial.get(name).cloned().unwrap_or_default();
        let value = value.unwrap_or(&initial);
        let value = match sort {
            Sort::Any => value.to_owned(),
            Sort::Switch => switch(written, value)?.to_owned(),
            Sort::Fixed if value.trim().eq_ignore_ascii_case(&initial) => initial,
            Sort::Fixed if matches!(switch(written, value), Ok(value) if value == initial) => initial,
            Sort::Fixed => {
                let message = format!("\"{written}\" can only be \"{initial}\" here");
                return Err(Fault::error(FEATURE_NOT_SUPPORTED, message));
            }
            Sort::Shown => {
                return Err(Fault::error(
                    CANT_CHANGE_PARAMETER,
                    format!("parameter \"{written}\" cannot be changed"),
                ));
            }
            Sort::Encoding => encoding(value)?,
            Sort::DateStyle => date_style(value, &self.get("datestyle").unwrap_or_default())?,
            Sort::SearchPath => {
                self.search(value)?;
                value.to_owned()
            }
            Sort::Timeout => {
                self.session.set("statement_timeout", value).map_err(|_| invalid(written, value))?;
                value.to_owned()
            }
            Sort::TimeZone => {
                let zone = zone_name(value);
                if Zone::named(&zone).is_none() {
                    return Err(invalid(written, value));
                }
                self.session.set("timezone", &zone).map_err(|_| invalid(written, value))?;
                zone
            }
        };
        self.shared.put(name, Some(value));
        Ok(())
    }

    /// Names without a schema are looked up in the first schema of the path that there is.
    fn search(&self, path: &str) -> Result<()> {
        let first = path.split(',').map(|name| name.trim().trim_matches(['"', '\'']));
        let mut first = first.filter(|name| crate::engine::SCHEMAS.contains(name));
        let schema = first.next().unwrap_or(crate::session::PUBLIC);
        self.session
            .set("datafusion.catalog.default_schema", schema)
            .map_err(|_| invalid("search_path", path))
    }

    /// All settings back to what they were at first.
    pub(super) fn reset_all(&mut self) {
        let values = self.initial.clone();
        let engines = std::mem::take(&mut self.changed);
        self.restore_values(values);
        self.restore_engines(&engines);
    }

    /// What the startup message says is where `RESET` comes back to.
    pub(super) fn set_initial(&mut self, name: &str, value: &str) -> Result<()> {
        let name = name.to_lowercase();
        self.set(&name, Some(value))?;
        if let Some(value) = self.get(&name)
            && !is_engines(&name)
        {
            self.initial.insert(name, value);
        }
        Ok(())
    }

    /// All settings as they are now.
    pub(super) fn moment(&self) -> Moment {
        let entries = self.session.config().options().entries();
        let engines = entries.into_iter().filter(|entry| is_engines(&entry.key));
        Moment { values: self.shared.all(), engines: engines.map(|entry| (entry.key, entry.value)).collect() }
    }

    /// All settings back to what they were at a moment.
    pub(super) fn restore(&mut self, moment: Moment) {
        if self.shared.all() != moment.values {
            self.restore_values(moment.values);
        }
        let entries = self.session.config().options().entries();
        let changed: BTreeMap<_, _> = entries
            .into_iter()
            .filter(|entry| moment.engines.get(&entry.key).is_some_and(|before| *before != entry.value))
            .filter_map(|entry| moment.engines.get_key_value(&entry.key))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.restore_engines(&changed);
    }

    fn restore_values(&mut self, values: BTreeMap<String, String>) {
        self.shared.set_all(values.clone());
        // Those that mean something to the engine were valid then.
        for name in ["search_path", "statement_timeout", "timezone"] {
            if let Some(value) = values.get(name) {
                let _ = self.set(name, Some(value));
            }
        }
    }

    fn restore_engines(&self, before: &BTreeMap<String, Option<String>>) {
        for (name, value) in before {
            // What was a value of this setting is one again.
            let _ = match value {
                Some(value) => self.session.set(name, value),
                None => self.session.reset(name),
            };
        }
    }
}

fn known(name: &str) -> Option<&'static Known> {
    SETTINGS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
}

fn is_engines(name: &str) -> bool {
    name.starts_with("coterie.") || name.starts_with("datafusion.")
}

fn unknown(name: &str) -> Fault {
    Fault::error(UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

fn invalid(name: &str, value: &str) -> Fault {
    Fault::error(INVALID_PARAMETER, format!("invalid value for parameter \"{name}\": \"{value}\""))
}

fn switch(name: &str, value: &str) -> Result<&'static str> {
    match value.to_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Ok("on"),
        "off" | "false" | "no" | "0" | "f" | "n" => Ok("off"),
        _ => Err(invalid(name, value)),
    }
}

fn encoding(value: &str) -> Result<String> {
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
    match plain.as_str() {
        "UTF8" | "UNICODE" => Ok("UTF8".to_owned()),
        // Bytes as they are, which are UTF-8.
        "SQLASCII" => Ok("SQL_ASCII".to_owned()),
        _ => {
            let fault = invalid("client_encoding", value);
            Err(fault.hint("texts are in UTF8 here"))
        }
    }
}

/// ISO dates only; the order of day and month of others is remembered.
fn date_style(value: &str, before: &str) -> Result<String> {
    let mut order = before.split_once(", ").map_or("MDY", |(_, order)| order);
    for word in value.split(',').map(str::trim) {
        order = match word.to_uppercase().as_str() {
            "ISO" | "DEFAULT" => order,
            "MDY" | "US" | "NONEURO" | "NONEUROPEAN" => "MDY",
            "DMY" | "EURO" | "EUROPEAN" => "DMY",
            "YMD" => "YMD",
            "SQL" | "POSTGRES" | "GERMAN" => {
                return Err(Fault::error(FEATURE_NOT_SUPPORTED, "dates are written as ISO 8601 says here"));
            }
            _ => return Err(invalid("DateStyle", value)),
        };
    }
    Ok(format!("ISO, {order}"))
}

/// A time zone by its name; a number is hours.
fn zone_name(value: &str) -> String {
    match value.trim().parse::<i32>() {
        Ok(hours) => format!("{}{:02}:00", if hours < 0 { '-' } else { '+' }, hours.unsigned_abs()),
        Err(_) => value.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        assert_eq!(encoding("utf-8").unwrap(), "UTF8");
        assert_eq!(encoding("LATIN1").unwrap_err().code, INVALID_PARAMETER);
        assert_eq!(date_style("iso, dmy", "ISO, MDY").unwrap(), "ISO, DMY");
        assert_eq!(date_style("ISO", "ISO, DMY").unwrap(), "ISO, DMY");
        assert_eq!(date_style("German", "ISO, MDY").unwrap_err().code, FEATURE_NOT_SUPPORTED);
        assert_eq!(zone_name("-5"), "-05:00");
        assert_eq!(switch("jit", "TRUE").unwrap(), "on");
        assert!(switch("jit", "maybe").is_err());
        for name in REPORTED {
            assert!(known(name).is_some(), "{name}");
        }
    }
}
