//! Integration tests: one binary, a module a subject.

mod audience;
mod cli;
mod common;
mod errors;
mod evaluate;
mod real_data;
mod rules;
