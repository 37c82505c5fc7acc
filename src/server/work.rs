//! The threads on which statements run.
//!
//! Some operators compute for long between two awaits. On threads of their own they keep nobody from being answered:
//! connections, health and the cancelling of statements have other threads.

use std::future::Future;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

/// Deep plans recurse: each thread has the stack that a main thread has.
const STACK: usize = 8 << 20;

/// Threads for statements; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers(Option<Runtime>);

impl Workers {
    /// For queries on so many threads, or on one a processor. There are more than these, so that a query that computes
    /// on all of its own leaves some to plan and to stop statements.
    pub(super) fn start(threads: Option<usize>) -> Result<Self> {
        let available = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.unwrap_or_else(available).max(1).saturating_mul(4).saturating_add(4))
            .thread_name("coterie-work")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map_err(|cause| {
                Error::caused(Kind::Resource, format!("cannot start threads: {cause}"), cause)
            })?;
        Ok(Self(Some(runtime)))
    }

    /// The way to these threads.
    pub(super) fn handle(&self) -> Result<Handle> {
        let runtime = self.0.as_ref().ok_or_else(|| crate::bug!("the threads have ended"))?;
        Ok(runtime.handle().clone())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Waiting for threads is not allowed where others wait for this one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Does something on the threads of `handle`; it ends when nobody waits for it any more.
pub(super) async fn on<T: Send + 'static>(
    handle: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let mut task = JoinSet::new();
    task.spawn_on(work, handle);
    match task.join_next().await {
        Some(Ok(done)) => Ok(done),
        Some(Err(error)) if error.is_cancelled() => Err(Error::new(Kind::Cancelled, "the server ends")),
        Some(Err(error)) => Err(crate::bug!("a statement ended abruptly: {error}")),
        None => Err(crate::bug!("work was lost")),
    }
}
