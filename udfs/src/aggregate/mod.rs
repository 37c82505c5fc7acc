//! Aggregate functions, one per file.
//!
//! Three modules are shared: `call` reads the constant arguments of a call and words what is wrong
//! with them; `events` is the accumulator of every function whose answer depends on the times of
//! the rows and on which conditions held; `values` numbers values of any type.

pub(crate) mod call;
pub(crate) mod events;
pub(crate) mod values;

pub mod did_then;
pub mod did_without;
pub mod most_frequent;
pub mod nth_time;
pub mod session_count;
pub mod window_funnel;
