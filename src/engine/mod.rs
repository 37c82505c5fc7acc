//! The engine: statements in, rows out. The one way in for the shell and the servers.
//!
//! [`Session::plan`] turns a statement into a DataFusion plan; statements of coterie's own become nodes with a fixed
//! schema that act when they are executed. Each statement sees the catalog as it was when it began ([`scope`]).

mod blame;
mod catalog;
mod command;
mod entry;
mod evaluate;
mod execute;
mod expand;
mod import;
mod ingest;
mod interrupt;
mod layouts;
mod listing;
mod names;
mod open_call;
mod own_table;
mod permission;
mod plan;
mod postgres;
mod principal;
mod queries;
mod scope;
mod system;
mod tables;
mod translate;
mod visit;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;

use crate::audience::Audiences;
use crate::diagnostic::Source;
use crate::error::{Error, Result};
use crate::layout::Layouts;
use crate::profile::Bound;
use crate::session::{self, Limits};
use crate::source;
use crate::statement::{self, Statement};
use crate::storage::Stores;
use crate::warehouse::{self, Entry, Warehouse};

use entry::Typed;
use scope::Scope;

pub use evaluate::{Figures, Outcome, Progress, Report};
pub use import::{Import, Imported, Status};
pub use ingest::{Existing, Ingest};
pub use listing::{Keys, Listed, Place, Sort};
pub use names::{Names, TableName};
pub use plan::Planned;
pub(crate) use postgres::types as postgres_types;
pub use postgres::{Facts, SCHEMAS, parse_postgres};
pub use principal::{Grant, Principal, Role};
pub use queries::{End, Observer, Queries, Query};
pub use translate::Translation;

/// How an engine is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder or URL where coterie keeps what it owns; without one, in memory.
    pub warehouse: Option<String>,
    /// How much memory queries may take together, in bytes.
    pub memory_limit: Option<usize>,
    /// How many threads a query may use.
    pub threads: Option<usize>,
    /// What `now()` means at first; the wall clock otherwise.
    pub now: Option<DateTime<Utc>>,
    /// How long a statement may take; sessions may ask for less.
    pub query_timeout: Option<Duration>,
}

/// A warehouse with what it takes to query it.
pub struct Engine {
    warehouse: Warehouse,
    base: SessionState,
    /// The tables opened so far, by name and version of their entry.
    tables: RwLock<HashMap<(String, u64), Arc<dyn TableProvider>>>,
    /// The bodies of catalog entries read so far.
    bodies: RwLock<HashMap<(warehouse::Kind, String), Body>>,
    /// The memberships opened so far, by profile store.
    audiences: tokio::sync::Mutex<HashMap<String, Arc<Audiences>>>,
    /// The laid-out copies of event tables.
    layouts: Layouts,
    queries: Arc<Queries>,
    query_timeout: Option<Duration>,
    /// The base of sessions that speak PostgreSQL's dialect, once there is one.
    postgres: OnceLock<SessionState>,
}

/// A catalog entry's body as a type, with its version.
type Body = (u64, Arc<dyn std::any::Any + Send + Sync>);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens a warehouse.
    pub async fn open(options: Options) -> Result<Arc<Self>> {
        let stores = Arc::new(Stores::default());
        let limits = Limits { memory: options.memory_limit, threads: options.threads };
        let runtime = session::runtime(limits, Arc::clone(&stores) as _)?;
        let config = session::config(limits, options.now);
        let base = session::base_state(config, runtime, Arc::new(command::Planner))?;
        let warehouse = Warehouse::open(options.warehouse.as_deref(), &stores).await?;
        let layouts = Layouts::new(Arc::clone(warehouse.store()), warehouse.url().clone());
        Ok(Arc::new(Self {
            warehouse,
            base,
            tables: RwLock::default(),
            bodies: RwLock::default(),
            audiences: tokio::sync::Mutex::default(),
            layouts,
            queries: Arc::default(),
            query_timeout: options.query_timeout,
            postgres: OnceLock::new(),
        }))
    }

    /// A session of who runs the process, with settings of its own.
    pub fn session(self: &Arc<Self>) -> Session {
        let principal = Arc::new(Principal::owner());
        self.session_of(Client { principal, protocol: "local", address: None })
    }

    /// A session of a client, with settings of its own.
    pub fn session_of(self: &Arc<Self>, client: Client) -> Session {
        let config = self.base.config().clone();
        let state = State { config, prepared: HashMap::new(), progress: None };
        Session { engine: Arc::clone(self), client, state: Arc::new(RwLock::new(state)) }
    }

    /// Whether the warehouse can be read.
    pub async fn check(&self) -> Result<()> {
        self.warehouse.snapshot().await.map(|_| ())
    }

    /// The statements that run now, of all sessions.
    pub fn queries(&self) -> &Arc<Queries> {
        &self.queries
    }

    /// The memory that all queries share.
    pub fn memory(&self) -> &Arc<dyn MemoryPool> {
        &self.base.runtime_env().memory_pool
    }

    /// Whether everything is lost when the process ends.
    pub fn in_memory(&self) -> bool {
        self.warehouse.url().scheme() == "memory"
    }

    /// What sessions are made from: those that speak PostgreSQL's dialect have its functions, too.
    fn base_of(&self, config: &SessionConfig) -> &SessionState {
        if postgres::facts(config.options()).is_none() {
            return &self.base;
        }
        self.postgres.get_or_init(|| {
            let mut state = self.base.clone();
            // It fails only where a registry refuses changes, and this one does not.
            if let Err(error) = postgres::register(&mut state) {
                tracing::error!(%error, "functions of PostgreSQL are missing");
            }
            state
        })
    }

    /// A catalog entry's body.
    fn typed<T: Typed>(&self, entry: &Entry) -> Result<Arc<T>> {
        let key = (entry.kind, entry.name.clone());
        let known = self.bodies.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((version, body)) = known
            && version == entry.version
            && let Ok(body) = body.downcast::<T>()
        {
            return Ok(body);
        }
        let body: Arc<T> = Arc::new(entry::parse(entry)?);
        let kept = (entry.version, Arc::clone(&body) as _);
        self.bodies.write().unwrap_or_else(PoisonError::into_inner).insert(key, kept);
        Ok(body)
    }

    /// Whether coterie keeps the rows of a table itself.
    fn keeps(&self, table: &source::Table) -> bool {
        let own = format!("{}tables/", self.warehouse.url());
        table.locations.iter().all(|location| location.url.starts_with(&own))
    }

    /// A new folder for the rows of a table that coterie keeps itself.
    fn table_location(&self, name: &str) -> String {
        let id = uuid::Uuid::new_v4();
        format!(
            "{}tables/{}/{id}/",
            self.warehouse.url(),
            percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)
        )
    }

    /// Adds a version of a catalog entry; `after` is the version it replaces.
    async fn put<T: Typed>(
        &self,
        kind: warehouse::Kind,
        name: &str,
        after: Option<u64>,
        body: &T,
    ) -> Result<()> {
        let body = serde_json::to_value(body)
            .map_err(|error| crate::bug!("the catalog entry of `{name}` is not JSON: {error}"))?;
        let name = name.to_owned();
        let change = warehouse::Change { kind, name, after, body, created_at: Utc::now(), deleted: false };
        self.warehouse.put(change).await?;
        Ok(())
    }

    /// Ends a catalog entry, whose newest version is known.
    async fn delete(&self, kind: warehouse::Kind, name: &str, version: u64) -> Result<()> {
        let (name, after, body) = (name.to_owned(), Some(version), serde_json::Value::Null);
        let change = warehouse::Change { kind, name, after, body, created_at: Utc::now(), deleted: true };
        self.warehouse.put(change).await?;
        Ok(())
    }

    /// The memberships of a store's segments.
    async fn audiences(&self, bound: &Bound) -> Result<Arc<Audiences>> {
        let key = bound.profiles.field_with_name(&bound.store.profiles.key);
        let key = key.map_err(|error| crate::bug!("a bound store without its key: {error}"))?;
        let mut opened = self.audiences.lock().await;
        // A store that was declared anew may have another key.
        let name = format!("{}/{}/{}", bound.store.name, key.name(), key.data_type());
        if let Some(audiences) = opened.get(&name) {
            return Ok(Arc::clone(audiences));
        }
        let store = Arc::clone(self.warehouse.store());
        let audiences = Audiences::open(store, self.warehouse.url(), &bound.store.name, key)?;
        let audiences = Arc::new(audiences);
        opened.insert(name, Arc::clone(&audiences));
        Ok(audiences)
    }

    /// The laid-out copies of event tables.
    fn layouts(&self) -> &Layouts {
        &self.layouts
    }

    /// A declared table, opened once a version where that shows all there is; only then a state is needed.
    async fn open_table<'s>(
        &self,
        table: &source::Table,
        version: u64,
        state: impl FnOnce() -> &'s SessionState,
    ) -> Result<Arc<dyn TableProvider>> {
        let key = (table.name.clone(), version);
        let known = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(provider) = known {
            return Ok(provider);
        }
        let provider = source::open(table, state()).await?;
        if !table.stays_open() {
            return Ok(provider);
        }
        self.tables.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&provider));
        Ok(provider)
    }
}

/// Who speaks through a session, and from where.
#[derive(Clone, Debug)]
pub struct Client {
    /// On whose behalf.
    pub principal: Arc<Principal>,
    /// Through which protocol, such as `flight`.
    pub protocol: &'static str,
    /// From where.
    pub address: Option<SocketAddr>,
}

/// One client's conversation with the engine. Clones are the same conversation.
#[derive(Clone)]
pub struct Session {
    engine: Arc<Engine>,
    client: Client,
    state: Arc<RwLock<State>>,
}

/// What a session remembers.
struct State {
    config: SessionConfig,
    /// `PREPARE` statements by name: each `EXECUTE` plans anew, so that it sees the catalog and the clock of its time.
    prepared: HashMap<String, Statement>,
    /// Shows how evaluations get on.
    progress: Option<Arc<dyn Progress>>,
}

/// What a statement returns.
pub struct Answer {
    /// The columns; none for a statement without rows.
    pub schema: SchemaRef,
    /// The rows, in batches. The statement runs until they end or are dropped.
    pub stream: SendableRecordBatchStream,
    /// The statement as it is listed while it runs.
    pub query: Arc<Query>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Parses the statements of a text; the first mistake ends it. To run the statements before a mistake, cut the
    /// text with [`statement::split`] and parse each.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        Ok(statement::parse_all(&Source::typed(sql))?)
    }

    /// Plans and runs a statement, at one instant and on one state of the catalog.
    pub async fn execute(&self, statement: &Statement) -> Result<Answer> {
        let limit = self.timeout();
        let mut running = self.engine.queries.begin(&self.client, statement, limit);
        let planned = running.during(self.planned(statement)).await?;
        planned.start(running).await
    }

    /// Shows how evaluations get on.
    pub fn set_progress(&self, progress: Option<Arc<dyn Progress>>) {
        self.remembered(|state| state.progress = progress);
    }

    /// Who speaks through the session.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The engine that the session speaks to.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Changes a setting, as `SET` does.
    pub fn set(&self, variable: &str, value: &str) -> Result<()> {
        permission::check_setting(&self.client.principal, variable)?;
        execute::set(self, variable, Some(value))
    }

    /// How long a statement may take: the shorter of what the process and the session say.
    fn timeout(&self) -> Option<Duration> {
        let own = session::statement_timeout(&self.config());
        own.into_iter().chain(self.engine.query_timeout).min()
    }

    /// The session's settings.
    pub fn config(&self) -> SessionConfig {
        self.remembered(|state| state.config.clone())
    }

    fn remembered<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a statement that begins now sees.
    async fn scope(&self) -> Result<Arc<Scope>> {
        self.scope_at(None).await
    }

    async fn scope_at(&self, now: Option<DateTime<Utc>>) -> Result<Arc<Scope>> {
        let config = self.config();
        let now = match now {
            Some(now) => now,
            None => session::now(&config)?,
        };
        let snapshot = self.engine.warehouse.snapshot().await?;
        Ok(Arc::new(Scope::new(
            Arc::clone(&self.engine),
            snapshot,
            config,
            now,
            Arc::clone(&self.client.principal),
        )))
    }
}

/// Attaches the statement's text, and its place to faults without one.
fn placed(error: Error, statement: &Statement) -> Error {
    match error {
        Error::Wrong(faults) => Error::Wrong(
            faults.into_iter().map(|fault| fault.at(statement.span).in_source(&statement.source)).collect(),
        ),
        failed => failed,
    }
}
