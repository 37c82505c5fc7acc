//! Integration tests: one binary, a module a subject.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on fails"
)]

mod audience;
mod cli;
mod common;
mod errors;
mod evaluate;
mod real_data;
mod rules;
mod storage;
