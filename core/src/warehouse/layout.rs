//! The files of a warehouse: names, listing, reading and the version of the layout.

use std::collections::HashMap;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::diagnostic;
use crate::error::{Error, Result, from_object_store};

use super::{Entry, Kind};

/// The version of the layout that this coterie writes, and the newest that it reads.
const FORMAT: u64 = 1;

/// What a name keeps in a path; a `.` could make it `..`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');

/// File systems allow 255 bytes.
const LONGEST_NAME: usize = 240;

/// One version of one entry, by its path.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) version: u64,
}

/// The contents of `coterie.json`. A newer one may hold more.
#[derive(Serialize, Deserialize)]
struct Format {
    format: u64,
    #[serde(default)]
    created_by: String,
}

/// Checks `coterie.json`, and tells whether there is one.
pub(super) async fn check(store: &dyn ObjectStore, root: &Path, shown: &str) -> Result<bool> {
    let path = join(root, &["coterie.json"])?;
    let bytes = match store.get(&path).await {
        Ok(found) => found.bytes().await.map_err(from_object_store)?,
        // A missing bucket answers the same as a missing file.
        Err(StoreError::NotFound { .. }) => return store_exists(store, root).await.map(|()| false),
        Err(error) => return Err(from_object_store(error)),
    };
    let found: Format = serde_json::from_slice(&bytes).map_err(|error| damaged(&path, error))?;
    if found.format > FORMAT {
        let message = format!("the warehouse `{shown}` was made by a newer version of coterie");
        return Err(Error::new(diagnostic::Kind::Unsupported, message).help(format!(
            "its format is {}, this coterie knows {FORMAT}; nothing was changed",
            found.format
        )));
    }
    Ok(true)
}

/// Listing an empty folder of a bucket is no error, listing a missing bucket is.
async fn store_exists(store: &dyn ObjectStore, root: &Path) -> Result<()> {
    match store.list(Some(root)).try_next().await {
        Ok(_) | Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => Ok(()),
        Err(error) => Err(from_object_store(error)),
    }
}

/// Writes `coterie.json`, unless another writer was first; then theirs is checked.
pub(super) async fn create(store: &dyn ObjectStore, root: &Path, shown: &str) -> Result<()> {
    let path = join(root, &["coterie.json"])?;
    let format = Format { format: FORMAT, created_by: format!("coterie {}", env!("CARGO_PKG_VERSION")) };
    let json = serde_json::to_vec(&format).map_err(|error| crate::bug!("{error}"))?;
    match store.put_opts(&path, json.into(), PutMode::Create.into()).await {
        Ok(_) => Ok(()),
        Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
            check(store, root, shown).await.map(|_| ())
        }
        Err(error) => Err(from_object_store(error)),
    }
}

/// The path of one version of an entry.
pub(super) fn path(root: &Path, kind: Kind, name: &str, version: u64) -> Result<Path> {
    let encoded = utf8_percent_encode(name, PLAIN).to_string();
    let wrong = match encoded.len() {
        0 => "a name cannot be empty".to_owned(),
        1..=LONGEST_NAME => {
            return join(root, &["catalog", kind.folder(), &encoded, &format!("{version}.json")]);
        }
        _ => format!("the name of {kind} `{}…` is too long", name.chars().take(30).collect::<String>()),
    };
    Err(Error::new(diagnostic::Kind::Name, wrong))
}

/// The newest version of every entry there is.
pub(super) async fn list(store: &dyn ObjectStore, root: &Path) -> Result<Vec<Place>> {
    let folder = join(root, &["catalog"])?;
    let mut files = store.list(Some(&folder));
    let mut newest: HashMap<(Kind, String), u64> = HashMap::new();
    while let Some(file) = files.try_next().await.map_err(from_object_store)? {
        // What is not ours (a file manager's `.DS_Store`) is left alone.
        if let Some(Place { kind, name, version }) = place(&folder, &file.location) {
            let known = newest.entry((kind, name)).or_default();
            *known = version.max(*known);
        }
    }
    Ok(newest.into_iter().map(|((kind, name), version)| Place { kind, name, version }).collect())
}

fn place(folder: &Path, file: &Path) -> Option<Place> {
    let parts: Vec<_> = file.prefix_match(folder)?.collect();
    let [kind, name, version] = parts.as_slice() else { return None };
    let kind = *Kind::ALL.iter().find(|known| known.folder() == kind.as_ref())?;
    let name = percent_decode_str(name.as_ref()).decode_utf8().ok()?.into_owned();
    let version = version.as_ref().strip_suffix(".json")?.parse().ok()?;
    Some(Place { kind, name, version })
}

/// Reads one entry.
pub(super) async fn read(store: &dyn ObjectStore, root: &Path, place: Place) -> Result<Entry> {
    let path = path(root, place.kind, &place.name, place.version)?;
    let found = store.get(&path).await.map_err(from_object_store)?;
    let bytes = found.bytes().await.map_err(from_object_store)?;
    let entry = Entry::from_json(&bytes).map_err(|error| damaged(&path, error))?;
    if (entry.kind, &entry.name, entry.version) != (place.kind, &place.name, place.version) {
        return Err(damaged(
            &path,
            format!("it holds version {} of {} `{}`", entry.version, entry.kind, entry.name),
        ));
    }
    Ok(entry)
}

/// The path of the marker.
pub(super) fn marker_path(root: &Path) -> Result<Path> {
    join(root, &["catalog", "changed"])
}

fn join(root: &Path, parts: &[&str]) -> Result<Path> {
    let parts =
        root.parts().map(|part| part.as_ref().to_owned()).chain(parts.iter().map(|&part| part.to_owned()));
    // Parsing takes a `%` as it is; joining would encode it a second time.
    Path::parse(parts.collect::<Vec<_>>().join("/")).map_err(|error| from_object_store(error.into()))
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(diagnostic::Kind::Storage, format!("`{path}` of the warehouse is damaged: {why}")).help(
        "restore the file from a copy; the entries of a catalog are never rewritten, so any copy is right",
    )
}
