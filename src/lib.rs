//! coterie: customer segmentation on a data lake.

pub mod audience;
pub mod cli;
pub mod compile;
pub mod delta;
pub mod diagnostic;
pub mod engine;
pub mod error;
pub mod evaluation;
pub mod layout;
pub mod planner;
pub mod pql;
pub mod profile;
pub mod provider;
pub mod resolve;
pub mod segment;
pub mod server;
pub mod session;
pub mod source;
pub mod statement;
pub mod storage;
pub mod warehouse;
