//! What a copy was made of, and what lies beside it: a list beside the table, named by its newest version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::source::File;

use super::register::Register;

/// The source files whose rows are in the copy, and what helps to read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sources {
    /// In the order of their paths.
    pub(super) files: Vec<File>,
    /// The lists of the keys by number, by bucket.
    pub(super) keys: BTreeMap<u32, String>,
    /// The register of the profiles, if there is one.
    pub(super) profiles: Option<Register>,
}

impl Sources {
    /// The files beside the table that it names.
    pub(super) fn beside(&self) -> impl Iterator<Item = &str> {
        self.keys
            .values()
            .map(String::as_str)
            .chain(self.profiles.iter().map(|register| register.path.as_str()))
    }
}
