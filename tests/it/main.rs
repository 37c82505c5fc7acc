//! Integration tests: one binary, a module a subject.

mod common;
mod rules;
mod storage;
