//! `catalog/changed`: whoever adds an entry changes this file, so that the others need not list all to notice.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt};
use url::Url;
use uuid::Uuid;

use crate::error::{Result, from_io, from_object_store};

/// Where the marker is.
///
/// A local one is looked at and changed in the thread that asks: the file system takes microseconds for that, and handing
/// it to another thread and waiting takes tens of them, for each statement several times.
#[derive(Debug)]
pub(super) enum Marker {
    /// A local file, to which every change appends a byte: its length counts the changes. (Replacing it, as object
    /// stores do, makes file systems slow when it happens hundreds of times a second.)
    Local(PathBuf),
    /// An object, replaced at every change.
    Remote(Path),
}

/// The state of the marker: equal when nobody changed it in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark(String);

impl Marker {
    pub(super) fn new(warehouse: &Url, path: Path) -> Self {
        match warehouse.to_file_path() {
            Ok(folder) if warehouse.scheme() == "file" => Self::Local(folder.join("catalog").join("changed")),
            _ => Self::Remote(path),
        }
    }

    /// The marker as it is now.
    pub(super) async fn look(&self, store: &dyn ObjectStore) -> Result<Mark> {
        match self {
            Self::Local(path) => match std::fs::metadata(path) {
                Ok(found) => Ok(length(found.len())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Mark::default()),
                Err(error) => Err(from_io(&format!("cannot read `{}`", path.display()), error)),
            },
            Self::Remote(path) => match store.head(path).await {
                // Stores without tags have times.
                Ok(found) => Ok(Mark(found.e_tag.unwrap_or_else(|| found.last_modified.to_string()))),
                Err(StoreError::NotFound { .. }) => Ok(Mark::default()),
                Err(error) => Err(from_object_store(error)),
            },
        }
    }

    /// Changes the marker; returns how it was before and how it is now.
    pub(super) async fn change(&self, store: &dyn ObjectStore) -> Result<(Mark, Mark)> {
        match self {
            Self::Local(path) => {
                let now = append(path)
                    .map_err(|error| from_io(&format!("cannot write `{}`", path.display()), error))?;
                let before = match now {
                    0 | 1 => Mark::default(),
                    _ => length(now - 1),
                };
                Ok((before, length(now)))
            }
            Self::Remote(path) => {
                let before = self.look(store).await?;
                let text = Uuid::new_v4().to_string();
                let put = store.put(path, text.into()).await.map_err(from_object_store)?;
                let now = match put.e_tag {
                    Some(tag) => Mark(tag),
                    None => self.look(store).await?,
                };
                Ok((before, now))
            }
        }
    }
}

fn length(bytes: u64) -> Mark {
    Mark(bytes.to_string())
}

/// Appending is one step for the file system, so that no writer's byte is lost.
fn append(path: &std::path::Path) -> std::io::Result<u64> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(b".")?;
    Ok(file.metadata()?.len())
}
