//! What clients of PostgreSQL expect beside tables: its dialect, its functions about a session, `pg_catalog`.
//!
//! Only sessions that [`Session::speak_postgres`] see any of it.

mod adapt;
mod catalog;
mod functions;
mod information_schema;
mod lateral;
mod objects;
mod parameters;
mod patterns;
mod recursive;
mod routines;
mod subquery;
mod syntax;
mod tree;
pub(crate) mod types;

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::{DataFusionError, config_err};
use datafusion::config::ConfigOptions;

use crate::diagnostic::{Kind, Source};
use crate::error::Result;
use crate::session::PUBLIC;
use crate::statement::{self, Command, Statement};

use super::{Principal, Role, Session};

pub(super) use catalog::{Catalog as PgCatalog, NAME as PG_CATALOG};
pub(super) use functions::register;
pub(super) use information_schema::{InformationSchema, NAME as INFORMATION_SCHEMA};
pub(super) use objects::Objects;

/// The schemas that names without a schema can be looked up in.
pub const SCHEMAS: &[&str] = &[PUBLIC, "segment", "audience", "coterie"];

/// What PostgreSQL's functions and tables tell of a session.
#[derive(Debug)]
pub struct Facts {
    /// The name that the client came with.
    pub user: String,
    /// The number of the connection, which PostgreSQL calls the process.
    pub number: i32,
    /// Whether the user may do everything.
    pub is_admin: bool,
    /// Whether the user may change anything.
    pub can_write: bool,
    /// From where it came.
    pub address: SocketAddr,
    /// Since when it is there.
    pub since: DateTime<Utc>,
    settings: RwLock<BTreeMap<String, String>>,
    objects: RwLock<Option<Arc<Objects>>>,
}

impl Facts {
    /// Of a client that has just come.
    pub fn new(user: String, number: i32, principal: &Principal, address: SocketAddr) -> Self {
        let is_admin = principal.role == Role::Admin && principal.grants.is_none();
        let can_write = principal.role >= Role::Author;
        let (settings, objects) = (RwLock::default(), RwLock::default());
        Self { user, number, is_admin, can_write, address, since: Utc::now(), settings, objects }
    }

    /// A setting of the session.
    pub fn get(&self, name: &str) -> Option<String> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All settings of the session.
    pub fn all(&self) -> BTreeMap<String, String> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes a setting of the session, or forgets it.
    pub fn put(&self, name: &str, value: Option<String>) {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => drop(settings.insert(name.to_owned(), value)),
            None => drop(settings.remove(name)),
        }
    }

    /// Changes all settings of the session.
    pub fn set_all(&self, values: BTreeMap<String, String>) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = values;
    }

    /// The objects that the newest statement about `pg_catalog` saw: its functions know them by number.
    fn objects(&self) -> Option<Arc<Objects>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn see(&self, objects: &Arc<Objects>) {
        *self.objects.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(objects));
    }

    /// The schema in which names without one are looked up.
    fn schema(options: &ConfigOptions) -> &str {
        &options.catalog.default_schema
    }
}

/// Makes the facts of a session known to its functions.
#[derive(Clone, Debug, Default)]
struct Speaks(Option<Arc<Facts>>);

impl ExtensionOptions for Speaks {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<(), DataFusionError> {
        config_err!("no setting is called `{}.{key}`", Self::PREFIX)
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![]
    }
}

impl ConfigExtension for Speaks {
    const PREFIX: &'static str = "postgres";
}

/// The facts of the session, if it speaks PostgreSQL's dialect.
pub(super) fn facts(options: &ConfigOptions) -> Option<Arc<Facts>> {
    options.extensions.get::<Speaks>()?.0.clone()
}

impl Session {
    /// From now on, the session has PostgreSQL's functions and its catalog.
    pub fn speak_postgres(&self, facts: &Arc<Facts>) {
        self.remembered(|state| {
            let options = state.config.options_mut();
            options.extensions.insert(Speaks(Some(Arc::clone(facts))));
            // The session has an `information_schema` of its own.
            options.catalog.information_schema = false;
        });
    }

    /// Gives a setting back the value that it began with, as `RESET` does.
    pub fn reset(&self, variable: &str) -> Result<()> {
        super::permission::check_setting(&self.client.principal, variable)?;
        super::execute::set(self, variable, None)
    }

    /// Forgets what `PREPARE` prepared; `false` if there is no such statement.
    pub fn forget(&self, name: &str) -> bool {
        self.remembered(|state| state.prepared.remove(name)).is_some()
    }

    /// Forgets all that `PREPARE` prepared.
    pub fn forget_prepared(&self) {
        self.remembered(|state| state.prepared.clear());
    }
}

/// Whether a statement may call functions about objects without naming a table of the catalog.
pub(super) fn asks_for_objects(text: &str) -> bool {
    text.len() <= 64 * 1024 && {
        let text = text.to_ascii_lowercase();
        text.contains("regclass") || text.contains("pg_get_") || text.contains("_description")
    }
}

/// Parses the statement at `range` of a text as PostgreSQL's clients write it: what coterie's own dialect does not know
/// is put into its words. `casts` are the SQL types of parameters, where the client declares them; returned are the numbers
/// of the types that the statement itself casts parameters to, 0 where it says nothing.
pub fn parse_postgres(
    source: &Source,
    range: Range<usize>,
    casts: &[Option<&'static str>],
) -> Result<(Statement, Vec<u32>)> {
    let mut parsed = match statement::parse(source, range.clone()) {
        Ok(parsed) => parsed,
        // Deeper than allowed is so in any dialect.
        Err(fault) if fault.kind != Kind::Syntax || fault.message.contains("nest") => {
            return Err(fault.into());
        }
        Err(fault) => syntax::parse(source, range).ok_or(fault)?,
    };
    let mut types = vec![];
    if let Command::Sql(sql) = &mut parsed.command {
        types = parameters::types(sql);
        let text = &source.text[parsed.piece.clone()];
        adapt::adapt(sql, text, casts);
    }
    Ok((parsed, types))
}
