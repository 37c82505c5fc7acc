//! coterie: customer segmentation on a data lake.

pub mod audience;
pub mod diagnostic;
pub mod error;
pub mod segment;
