//! Who asks, and what they may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result};
use crate::session::PUBLIC;

use super::queries::Query;

/// What a user may do; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read tables, segments and audiences.
    Reader,
    /// Besides, create and drop segments, profile stores, tables and views, and evaluate.
    Author,
    /// Besides, read and write files, and stop anyone's queries.
    Admin,
}

impl Role {
    /// All of them, from the least to the most.
    pub const ALL: &[Self] = &[Self::Reader, Self::Author, Self::Admin];

    /// The name that users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Author => "author",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that a limited user may read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grant {
    /// All of a schema: `schema:audience`.
    Schema(String),
    /// A segment, live and as an audience: `segment:win_back`.
    Segment(String),
}

impl FromStr for Grant {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("schema", name)) if !name.is_empty() => Ok(Self::Schema(name.to_owned())),
            Some(("segment", name)) if !name.is_empty() => Ok(Self::Segment(name.to_owned())),
            _ => Err(Error::new(Kind::Usage, format!("`{text}` is no grant"))
                .help("write `schema:NAME` or `segment:NAME`")),
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(name) => write!(f, "schema:{name}"),
            Self::Segment(name) => write!(f, "segment:{name}"),
        }
    }
}

/// The one on whose behalf a session acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user's name; empty for who runs the process.
    pub name: String,
    /// What kind of statements.
    pub role: Role,
    /// What may be read; `None` for everything.
    pub grants: Option<Vec<Grant>>,
}

impl Principal {
    /// Who runs the process, and may do everything.
    pub fn owner() -> Self {
        Self { name: String::new(), role: Role::Admin, grants: None }
    }

    /// Refuses what needs a higher role.
    pub(super) fn require(&self, role: Role, what: &str) -> Result<()> {
        if self.role >= role {
            return Ok(());
        }
        let message = format!("`{}` is {} and may not {what}", self.name, self.role);
        Err(Diagnostic::new(Kind::Permission, message).help(format!("it takes the role {role}")).into())
    }

    /// Whether a table may be read.
    pub(super) fn may_read(&self, schema: &str, table: &str) -> bool {
        let Some(grants) = &self.grants else { return true };
        let described = matches!(schema, "information_schema" | "pg_catalog");
        let harmless = schema == "coterie" && matches!(table, "functions" | "queries");
        described
            || harmless
            || grants.iter().any(|grant| match grant {
                Grant::Schema(name) => name == schema,
                Grant::Segment(name) => matches!(schema, "segment" | "audience") && name == table,
            })
    }

    /// Whether a segment's rule and size may be seen.
    pub(super) fn may_read_segment(&self, name: &str) -> bool {
        self.may_read("segment", name) || self.may_read("audience", name)
    }

    /// Whether a running statement may be seen and stopped: one's own, or anyone's by an admin.
    pub(super) fn may_see(&self, query: &Query) -> bool {
        self.role == Role::Admin || query.client.principal.name == self.name
    }

    /// Refuses a table that may not be read: in the same words whether it exists or not.
    pub(super) fn require_table(&self, schema: Option<&str>, table: &str) -> Result<()> {
        let schema = schema.unwrap_or(PUBLIC);
        if self.may_read(schema, table) {
            return Ok(());
        }
        let message = format!("`{}` may not read `{schema}.{table}`", self.name);
        Err(Diagnostic::new(Kind::Permission, message).into())
    }

    /// Refuses a segment that may not be seen.
    pub(super) fn require_segment(&self, name: &str) -> Result<()> {
        if self.may_read_segment(name) {
            return Ok(());
        }
        let message = format!("`{}` may not see segment `{name}`", self.name);
        Err(Diagnostic::new(Kind::Permission, message).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_limit_reading_only_where_there_are_some() {
        let mut reader = Principal { name: "ana".to_owned(), role: Role::Reader, grants: None };
        assert!(reader.may_read("public", "profiles"));
        let grants = ["schema:audience", "segment:win_back"].map(|text| text.parse().unwrap());
        reader.grants = Some(grants.to_vec());
        for (schema, table, may) in [
            ("public", "profiles", false),
            ("audience", "anything", true),
            ("segment", "win_back", true),
            ("segment", "other", false),
            ("coterie", "memberships", false),
            ("coterie", "functions", true),
            ("information_schema", "tables", true),
        ] {
            assert_eq!(reader.may_read(schema, table), may, "{schema}.{table}");
        }
        assert!(Grant::from_str("table:x").is_err());
        assert!(Grant::from_str("schema:").is_err());
    }

    #[test]
    fn roles_build_upon_each_other() {
        assert!(Role::Admin > Role::Author && Role::Author > Role::Reader);
        let author = Principal { name: "bo".to_owned(), role: Role::Author, grants: None };
        assert!(author.require(Role::Reader, "read").is_ok());
        let refused = author.require(Role::Admin, "write files").unwrap_err();
        assert_eq!(refused.message(), "`bo` is author and may not write files");
    }
}
