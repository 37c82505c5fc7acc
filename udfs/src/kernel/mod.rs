//! Algorithms on slices: no DataFusion types, the only home of `unsafe`.

pub mod calendar;
pub mod counts;
pub mod did;
pub mod events;
pub mod funnel;
pub mod session;
pub mod span;
