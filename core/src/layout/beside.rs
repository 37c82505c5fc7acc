//! Parquet files beside the table, in a folder that other readers of the table leave alone.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use uuid::Uuid;

use crate::error::{Result, from_object_store};

use super::log::Log;
use super::write::{failed, sync};

/// The lists of keys by number.
pub(super) const KEYS: &str = "_coterie/keys";
/// The registers of profiles.
pub(super) const REGISTERS: &str = "_coterie/profiles";

/// A file in the making. Nobody knows its name before a commit.
pub(super) struct Writer {
    log: Arc<Log>,
    path: String,
    file: AsyncArrowWriter<BufWriter>,
}

impl Writer {
    /// Begins a file in a folder of the table's.
    pub(super) fn new(
        log: &Arc<Log>,
        folder: &str,
        schema: &SchemaRef,
        properties: WriterPropertiesBuilder,
    ) -> Result<Self> {
        let path = format!("{folder}/{}.parquet", Uuid::new_v4());
        let target = BufWriter::new(Arc::clone(&log.store), log.path(&path));
        let properties =
            properties.set_created_by(concat!("coterie ", env!("CARGO_PKG_VERSION")).to_owned()).build();
        let options = ArrowWriterOptions::new().with_properties(properties);
        let file = AsyncArrowWriter::try_new_with_options(target, Arc::clone(schema), options)
            .map_err(|error| failed(log, error))?;
        Ok(Self { log: Arc::clone(log), path, file })
    }

    pub(super) async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.file.write(rows).await.map_err(|error| failed(&self.log, error))
    }

    /// Completes the file; its path in the table and its length.
    pub(super) async fn finish(mut self) -> Result<(String, u64)> {
        self.file.finish().await.map_err(|error| failed(&self.log, error))?;
        let size = u64::try_from(self.file.bytes_written()).unwrap_or(u64::MAX);
        sync(&self.log, &self.path).await?;
        Ok((self.path, size))
    }
}

/// Writes the list of a bucket's keys; its path in the table.
pub(super) async fn write_list(log: &Arc<Log>, keys: &RecordBatch) -> Result<String> {
    let properties =
        WriterProperties::builder().set_compression(Compression::LZ4_RAW).set_dictionary_enabled(false);
    let mut file = Writer::new(log, KEYS, &keys.schema(), properties)?;
    file.write(keys).await?;
    Ok(file.finish().await?.0)
}

/// Reads the list of a bucket's keys.
pub(super) async fn read_list(log: &Log, path: &str) -> Result<RecordBatch> {
    let bytes = log.store.get(&log.path(path)).await.map_err(from_object_store)?.bytes().await;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.map_err(from_object_store)?)
        .map_err(|error| failed(log, error))?;
    let schema = Arc::clone(reader.schema());
    let batches = reader.build().map_err(|error| failed(log, error))?.collect::<Result<Vec<_>, _>>();
    concat_batches(&schema, &batches.map_err(|error| failed(log, error))?).map_err(|error| failed(log, error))
}
