//! PQL against its specification: `conformance.yaml` on the fixture, by every road.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod adobe;
mod cases;
mod errors;
mod fixture;
mod fuzz;
mod generator;
mod interpreted;
mod interpreter;
mod planned;
mod syntax;
