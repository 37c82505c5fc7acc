//! Scalar functions, one per file.
//!
//! What they share:
//!
//! | module | holds |
//! | --- | --- |
//! | `function` | what a function says of itself |
//! | `encoded` | functions of values that travel as bytes |
//! | `bitmap`, `sketch` | how bitmaps and sketches are read; bounds of estimates |
//! | `period` | units of the calendar |

pub(crate) mod bitmap;
pub(crate) mod encoded;
pub(crate) mod function;
pub(crate) mod period;
pub(crate) mod sketch;

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
pub mod hll_estimate;
pub mod hll_lower_bound;
pub mod hll_union;
pub mod hll_upper_bound;
pub mod kll_count;
pub mod kll_quantile;
pub mod kll_rank;
pub mod kll_union;
pub mod map_to_entries;
pub mod period_end;
pub mod period_start;
pub mod regexp_group;
pub mod split_bucket;
pub mod steps_in_order;
pub mod theta_a_not_b;
pub mod theta_estimate;
pub mod theta_intersect;
pub mod theta_lower_bound;
pub mod theta_union;
pub mod theta_upper_bound;
pub mod with_year;
