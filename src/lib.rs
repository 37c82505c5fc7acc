//! coterie: customer segmentation on a data lake.

pub mod diagnostic;
pub mod error;
pub mod pql;
pub mod segment;
