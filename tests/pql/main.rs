//! PQL against its specification: `conformance.yaml` on the fixture, by every road.

mod adobe;
mod cases;
mod errors;
mod fixture;
mod generator;
mod interpreted;
mod interpreter;
mod planned;
mod syntax;
