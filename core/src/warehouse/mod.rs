//! What coterie keeps about itself: declared tables, profile stores and segments.
//!
//! ```text
//! <warehouse>/coterie.json                                the version of this layout
//! <warehouse>/catalog/<kind>/<name>/<version>.json        one entry; never rewritten, the highest version counts
//! <warehouse>/catalog/changed                             changed after every entry, so that others notice
//! ```
//!
//! An entry is created with put-if-absent: of two writers of one version, one wins and the other gets
//! `error[conflict]`. What was dropped has a last version that says so. Bodies are JSON that this module does not
//! look into. Without a location all is in memory, by the same code.

mod cache;
mod entry;
mod layout;
mod marker;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::diagnostic;
use crate::error::{Error, Result, from_object_store};
use crate::storage::{Stores, locate, shown};

use cache::Cache;
pub use cache::Snapshot;
pub use entry::{Entry, Kind};
use marker::{Mark, Marker};

/// How many entries are read at once.
const READS: usize = 32;

/// A folder or bucket where coterie keeps what it owns.
#[derive(Debug)]
pub struct Warehouse {
    url: Url,
    store: Arc<dyn ObjectStore>,
    root: Path,
    marker: Marker,
    cache: Mutex<Cache>,
}

/// What to keep as the next version of an entry.
#[derive(Clone, Debug)]
pub struct Change {
    /// What sort of thing it is.
    pub kind: Kind,
    /// Its name, any text.
    pub name: String,
    /// The version that the change is based on; `None` when the name is to be free (never used, or dropped).
    pub after: Option<u64>,
    /// The thing itself.
    pub body: Value,
    /// The time of the change.
    pub created_at: DateTime<Utc>,
    /// The thing is dropped: this version says so.
    pub deleted: bool,
}

impl Warehouse {
    /// Opens the warehouse at a path or URL; `None` keeps it in memory, for as long as `stores` lives.
    ///
    /// Nothing is written before the first [`put`](Self::put), so that looking into an empty folder leaves it so.
    pub async fn open(location: Option<&str>, stores: &Stores) -> Result<Self> {
        let url = match location {
            Some(text) => as_folder(locate(text)?)?,
            None => Url::parse("memory:///warehouse/").map_err(|error| crate::bug!("{error}"))?,
        };
        let store = stores.store(&url)?;
        let root = Path::from_url_path(url.path()).map_err(|error| from_object_store(error.into()))?;
        let format = layout::check(store.as_ref(), &root, &shown(&url)).await?;
        let cache = Mutex::new(Cache::new(location.is_some(), format));
        let marker = Marker::new(&url, layout::marker_path(&root)?);
        Ok(Self { url, store, root, marker, cache })
    }

    /// Where it is; ends in `/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The store that holds it, with the root of the bucket or file system as root.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The newest version of every entry.
    ///
    /// What this process wrote is always in it. What others wrote is noticed by one request for the marker; a
    /// change that slipped past it (two writers at the same moment, or one that crashed before it could mark its
    /// change) is found by listing all, every few seconds.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let mut cache = self.cache.lock().await;
        let mark = match cache.is_shared() {
            true => self.marker.look(self.store.as_ref()).await?,
            // Nobody else writes to this process's memory.
            false if cache.is_listed() => return Ok(cache.snapshot()),
            false => Mark::default(),
        };
        if !cache.is_fresh(&mark) {
            let started = std::time::Instant::now();
            let newest = layout::list(self.store.as_ref(), &self.root).await?;
            let unknown = newest.into_iter().filter(|place| cache.lacks(place));
            // The map only grows, so what this process puts meanwhile is not lost.
            let read: Vec<Entry> = futures::stream::iter(unknown)
                .map(|place| layout::read(self.store.as_ref(), &self.root, place))
                .buffer_unordered(READS)
                .try_collect()
                .await?;
            cache.add_all(read);
            cache.set_fresh(mark, started.elapsed());
        }
        Ok(cache.snapshot())
    }

    /// Keeps a new version of an entry and returns its number; `error[conflict]` when another writer was first.
    pub async fn put(&self, change: Change) -> Result<u64> {
        let newest = self.snapshot().await?.newest(change.kind, &change.name).cloned();
        let version = next_version(&change, newest.as_deref())?;
        let entry = Entry::new(change, version);
        let path = layout::path(&self.root, entry.kind, &entry.name, version)?;
        let shared = {
            let mut cache = self.cache.lock().await;
            if !cache.has_format() {
                layout::create(self.store.as_ref(), &self.root, &shown(&self.url)).await?;
                cache.set_format();
            }
            cache.is_shared()
        };
        let put = self.store.put_opts(&path, entry.to_json()?.into(), PutMode::Create.into()).await;
        match put {
            Ok(_) => {}
            // A request that was answered too late is sent again, and then meets its own entry.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })
                if self.is_written(&path, &entry).await? => {}
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                self.cache.lock().await.set_stale();
                return Err(conflict(&entry.kind, &entry.name));
            }
            Err(error) => return Err(from_object_store(error)),
        }
        self.cache.lock().await.add(entry);
        if shared {
            let (before, now) = self.marker.change(self.store.as_ref()).await?;
            self.cache.lock().await.set_marked(&before, now);
        }
        Ok(version)
    }

    /// Every version of an entry, the oldest first.
    pub async fn history(&self, kind: Kind, name: &str) -> Result<Vec<Entry>> {
        let newest = self.snapshot().await?.newest(kind, name).map_or(0, |entry| entry.version);
        let places = (1..=newest).map(|version| layout::Place { kind, name: name.to_owned(), version });
        futures::stream::iter(places)
            .map(|place| layout::read(self.store.as_ref(), &self.root, place))
            .buffered(READS)
            .try_collect()
            .await
    }

    async fn is_written(&self, path: &Path, entry: &Entry) -> Result<bool> {
        let found = self.store.get(path).await.map_err(from_object_store)?;
        let bytes = found.bytes().await.map_err(from_object_store)?;
        Ok(Entry::from_json(&bytes).is_ok_and(|found| found.id == entry.id))
    }
}

/// The version that `change` becomes, if it is based on the newest one.
fn next_version(change: &Change, newest: Option<&Entry>) -> Result<u64> {
    let fits = match (change.after, newest) {
        (None, None) => true,
        (None, Some(newest)) => newest.deleted,
        (Some(after), Some(newest)) => after == newest.version,
        (Some(_), None) => false,
    };
    match fits {
        true => Ok(newest.map_or(0, |newest| newest.version) + 1),
        false => Err(conflict(&change.kind, &change.name)),
    }
}

fn conflict(kind: &Kind, name: &str) -> Error {
    Error::new(diagnostic::Kind::Conflict, format!("{kind} `{name}` was changed by someone else meanwhile"))
        .help("look at it as it is now, and try again")
}

/// A warehouse is a folder, whether or not it exists yet.
fn as_folder(mut url: Url) -> Result<Url> {
    if url.to_file_path().is_ok_and(|path| path.is_file()) {
        let message = format!("the warehouse `{}` is a file", shown(&url));
        return Err(
            Error::new(diagnostic::Kind::Storage, message).help("name a folder; it is made when needed")
        );
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
