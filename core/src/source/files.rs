//! Which files a location means.

use datafusion::catalog::Session;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::execution::SessionState;
use futures::TryStreamExt;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::diagnostic::Kind;
use crate::error::{Error, Result, from_object_store};
use crate::storage::{Files, shown};

use super::{Format, Location};

/// The endings that say how a file of text is compressed, and DataFusion's names for them.
const COMPRESSIONS: &[(&str, &str)] =
    &[("", "uncompressed"), (".gz", "gzip"), (".bz2", "bzip2"), (".xz", "xz"), (".zst", "zstd")];

/// A location with its files as they are now.
pub(super) struct Found {
    pub(super) location: Location,
    pub(super) url: ListingTableUrl,
    pub(super) files: Vec<ObjectMeta>,
    /// How the files are compressed, by their ending.
    pub(super) compression: Option<&'static str>,
}

/// DataFusion's form of a location.
pub(super) fn listing_url(location: &Location) -> Result<ListingTableUrl> {
    let url = ListingTableUrl::parse(&location.url)?;
    match &location.pattern {
        Some(pattern) => Ok(url.with_glob(pattern)?),
        None => Ok(url),
    }
}

/// A file's path or URL as users read it.
pub(super) fn name(url: &ListingTableUrl, file: &ObjectMeta) -> String {
    let root = url.object_store();
    let root = root.as_str().strip_prefix("file://").unwrap_or(root.as_str());
    format!("{root}{}", file.location)
}

/// A session that searches subfolders, for patterns that name some.
pub(super) fn deep(state: &dyn Session) -> Option<SessionState> {
    let mut state = state.as_any().downcast_ref::<SessionState>()?.clone();
    state.config_mut().options_mut().execution.listing_table_ignore_subdirectory = false;
    Some(state)
}

/// Looks at what `files` names. A folder of a bucket that was written without `/` gets it here.
pub(super) async fn find(files: Files, format: Format, state: &SessionState) -> Result<Found> {
    let Files { url, pattern } = files;
    let user_pattern = pattern.is_some();
    let pattern = pattern.map(|pattern| without_partitions(&pattern)).transpose()?;
    let deep = pattern.as_ref().is_some_and(|pattern| pattern.contains('/'));
    let mut location = Location { url: url.to_string(), pattern, deep };
    let store = state.runtime_env().object_store(ListingTableUrl::parse(&location.url)?.object_store())?;

    if !location.url.ends_with('/') {
        let listing = listing_url(&location)?;
        match store.head(listing.prefix()).await {
            Ok(file) => {
                let compression = compression_of(file.location.as_ref(), format);
                return Ok(Found { location, url: listing, files: vec![file], compression });
            }
            Err(StoreError::NotFound { .. }) => location.url.push('/'),
            Err(error) => return Err(from_object_store(error)),
        }
    }
    if !user_pattern {
        location.pattern = Some("[!._]*".to_owned());
    }
    let files = list(&location, store.as_ref()).await?;
    if files.is_empty() {
        return Ok(Found { url: listing_url(&location)?, location, files, compression: None });
    }
    let ending = match user_pattern {
        true => compression_ending(&listing_url(&location)?, &files, format)?,
        false => ending(&files, format, &shown(&url))?,
    };
    if !user_pattern {
        location.pattern = Some(format!("[!._]*{}", escaped(&ending)));
    }
    let compression = compression_of(&ending, format);
    let url = listing_url(&location)?;
    let files = files.into_iter().filter(|file| file.location.as_ref().ends_with(&ending)).collect();
    Ok(Found { location, url, files, compression })
}

/// All files of a folder that match, hive folders included, in the order of their paths.
pub(super) async fn list(location: &Location, store: &dyn ObjectStore) -> Result<Vec<ObjectMeta>> {
    let url = listing_url(location)?;
    let mut files: Vec<ObjectMeta> =
        store.list(Some(url.prefix())).try_collect().await.map_err(from_object_store)?;
    files.retain(|file| url.contains(&file.location, !location.deep));
    files.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(files)
}

/// The ending that the files of a folder share: the format's, or any if all have the same.
fn ending(files: &[ObjectMeta], format: Format, folder: &str) -> Result<String> {
    let compressions = if format.is_text() { COMPRESSIONS } else { &COMPRESSIONS[..1] };
    let usual = format.extensions().iter();
    let usual =
        usual.flat_map(|extension| compressions.iter().map(move |(end, _)| format!("{extension}{end}")));
    let present: Vec<String> = usual
        .filter(|ending| files.iter().any(|file| file.location.as_ref().ends_with(ending.as_str())))
        .collect();
    match present.as_slice() {
        [ending] => return Ok(ending.clone()),
        [] => {}
        several => {
            let message = format!("`{folder}` holds files ending in {}", several.join(" and in "));
            return Err(Error::new(Kind::Storage, message)
                .help(format!("choose by a pattern: {folder}*{}", several[0])));
        }
    }
    let mut endings: Vec<&str> = files.iter().map(extension).collect();
    endings.dedup();
    match endings.as_slice() {
        [ending] => Ok((*ending).to_owned()),
        _ => Err(Error::new(Kind::Storage, format!("`{folder}` holds no {format} file"))
            .help(format!("name the files by a pattern: {folder}*.txt"))),
    }
}

/// With a pattern, all files must be compressed alike.
fn compression_ending(url: &ListingTableUrl, files: &[ObjectMeta], format: Format) -> Result<String> {
    let of = |file: &ObjectMeta| compression_of(file.location.as_ref(), format).unwrap_or("uncompressed");
    let Some((first, rest)) = files.split_first() else { return Ok(String::new()) };
    if let Some(other) = rest.iter().find(|file| of(file) != of(first)) {
        let message = format!("`{}` and `{}` are compressed differently", name(url, first), name(url, other));
        return Err(Error::new(Kind::Storage, message).help("choose one sort by the pattern"));
    }
    let ending = COMPRESSIONS.iter().find(|(_, name)| *name == of(first)).map_or("", |(end, _)| end);
    Ok(ending.to_owned())
}

fn compression_of(path: &str, format: Format) -> Option<&'static str> {
    let found = COMPRESSIONS.iter().skip(1).find(|(end, _)| path.ends_with(end))?;
    format.is_text().then_some(found.1)
}

/// The part of a file's name from its last dot.
fn extension(file: &ObjectMeta) -> &str {
    let name = file.location.filename().unwrap_or_default();
    name.rfind('.').map_or("", |dot| &name[dot..])
}

/// An ending as part of a pattern, where it means itself.
fn escaped(ending: &str) -> String {
    ending.replace('[', "[[]").replace('*', "[*]").replace('?', "[?]")
}

/// DataFusion matches patterns without the folders named `k=v`, whose values become columns.
fn without_partitions(pattern: &str) -> Result<String> {
    let mut kept = vec![];
    for segment in pattern.split('/') {
        match segment.split_once('=') {
            Some((_, "*")) => {}
            Some((column, value)) => {
                let message = format!("`{segment}` in a pattern chooses values of the column `{column}`");
                return Err(Error::new(Kind::Unsupported, message).help(format!(
                    "write {column}=* in the location and filter `{column}` like `{value}` by WHERE"
                )));
            }
            None => kept.push(segment),
        }
    }
    Ok(kept.join("/"))
}
