//! PQL against its specification: `conformance.yaml` on the fixture, by every road.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod adobe;
#[path = "../rules/bytes.rs"]
mod bytes;
mod cases;
mod created;
mod errors;
mod evaluated;
mod fixture;
mod fuzz;
mod generator;
mod interpreted;
mod interpreter;
mod planned;
#[path = "../rules/random.rs"]
mod random;
mod random_data;
#[path = "../rules/shrink.rs"]
mod shrink;
mod syntax;
