//! Profile Query Language, the language of Adobe's segment definitions: text → surface tree → typed tree →
//! [`segment::Expr`](crate::segment::Expr).
//!
//! ```text
//! text ──lex──► tokens ──parse──► ast::Query ──check──► typed::Expr ──lower──► segment::Expr
//! pql/json ────────read────────►             schema of the store    now
//! ```
//!
//! Nothing here reads data. `docs/pql.md` describes the language for those who know Adobe's.

pub mod ast;
mod format;
mod json;
mod lexer;
mod parser;

pub use format::format;
pub use json::parse_json;
pub use parser::parse;
