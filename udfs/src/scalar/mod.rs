//! Scalar functions, one per file.

pub mod anniversary_in;
