//! coterie: customer segmentation on a data lake.

pub mod cli;
pub mod engine;
pub mod server;

pub use coterie_core::*;
