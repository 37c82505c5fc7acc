//! Integration tests: one binary, a module a subject.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on fails"
)]

mod agreement;
mod audience;
mod cli;
mod common;
mod docs;
mod errors;
mod evaluate;
mod fuzz;
mod import;
mod interrupt;
mod layout;
mod pql;
mod processes;
mod program;
#[path = "../rules/mod.rs"]
mod random_rules;
mod real_data;
mod rules;
mod server;
mod shipped;
mod slt;
mod storage;
mod tidy;
