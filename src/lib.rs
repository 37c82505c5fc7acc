//! coterie: customer segmentation on a data lake.

pub mod diagnostic;
pub mod error;
pub mod segment;
pub mod storage;
pub mod warehouse;
