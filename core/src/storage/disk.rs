//! The local file system, read in the thread that asks.
//!
//! `object_store` has another thread read and wake the one that waits, which takes longer than copying what the system has
//! in memory: a few hundred files with two reads each cost a rule a third of its time. What asks for parts of files here
//! decodes them right after, which keeps its thread as busy.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// What is longer than this is left to other threads.
const LONGEST: u64 = 16 << 20;

/// What is shorter than this is read into memory of its own.
const SHORTEST: usize = 16 << 10;

/// So many bytes are kept for those who read next.
const KEPT: usize = 16 << 20;

/// The local file system.
#[derive(Debug)]
pub(super) struct Disk {
    files: LocalFileSystem,
    spare: Arc<Spare>,
}

/// Buffers for those who read next. Memory that is new to a process comes page by page, each at its first touch, which takes
/// longer than copying what the system has of a file.
#[derive(Debug, Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    /// A buffer of so many bytes, whichever they are, or up to twice as many: whoever holds a part holds all of it.
    fn take(&self, length: usize) -> Vec<u8> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = (0..buffers.len()).filter(|at| (length..=2 * length).contains(&buffers[*at].len()));
        match fitting.min_by_key(|at| buffers[*at].len()) {
            Some(at) => buffers.swap_remove(at),
            None => vec![0; length],
        }
    }

    /// Keeps a buffer, and of all no more than is worth it, the longest.
    fn give(&self, buffer: Vec<u8>) {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.push(buffer);
        buffers.sort_unstable_by_key(|buffer| std::cmp::Reverse(buffer.len()));
        let mut kept = 0;
        buffers.retain(|buffer| {
            kept += buffer.len();
            kept <= KEPT
        });
    }
}

/// A buffer as long as somebody has a part of it.
struct Lent {
    bytes: Vec<u8>,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spare.give(std::mem::take(&mut self.bytes));
    }
}

impl Disk {
    pub(super) fn new() -> Self {
        // Deleting the last file of a folder leaves the folder: another writer may be about to use it.
        Self { files: LocalFileSystem::new(), spare: Arc::default() }
    }

    /// Some parts of a file; `None` where they cannot be read here, and where that fails: the file system knows how to
    /// say why.
    fn read(&self, path: &Path, ranges: &[Range<u64>]) -> Option<(Metadata, Vec<Bytes>)> {
        let all: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        if all > LONGEST {
            return None;
        }
        let mut file = File::open(self.files.path_to_filesystem(path).ok()?).ok()?;
        let all = usize::try_from(all).ok()?;
        let mut bytes = if all < SHORTEST { vec![0; all] } else { self.spare.take(all) };
        let (mut places, mut end) = (vec![], 0);
        for range in ranges {
            let start = end;
            end += usize::try_from(range.end.checked_sub(range.start)?).ok()?;
            file.seek(SeekFrom::Start(range.start)).ok()?;
            file.read_exact(&mut bytes[start..end]).ok()?;
            places.push(start..end);
        }
        let bytes = match all < SHORTEST {
            true => Bytes::from(bytes),
            false => Bytes::from_owner(Lent { bytes, spare: Arc::clone(&self.spare) }),
        };
        Some((file.metadata().ok()?, places.into_iter().map(|place| bytes.slice(place)).collect()))
    }

    /// What is asked of a part of a file and of nothing else.
    fn part(&self, path: &Path, options: &GetOptions) -> Option<GetResult> {
        let Some(GetRange::Bounded(range)) = &options.range else { return None };
        let GetOptions { if_match: None, if_none_match: None, version: None, head: false, .. } = options
        else {
            return None;
        };
        if options.if_modified_since.is_some() || options.if_unmodified_since.is_some() {
            return None;
        }
        let (metadata, mut parts) = self.read(path, std::slice::from_ref(range))?;
        let meta = ObjectMeta {
            location: path.clone(),
            last_modified: DateTime::from(metadata.modified().ok()?),
            size: metadata.len(),
            e_tag: None,
            version: None,
        };
        let part = parts.pop()?;
        let payload = GetResultPayload::Stream(futures::stream::once(async { Ok(part) }).boxed());
        Some(GetResult { payload, meta, range: range.clone(), attributes: Default::default() })
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Disk {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.part(path, &options) {
            Some(part) => Ok(part),
            None => self.files.get_opts(path, options).await,
        }
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.read(path, ranges) {
            Some((_, parts)) => Ok(parts),
            None => self.files.get_ranges(path, ranges).await,
        }
    }

    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.files.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn buffers_are_read_into_again_when_nobody_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&file, &bytes).unwrap();
        let (disk, path) = (Disk::new(), Path::from_absolute_path(&file).unwrap());
        let parts = [10..40_010_u64, 50_000..50_000, 60_000..60_007];
        let expected = |range: &Range<u64>| bytes[range.start as usize..range.end as usize].to_vec();
        let held = disk.get_ranges(&path, &parts).await.unwrap();
        // Who still has a part keeps it, whoever reads after.
        let later = disk.get_range(&path, 20_000..90_000).await.unwrap();
        assert!(held.iter().zip(&parts).all(|(part, range)| *part == expected(range)));
        assert_eq!(later, expected(&(20_000..90_000)));
        let place = later.as_ptr();
        drop((held, later));
        let again = disk.get_range(&path, 30_000..90_000).await.unwrap();
        assert_eq!((again.as_ptr(), again.len()), (place, 60_000));
        assert_eq!(again, expected(&(30_000..90_000)));
        // The longest are kept, and not too many.
        for length in [KEPT / 2, KEPT / 4, KEPT / 2, 1] {
            disk.spare.give(vec![0; length]);
        }
        let kept: Vec<usize> = disk.spare.0.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(kept, [KEPT / 2, KEPT / 2]);
    }

    #[tokio::test]
    async fn parts_of_files_are_those_of_the_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a b%20.txt");
        std::fs::write(&file, "0123456789").unwrap();
        let (disk, own) = (Disk::new(), LocalFileSystem::new());
        let path = Path::from_absolute_path(&file).unwrap();
        assert_eq!(disk.get_range(&path, 2..5).await.unwrap(), "234");
        assert_eq!(disk.get_ranges(&path, &[0..1, 9..10]).await.unwrap(), ["0", "9"]);
        let found = disk.get_opts(&path, GetOptions::new().with_range(Some(2..5_u64))).await.unwrap();
        let expected = own.head(&path).await.unwrap();
        assert_eq!((found.meta.size, found.meta.last_modified), (expected.size, expected.last_modified));
        // What is not there, or not as long, is said as the file system says it.
        let nowhere = Path::from_absolute_path(folder.path().join("nowhere")).unwrap();
        for (path, range) in [(&nowhere, 0..1), (&path, 5..20), (&path, 20..30)] {
            let (ours, theirs) =
                (disk.get_range(path, range.clone()).await, own.get_range(path, range.clone()).await);
            assert_eq!(ours.map_err(|error| error.to_string()), theirs.map_err(|error| error.to_string()));
            let ranges = [range];
            let (ours, theirs) = (disk.get_ranges(path, &ranges).await, own.get_ranges(path, &ranges).await);
            assert_eq!(ours.map_err(|error| error.to_string()), theirs.map_err(|error| error.to_string()));
        }
    }
}
