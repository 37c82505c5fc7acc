//! Functions that take a lambda, one per file.
//!
//! A lambda sees the element (of a map: the key and the value), the columns of the row it belongs
//! to, and the parameters of the lambdas around it. It is evaluated once for all elements of a
//! batch; only `array_reduce`, whose steps need each other, evaluates once for each position.
//!
//! Three modules are shared: `elements` lays the elements of a column end to end and runs a lambda
//! over them, `quantifier` is every function that asks how many elements match, `ranked` every one
//! that sorts elements by a key.

mod elements;
mod quantifier;
mod ranked;

pub mod array_all_match;
pub mod array_bottom_n;
pub mod array_exists;
pub mod array_forall;
pub mod array_group_by;
pub mod array_none_match;
pub mod array_reduce;
pub mod array_top_n;
pub mod map_any_match;
pub mod map_filter;
