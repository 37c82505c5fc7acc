//! The local file system, read in the thread that asks.
//!
//! `object_store` has another thread read and wake the one that waits, which takes longer than copying what the system has
//! in memory: a few hundred files with two reads each cost a rule a third of its time. What asks for parts of files here
//! decodes them right after, which keeps its thread as busy.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

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

/// The local file system.
#[derive(Debug)]
pub(super) struct Disk(LocalFileSystem);

impl Disk {
    pub(super) fn new() -> Self {
        // Deleting the last file of a folder leaves the folder: another writer may be about to use it.
        Self(LocalFileSystem::new())
    }

    /// Some parts of a file; `None` where they cannot be read here, and where that fails: the file system knows how to
    /// say why.
    fn read(&self, path: &Path, ranges: &[Range<u64>]) -> Option<(Metadata, Vec<Bytes>)> {
        if ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum::<u64>() > LONGEST {
            return None;
        }
        let mut file = File::open(self.0.path_to_filesystem(path).ok()?).ok()?;
        let part = |range: &Range<u64>| {
            let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
            let mut bytes = Vec::with_capacity(length);
            file.seek(SeekFrom::Start(range.start)).ok()?;
            file.by_ref().take(range.end - range.start).read_to_end(&mut bytes).ok()?;
            (bytes.len() == length).then(|| bytes.into())
        };
        let parts = ranges.iter().map(part).collect::<Option<_>>()?;
        Some((file.metadata().ok()?, parts))
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
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Disk {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.part(path, &options) {
            Some(part) => Ok(part),
            None => self.0.get_opts(path, options).await,
        }
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.read(path, ranges) {
            Some((_, parts)) => Ok(parts),
            None => self.0.get_ranges(path, ranges).await,
        }
    }

    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

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
