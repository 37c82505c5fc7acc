//! Scalar functions, one per file.

pub mod anniversary_in;
pub mod split_bucket;
