//! Columns of audiences as Parquet holds them, where Parquet's own writer does more than they need.
//!
//! Keys come in order and differ, and when a segment is evaluated for the first time all else is the same in each row.
//! Parquet's writer compares each key with the least and the greatest so far and looks for repetitions that keys
//! do not have, and it looks up each of the values that are all the same: most of the time that writing an audience
//! took. What is written here any reader of Parquet reads.

mod chunk;
mod constant;
mod packed;
mod texts;

pub(super) use constant::{Constant, constant};
pub(super) use texts::Texts;
