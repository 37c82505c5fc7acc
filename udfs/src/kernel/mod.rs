//! Algorithms on slices: no DataFusion types, the only home of `unsafe`.

pub mod calendar;
