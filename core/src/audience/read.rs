//! Reads the stored rows of one audience, in the order of their keys.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::{cast, concat_batches, max, sort_to_indices, take_record_batch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use chrono::DateTime;
use datafusion::parquet::arrow::ParquetRecordBatchStreamBuilder;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use deltalake_core::kernel::Add;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt, TryStreamExt, once};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::diff::Stored;
use super::layout::{Layout, column};
use super::log::{Mark, Segment};
use super::population::arrow;
use crate::bug;
use crate::diagnostic::Kind;
use crate::error::{Error, Result};

/// Rows read at a time.
pub(super) const BATCH: usize = 1 << 16;

/// The rows of a segment in the order of their keys.
pub(super) async fn rows(
    layout: &Arc<Layout>,
    store: &Arc<dyn ObjectStore>,
    segment: &Segment,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let mut streams = vec![];
    for file in &segment.files {
        streams.push(open(layout, store, file).await?);
    }
    let rows = futures::stream::iter(streams).flatten();
    if segment.mark.is_some() {
        return Ok(rows.boxed());
    }
    // Another program wrote these files, in whatever order.
    let schema = layout.row_schema.clone();
    let sorted = async move { sort(&schema, &rows.try_collect::<Vec<_>>().await?) };
    Ok(once(sorted).boxed())
}

/// What the rows themselves say about the last evaluation, for files that another program has written.
pub(super) async fn mark(
    layout: &Arc<Layout>,
    store: &Arc<dyn ObjectStore>,
    segment: &Segment,
) -> Result<Mark> {
    let mut mark = Mark { as_of: DateTime::UNIX_EPOCH, evaluation: None, members: 0, exited: 0 };
    let mut batches = rows(layout, store, segment).await?;
    let mut newest = None;
    while let Some(batch) = batches.try_next().await? {
        for at in [column::LAST_QUALIFIED_AT, column::EXITED_AT] {
            newest = newest.max(max(batch.column(at).as_primitive::<TimestampMicrosecondType>()));
        }
        let rows = Stored::new(&batch)?;
        let members = rows.members();
        mark.members += members as u64;
        mark.exited += (rows.len() - members) as u64;
    }
    if let Some(newest) = newest.and_then(DateTime::from_timestamp_micros) {
        mark.as_of = newest;
    }
    Ok(mark)
}

async fn open(
    layout: &Arc<Layout>,
    store: &Arc<dyn ObjectStore>,
    file: &Add,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let path = layout.full_path(&file.path)?;
    let size = u64::try_from(file.size).map_err(|_| bug!("the file {path} has the size {}", file.size))?;
    let reader = Reader { store: Arc::clone(store), path, size };
    let failed = |layout: &Layout, e| layout.failed("read", e);
    let stream = ParquetRecordBatchStreamBuilder::new(reader)
        .await
        .and_then(|builder| builder.with_batch_size(BATCH).build())
        .map_err(|e| failed(layout, e))?;
    let layout = Arc::clone(layout);
    Ok(stream.map(move |batch| typed(&layout, &batch.map_err(|e| failed(&layout, e))?)).boxed())
}

/// The columns of a file in the order and types of ours.
fn typed(layout: &Layout, batch: &RecordBatch) -> Result<RecordBatch> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| {
            Error::new(Kind::Storage, format!("a file of {} has no column `{name}`", layout.url))
        })
    };
    let columns: Result<Vec<_>> = layout
        .row_schema
        .fields()
        .iter()
        .map(|field| cast(column(field.name())?, field.data_type()).map_err(arrow))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(layout.row_schema.clone(), columns?, &options)
        .map_err(|e| layout.failed("read", e))
}

fn sort(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch> {
    let whole = concat_batches(schema, batches).map_err(arrow)?;
    let order = sort_to_indices(whole.column(column::KEY), None, None).map_err(arrow)?;
    take_record_batch(&whole, &order).map_err(arrow)
}

/// A file in the object store, as the Parquet reader wants it.
struct Reader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        Box::pin(async { self.store.get_range(&self.path, range).await.map_err(external) })
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        Box::pin(async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) })
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        Box::pin(async move {
            let size = self.size;
            let metadata = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            Ok(Arc::new(metadata.load_and_finish(self, size).await?))
        })
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
