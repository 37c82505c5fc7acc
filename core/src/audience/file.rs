//! The Parquet file of one audience, row group by row group.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, StringViewArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::{max, min, take};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::{
    ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::file::writer::SerializedFileWriter;
use datafusion::parquet::schema::types::ColumnPath;

use super::columns::{Constant, Texts, constant};
use super::layout::column;

/// Small enough that a query uses every core on one audience, large enough to compress well.
const ROW_GROUP: usize = 1 << 18;

/// Longer keys are no bounds of pages, row groups and files.
pub(super) const LONGEST_BOUND: usize = 64;

/// A file in the making.
pub(super) struct File {
    schema: SchemaRef,
    file: SerializedFileWriter<Vec<u8>>,
    writers: ArrowRowGroupWriterFactory,
    group: Option<Group>,
}

/// A row group in the making.
struct Group {
    rows: usize,
    columns: Vec<Column>,
}

/// A column of a row group in the making.
enum Column {
    /// Keys of text or bytes.
    Texts(Box<Texts>),
    /// What is kept until all of it is there, since it may be all the same.
    Pieces(Vec<Piece>),
}

/// Some rows of a column.
enum Piece {
    Rows(ArrayRef),
    Same(Constant<'static>, usize),
}

impl File {
    /// A file with these columns, of which the first is the key.
    pub(super) fn new(schema: SchemaRef) -> Result<Self> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_created_by(concat!("coterie ", env!("CARGO_PKG_VERSION")).to_owned());
        let key = schema.field(column::KEY);
        if let DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 =
            key.data_type()
        {
            // No key comes twice, and in order they differ little.
            let key = ColumnPath::from(key.name().as_str());
            properties = properties
                .set_column_dictionary_enabled(key.clone(), false)
                .set_column_encoding(key, Encoding::DELTA_BINARY_PACKED);
        }
        // The arrow schema holds views, which older readers do not know and which the log's schema makes needless.
        let options =
            ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
        let file = ArrowWriter::try_new_with_options(vec![], schema.clone(), options)?;
        let (file, writers) = file.into_serialized_writer()?;
        Ok(Self { schema, file, writers, group: None })
    }

    /// Adds rows, whose keys follow those before in order.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.fill(batch.num_rows(), |group, rows| group.add(&batch.slice(rows.start, rows.len())))
    }

    /// Adds a row for the key at each of these places, which ascend, with `values` in all other columns. The keys follow
    /// those before in order.
    pub(super) fn repeat(
        &mut self,
        keys: &ArrayRef,
        places: &[u32],
        values: &[Constant<'static>],
    ) -> Result<()> {
        self.fill(places.len(), |group, rows| group.repeat(keys, &places[rows], values))
    }

    /// Adds so many rows, a part of them to each row group.
    fn fill(&mut self, n: usize, add: impl Fn(&mut Group, Range<usize>) -> Result<()>) -> Result<()> {
        let mut from = 0;
        while from < n {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => self.new_group()?,
            };
            let to = n.min(from + ROW_GROUP - group.rows);
            add(&mut group, from..to)?;
            group.rows += to - from;
            from = to;
            let is_full = group.rows == ROW_GROUP;
            self.group = Some(group);
            if is_full {
                self.close_group()?;
            }
        }
        Ok(())
    }

    /// What is complete of the file and has not been taken yet.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(self.file.inner_mut()).into()
    }

    /// Completes the file, and says how long it is.
    pub(super) fn finish(&mut self) -> Result<usize> {
        self.close_group()?;
        self.file.finish()?;
        Ok(self.file.bytes_written())
    }

    fn new_group(&self) -> Result<Group> {
        let fields = self.schema.fields().iter().zip(self.file.schema_descr().columns()).enumerate();
        let columns = fields.map(|(at, (field, description))| {
            Ok(match field.data_type() {
                DataType::Utf8View | DataType::BinaryView if at == column::KEY => {
                    Column::Texts(Box::new(Texts::new(description, LONGEST_BOUND)?))
                }
                _ => Column::Pieces(vec![]),
            })
        });
        Ok(Group { rows: 0, columns: columns.collect::<Result<_>>()? })
    }

    fn close_group(&mut self) -> Result<()> {
        let Some(Group { rows, columns }) = self.group.take() else { return Ok(()) };
        let descriptions = self.file.schema_descr().columns().to_vec();
        // A buffer that grows is copied again and again.
        self.file.inner_mut().reserve(columns.iter().map(Column::bytes).sum());
        let writers = self.writers.create_column_writers(self.file.flushed_row_groups().len())?;
        let mut group = self.file.next_row_group()?;
        let fields = self.schema.fields().iter().zip(descriptions);
        for ((column, mut writer), (field, description)) in columns.into_iter().zip(writers).zip(fields) {
            let pieces = match column {
                Column::Texts(texts) => {
                    texts.finish()?.append(&mut group)?;
                    continue;
                }
                Column::Pieces(pieces) => pieces,
            };
            if let Some(value) = same(&pieces) {
                constant(&description, value, rows)?.append(&mut group)?;
                continue;
            }
            for piece in pieces {
                for leaf in compute_leaves(field, &piece.rows(field.data_type()))? {
                    writer.write(&leaf)?;
                }
            }
            writer.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.file.flush()?;
        Ok(())
    }
}

impl Column {
    /// The bytes that are known to come into the file.
    fn bytes(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.bytes(),
            Self::Pieces(_) => 0,
        }
    }
}

impl Group {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            match column {
                Column::Texts(texts) => add_texts(texts, array, 0..array.len())?,
                Column::Pieces(pieces) => pieces.push(Piece::Rows(array.clone())),
            }
        }
        Ok(())
    }

    fn repeat(&mut self, keys: &ArrayRef, places: &[u32], values: &[Constant<'static>]) -> Result<()> {
        let Some((key, others)) = self.columns.split_first_mut() else { return Ok(()) };
        match key {
            Column::Texts(texts) => add_texts(texts, keys, places.iter().map(|&place| place as usize))?,
            Column::Pieces(pieces) => {
                pieces.push(Piece::Rows(take(keys, &UInt32Array::from(places.to_vec()), None)?));
            }
        }
        for (column, &value) in others.iter_mut().zip(values) {
            let Column::Pieces(pieces) = column else { continue };
            match pieces.last_mut() {
                Some(Piece::Same(last, n)) if *last == value => *n += places.len(),
                _ => pieces.push(Piece::Same(value, places.len())),
            }
        }
        Ok(())
    }
}

/// Adds these of the keys, which are texts or bytes.
fn add_texts(texts: &mut Texts, keys: &ArrayRef, places: impl Iterator<Item = usize>) -> Result<()> {
    match keys.as_string_view_opt() {
        Some(keys) => texts.add(places.map(|at| keys.value(at).as_bytes())),
        None => {
            let keys = keys.as_binary_view();
            texts.add(places.map(|at| keys.value(at)))
        }
    }
}

impl Piece {
    /// The value that all rows of instants or short texts have, if there is one.
    fn same(&self) -> Option<Constant<'_>> {
        let array = match self {
            Self::Same(value, _) => return Some(*value),
            Self::Rows(array) => array,
        };
        if let Some(texts) = array.as_string_view_opt() {
            let (first, rest) = texts.views().split_first()?;
            // Texts that are short enough to be in their views.
            let is_same = texts.data_buffers().is_empty() && rest.iter().all(|view| view == first);
            return is_same.then(|| Constant::Text(texts.value(0)));
        }
        let instants = array.as_primitive_opt::<TimestampMicrosecondType>()?;
        match (instants.null_count(), min(instants), max(instants)) {
            (0, Some(low), Some(high)) if low == high => Some(Constant::Number(low)),
            (nulls, ..) if nulls == instants.len() => Some(Constant::Null),
            _ => None,
        }
    }

    fn rows(self, data_type: &DataType) -> ArrayRef {
        match self {
            Self::Rows(array) => array,
            Self::Same(Constant::Null, n) => new_null_array(data_type, n),
            Self::Same(Constant::Number(instant), n) => {
                let instants = TimestampMicrosecondArray::from_value(instant, n);
                Arc::new(instants.with_data_type(data_type.clone()))
            }
            Self::Same(Constant::Text(text), n) => {
                Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(text, n)))
            }
        }
    }
}

/// The value that all rows have, if there is one.
fn same(pieces: &[Piece]) -> Option<Constant<'_>> {
    let mut values = pieces.iter().map(Piece::same);
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryViewArray, Int32Array, RecordBatchOptions};
    use arrow::compute::{concat_batches, take_record_batch};
    use arrow::datatypes::{Field, Schema, TimeUnit};
    use datafusion::parquet::arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    };
    use datafusion::parquet::file::metadata::PageIndexPolicy;
    use datafusion::parquet::file::statistics::Statistics;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn schema(key: DataType) -> SchemaRef {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            Field::new("key", key, false),
            Field::new("status", DataType::Utf8View, false),
            Field::new("entered_at", instant.clone(), false),
            Field::new("exited_at", instant, true),
        ]))
    }

    /// Rows in which everything varies, or nothing does.
    fn rows(keys: ArrayRef, vary: bool, random: &mut StdRng) -> RecordBatch {
        let n = keys.len();
        let mut varies = || vary && random.random_bool(0.3);
        let status: StringViewArray =
            (0..n).map(|_| Some(if varies() { "exited" } else { "realized" })).collect();
        let entered_at: TimestampMicrosecondArray =
            (0..n).map(|_| Some(1_700_000_000_000_000 + i64::from(varies()))).collect();
        let exited_at: TimestampMicrosecondArray =
            (0..n).map(|_| varies().then_some(-1_700_000_000_000_001)).collect();
        let columns: Vec<ArrayRef> = vec![
            keys,
            Arc::new(status),
            Arc::new(entered_at.with_timezone("UTC")),
            Arc::new(exited_at.with_timezone("UTC")),
        ];
        let schema = schema(columns[0].data_type().clone());
        RecordBatch::try_new_with_options(schema, columns, &RecordBatchOptions::new()).unwrap()
    }

    fn written(rows: &RecordBatch, batch: usize) -> Bytes {
        let mut file = File::new(rows.schema()).unwrap();
        let mut bytes = vec![];
        for from in (0..rows.num_rows()).step_by(batch) {
            file.write(&rows.slice(from, batch.min(rows.num_rows() - from))).unwrap();
            bytes.extend(file.take());
        }
        let size = file.finish().unwrap();
        bytes.extend(file.take());
        assert_eq!(bytes.len(), size);
        bytes.into()
    }

    fn reader(file: &Bytes, schema: &SchemaRef) -> ParquetRecordBatchReaderBuilder<Bytes> {
        let options = ArrowReaderOptions::new()
            .with_schema(schema.clone())
            .with_page_index_policy(PageIndexPolicy::Required);
        ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).unwrap()
    }

    /// Reads the rows back: all of them, and some by the index of pages.
    fn check(rows: &RecordBatch, batch: usize, random: &mut StdRng) -> Bytes {
        let (file, schema) = (written(rows, batch), rows.schema());
        let read = |selection: Option<RowSelection>| {
            let mut reader = reader(&file, &schema);
            if let Some(selection) = selection {
                reader = reader.with_row_selection(selection);
            }
            let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
            concat_batches(&schema, &batches).unwrap()
        };
        assert_eq!(&read(None), rows);
        let (mut selectors, mut wanted, mut at) = (vec![], vec![], 0);
        while at < rows.num_rows() {
            let n = random.random_range(1..30_000).min(rows.num_rows() - at);
            let skip = random.random_bool(0.5);
            selectors.push(RowSelector { row_count: n, skip });
            wanted.extend((at..at + n).filter(|_| !skip).map(|at| i32::try_from(at).unwrap()));
            at += n;
        }
        let wanted = take_record_batch(rows, &Int32Array::from(wanted)).unwrap();
        assert_eq!(read(Some(RowSelection::from(selectors))), wanted);
        file
    }

    fn texts(n: usize, random: &mut StdRng) -> Vec<String> {
        let mut texts: Vec<String> = (0..n)
            .map(|at| {
                let number = random.random_range(0..u64::MAX);
                match at % 10 {
                    0 => format!("{}-{number}", "long and the same ".repeat(at % 40)),
                    1 => format!("é{}", number % 100_000),
                    2 => format!("{}", number % 1_000),
                    _ => format!("{number:016x}"),
                }
            })
            .chain([String::new()])
            .collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    #[test]
    fn any_rows_are_read_back() {
        let mut random = StdRng::seed_from_u64(1);
        for (n, batch) in
            [(0, 10), (1, 1), (2, 1), (129, 128), (20_001, 7_000), (45_000, 20_000), (300_000, 65_536)]
        {
            let texts = texts(n, &mut random);
            for vary in [false, true] {
                let keys = StringViewArray::from_iter_values(&texts);
                check(&rows(Arc::new(keys), vary, &mut random), batch, &mut random);
                let keys = BinaryViewArray::from_iter_values(&texts);
                check(&rows(Arc::new(keys), vary, &mut random), batch, &mut random);
                let keys: Int32Array = (-7..).step_by(3).take(n).map(Some).collect();
                check(&rows(Arc::new(keys), vary, &mut random), batch, &mut random);
            }
        }
    }

    #[test]
    fn rows_that_are_alike_mix_with_others() {
        let mut random = StdRng::seed_from_u64(5);
        let texts = texts(80_000, &mut random);
        let n = u32::try_from(texts.len()).unwrap();
        let all: [ArrayRef; 2] = [
            Arc::new(StringViewArray::from_iter_values(&texts)),
            Arc::new((0..).take(texts.len()).map(Some).collect::<Int32Array>()),
        ];
        for keys in all {
            for (vary, split) in [(true, n / 3), (false, n / 3), (false, 0)] {
                let before = rows(keys.slice(0, split as usize), vary, &mut random);
                let places: Vec<u32> = (split..n).step_by(2).collect();
                let after = take(&keys, &UInt32Array::from(places.clone()), None).unwrap();
                let after = rows(after, false, &mut random);
                let mut file = File::new(before.schema()).unwrap();
                file.write(&before).unwrap();
                let values =
                    [Constant::Text("realized"), Constant::Number(1_700_000_000_000_000), Constant::Null];
                for places in places.chunks(30_000) {
                    file.repeat(&keys, places, &values).unwrap();
                }
                file.finish().unwrap();
                let batches = reader(&file.take(), &before.schema()).build().unwrap();
                let read = concat_batches(&before.schema(), &batches.map(Result::unwrap).collect::<Vec<_>>());
                assert_eq!(read.unwrap(), concat_batches(&before.schema(), [&before, &after]).unwrap());
            }
        }
    }

    #[test]
    fn readers_can_skip_by_bounds() {
        let mut random = StdRng::seed_from_u64(2);
        let keys: Vec<String> = (0..50_000).map(|at| format!("{at:06}")).collect();
        let keys = StringViewArray::from_iter_values(keys);
        let file = check(&rows(Arc::new(keys), false, &mut random), 65_536, &mut random);
        let read = reader(&file, &schema(DataType::Utf8View));
        let [group] = read.metadata().row_groups() else { panic!("one row group") };
        let bounds = |column: usize| {
            let statistics = group.column(column).statistics().unwrap();
            let ends = [statistics.min_bytes_opt(), statistics.max_bytes_opt()];
            (ends.map(|end| end.map(<[u8]>::to_vec)), statistics.null_count_opt())
        };
        assert_eq!(bounds(0), ([Some(b"000000".to_vec()), Some(b"049999".to_vec())], Some(0)));
        assert_eq!(bounds(1), ([Some(b"realized".to_vec()), Some(b"realized".to_vec())], Some(0)));
        assert!(matches!(group.column(2).statistics(), Some(Statistics::Int64(_))));
        assert_eq!(bounds(3), ([None, None], Some(50_000)));
        let pages = read.metadata().offset_index().unwrap()[0][0].page_locations();
        assert_eq!(pages.iter().map(|page| page.first_row_index).collect::<Vec<_>>(), [0, 20_000, 40_000]);
    }

    #[test]
    fn keys_too_long_for_bounds_have_none() {
        let mut random = StdRng::seed_from_u64(3);
        let keys = StringViewArray::from_iter_values([&"a".repeat(65), "b"]);
        let file = check(&rows(Arc::new(keys), false, &mut random), 2, &mut random);
        let read = reader(&file, &schema(DataType::Utf8View));
        let statistics = read.metadata().row_group(0).column(0).statistics().unwrap();
        assert_eq!((statistics.min_bytes_opt(), statistics.max_bytes_opt()), (None, None));
    }

    #[test]
    fn what_is_the_same_takes_no_space() {
        let mut random = StdRng::seed_from_u64(4);
        let keys: Vec<String> = (0..100_000).map(|_| format!("{:032x}", random.random::<u128>())).collect();
        let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        keys.sort_unstable();
        let rows = rows(Arc::new(StringViewArray::from_iter_values(keys)), false, &mut random);
        // 16 bytes a key are what cannot be guessed of them, less what the order tells.
        let size = written(&rows, 65_536).len();
        assert!((1_400_000..1_600_000).contains(&size), "{size}");
    }
}
