//! Functions that take a lambda, one per file.
