//! Resolved rules as SQL: one statement for one rule, or one for many.
//!
//! The text is generated from the rule's own form, so that what is shown is what runs: readable, indented, the same
//! each time, and free of anything that DuckDB or PostgreSQL would not take but coterie's own functions.

mod expr;
mod query;

use crate::resolve::Program;

pub use expr::Printer;
pub use query::{EVENTS_COLUMN, KEY_COLUMN, condition_types, evaluation, members, rule_column};

/// The statement that selects the keys of the profiles that the program's only rule holds for.
pub fn to_sql(program: &Program) -> String {
    members(program)
}
