//! Parquet files read row group by row group: first the columns that decide which rows matter, then the others of
//! those rows alone. Strings that a file keeps as dictionary codes stay codes.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection,
};
use datafusion::parquet::basic::{Encoding, PageType};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::reader::{ChunkReader, Length};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::compile::is_text;
use crate::error::{Error, Result, from_object_store};

use super::classes::order_keys;

/// Rows decoded at once.
const BATCH: usize = 8192;
/// Columns that lie this close together are fetched in one request.
const GAP: u64 = 256 * 1024;

/// The files of a table that can be read here.
#[derive(Debug)]
pub(super) struct Files {
    store: Arc<dyn ObjectStore>,
    files: Vec<File>,
    /// The row groups that may hold events within the widest window.
    pub(super) row_groups: Vec<RowGroup>,
}

/// A row group.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowGroup {
    file: usize,
    position: usize,
    /// The plan's partition that its file is in.
    pub(super) partition: usize,
}

#[derive(Debug)]
struct File {
    path: Path,
    partition: usize,
    metadata: Arc<ParquetMetaData>,
    schema: SchemaRef,
}

/// Bytes of a file that were fetched.
#[derive(Debug)]
struct Fetched {
    length: u64,
    parts: Vec<(u64, Bytes)>,
}

impl Files {
    /// The files that a plan scans, where it does nothing but scan Parquet files that have `columns` as the table
    /// has them; `None` otherwise. Row groups whose `time` lies before `since` are left out.
    pub(super) async fn of(
        plan: &Arc<dyn ExecutionPlan>,
        table: &Schema,
        columns: &[&str],
        time: &str,
        since: i64,
        runtime: &RuntimeEnv,
    ) -> Result<Option<Self>> {
        let scan = plan.downcast_ref::<DataSourceExec>();
        let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        // By name: the source of a declared table is wrapped in one that names the file in errors.
        let Some(config) = config.filter(|config| config.file_source().file_type() == "parquet") else {
            return Ok(None);
        };
        let store = runtime.object_store(&config.object_store_url)?;
        let cache = runtime.cache_manager.get_file_metadata_cache();
        let mut files: Vec<File> = vec![];
        let mut partition_of: Vec<(usize, &PartitionedFile)> = vec![];
        for (partition, group) in config.file_groups.iter().enumerate() {
            for file in group.iter() {
                partition_of.push((partition, file));
            }
        }
        for (partition, file) in partition_of {
            // A file that is split over groups is read as a whole here.
            if files.iter().any(|known| known.path == file.object_meta.location) {
                continue;
            }
            let metadata = DFParquetMetadata::new(store.as_ref(), &file.object_meta)
                .with_file_metadata_cache(Some(Arc::clone(&cache)))
                .fetch_metadata()
                .await?;
            let own = ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new())
                .map_err(|error| broken(&file.object_meta.location, error))?;
            if !columns.iter().all(|name| same_column(table, own.schema(), name)) {
                return Ok(None);
            }
            let schema = Arc::clone(own.schema());
            files.push(File { path: file.object_meta.location.clone(), partition, metadata, schema });
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        let mut row_groups = vec![];
        for (at, file) in files.iter().enumerate() {
            let latest = file.latest(time)?;
            for position in 0..file.metadata.num_row_groups() {
                let latest = latest.as_ref().and_then(|latest| latest[position]);
                if file.metadata.row_group(position).num_rows() > 0
                    && latest.is_none_or(|latest| latest >= since)
                {
                    row_groups.push(RowGroup { file: at, position, partition: file.partition });
                }
            }
        }
        Ok(Some(Self { store, files, row_groups }))
    }

    /// How many rows a row group has.
    pub(super) fn rows(&self, at: RowGroup) -> usize {
        usize::try_from(self.files[at.file].metadata.row_group(at.position).num_rows()).unwrap_or_default()
    }

    /// Reads some columns of a row group, of the selected rows if a selection is given; with the bytes fetched.
    pub(super) async fn read(
        &self,
        RowGroup { file, position: group, .. }: RowGroup,
        columns: &[&str],
        selection: Option<RowSelection>,
    ) -> Result<(ParquetRecordBatchReader, u64)> {
        let file = &self.files[file];
        let failed = |error| broken(&file.path, error);
        let own = file.metadata.row_group(group);
        let schema = file.reading(group);
        let options = ArrowReaderOptions::new().with_schema(schema);
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&file.metadata), options).map_err(failed)?;
        let roots = metadata.parquet_schema().root_schema().get_fields();
        let roots = roots.iter().enumerate().filter(|(_, field)| columns.contains(&field.name()));
        let mask =
            ProjectionMask::roots(metadata.parquet_schema(), roots.map(|(at, _)| at).collect::<Vec<_>>());
        let mut ranges: Vec<Range<u64>> = vec![];
        let mut wanted: Vec<Range<u64>> = (0..own.num_columns())
            .filter(|at| mask.leaf_included(*at))
            .map(|at| {
                let (start, length) = own.column(at).byte_range();
                start..start + length
            })
            .collect();
        wanted.sort_unstable_by_key(|range| range.start);
        for range in wanted {
            match ranges.last_mut() {
                Some(last) if range.start <= last.end + GAP => last.end = last.end.max(range.end),
                _ => ranges.push(range),
            }
        }
        let parts = self.store.get_ranges(&file.path, &ranges).await;
        let parts = parts.map_err(from_object_store)?;
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        let parts: Vec<(u64, Bytes)> = ranges.iter().map(|range| range.start).zip(parts).collect();
        let length = parts.iter().map(|(start, part)| start + part.len() as u64).max().unwrap_or_default();
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(Fetched { length, parts }, metadata)
                .with_projection(mask)
                .with_row_groups(vec![group])
                .with_batch_size(BATCH);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        Ok((builder.build().map_err(failed)?, bytes))
    }

    /// The next batch of a reader over a row group.
    pub(super) fn next(
        &self,
        RowGroup { file, .. }: RowGroup,
        reader: &mut ParquetRecordBatchReader,
    ) -> Result<Option<RecordBatch>> {
        let failed = |error: arrow::error::ArrowError| broken(&self.files[file].path, error.into());
        reader.next().transpose().map_err(failed)
    }
}

impl File {
    /// The latest time of each row group, where the file says.
    fn latest(&self, time: &str) -> Result<Option<Vec<Option<i64>>>> {
        let schema = self.metadata.file_metadata().schema_descr();
        let Ok(converter) = StatisticsConverter::try_new(time, &self.schema, schema) else { return Ok(None) };
        let Ok(latest) = converter.row_group_maxes(self.metadata.row_groups()) else { return Ok(None) };
        let keys = order_keys(&latest)?;
        // Events without a time matter to some rules and are in no statistics of greatest values.
        let nulls = converter.row_group_null_counts(self.metadata.row_groups()).ok();
        let known = |at: usize| {
            latest.is_valid(at)
                && nulls.as_ref().is_some_and(|nulls| nulls.is_valid(at) && nulls.value(at) == 0)
        };
        Ok(Some((0..latest.len()).map(|at| known(at).then(|| keys[at])).collect()))
    }

    /// The schema to read a row group by: texts as codes where all pages hold codes, else as views.
    fn reading(&self, group: usize) -> SchemaRef {
        let group = self.metadata.row_group(group);
        let fields: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|field| {
                if !is_text(field.data_type()) {
                    return Arc::clone(field);
                }
                let chunk = group
                    .columns()
                    .iter()
                    .find(|chunk| chunk.column_path().parts() == [field.name().as_str()]);
                let data_type = if chunk.is_some_and(all_codes) {
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
                } else {
                    DataType::Utf8View
                };
                Arc::new(field.as_ref().clone().with_data_type(data_type))
            })
            .collect();
        Arc::new(Schema::new(fields))
    }
}

/// Whether all data pages of a column hold dictionary codes.
fn all_codes(chunk: &ColumnChunkMetaData) -> bool {
    let is_code = |encoding| matches!(encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY);
    if chunk.dictionary_page_offset().is_none() {
        return false;
    }
    if let Some(stats) = chunk.page_encoding_stats() {
        let data = |page| matches!(page, PageType::DATA_PAGE | PageType::DATA_PAGE_V2);
        return stats.iter().filter(|page| data(page.page_type)).all(|page| is_code(page.encoding));
    }
    chunk.page_encoding_stats_mask().is_some_and(|mask| {
        mask.is_only(Encoding::PLAIN_DICTIONARY) || mask.is_only(Encoding::RLE_DICTIONARY)
    })
}

/// Whether a file has a column as the table has it, however texts are held.
fn same_column(table: &Schema, file: &Schema, name: &str) -> bool {
    let (Ok(wanted), Ok(own)) = (table.field_with_name(name), file.field_with_name(name)) else {
        return false;
    };
    same_type(wanted.data_type(), own.data_type())
}

fn same_type(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        _ if is_text(left) => is_text(right),
        (DataType::List(left), DataType::List(right)) => same_type(left.data_type(), right.data_type()),
        (DataType::Struct(left), DataType::Struct(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    left.name() == right.name() && same_type(left.data_type(), right.data_type())
                })
        }
        _ => left == right,
    }
}

fn broken(path: &Path, error: ParquetError) -> Error {
    let error = datafusion::common::DataFusionError::from(error).context(format!("reading `{path}`"));
    error.into()
}

impl Length for Fetched {
    fn len(&self) -> u64 {
        self.length
    }
}

impl Fetched {
    fn from(&self, start: u64) -> Option<Bytes> {
        let (first, part) = self.parts.iter().rev().find(|(first, _)| *first <= start)?;
        let skipped = usize::try_from(start - first).ok()?;
        (skipped <= part.len()).then(|| part.slice(skipped..))
    }
}

impl ChunkReader for Fetched {
    type T = std::io::Cursor<Bytes>;

    fn get_read(&self, start: u64) -> datafusion::parquet::errors::Result<Self::T> {
        let bytes = self.from(start).ok_or_else(|| ParquetError::EOF(format!("no bytes at {start}")))?;
        Ok(std::io::Cursor::new(bytes))
    }

    fn get_bytes(&self, start: u64, length: usize) -> datafusion::parquet::errors::Result<Bytes> {
        match self.from(start) {
            Some(bytes) if bytes.len() >= length => Ok(bytes.slice(..length)),
            _ => Err(ParquetError::EOF(format!("no {length} bytes at {start}"))),
        }
    }
}
