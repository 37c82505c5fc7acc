//! Writes the files of a bucket: one a month, each sorted.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::arrow::{ArrowSchemaConverter, AsyncArrowWriter};
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::metadata::SortingColumn;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::schema::types::ColumnPath;
use deltalake_core::kernel::Add;
use object_store::buffered::BufWriter;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

use super::columns::Columns;
use super::log::{Log, tags};

/// Large enough to compress well; a bucket is read by one thread.
const ROW_GROUP: usize = 1 << 18;

/// Small enough that a look at one profile decodes little.
const PAGE_ROWS: usize = 1 << 14;

/// Longer keys are left out of a file's bounds in the log.
const LONGEST_BOUND: usize = 64;

/// What Hive calls the folder of rows without a value.
const NO_MONTH: &str = "__HIVE_DEFAULT_PARTITION__";

/// A file in the making. Nobody sees it before a commit names it.
pub(super) struct Writer {
    log: Arc<Log>,
    columns: Arc<Columns>,
    path: String,
    partition: HashMap<String, Option<String>>,
    file: AsyncArrowWriter<BufWriter>,
    rows: u64,
    null_keys: usize,
    null_times: usize,
    first_key: Option<ArrayRef>,
    last_key: Option<ArrayRef>,
    span: Option<(i64, i64)>,
}

impl Writer {
    pub(super) fn new(
        log: &Arc<Log>,
        columns: &Arc<Columns>,
        bucket: u32,
        month: Option<String>,
    ) -> Result<Self> {
        let folder = month.as_deref().unwrap_or(NO_MONTH);
        let (month_column, bucket_column) = (&columns.month, &columns.bucket);
        let path =
            format!("{month_column}={folder}/{bucket_column}={bucket}/{}.lz4_raw.parquet", Uuid::new_v4());
        let target = BufWriter::new(Arc::clone(&log.store), log.path(&path));
        // The arrow schema makes readers of ours only: types are those of the log.
        let options =
            ArrowWriterOptions::new().with_properties(properties(columns)?).with_skip_arrow_metadata(true);
        let file = AsyncArrowWriter::try_new_with_options(target, Arc::clone(&columns.files), options)
            .map_err(|error| failed(log, error))?;
        let partition =
            HashMap::from([(month_column.clone(), month), (bucket_column.clone(), Some(bucket.to_string()))]);
        Ok(Self {
            log: Arc::clone(log),
            columns: Arc::clone(columns),
            path,
            partition,
            file,
            rows: 0,
            null_keys: 0,
            null_times: 0,
            first_key: None,
            last_key: None,
            span: None,
        })
    }

    /// Adds rows, which come after those before them.
    pub(super) async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.rows += u64::try_from(rows.num_rows()).unwrap_or(u64::MAX);
        let (keys, times) = (rows.column(self.columns.key), rows.column(self.columns.timestamp));
        self.null_keys += keys.null_count();
        self.null_times += times.null_count();
        // Missing keys come first, and are no bounds.
        if keys.null_count() < keys.len() {
            self.first_key.get_or_insert_with(|| keys.slice(keys.null_count(), 1));
            self.last_key = Some(keys.slice(keys.len() - 1, 1));
        }
        if let Some((low, high)) = bounds(times) {
            let (first, last) = self.span.unwrap_or((low, high));
            self.span = Some((first.min(low), last.max(high)));
        }
        self.file.write(rows).await.map_err(|error| failed(&self.log, error))
    }

    /// Completes the file and says how the log is to name it.
    pub(super) async fn finish(mut self) -> Result<Add> {
        self.file.finish().await.map_err(|error| failed(&self.log, error))?;
        let size = self.file.bytes_written();
        sync(&self.log, &self.path).await?;
        Ok(Add {
            stats: Some(self.stats().to_string()),
            path: self.path,
            partition_values: self.partition,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modification_time: Utc::now().timestamp_millis(),
            data_change: true,
            tags: Some(tags(self.rows, self.span)),
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }

    fn stats(&self) -> Value {
        let name = |at: usize| self.columns.stored.field(at).name().clone();
        let (mut low, mut high) = (Map::new(), Map::new());
        let ends = [&self.first_key, &self.last_key].map(|key| key.as_ref().and_then(bound));
        if let [Some(first), Some(last)] = ends {
            low.insert(name(self.columns.key), first);
            high.insert(name(self.columns.key), last);
        }
        let of_type = self.columns.stored.field(self.columns.timestamp).data_type();
        let span = self.span.and_then(|(first, last)| {
            Some((DateTime::from_timestamp_micros(first)?, DateTime::from_timestamp_micros(last)?))
        });
        if let Some((first, last)) = span {
            let text = |instant: DateTime<Utc>| match of_type {
                DataType::Date32 => instant.format("%Y-%m-%d").to_string(),
                DataType::Timestamp(_, Some(_)) => instant.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
                _ => instant.format("%Y-%m-%dT%H:%M:%S%.3f").to_string(),
            };
            // The log counts milliseconds: the bounds are widened to whole ones.
            let up = last.trunc_subsecs(3);
            let up = if up < last { up + TimeDelta::milliseconds(1) } else { up };
            low.insert(name(self.columns.timestamp), json!(text(first.trunc_subsecs(3))));
            high.insert(name(self.columns.timestamp), json!(text(up)));
        }
        let nulls =
            json!({name(self.columns.key): self.null_keys, name(self.columns.timestamp): self.null_times});
        json!({"numRecords": self.rows, "minValues": low, "maxValues": high, "nullCount": nulls})
    }
}

/// On a local disk a file is there only once the disk has it: without this a power failure could leave a commit that
/// names empty files. Object stores answer when they have it.
pub(super) async fn sync(log: &Log, relative: &str) -> Result<()> {
    if log.url.scheme() != "file" {
        return Ok(());
    }
    let Ok(mut path) = log.url.to_file_path() else { return Ok(()) };
    path.push(relative);
    let synced = async { tokio::fs::File::open(&path).await?.sync_all().await };
    synced.await.map_err(|error| failed(log, error))
}

fn properties(columns: &Columns) -> Result<WriterProperties> {
    let stored = &columns.files;
    let parquet = ArrowSchemaConverter::new().convert(stored).map_err(|error| crate::bug!("{error}"))?;
    // Parquet counts the leaves of nested columns.
    let leaf = |at: usize| {
        let path = [stored.field(at).name().clone()];
        parquet.columns().iter().position(|column| column.path().parts() == path)
    };
    let order = [Some(columns.key), Some(columns.timestamp), columns.id];
    let sorting = order.into_iter().flatten().map(|at| {
        let column_idx = leaf(at).and_then(|leaf| i32::try_from(leaf).ok());
        let column_idx = column_idx.ok_or_else(|| crate::bug!("a nested column orders events"))?;
        Ok(SortingColumn { column_idx, descending: false, nulls_first: true })
    });
    let mut properties = WriterProperties::builder()
        // A fifth larger than with zstd, and decoded in half the time.
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_sorting_columns(Some(sorting.collect::<Result<_>>()?))
        .set_created_by(concat!("coterie ", env!("CARGO_PKG_VERSION")).to_owned());
    // Hardly any value of these comes twice.
    for at in [Some(columns.timestamp), columns.id].into_iter().flatten() {
        let column = ColumnPath::from(stored.field(at).name().as_str());
        properties = properties.set_column_dictionary_enabled(column, false);
    }
    // In the order of keys one time says little about the next.
    let time = ColumnPath::from(stored.field(columns.timestamp).name().as_str());
    properties = properties.set_column_compression(time, Compression::UNCOMPRESSED);
    // Read by every rule, and so few bytes that nothing is quicker to decode.
    let number = ColumnPath::from(columns.number.as_str());
    properties = properties
        .set_column_dictionary_enabled(number.clone(), false)
        .set_column_compression(number, Compression::UNCOMPRESSED);
    Ok(properties.build())
}

/// The first and the last instant of a column of times.
fn bounds(times: &ArrayRef) -> Option<(i64, i64)> {
    const DAY: i64 = 86_400_000_000;
    match times.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => min(times).zip(max(times)),
        None => {
            let days = times.as_primitive_opt::<Date32Type>()?;
            let midnight = |day: i32| i64::from(day).saturating_mul(DAY);
            Some((midnight(min(days)?), midnight(max(days)?)))
        }
    }
}

/// A key as a bound in the log, if it is short and of a type that every reader takes alike.
fn bound(key: &ArrayRef) -> Option<Value> {
    if let Some(text) = key.as_string_opt::<i32>() {
        return (text.value(0).len() <= LONGEST_BOUND).then(|| json!(text.value(0)));
    }
    let number = key.data_type().is_integer().then(|| arrow::compute::cast(key, &DataType::Int64).ok())??;
    Some(json!(number.as_primitive::<Int64Type>().value(0)))
}

pub(super) fn failed(log: &Log, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = format!("cannot write laid-out events at {}: {error}", crate::storage::shown(&log.url));
    Error::caused(Kind::Storage, message, error)
}
