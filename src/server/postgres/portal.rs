//! Portals and cursors, which are the same: statements that are bound, and give their rows piece by piece.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::Planned;

use super::prepared::Prepared;
use super::rows::Column;
use super::running::Outcome;

/// A bound statement.
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    /// What it returns, if rows.
    pub(super) columns: Option<Vec<Column>>,
    /// The formats that the client asked for.
    pub(super) formats: Vec<i16>,
    pub(super) state: State,
    /// Whether it outlives the transaction.
    pub(super) hold: bool,
}

/// How far a portal is.
pub(super) enum State {
    Bound(Option<Box<Planned>>),
    Running(Outcome),
    Done,
}

/// The portals of a conversation, by name.
#[derive(Default)]
pub(super) struct Portals(HashMap<String, Portal>);

impl Portals {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Portal> {
        self.0.get(name)
    }

    pub(super) fn insert(&mut self, name: String, portal: Portal) {
        self.0.insert(name, portal);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Portal> {
        self.0.remove(name)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// A transaction ends: so do its portals, and what they run.
    pub(super) fn end_transaction(&mut self) {
        self.0.retain(|_, portal| portal.hold);
    }
}
