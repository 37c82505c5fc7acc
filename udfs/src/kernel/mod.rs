//! Algorithms on slices: no DataFusion types, the only home of `unsafe`.

pub mod attribution;
pub mod bitmap;
pub mod calendar;
pub mod corrupt;
pub mod counts;
pub mod did;
pub mod events;
pub mod funnel;
pub mod hll;
pub mod kll;
pub mod links;
pub mod pattern;
pub mod period;
pub mod score;
pub mod session;
pub mod spacing;
pub mod span;
pub mod split;
pub mod steps;
pub mod theta;
