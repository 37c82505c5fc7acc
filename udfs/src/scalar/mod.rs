//! Scalar functions, one per file.
