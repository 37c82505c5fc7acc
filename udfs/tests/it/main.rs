//! Every function against a naive reference, over every road DataFusion may take, and as SQL.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calendar;
mod docs;
mod forms;
mod lambdas;
mod peers;
mod query;
mod refusals;
mod roads;
mod scalars;
mod sequence;
mod sets;
mod sketches;
mod splits;
mod sql;
mod times;
mod types;
mod windows;
