//! Figures for Prometheus.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::engine::{End, Observer, Query};
use crate::error::Result;

type Labels<const N: usize> = [(&'static str, String); N];

/// What is counted while the servers run.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Mutex<Registry>,
    queries: Family<Labels<2>, Counter>,
    errors: Family<Labels<1>, Counter>,
    seconds: Family<Labels<1>, Histogram>,
    rows: Family<Labels<1>, Counter>,
    evaluations: Counter,
    failed_logins: Counter,
    running: Gauge,
    connections: Gauge,
    memory: Gauge,
    audience_size: Family<Labels<1>, Gauge>,
    audience_age: Family<Labels<1>, Gauge>,
}

/// An audience as it is stored.
pub(super) struct Audience {
    pub(super) segment: String,
    pub(super) members: i64,
    /// Seconds since the instant that it is as of.
    pub(super) age: i64,
}

/// What is looked up when someone asks.
pub(super) struct Now {
    pub(super) running: usize,
    pub(super) connections: i64,
    pub(super) memory: usize,
    pub(super) audiences: Vec<Audience>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            queries: Family::default(),
            errors: Family::default(),
            // From a millisecond to a quarter of an hour.
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.5, 16))),
            rows: Family::default(),
            evaluations: Counter::default(),
            failed_logins: Counter::default(),
            running: Gauge::default(),
            connections: Gauge::default(),
            memory: Gauge::default(),
            audience_size: Family::default(),
            audience_age: Family::default(),
        };
        {
            let mut registry = metrics.registry.lock().unwrap_or_else(PoisonError::into_inner);
            let registry = registry.sub_registry_with_prefix("coterie");
            registry.register("queries", "Statements that ended, by outcome", metrics.queries.clone());
            registry.register("errors", "Statements that failed, by kind", metrics.errors.clone());
            registry.register_with_unit(
                "query",
                "How long statements took",
                Unit::Seconds,
                metrics.seconds.clone(),
            );
            registry.register("rows", "Rows returned", metrics.rows.clone());
            registry.register("evaluations", "Evaluations that ended well", metrics.evaluations.clone());
            registry.register("failed_logins", "Logins that failed", metrics.failed_logins.clone());
            registry.register("queries_running", "Statements that run now", metrics.running.clone());
            registry.register("connections", "Connections that are open", metrics.connections.clone());
            registry.register_with_unit(
                "query_memory",
                "Memory that queries hold",
                Unit::Bytes,
                metrics.memory.clone(),
            );
            registry.register("audience_members", "Stored members", metrics.audience_size.clone());
            registry.register_with_unit(
                "audience_age",
                "Time since the instant an audience is as of",
                Unit::Seconds,
                metrics.audience_age.clone(),
            );
        }
        metrics
    }
}

impl Metrics {
    /// Counts a login that failed.
    pub(super) fn count_failed_login(&self) {
        self.failed_logins.inc();
    }

    /// Everything in the format of OpenMetrics.
    pub(super) fn text(&self, now: Now) -> Result<String> {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.running.set(count(now.running));
        self.connections.set(now.connections);
        self.memory.set(count(now.memory));
        // Segments that were dropped shall not stay.
        self.audience_size.clear();
        self.audience_age.clear();
        for audience in now.audiences {
            let labels = [("segment", audience.segment)];
            self.audience_size.get_or_create(&labels).set(audience.members);
            self.audience_age.get_or_create(&labels).set(audience.age);
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry)
            .map_err(|error| crate::bug!("the metrics cannot be written: {error}"))?;
        Ok(text)
    }
}

impl Observer for Metrics {
    fn ended(&self, query: &Query, took: Duration, end: End) {
        let protocol = || query.client.protocol.to_owned();
        let outcome = match end {
            End::Done => "done",
            End::Failed(_) => "failed",
            End::Abandoned => "abandoned",
        };
        self.queries.get_or_create(&[("protocol", protocol()), ("outcome", outcome.to_owned())]).inc();
        self.seconds.get_or_create(&[("protocol", protocol())]).observe(took.as_secs_f64());
        self.rows.get_or_create(&[("protocol", protocol())]).inc_by(query.rows());
        if let End::Failed(kind) = end {
            self.errors.get_or_create(&[("kind", kind.to_string())]).inc();
        }
        if end == End::Done && query.is_evaluation {
            self.evaluations.inc();
        }
    }
}
