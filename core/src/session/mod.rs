//! The one way to make a DataFusion session: functions, planners, settings, limits.

mod functions;
mod physical;

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono::{DateTime, SubsecRound, Utc};
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::config_err;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryPool, TrackConsumersPool, UnboundedMemoryPool,
};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::Result;
use crate::resolve::parse_timestamp;

pub use functions::Registered;

/// The catalog that holds everything coterie shows; also the name of the database over Postgres.
pub const CATALOG: &str = "coterie";
/// The schema of declared tables.
pub const PUBLIC: &str = "public";

/// Settings of coterie's own, `SET coterie.… = …`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What `now()` means; empty for the wall clock.
    pub now: String,
    /// How long a statement may take, in milliseconds; 0 for no limit of the session's own.
    pub statement_timeout: u64,
}

/// By hand: DataFusion's macro lists settings without their prefix, so that `SHOW` and `RESET` do not find them.
impl ExtensionOptions for Settings {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> datafusion::error::Result<()> {
        match key {
            "now" => self.now = value.to_owned(),
            "statement_timeout" => {
                let Ok(millis) = value.parse() else {
                    return config_err!("`{value}` is not a number of milliseconds");
                };
                self.statement_timeout = millis;
            }
            other => return config_err!("no setting is called `{}.{other}`", Self::PREFIX),
        }
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let entry = |name: &str, value: String, description| ConfigEntry {
            key: format!("{}.{name}", Self::PREFIX),
            value: Some(value),
            description,
        };
        vec![
            entry("now", self.now.clone(), "What now() means; empty for the wall clock"),
            entry(
                "statement_timeout",
                self.statement_timeout.to_string(),
                "How long a statement may take, in milliseconds; 0 for no limit of the session's own",
            ),
        ]
    }
}

impl ConfigExtension for Settings {
    const PREFIX: &'static str = "coterie";
}

/// Limits of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// How much memory queries may take together, in bytes.
    pub memory: Option<usize>,
    /// How many threads a query may use.
    pub threads: Option<usize>,
}

/// What all sessions share: memory, temporary files, object stores, caches.
pub fn runtime(limits: Limits, stores: Arc<dyn ObjectStoreRegistry>) -> Result<Arc<RuntimeEnv>> {
    let pool: Arc<dyn MemoryPool> = match limits.memory {
        Some(bytes) => Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes), SHOWN_CONSUMERS)),
        None => Arc::new(UnboundedMemoryPool::default()),
    };
    let builder = RuntimeEnvBuilder::new().with_memory_pool(pool).with_object_store_registry(stores);
    Ok(builder.build_arc()?)
}

/// How many of the greatest memory users an error names.
const SHOWN_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// The settings that a session begins with.
pub fn config(limits: Limits, now: Option<DateTime<Utc>>) -> SessionConfig {
    let mut settings = Settings::default();
    if let Some(now) = now {
        settings.now = now.to_rfc3339();
    }
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, PUBLIC)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_option_extension(settings);
    if let Some(threads) = limits.threads {
        config = config.with_target_partitions(threads);
    }
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // What a file says about itself is read at once up to here, and else in two steps. DataFusion would read half a
    // megabyte of each file: of a few dozen files more than a rule may need of their rows.
    options.execution.parquet.metadata_size_hint = Some(1 << 16);
    config
}

/// The session that all others are made from.
pub fn base_state(
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    planner: Arc<dyn datafusion::execution::context::QueryPlanner + Send + Sync>,
) -> Result<SessionState> {
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(planner)
        .with_physical_optimizer_rules(physical::rules())
        .build();
    coterie_udfs::register_all_in(&mut state)?;
    Ok(state)
}

/// What `now()` means in a session: its setting, or the wall clock.
pub fn now(config: &SessionConfig) -> Result<DateTime<Utc>> {
    let setting = config.options().extensions.get::<Settings>().map_or("", |settings| settings.now.as_str());
    // Memberships keep microseconds.
    if setting.is_empty() { Ok(Utc::now().trunc_subsecs(6)) } else { instant(setting) }
}

/// How long a statement of a session may take, if the session says so.
pub fn statement_timeout(config: &SessionConfig) -> Option<Duration> {
    let settings = config.options().extensions.get::<Settings>()?;
    (settings.statement_timeout > 0).then(|| Duration::from_millis(settings.statement_timeout))
}

/// An instant as users write it.
pub fn instant(text: &str) -> Result<DateTime<Utc>> {
    parse_timestamp(text).ok_or_else(|| {
        let fault = Diagnostic::new(Kind::Type, format!("`{text}` is not an instant"));
        fault
            .help("write it like `2026-06-15T12:00:00Z`, `2026-06-15 12:00:00` or `2026-06-15`, in UTC")
            .into()
    })
}

/// A size as users write it, in bytes: `512MB`, `4GB`, `1.5GiB`; units are powers of 1024.
pub fn bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..unit].trim().parse().ok()?;
    let factor = match text[unit..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let size = number * factor;
    // Saturates: more than there are addresses is no limit.
    (size.is_finite() && size >= 1.0).then_some(size as usize)
}

/// A column of instants in coterie's own tables.
pub fn instant_field(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
}
