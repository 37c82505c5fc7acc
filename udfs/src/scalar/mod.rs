//! Scalar functions, one per file.
//!
//! Two modules are shared: `function` is what all functions of sets and sketches have in common,
//! `bitmap` reads and writes sets.

pub(crate) mod bitmap;
pub(crate) mod function;

pub mod anniversary_in;
pub mod bitmap_and;
pub mod bitmap_and_not;
pub mod bitmap_contains;
pub mod bitmap_count;
pub mod bitmap_from_array;
pub mod bitmap_or;
pub mod bitmap_to_array;
pub mod bitmap_xor;
pub mod days_since;
pub mod split_bucket;
