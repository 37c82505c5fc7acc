//! A remote store whose errors name the whole URL: `access to s3://lake/a.parquet is denied`, not `to a.parquet`.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// A store and the URL of its root, without a `/` at the end.
#[derive(Debug)]
pub(super) struct Named {
    root: Arc<str>,
    inner: Arc<dyn ObjectStore>,
}

impl Named {
    pub(super) fn new(root: &str, inner: Arc<dyn ObjectStore>) -> Self {
        Self { root: root.into(), inner }
    }

    fn named<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| named(&self.root, error))
    }

    fn named_stream<T: 'static>(
        &self,
        stream: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let root = Arc::clone(&self.root);
        stream.map_err(move |error| named(&root, error)).boxed()
    }
}

/// The same error, so that whoever matches on it still can, with the URL for the path.
fn named(root: &str, error: Error) -> Error {
    let url = |path: String| match path.contains("://") {
        true => path,
        false => format!("{root}/{}", path.trim_start_matches('/')),
    };
    match error {
        Error::NotFound { path, source } => Error::NotFound { path: url(path), source },
        Error::AlreadyExists { path, source } => Error::AlreadyExists { path: url(path), source },
        Error::Precondition { path, source } => Error::Precondition { path: url(path), source },
        Error::NotModified { path, source } => Error::NotModified { path: url(path), source },
        Error::PermissionDenied { path, source } => Error::PermissionDenied { path: url(path), source },
        Error::Unauthenticated { path, source } => Error::Unauthenticated { path: url(path), source },
        Error::Generic { store, source } => {
            Error::Generic { store, source: Box::new(At { root: root.to_owned(), source }) }
        }
        other => other,
    }
}

/// An error and the store where it happened.
#[derive(Debug, thiserror::Error)]
#[error("cannot use `{root}`: {source}")]
struct At {
    root: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Named {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.named(self.inner.put_opts(path, payload, options).await)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.named(self.inner.put_multipart_opts(path, options).await)
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.named(self.inner.get_opts(path, options).await)?;
        if let GetResultPayload::Stream(stream) = result.payload {
            result.payload = GetResultPayload::Stream(self.named_stream(stream));
        }
        Ok(result)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.named(self.inner.get_ranges(path, ranges).await)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.named_stream(self.inner.delete_stream(paths))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.named_stream(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.named_stream(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.named(self.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.named(self.inner.copy_opts(from, to, options).await)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.named(self.inner.rename_opts(from, to, options).await)
    }
}
