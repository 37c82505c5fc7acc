//! An object store for tests that dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

/// An object store that stops answering after so many writes, as if the process had been killed there, and that may
/// answer one commit twice: it takes it, and then says that it has one already.
#[derive(Debug)]
pub(crate) struct Mortal {
    inner: Arc<dyn ObjectStore>,
    writes_left: AtomicI64,
    late: AtomicBool,
}

impl std::fmt::Display for Mortal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Mortal {
    /// A store that dies after `writes` writes.
    pub(crate) fn of(inner: &Arc<dyn ObjectStore>, writes: i64) -> Self {
        Self { inner: Arc::clone(inner), writes_left: AtomicI64::new(writes), late: AtomicBool::new(false) }
    }

    /// A store that lives on and answers the first commit as one that came too late.
    pub(crate) fn late(inner: &Arc<dyn ObjectStore>) -> Self {
        Self { late: AtomicBool::new(true), ..Self::of(inner, i64::MAX) }
    }

    fn lives(&self, writes: i64) -> object_store::Result<()> {
        let before = self.writes_left.fetch_sub(writes, Ordering::SeqCst);
        if before - writes >= 0 {
            return Ok(());
        }
        self.writes_left.store(-1, Ordering::SeqCst);
        Err(object_store::Error::Generic { store: "mortal", source: "it is dead".into() })
    }
}

#[async_trait::async_trait]
impl ObjectStore for Mortal {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.lives(1)?;
        let commit = opts.mode == PutMode::Create;
        let result = self.inner.put_opts(location, payload, opts).await?;
        if commit && self.late.swap(false, Ordering::SeqCst) {
            return Err(object_store::Error::AlreadyExists {
                path: location.to_string(),
                source: "asked twice".into(),
            });
        }
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.lives(1)?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.lives(0)?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
