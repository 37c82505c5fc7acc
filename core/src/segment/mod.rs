//! The one form of a rule: what SQL, PQL and the builder's JSON lower to, and all that comes after reads.
//!
//! A rule is a boolean expression about one profile. Outside aggregates a column is an attribute of the profile;
//! inside an aggregate it is a column of one event. Plain data: nothing here knows a table, a session or a file.

mod expr;
mod form;
mod visit;

pub use expr::{
    BinaryOp, Call, Expr, LONGEST_CHAIN, Name, Node, Order, Over, Relation, Test, UnaryOp, Value,
};
pub use form::Form;
pub use visit::{children, children_mut, map_children, walk, walk_mut};

use serde::{Deserialize, Serialize};

/// The language a rule was written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// The SQL form: one boolean SQL expression.
    #[default]
    Sql,
    /// Profile Query Language, `pql/text`.
    Pql,
    /// Profile Query Language as a JSON tree, `pql/json`.
    #[serde(rename = "pql/json")]
    PqlJson,
}

impl Language {
    /// The name as users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Pql => "pql",
            Self::PqlJson => "pql/json",
        }
    }

    /// The language of that name, in any case; `pql/text` is `pql`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "sql" => Some(Self::Sql),
            "pql" | "pql/text" => Some(Self::Pql),
            "pql/json" => Some(Self::PqlJson),
            _ => None,
        }
    }
}

/// A segment as its author defined it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The name, unique in the warehouse.
    pub name: String,
    /// The profile store that the rule is about.
    pub store: String,
    /// What another system calls it, such as Adobe's id; PQL asks for segments by name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the author says it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The language of `rule`.
    #[serde(default)]
    pub language: Language,
    /// The rule, to the letter.
    pub rule: String,
}
