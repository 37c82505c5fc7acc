//! Aggregate functions, one per file.
//!
//! What they share:
//!
//! | module | holds |
//! | --- | --- |
//! | `function` | what a function says of itself, and all accumulators made of it |
//! | `call` | the constant arguments of a call, and the wording of what is wrong with them |
//! | `events` | the state of functions of times and conditions |
//! | `valued` | the same with a value to each row |
//! | `masks` | the state of functions that ask only what ever happened |
//! | `summary` | the state of sets and sketches |
//! | `bitmap`, `sketch` | the arguments of bitmaps and of sketches, and how they are merged |
//! | `list` | lists as answers and as states |
//! | `values` | values of any type as numbers |
//! | `pattern` | the arguments of the functions that take a pattern |
//! | `steps` | the arguments of the functions whose steps need several rows |

pub(crate) mod bitmap;
pub(crate) mod call;
pub(crate) mod events;
pub(crate) mod function;
pub(crate) mod list;
pub(crate) mod masks;
pub(crate) mod pattern;
pub(crate) mod sketch;
pub(crate) mod steps;
pub(crate) mod summary;
pub(crate) mod valued;
pub(crate) mod values;

pub mod attribute;
pub mod bitmap_build;
pub mod bitmap_intersect_agg;
pub mod bitmap_union_agg;
pub mod cohort_retention;
pub mod did_then;
pub mod did_without;
pub mod hll_sketch;
pub mod hll_union_agg;
pub mod inter_event_time;
pub mod kll_sketch;
pub mod kll_union_agg;
pub mod most_frequent;
pub mod nth_time;
pub mod retention;
pub mod sequence_count;
pub mod sequence_linked;
pub mod sequence_match;
pub mod sequence_match_events;
pub mod sequence_next_node;
pub mod sequence_steps;
pub mod session_count;
pub mod session_durations;
pub mod theta_intersect_agg;
pub mod theta_sketch;
pub mod theta_union_agg;
pub mod top_k_latest;
pub mod touch;
pub mod trend;
pub mod window_funnel;
