//! A file format whose errors name the file.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::{FileFormat, FileMeta};
use datafusion::datasource::physical_plan::{
    FileScanConfig, FileScanConfigBuilder, FileSinkConfig, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::{LexOrdering, LexRequirement};
use datafusion::physical_plan::ExecutionPlan;
use object_store::{ObjectMeta, ObjectStore};

use crate::diagnostic::Kind;
use crate::error::{Error, from_datafusion};

use super::named_source::NamedSource;

/// DataFusion's format; the readers tell what is wrong with the bytes, not whose bytes they are.
#[derive(Debug)]
pub(super) struct NamedFormat {
    inner: Arc<dyn FileFormat>,
    /// What stands before the paths of the store.
    root: Arc<str>,
}

impl NamedFormat {
    /// `root` is what users read before the paths of the store: `/`, or `s3://bucket/`.
    pub(super) fn new(inner: Arc<dyn FileFormat>, root: &str) -> Self {
        Self { inner, root: root.into() }
    }

    fn in_file(&self, error: DataFusionError, file: &ObjectMeta) -> DataFusionError {
        in_file(error, &format!("{}{}", self.root, file.location))
    }

    /// Finds the file that alone, or together with the first one, fails like all of them.
    async fn blame(
        &self,
        error: DataFusionError,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        files: &[ObjectMeta],
    ) -> DataFusionError {
        for file in files {
            if let Err(error) = self.inner.infer_schema(state, store, std::slice::from_ref(file)).await {
                return self.in_file(error, file);
            }
        }
        let root = &self.root;
        let Some((first, rest)) = files.split_first() else { return error };
        for file in rest {
            let pair = [first.clone(), file.clone()];
            if let Err(error) = self.inner.infer_schema(state, store, &pair).await {
                let message = format!(
                    "`{root}{}` and `{root}{}` do not have the same columns: {}",
                    first.location,
                    file.location,
                    from_datafusion(error).message().trim_start_matches("schema error: ")
                );
                return Error::new(Kind::Storage, message).into();
            }
        }
        error
    }
}

/// Names the file of an error about its content; others (a failing expression in the scan) stay as they are.
pub(crate) fn in_file(error: DataFusionError, file: &str) -> DataFusionError {
    // Readers report what they cannot parse as casts do, except for the first words.
    let parsing = matches!(error.find_root(), DataFusionError::ArrowError(inner, _)
        if matches!(&**inner, ArrowError::ParseError(message) if !message.starts_with("Error parsing ")));
    let told = from_datafusion(error);
    if told.kind() != Kind::Storage && !parsing {
        return told.into();
    }
    // What comes from the store names the file already.
    let message = match told.message() {
        message if message.contains(file) => message,
        message => format!("cannot read `{file}`: {message}"),
    };
    let help = match &told {
        Error::Failed(failure) => failure.help.clone(),
        Error::Wrong(_) => vec![],
    };
    help.into_iter().fold(Error::caused(Kind::Storage, message, told), Error::help).into()
}

#[async_trait]
impl FileFormat for NamedFormat {
    fn get_ext(&self) -> String {
        self.inner.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.inner.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.inner.compression_type()
    }

    async fn infer_schema(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        files: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        match self.inner.infer_schema(state, store, files).await {
            Ok(schema) => Ok(schema),
            Err(error) => Err(self.blame(error, state, store, files).await),
        }
    }

    async fn infer_stats(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        file: &ObjectMeta,
    ) -> Result<Statistics> {
        let stats = self.inner.infer_stats(state, store, schema, file).await;
        stats.map_err(|error| self.in_file(error, file))
    }

    async fn infer_ordering(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        file: &ObjectMeta,
    ) -> Result<Option<LexOrdering>> {
        let ordering = self.inner.infer_ordering(state, store, schema, file).await;
        ordering.map_err(|error| self.in_file(error, file))
    }

    async fn infer_stats_and_ordering(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        file: &ObjectMeta,
    ) -> Result<FileMeta> {
        let meta = self.inner.infer_stats_and_ordering(state, store, schema, file).await;
        meta.map_err(|error| self.in_file(error, file))
    }

    async fn create_physical_plan(
        &self,
        state: &dyn Session,
        config: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.inner.create_physical_plan(state, config).await?;
        let scan = plan.downcast_ref::<DataSourceExec>();
        let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        let Some(config) = config else { return Ok(plan) };
        let source = NamedSource::new(Arc::clone(config.file_source()), Arc::clone(&self.root));
        let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source)).build();
        Ok(DataSourceExec::from_data_source(config))
    }

    async fn create_writer_physical_plan(
        &self,
        input: Arc<dyn ExecutionPlan>,
        state: &dyn Session,
        config: FileSinkConfig,
        order: Option<LexRequirement>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.create_writer_physical_plan(input, state, config, order).await
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        self.inner.file_source(schema)
    }
}
