//! The statements that run now: who asked, since when, and the way to stop them.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::Stream;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};
use crate::statement::{Command, Statement};

use super::Client;

/// How much of a statement's text is kept to be shown.
const SHOWN: usize = 4096;

/// All statements that an engine runs.
#[derive(Default)]
pub struct Queries {
    running: Mutex<BTreeMap<Uuid, Arc<Query>>>,
    observer: OnceLock<Arc<dyn Observer>>,
}

/// Is told of every statement that ends: for metrics.
pub trait Observer: Send + Sync {
    /// A statement came to its end.
    fn ended(&self, query: &Query, took: Duration, end: End);
}

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All rows were read.
    Done,
    /// It failed, or was stopped.
    Failed(Kind),
    /// Whoever asked stopped reading.
    Abandoned,
}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queries").field("running", &self.locked().len()).finish_non_exhaustive()
    }
}

/// One statement that runs.
#[derive(Debug)]
pub struct Query {
    /// Its id.
    pub id: Uuid,
    /// Who asked.
    pub client: Client,
    /// Its text, cut where it is very long.
    pub text: String,
    /// Whether it is an evaluation whose audiences are kept.
    pub is_evaluation: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
    started: Instant,
    deadline: Option<(Instant, Duration)>,
    rows: AtomicU64,
    running: AtomicBool,
    stop: CancellationToken,
    stopped_by: OnceLock<String>,
}

impl Queries {
    /// Says who is told of statements that end; the first call counts.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        // A second observer would mean two servers on one engine.
        let _ = self.observer.set(observer);
    }

    /// The statements that run now, oldest first.
    pub fn running(&self) -> Vec<Arc<Query>> {
        let mut running: Vec<Arc<Query>> = self.locked().values().cloned().collect();
        running.sort_by_key(|query| query.started);
        running
    }

    /// Stops a statement; `false` if none of that id runs.
    pub fn cancel(&self, id: &Uuid, by: &str) -> bool {
        let query = self.locked().get(id).cloned();
        query.is_some_and(|query| {
            query.cancel(by);
            true
        })
    }

    /// Enters a statement that begins.
    pub(super) fn begin(
        self: &Arc<Self>,
        client: &Client,
        statement: &Statement,
        limit: Option<Duration>,
    ) -> Running {
        let started = Instant::now();
        let text =
            &statement.source.text[statement.span.start..statement.span.end.min(statement.source.text.len())];
        let is_evaluation =
            matches!(&statement.command, Command::Evaluate { run, explain: false } if !run.dry_run);
        let query = Arc::new(Query {
            id: Uuid::new_v4(),
            client: client.clone(),
            text: text.chars().take(SHOWN).collect(),
            is_evaluation,
            started_at: Utc::now(),
            started,
            deadline: limit.and_then(|limit| Some((started.checked_add(limit)?, limit))),
            rows: AtomicU64::new(0),
            running: AtomicBool::new(false),
            stop: CancellationToken::new(),
            stopped_by: OnceLock::new(),
        });
        self.locked().insert(query.id, Arc::clone(&query));
        tracing::debug!(query = %query.id, user = client.principal.name, protocol = client.protocol, "query begins");
        Running { queries: Arc::clone(self), query, end: End::Abandoned, told: true }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<Uuid, Arc<Query>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Query {
    /// Stops it: the work ends, and who reads its rows gets `error[cancelled]`.
    pub fn cancel(&self, by: &str) {
        let _ = self.stopped_by.set(by.to_owned());
        self.stop.cancel();
    }

    /// How many rows it has returned.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Whether it is planned already, and its rows are being made.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Says when it is to stop, or has ended.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub(super) fn set_running(&self) {
        self.running.store(true, Ordering::Relaxed);
    }

    /// How long it has been running.
    pub fn running_for(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until it is to stop, because someone says so or its time is over.
    pub async fn stopped(&self) -> Error {
        match self.deadline {
            None => self.stop.cancelled().await,
            Some((deadline, limit)) => tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep_until(deadline.into()) => {
                    let message = format!("the statement took longer than {}", seconds(limit));
                    return Error::new(Kind::Cancelled, message).help("raise the query timeout, or ask for less");
                }
            },
        }
        match self.stopped_by.get() {
            Some(by) if !by.is_empty() => {
                Error::new(Kind::Cancelled, format!("the statement was cancelled by {by}"))
            }
            _ => Error::new(Kind::Cancelled, "the statement was cancelled"),
        }
    }
}

/// A duration as users write it.
fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 1.0 { format!("{seconds} s") } else { format!("{} ms", duration.as_millis()) }
}

/// A statement while it runs; when it goes, the statement has ended.
pub(super) struct Running {
    queries: Arc<Queries>,
    query: Arc<Query>,
    end: End,
    /// Whether its end is told.
    told: bool,
}

impl Running {
    pub(super) fn query(&self) -> &Arc<Query> {
        &self.query
    }

    /// Ends what was only planned: it is not told, unless it failed.
    pub(super) fn forget(mut self) {
        self.told = false;
    }

    /// Does something that ends when the statement is to stop.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let query = Arc::clone(&self.query);
        let done = tokio::select! {
            biased;
            error = query.stopped() => Err(error),
            done = work => done,
        };
        if let Err(error) = &done {
            self.end = End::Failed(error.kind());
        }
        done
    }

    /// The rows of a statement, which end when it is to stop.
    pub(super) fn track(self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let query = Arc::clone(&self.query);
        let stopped = Box::pin(async move { query.stopped().await });
        Box::pin(Tracked { schema: rows.schema(), rows: Some(rows), stopped, running: Some(self) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queries.locked().remove(&self.query.id);
        // Whatever still works for it works for nobody.
        self.query.stop.cancel();
        if !self.told {
            return;
        }
        let took = self.query.running_for();
        let (query, client) = (&self.query, &self.query.client);
        let outcome = match self.end {
            End::Done => "done",
            End::Failed(kind) => kind.as_str(),
            End::Abandoned => "abandoned",
        };
        tracing::info!(
            query = %query.id,
            user = client.principal.name,
            protocol = client.protocol,
            rows = query.rows(),
            seconds = took.as_secs_f64(),
            outcome,
            "query ended"
        );
        if let Some(observer) = self.queries.observer.get() {
            observer.ended(query, took, self.end);
        }
    }
}

struct Tracked {
    schema: SchemaRef,
    rows: Option<SendableRecordBatchStream>,
    stopped: BoxFuture<'static, Error>,
    running: Option<Running>,
}

impl Tracked {
    /// Ends the statement, and with it the work: operators that run in tasks of their own are stopped by the drop.
    fn finish(&mut self, end: End) {
        self.rows = None;
        if let Some(mut running) = self.running.take() {
            running.end = end;
        }
    }
}

impl Stream for Tracked {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(rows) = &mut this.rows else { return Poll::Ready(None) };
        if let Poll::Ready(error) = this.stopped.as_mut().poll(context) {
            this.finish(End::Failed(error.kind()));
            return Poll::Ready(Some(Err(error.into())));
        }
        let polled = std::task::ready!(rows.as_mut().poll_next(context));
        match &polled {
            Some(Ok(batch)) => {
                if let Some(running) = &this.running {
                    let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
                    running.query.rows.fetch_add(rows, Ordering::Relaxed);
                }
            }
            Some(Err(error)) => {
                let kind = crate::error::kind_of(error);
                this.finish(End::Failed(kind));
            }
            None => this.finish(End::Done),
        }
        Poll::Ready(polled)
    }
}

impl RecordBatchStream for Tracked {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
