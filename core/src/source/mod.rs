//! Declared tables: files and folders that users name with `CREATE EXTERNAL TABLE`.
//!
//! [`declare`]: the parsed statement → [`Table`], plain data that the catalog keeps. [`open`]: `Table` → a
//! provider that DataFusion can scan. Declaring looks at the files (do they exist, which columns do they have);
//! opening does not, so that a statement may open its tables anew each time. What is listed and when:
//!
//! * the files of a folder are listed at every scan, so new files are seen by the next statement;
//! * the columns are those of the day of the declaration. A column that new files add is not seen until the table
//!   is declared again (`CREATE OR REPLACE`); one that they lack reads as NULL; one whose type they change is
//!   cast, or fails naming the file;
//! * a Delta table says itself which files and columns it has, at every opening.
//!
//! [`files`] says which files a table has now, and [`scan`] reads some of them, for copies that are kept in step.
//!
//! No file to scan is an error and not an empty table: an audience must not lose its members because a folder
//! moved. This module knows nothing of profile stores or segments.

mod ahead;
mod declare;
mod delta;
mod files;
mod listing;
mod named_format;
mod named_source;
mod partition;
mod present;
mod table;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;

use crate::error::Result;

pub use declare::declare;
pub(crate) use named_format::in_file;
pub use present::{File, files, in_order, scan};
pub use table::{Format, Location, Order, Table};

/// Opens a declared table.
pub async fn open(table: &Table, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
    match table.format {
        Format::Delta => delta::open(table, state).await,
        _ => listing::open(table, state),
    }
}

#[cfg(test)]
mod tests;
