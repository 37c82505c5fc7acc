//! coterie: customer segmentation on a data lake.

pub mod cli;
pub mod diagnostic;
pub mod error;
pub mod planner;
pub mod profile;
pub mod resolve;
pub mod segment;
pub mod statement;
