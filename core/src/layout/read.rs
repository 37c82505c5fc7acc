//! A copy as it is read: its files by bucket and month, and scans of them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use object_store::path::Path;
use url::{Position, Url};

use crate::error::Result;
use crate::source;

use super::Source;
use super::log::{File, Log, State};
use super::register::{self, Register};

/// A copy of an event table, as one version of it holds it.
#[derive(Clone, Debug)]
pub struct Layout {
    /// How many buckets the keys are dealt to, by [`bucket_of`](super::bucket_of).
    pub buckets: u32,
    /// Its files, by bucket, then month. Each is sorted by key, time and id, nulls first.
    pub files: Vec<File>,
    /// The columns of the event table, in its types: those of the files, unless a type is not Delta Lake's.
    pub schema: SchemaRef,
    /// The object store that holds the files.
    pub store_url: ObjectStoreUrl,
    /// The version of the Delta table.
    pub version: u64,
    /// The folder of the Delta table.
    pub url: Url,
    /// The column of keys' numbers.
    pub number: String,
    /// The profiles by the numbers of their keys, if the profile table is as it was then.
    pub registered: Option<Registered>,
    timestamp: usize,
}

/// Profiles by the numbers of their keys: each once, and all have a key.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The columns `key`, `number` and `row`: the key, the number that events have instead of it, null without any, and the
    /// row of the profile table, whose files are in the order of their paths.
    pub schema: SchemaRef,
    /// Where the profiles of each bucket begin, and where the last one's end.
    pub starts: Vec<usize>,
    /// The profile table's files.
    pub files: Vec<source::File>,
    store_url: ObjectStoreUrl,
    path: Path,
    size: u64,
}

impl Registered {
    pub(super) fn new(log: &Log, register: &Register, source: &Source<'_>) -> Option<Self> {
        Some(Self {
            schema: register::schema(&register::key_type(source)?),
            starts: register.starts.clone(),
            files: register.files.clone(),
            store_url: store_url(log).ok()?,
            path: log.path(&register.path),
            size: register.size,
        })
    }

    /// Reads all columns, in order.
    pub fn scan(&self) -> FileScanConfig {
        let source = ParquetSource::new(TableSchema::from(Arc::clone(&self.schema)));
        FileScanConfigBuilder::new(self.store_url.clone(), Arc::new(source))
            .with_file(file(&self.path, self.size))
            .build()
    }
}

impl Layout {
    pub(super) fn new(log: &Log, state: &State, buckets: u32, source: &Source<'_>) -> Result<Self> {
        Ok(Self {
            buckets,
            files: state.files.clone(),
            schema: Arc::clone(&source.schema),
            store_url: store_url(log)?,
            version: state.version.unwrap_or_default(),
            url: log.url.clone(),
            number: state.number().unwrap_or_default().to_owned(),
            registered: None,
            timestamp: source.schema.index_of(&source.events.timestamp).unwrap_or_default(),
        })
    }

    /// How many events it holds.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// How many bytes its files have.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The files of each bucket that can hold events from `first` to `last`, in microseconds since 1970. Events
    /// without time are in none, unless neither is given.
    pub fn within(&self, first: Option<i64>, last: Option<i64>) -> Vec<Vec<&File>> {
        let mut buckets = vec![vec![]; usize::try_from(self.buckets).unwrap_or_default()];
        let wanted = |file: &&File| match file.span {
            Some((from, to)) => first.is_none_or(|first| to >= first) && last.is_none_or(|last| from <= last),
            None => first.is_none() && last.is_none(),
        };
        for file in self.files.iter().filter(wanted) {
            if let Some(bucket) = usize::try_from(file.bucket).ok().and_then(|at| buckets.get_mut(at)) {
                bucket.push(file);
            }
        }
        buckets
    }

    /// The columns of the event table, and the number of the key.
    pub fn numbered(&self) -> SchemaRef {
        let number = Field::new(&self.number, DataType::Int32, true);
        let fields = self.schema.fields().iter().cloned().chain([Arc::new(number)]);
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Reads groups of files, one partition a group, in the columns of [`numbered`](Self::numbered).
    ///
    /// The partitions are declared, as unknown ones: otherwise DataFusion's workers take files from one another, and a
    /// bucket comes apart.
    pub fn scan(&self, groups: &[Vec<&File>], projection: Option<&[usize]>) -> Result<FileScanConfig> {
        let schema = self.numbered();
        let groups: Vec<FileGroup> = groups
            .iter()
            .map(|files| files.iter().map(|file| self.partitioned(file, &schema)).collect::<FileGroup>())
            .collect();
        let partitioning = Partitioning::UnknownPartitioning(groups.len());
        let source = ParquetSource::new(TableSchema::from(schema));
        let config = FileScanConfigBuilder::new(self.store_url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.map(<[usize]>::to_vec))?
            .with_output_partitioning(Some(partitioning));
        Ok(config.build())
    }

    /// A file as DataFusion's scans take it, with the bounds of its times.
    fn partitioned(&self, file: &File, schema: &Schema) -> PartitionedFile {
        let mut statistics = Statistics::new_unknown(schema);
        statistics.num_rows = usize::try_from(file.rows).map_or(Precision::Absent, Precision::Exact);
        if let Some((first, last)) = file.span {
            let of_type = self.schema.field(self.timestamp).data_type();
            let zone = if let DataType::Timestamp(_, zone) = of_type { zone.clone() } else { None };
            let value = |instant: i64| {
                let value = ScalarValue::TimestampMicrosecond(Some(instant), zone.clone()).cast_to(of_type);
                value.map_or(Precision::Absent, Precision::Exact)
            };
            let times =
                ColumnStatistics::new_unknown().with_min_value(value(first)).with_max_value(value(last));
            statistics.column_statistics[self.timestamp] = times;
        }
        self::file(&file.path, file.size).with_statistics(Arc::new(statistics))
    }
}

/// The rows of some files one after the other, in the columns of the files.
pub(super) fn rows(
    log: &Log,
    stored: &SchemaRef,
    files: &[&File],
    context: &Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let source = ParquetSource::new(TableSchema::from(Arc::clone(stored)));
    let group: FileGroup = files.iter().map(|of| file(&of.path, of.size)).collect();
    let config = FileScanConfigBuilder::new(store_url(log)?, Arc::new(source)).with_file_group(group).build();
    let plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    Ok(execute_stream(plan, Arc::clone(context))?)
}

fn file(path: &Path, size: u64) -> PartitionedFile {
    let mut file = PartitionedFile::new(String::new(), size);
    file.object_meta.location = path.clone();
    file
}

fn store_url(log: &Log) -> Result<ObjectStoreUrl> {
    Ok(ObjectStoreUrl::parse(&log.url[..Position::BeforePath])?)
}
