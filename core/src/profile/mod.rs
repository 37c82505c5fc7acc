//! What a profile store is: which tables are profiles, events and lookups, and by which columns they hang together.
//!
//! Plain data. Tables are named as SQL names them; [`Bound`] adds their schemas.

use arrow::datatypes::{DataType, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

/// The declaration of a profile store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileStore {
    /// The name, unique in the warehouse.
    pub name: String,
    /// The table with a row a profile.
    pub profiles: Profiles,
    /// The tables with a row an event.
    pub events: Vec<Events>,
    /// The tables that others refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<Lookup>,
}

/// The profile table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profiles {
    /// The table's name as SQL, qualified or not.
    pub table: String,
    /// The column that identifies a profile.
    pub key: String,
}

/// An event table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The table's name as SQL, qualified or not.
    pub table: String,
    /// The column that says whose event it is.
    pub key: String,
    /// The column that says when it happened.
    pub timestamp: String,
    /// The column that orders events of one instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A lookup table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// The table's name as SQL, qualified or not.
    pub table: String,
    /// Its key; a lookup has at most one row a key.
    pub key: String,
    /// Which table refers to it.
    pub on: Referrer,
    /// By which of that table's columns.
    pub column: String,
}

/// The table that refers to a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Referrer {
    /// The profile table.
    Profiles,
    /// The event table of this position.
    Events(usize),
}

/// A profile store with the schemas of its tables.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The declaration.
    pub store: ProfileStore,
    /// The profile table's schema.
    pub profiles: SchemaRef,
    /// The event tables' schemas, in the order of the declaration.
    pub events: Vec<SchemaRef>,
    /// The lookup tables' schemas, in the order of the declaration.
    pub lookups: Vec<SchemaRef>,
}

impl ProfileStore {
    /// Every table it names, profiles first.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        let events = self.events.iter().map(|events| events.table.as_str());
        let lookups = self.lookups.iter().map(|lookup| lookup.table.as_str());
        std::iter::once(self.profiles.table.as_str()).chain(events).chain(lookups)
    }
}

impl Bound {
    /// The type of the profile key.
    pub fn key_type(&self) -> DataType {
        let field = self.profiles.field_with_name(&self.store.profiles.key);
        field.map_or(DataType::Null, |field| field.data_type().clone())
    }

    /// The lookups that a table refers to, with their positions.
    pub fn lookups_of(&self, referrer: Referrer) -> impl Iterator<Item = (usize, &Lookup)> {
        self.store.lookups.iter().enumerate().filter(move |(_, lookup)| lookup.on == referrer)
    }
}

/// The name by which a table's columns are qualified: the last part of its name, without quotes.
pub fn alias(table: &str) -> String {
    if let Some(quoted) = table.strip_suffix('"') {
        // The name is quoted: it starts after the last quote that is not doubled.
        let marked = quoted.replace("\"\"", "\0");
        return marked.rsplit('"').next().unwrap_or_default().replace('\0', "\"");
    }
    table.rsplit('.').next().unwrap_or(table).to_owned()
}

/// The names of a schema's columns.
pub fn column_names(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.fields().iter().map(|field| field.name().as_str())
}

/// Whether a time zone is UTC by any of its names.
pub fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "GMT", "Z", "+00", "+00:00"].iter().any(|utc| utc.eq_ignore_ascii_case(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_alias_from_a_table_name() {
        assert_eq!(alias("events"), "events");
        assert_eq!(alias("lake.public.events"), "events");
        assert_eq!(alias("lake.\"My.Events\""), "My.Events");
        assert_eq!(alias("\"a\"\"b\""), "a\"b");
    }
}
