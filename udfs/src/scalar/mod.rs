//! Scalar functions, one per file.

pub mod days_since;
