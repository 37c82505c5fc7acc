//! Scalar functions, one per file.

pub mod anniversary_in;
pub mod days_since;
pub mod map_to_entries;
pub mod regexp_group;
pub mod steps_in_order;
pub mod with_year;
