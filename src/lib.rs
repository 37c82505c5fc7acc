//! coterie: customer segmentation on a data lake.

pub mod diagnostic;
pub mod error;
pub mod planner;
pub mod pql;
pub mod profile;
pub mod resolve;
pub mod segment;
pub mod statement;
