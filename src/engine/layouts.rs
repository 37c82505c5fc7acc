//! The event tables of a store as their laid-out copies know them.

use std::sync::Arc;

use datafusion::common::TableReference;

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::Result;
use crate::layout;
use crate::profile::{Bound, ProfileStore};
use crate::source;
use crate::warehouse;

use super::entry::Relation;
use super::scope::{Scope, public_name};

/// An event table that is declared on files.
pub(super) struct EventTable {
    at: usize,
    table: source::Table,
    /// The profile table, unless it is a view.
    profiles: Option<source::Table>,
}

impl EventTable {
    /// The table as a source of a copy.
    pub(super) fn source<'a>(&'a self, bound: &'a Bound) -> layout::Source<'a> {
        layout::Source {
            store: &bound.store.name,
            profiles: self.profiles.as_ref().map(|table| layout::Profiles {
                table,
                key: &bound.store.profiles.key,
                key_type: bound.key_type(),
            }),
            events: &bound.store.events[self.at],
            table: &self.table,
            schema: Arc::clone(&bound.events[self.at]),
        }
    }
}

impl Scope {
    /// The event tables of a store; a view is none.
    pub(super) fn event_tables(&self, bound: &Bound) -> Result<Vec<EventTable>> {
        let tables = (0..bound.store.events.len()).map(|at| match self.event_table(at, &bound.store)? {
            Some(table) => Ok(table),
            None => {
                let events = &bound.store.events[at];
                let message = format!("the event table `{}` is a view", events.table);
                let fault = Diagnostic::new(Kind::Unsupported, message);
                Err(fault.help("lay out a store over the tables that the view is made of").into())
            }
        });
        tables.collect()
    }

    /// An event table of a store, by its position there; none if it is a view.
    pub(super) fn event_table(&self, at: usize, store: &ProfileStore) -> Result<Option<EventTable>> {
        let Some(table) = self.declared(&store.events[at].table)? else { return Ok(None) };
        Ok(Some(EventTable { at, table, profiles: self.declared(&store.profiles.table)? }))
    }

    /// A table that is declared on files; none if it is a view.
    fn declared(&self, name: &str) -> Result<Option<source::Table>> {
        let reference = TableReference::parse_str(name);
        let Some(name) = public_name(&reference) else { return Ok(None) };
        let Some(entry) = self.snapshot.get(warehouse::Kind::Table, name) else { return Ok(None) };
        Ok(match &*self.engine.typed::<Relation>(entry)? {
            Relation::Table(table) => Some(table.clone()),
            Relation::View { .. } => None,
        })
    }
}
