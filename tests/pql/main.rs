//! PQL against its specification: `conformance.yaml` on the fixture, by every road.

mod adobe;
mod cases;
mod errors;
mod fixture;
mod planned;
mod syntax;
