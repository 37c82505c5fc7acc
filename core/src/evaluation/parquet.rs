//! Parquet files read row group by row group, or, where these are few, by pieces of them: first the columns that decide which rows matter, then the others of
//! those rows alone. Strings that a file keeps as dictionary codes stay codes.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::runtime::JoinSet;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection, RowSelector,
};
use datafusion::parquet::basic::{Encoding, PageType};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, RowGroupMetaData,
};
use datafusion::parquet::file::page_index::offset_index::PageLocation;
use datafusion::parquet::file::reader::{ChunkReader, Length};
use datafusion::parquet::schema::types::ColumnDescPtr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_plan::ExecutionPlan;
use hashbrown::{HashMap, HashSet};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use tokio::sync::OnceCell;

use crate::bug;
use crate::compile::is_text;
use crate::error::{Error, Result, from_object_store};
use crate::source;

use super::bind::field_below;
use super::classes::order_keys;
use super::table::EventTable;

/// Rows decoded at once.
const BATCH: usize = 8192;
/// No row group is cut into pieces smaller than this.
const LEAST: usize = 1 << 16;
/// So many files are asked what they hold at once.
const AT_ONCE: usize = 32;
/// Parts of a file that lie this close together are fetched in one request, of a disk and of other stores.
const GAP_ON_DISK: u64 = 16 * 1024;
const GAP: u64 = 256 * 1024;

/// Unless fewer than one of so many rows matters, the other columns, too, are read of all rows: that is what Parquet's
/// reader does then, whatever it is asked for, and it takes longer to tell it.
pub(super) const SPARSE: usize = 64;

/// The files of a table that can be read here.
#[derive(Debug)]
pub(super) struct Files {
    store: Arc<dyn ObjectStore>,
    gap: u64,
    files: Vec<File>,
    /// The row groups that may hold events within the widest window, or pieces of them.
    pub(super) pieces: Vec<Piece>,
    n_rows: usize,
    /// What pieces of one row group share, by the columns that are read: it is fetched once.
    shared: Mutex<HashMap<Columns, Arc<OnceCell<Fetched>>>>,
}

/// Columns of a row group: the file, the position of the row group, the positions of their leaves.
type Columns = (usize, usize, Vec<usize>);

/// A row group, or some of its rows.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    file: usize,
    group: usize,
    /// How many rows are before it in all files.
    before: usize,
    /// Which of its rows.
    pub(super) rows: Range<usize>,
    /// Whether there are others.
    is_part: bool,
    /// The plan's partition that its file is in.
    pub(super) partition: usize,
    /// An instant that stands for the times of its rows as far as windows go, where one does.
    pub(super) time: Option<i64>,
}

impl Piece {
    /// The number of its first row among those of all files.
    pub(super) fn first_row(&self) -> usize {
        self.before + self.rows.start
    }
}

#[derive(Debug)]
struct File {
    path: Path,
    /// What users call it.
    name: String,
    size: u64,
    /// When it was changed last, in microseconds since 1970.
    modified: i64,
    partition: usize,
    metadata: Arc<ParquetMetaData>,
    schema: SchemaRef,
    /// How each row group is read, once one is.
    groups: Vec<OnceLock<ArrowReaderMetadata>>,
    /// How few rows are read.
    few: OnceLock<ArrowReaderMetadata>,
}

/// Bytes of a file that were fetched.
#[derive(Clone, Debug)]
struct Fetched {
    length: u64,
    parts: Vec<(u64, Bytes)>,
}

impl Files {
    /// The files that a plan scans, where it does nothing but scan Parquet files that have `columns`, or fields below them,
    /// as the table has them; `None` otherwise. Of `events` row groups before all windows are left out. With `pages` single
    /// pages are read where few rows are wanted, which takes a look at where these are in each file.
    pub(super) async fn of(
        plan: &Arc<dyn ExecutionPlan>,
        table: &Schema,
        columns: &[&[String]],
        events: Option<&EventTable>,
        pages: bool,
        runtime: &RuntimeEnv,
    ) -> Result<Option<Self>> {
        let scan = plan.downcast_ref::<DataSourceExec>();
        let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        let Some(config) = config.filter(|config| is_plain(config)) else { return Ok(None) };
        let store = runtime.object_store(&config.object_store_url)?;
        let cache = runtime.cache_manager.get_file_metadata_cache();
        let is_on_disk = config.object_store_url.as_str().starts_with("file:");
        let root = if is_on_disk { "/" } else { config.object_store_url.as_str() };
        let (mut files, mut seen, mut reading) = (vec![], HashSet::new(), JoinSet::new());
        for (partition, group) in config.file_groups.iter().enumerate() {
            for file in group.iter() {
                // A file that is split over groups is read as a whole here.
                if !seen.insert(file.object_meta.location.clone()) {
                    continue;
                }
                if reading.len() == AT_ONCE {
                    files.extend(described(&mut reading).await?);
                }
                let (store, cache) = (Arc::clone(&store), Arc::clone(&cache));
                let name = format!("{root}{}", file.object_meta.location);
                reading.spawn(File::describe(store, cache, file.object_meta.clone(), name, partition, pages));
            }
        }
        while let Some(file) = described(&mut reading).await? {
            files.push(file);
        }
        if !files.iter().all(|file| columns.iter().all(|path| same_column(table, &file.schema, path))) {
            return Ok(None);
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        let (mut pieces, mut before) = (vec![], 0);
        for (at, file) in files.iter().enumerate() {
            let times = events.map(|events| file.times(&events.time)).transpose()?;
            for group in 0..file.metadata.num_row_groups() {
                let times = events.zip(times.as_ref().and_then(|times| times[group]));
                let rows = 0..usize::try_from(file.metadata.row_group(group).num_rows()).unwrap_or_default();
                if !rows.is_empty() && times.is_none_or(|(events, (_, last))| last >= events.since) {
                    let time = times.and_then(|(events, (first, last))| events.alike(first, last));
                    let partition = file.partition;
                    let rows = rows.clone();
                    pieces.push(Piece { file: at, group, before, rows, is_part: false, partition, time });
                }
                before += rows.len();
            }
        }
        let gap = if is_on_disk { GAP_ON_DISK } else { GAP };
        Ok(Some(Self { store, gap, files, pieces, n_rows: before, shared: Mutex::default() }))
    }

    /// Whether these are the files, as they were at one moment.
    pub(super) fn are(&self, files: &[source::File]) -> bool {
        let is_one = |(own, file): (&File, &source::File)| {
            own.path.as_ref() == file.path && own.size == file.size && own.modified == file.modified
        };
        self.files.len() == files.len() && self.files.iter().zip(files).all(is_one)
    }

    /// How many rows all files have.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Whether a column is known to be NULL nowhere.
    pub(super) fn all_have(&self, column: &str) -> bool {
        self.pieces.iter().all(|piece| {
            let chunks = self.files[piece.file].metadata.row_group(piece.group).columns();
            let chunk = chunks.iter().find(|chunk| chunk.column_path().parts() == [column]);
            chunk.is_some_and(|chunk| {
                let n_nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
                chunk.column_descr().max_def_level() == 0 || n_nulls == Some(0)
            })
        })
    }

    /// Cuts row groups into pieces where there are fewer of them than threads.
    pub(super) fn cut(&mut self, n_threads: usize) {
        if self.pieces.is_empty() || self.pieces.len() >= n_threads {
            return;
        }
        let of_each = n_threads.div_ceil(self.pieces.len());
        for whole in std::mem::take(&mut self.pieces) {
            let n_pieces = of_each.min(whole.rows.len() / LEAST).max(1);
            let length = whole.rows.len().div_ceil(n_pieces);
            for start in whole.rows.clone().step_by(length) {
                let rows = start..(start + length).min(whole.rows.end);
                self.pieces.push(Piece { rows, is_part: n_pieces > 1, ..whole.clone() });
            }
        }
    }

    /// Reads some columns of a piece, of the selected rows of its row group or all of its own; with the bytes fetched.
    pub(super) async fn read(
        &self,
        piece: &Piece,
        columns: &[&[String]],
        selection: Option<RowSelection>,
    ) -> Result<(ParquetRecordBatchReader, u64)> {
        let (file, group) = (&self.files[piece.file], piece.group);
        let few = selection.is_some();
        let own_rows =
            || RowSelection::from_consecutive_ranges(std::iter::once(piece.rows.clone()), piece.rows.end);
        let selection = selection.or_else(|| piece.is_part.then(own_rows));
        let own = file.metadata.row_group(group);
        let metadata = if few { file.reading_few()? } else { file.reading(group)? };
        let leaves = metadata.parquet_schema().columns().iter().enumerate();
        let is_read = |leaf: &ColumnDescPtr| columns.iter().any(|path| leaf.path().parts().starts_with(path));
        let leaves: Vec<usize> = leaves.filter(|(_, leaf)| is_read(leaf)).map(|(at, _)| at).collect();
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), leaves.iter().copied());
        let mut ranges: Vec<Range<u64>> = vec![];
        let mut wanted: Vec<Range<u64>> = vec![];
        for at in &leaves {
            let (start, length) = own.column(*at).byte_range();
            let pages = file.pages(group, *at);
            match (&selection, pages.first()) {
                (Some(selection), Some(first)) if few => {
                    // What is before the first page of rows is the dictionary.
                    wanted.extend(u64::try_from(first.offset).map(|first| start..first));
                    wanted.extend(selection.scan_ranges(pages));
                }
                _ => wanted.push(start..start + length),
            }
        }
        wanted.retain(|range| !range.is_empty());
        wanted.sort_unstable_by_key(|range| range.start);
        for range in wanted {
            match ranges.last_mut() {
                Some(last) if range.start <= last.end + self.gap => last.end = last.end.max(range.end),
                _ => ranges.push(range),
            }
        }
        let (fetched, bytes) = if piece.is_part {
            let cell = self.shared((piece.file, group, leaves));
            let mut bytes = 0;
            let fetch = async {
                let fetched = self.fetch(file, &ranges).await?;
                bytes = fetched.bytes();
                Ok::<_, Error>(fetched)
            };
            (cell.get_or_try_init(|| fetch).await?.clone(), bytes)
        } else {
            let fetched = self.fetch(file, &ranges).await?;
            let bytes = fetched.bytes();
            (fetched, bytes)
        };
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(fetched, metadata)
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(BATCH);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        Ok((builder.build().map_err(|error| broken(&file.name, error))?, bytes))
    }

    fn shared(&self, of: Columns) -> Arc<OnceCell<Fetched>> {
        Arc::clone(self.shared.lock().unwrap_or_else(PoisonError::into_inner).entry(of).or_default())
    }

    async fn fetch(&self, file: &File, ranges: &[Range<u64>]) -> Result<Fetched> {
        let parts = self.store.get_ranges(&file.path, ranges).await;
        let parts = parts.map_err(from_object_store)?;
        let parts: Vec<(u64, Bytes)> = ranges.iter().map(|range| range.start).zip(parts).collect();
        let length = parts.iter().map(|(start, part)| start + part.len() as u64).max().unwrap_or_default();
        Ok(Fetched { length, parts })
    }

    /// The next batch of a reader over a piece.
    pub(super) fn next(
        &self,
        piece: &Piece,
        reader: &mut ParquetRecordBatchReader,
    ) -> Result<Option<RecordBatch>> {
        let failed = |error: arrow::error::ArrowError| broken(&self.files[piece.file].name, error.into());
        reader.next().transpose().map_err(failed)
    }
}

/// Whether a scan yields all rows of Parquet files, and their columns under their own names: a view may have left its
/// conditions, its limit, and its other names for columns with the scan.
fn is_plain(config: &FileScanConfig) -> bool {
    let source = config.file_source();
    let is_own = |expr: &ProjectionExpr| {
        expr.expr.downcast_ref::<Column>().is_some_and(|column| column.name() == expr.alias)
    };
    // By name: the source of a declared table is wrapped in one that names the file in errors.
    source.file_type() == "parquet"
        && source.filter().is_none()
        && config.limit.is_none()
        && source.projection().is_none_or(|columns| columns.iter().all(is_own))
}

/// The next file that has been described, if any is on its way.
async fn described(reading: &mut JoinSet<Result<File>>) -> Result<Option<File>> {
    let done = reading.join_next().await.transpose();
    done.map_err(|error| bug!("the metadata of a file: {error}"))?.transpose()
}

impl File {
    /// Reads what a file says about itself, unless the cache knows.
    async fn describe(
        store: Arc<dyn ObjectStore>,
        cache: Arc<FileMetadataCache>,
        object: ObjectMeta,
        name: String,
        partition: usize,
        pages: bool,
    ) -> Result<Self> {
        let policy = if pages { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
        let metadata = DFParquetMetadata::new(store.as_ref(), &object)
            .with_file_metadata_cache(Some(cache))
            .with_page_index_policy(Some(policy))
            .fetch_metadata()
            .await
            .map_err(|error| source::in_file(error, &name))?;
        let own = ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new())
            .map_err(|error| broken(&name, error))?;
        let schema = Arc::clone(own.schema());
        let mut groups = vec![];
        groups.resize_with(metadata.num_row_groups(), OnceLock::new);
        let (size, modified) = (object.size, object.last_modified.timestamp_micros());
        let (path, few) = (object.location, OnceLock::new());
        Ok(Self { path, name, size, modified, partition, metadata, schema, groups, few })
    }

    /// The first and the last time of each row group, where the file says and all its events have one: those without
    /// matter to some rules, and are in no statistics.
    fn times(&self, time: &str) -> Result<Vec<Option<(i64, i64)>>> {
        let (schema, groups) = (self.metadata.file_metadata().schema_descr(), self.metadata.row_groups());
        let unknown = vec![None; groups.len()];
        let Ok(converter) = StatisticsConverter::try_new(time, &self.schema, schema) else {
            return Ok(unknown);
        };
        // Who does not count NULLs may have some.
        let converter = converter.with_missing_null_counts_as_zero(false);
        let (Ok(first), Ok(last), Ok(nulls)) = (
            converter.row_group_mins(groups),
            converter.row_group_maxes(groups),
            converter.row_group_null_counts(groups),
        ) else {
            return Ok(unknown);
        };
        let (firsts, lasts) = (order_keys(&first)?, order_keys(&last)?);
        let known =
            |at: usize| first.is_valid(at) && last.is_valid(at) && nulls.is_valid(at) && nulls.value(at) == 0;
        Ok((0..groups.len()).map(|at| known(at).then(|| (firsts[at], lasts[at]))).collect())
    }

    /// Where the pages of a column are in a row group; nowhere if that is not known.
    fn pages(&self, group: usize, leaf: usize) -> &[PageLocation] {
        let of_group = self.metadata.offset_index().and_then(|groups| groups.get(group));
        of_group.and_then(|leaves| leaves.get(leaf)).map_or(&[], |pages| pages.page_locations())
    }

    /// How a row group is read: texts as codes where all pages hold codes, else as views.
    fn reading(&self, group: usize) -> Result<ArrowReaderMetadata> {
        let own = self.metadata.row_group(group);
        self.reading_texts(&self.groups[group], &|path| text(own, path))
    }

    /// How few rows are read: texts as views, since codes would have all that they may stand for copied.
    fn reading_few(&self) -> Result<ArrowReaderMetadata> {
        self.reading_texts(&self.few, &|_| DataType::Utf8View)
    }

    /// How columns are read, given how texts are, by their paths.
    fn reading_texts(
        &self,
        known: &OnceLock<ArrowReaderMetadata>,
        text: &dyn Fn(&[String]) -> DataType,
    ) -> Result<ArrowReaderMetadata> {
        if let Some(reading) = known.get() {
            return Ok(reading.clone());
        }
        let fields = self.schema.fields().iter().map(|field| reading(field, text, &mut vec![]));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        let reading = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options)
            .map_err(|error| broken(&self.name, error))?;
        Ok(known.get_or_init(|| reading).clone())
    }
}

/// How a field is read, given the names of those around it.
fn reading(field: &FieldRef, text: &dyn Fn(&[String]) -> DataType, around: &mut Vec<String>) -> FieldRef {
    around.push(field.name().clone());
    let data_type = match field.data_type() {
        data_type if is_text(data_type) => text(around),
        DataType::List(element) if is_text(element.data_type()) => {
            let element = element.as_ref().clone().with_data_type(text(around));
            DataType::List(Arc::new(element))
        }
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| reading(field, text, around)).collect())
        }
        data_type => data_type.clone(),
    };
    around.pop();
    if data_type == *field.data_type() {
        return Arc::clone(field);
    }
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// How texts are read, given the names of the column and of what is around it.
fn text(group: &RowGroupMetaData, path: &[String]) -> DataType {
    // Below a list there are names of its own.
    let chunk = group.columns().iter().find(|chunk| chunk.column_path().parts().starts_with(path));
    if chunk.is_some_and(all_codes) {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    } else {
        DataType::Utf8View
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

/// Whether a file has a column, or a field below one, as the table has it, however texts are held.
fn same_column(table: &Schema, file: &Schema, path: &[String]) -> bool {
    let Some((name, below)) = path.split_first() else { return false };
    let (Ok(wanted), Ok(own)) = (table.field_with_name(name), file.field_with_name(name)) else {
        return false;
    };
    let types = field_below(wanted, below).zip(field_below(own, below));
    types.is_some_and(|(wanted, own)| same_type(wanted.data_type(), own.data_type()))
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

fn broken(file: &str, error: ParquetError) -> Error {
    source::in_file(error.into(), file).into()
}

/// The rows that may matter, as Parquet's reader takes them.
#[derive(Default)]
pub(super) struct Selected {
    selectors: Vec<RowSelector>,
}

impl Selected {
    /// None of so many rows before.
    pub(super) fn after(n_rows: usize) -> Self {
        let mut selected = Self::default();
        selected.push(RowSelector::skip(n_rows));
        selected
    }

    /// Adds a batch and the positions of its rows that matter.
    pub(super) fn add(&mut self, n_rows: usize, rows: &[u32]) {
        let mut next = 0;
        for row in rows {
            let row = *row as usize;
            self.push(RowSelector::skip(row - next));
            self.push(RowSelector::select(1));
            next = row + 1;
        }
        self.push(RowSelector::skip(n_rows - next));
    }

    fn push(&mut self, selector: RowSelector) {
        match self.selectors.last_mut() {
            Some(last) if last.skip == selector.skip => last.row_count += selector.row_count,
            _ if selector.row_count == 0 => {}
            _ => self.selectors.push(selector),
        }
    }
}

impl From<Selected> for RowSelection {
    fn from(selected: Selected) -> Self {
        selected.selectors.into()
    }
}

impl Length for Fetched {
    fn len(&self) -> u64 {
        self.length
    }
}

impl Fetched {
    fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, part)| part.len() as u64).sum()
    }

    fn from(&self, start: u64) -> Option<Bytes> {
        let (first, part) = self.parts[..self.parts.partition_point(|(first, _)| *first <= start)].last()?;
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
