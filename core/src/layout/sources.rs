//! Which files of the source a copy holds: a list beside the table, named by its newest version.

use serde::{Deserialize, Serialize};

use crate::source::File;

/// The source files whose rows are in the copy, in the order of their paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sources {
    pub(super) files: Vec<File>,
}
