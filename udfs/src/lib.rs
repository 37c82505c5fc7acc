//! Behavioural SQL functions for DataFusion: funnels, sequences, retention, sessions, recency,
//! attribution, sets, sketches, lists, calendar and splits.
//!
//! Any DataFusion program can use them:
//!
//! ```
//! # use datafusion::prelude::SessionContext;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> datafusion::common::Result<()> {
//! let ctx = SessionContext::new();
//! coterie_udfs::register_all(&ctx)?;
//! ctx.sql("SELECT did_then(ts, kind = 'cart', kind = 'order', INTERVAL '1' DAY) \
//!          FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'cart'), \
//!                       (TIMESTAMP '2026-01-01T11:00:00', 'order')) AS t(ts, kind)")
//!     .await?
//!     .show()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! What is where:
//!
//! | module | holds |
//! | --- | --- |
//! | [`registry`] | the one list of functions; everything else is produced from it |
//! | [`scalar`], [`aggregate`], [`window`], [`higher_order`] | one function per file: documentation, types, tests |
//! | [`kernel`] | the algorithms, on slices, without DataFusion |
//! | [`testing`] | drives a function through every road DataFusion may take with it |
//!
//! An aggregate's answer never depends on the order of its rows nor on how they were split over
//! threads or machines. Where rows of one timestamp would leave that open, the function's
//! documentation says which comes first.

pub mod aggregate;
mod args;
pub mod higher_order;
pub mod kernel;
pub mod registry;
pub mod scalar;
pub mod testing;
mod ticks;
pub mod window;
mod window_calls;

pub use registry::{register_all, register_all_in};
