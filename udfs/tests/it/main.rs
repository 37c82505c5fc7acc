//! Every function against a naive reference, over every road DataFusion may take, and as SQL.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod calendar;
mod docs;
mod query;
mod roads;
mod sequence;
mod sql;
mod times;
