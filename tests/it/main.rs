//! Integration tests: one binary, a module a subject.

mod common;
mod errors;
mod evaluate;
mod rules;
