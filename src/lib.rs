//! coterie: customer segmentation on a data lake.

pub mod diagnostic;
pub mod error;
pub mod segment;
pub mod source;
pub mod storage;
pub mod warehouse;
