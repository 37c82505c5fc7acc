//! What coterie is about, below its engine and servers: the rules people write, their translation, and the pass that
//! evaluates them.

pub mod audience;
pub mod compile;
pub mod delta;
pub mod diagnostic;
pub mod error;
pub mod evaluation;
pub mod layout;
pub mod planner;
pub mod pql;
pub mod profile;
pub mod provider;
pub mod resolve;
pub mod segment;
pub mod session;
pub mod source;
pub mod statement;
pub mod storage;
pub mod warehouse;
