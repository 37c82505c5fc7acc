//! Aggregate functions, one per file.
