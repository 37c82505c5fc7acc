//! The pages of one column in one row group, and what the file says about them.

use std::fmt::Display;
use std::io::Write;

use bytes::Bytes;
use datafusion::parquet::basic::{BoundaryOrder, Compression, Encoding};
use datafusion::parquet::column::page::{CompressedPage, Page, PageWriter};
use datafusion::parquet::column::writer::ColumnCloseResult;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use datafusion::parquet::schema::types::ColumnDescPtr;

/// A column whose pages are complete.
pub(in crate::audience) struct Chunk {
    bytes: Bytes,
    closed: ColumnCloseResult,
}

impl Chunk {
    /// Makes it the next column of the row group.
    pub(in crate::audience) fn append<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        group.append_column(&self.bytes, self.closed)
    }
}

/// What readers skip a page or a column by.
pub(super) struct Bounds {
    /// The least and the greatest value, as Parquet's plain encoding has them. None where all rows are null, or
    /// where they would be too long.
    pub(super) ends: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) nulls: usize,
}

/// A column in the making.
pub(super) struct Pages {
    column: ColumnDescPtr,
    compression: Compression,
    sink: TrackedWrite<Vec<u8>>,
    encodings: Vec<Encoding>,
    dictionary: Option<i64>,
    first: Option<i64>,
    rows: usize,
    uncompressed: usize,
    places: OffsetIndexBuilder,
    bounds: ColumnIndexBuilder,
}

impl Pages {
    /// Its pages have to be compressed in this way already.
    pub(super) fn new(column: &ColumnDescPtr, compression: Compression) -> Self {
        Self {
            column: column.clone(),
            compression,
            sink: TrackedWrite::new(vec![]),
            encodings: vec![],
            dictionary: None,
            first: None,
            rows: 0,
            uncompressed: 0,
            places: OffsetIndexBuilder::new(),
            bounds: ColumnIndexBuilder::new(column.physical_type()),
        }
    }

    /// The values that later pages refer to, which are in the plain encoding.
    pub(super) fn dictionary(&mut self, values: Vec<u8>, n: u32) -> Result<()> {
        let uncompressed = values.len();
        let encoding = Encoding::PLAIN;
        let page = Page::DictionaryPage { buf: values.into(), num_values: n, encoding, is_sorted: true };
        self.dictionary = Some(self.write(page, uncompressed)?.0);
        Ok(())
    }

    /// A page of so many rows, whose body was so long before it was compressed.
    pub(super) fn page(
        &mut self,
        body: Vec<u8>,
        uncompressed: usize,
        encoding: Encoding,
        rows: usize,
        bounds: Bounds,
    ) -> Result<()> {
        let page = Page::DataPage {
            buf: body.into(),
            num_values: whole(rows)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let (offset, size) = self.write(page, uncompressed)?;
        self.encodings.push(encoding);
        self.first.get_or_insert(offset);
        self.rows += rows;
        self.places.append_row_count(whole(rows)?);
        self.places.append_offset_and_size(offset, size);
        let all_null = bounds.nulls == rows;
        if bounds.ends.is_none() && !all_null {
            self.bounds.to_invalid();
        }
        let (low, high) = bounds.ends.unwrap_or_default();
        self.bounds.append(all_null, low, high, whole(bounds.nulls)?);
        Ok(())
    }

    /// Where the page begins, and how long it is.
    fn write(&mut self, page: Page, uncompressed: usize) -> Result<(i64, i32)> {
        let written =
            SerializedPageWriter::new(&mut self.sink).write_page(CompressedPage::new(page, uncompressed))?;
        self.uncompressed += written.uncompressed_size;
        Ok((whole(written.offset)?, whole(written.compressed_size)?))
    }

    /// The column, whose pages come in the order of their values.
    pub(super) fn finish(mut self, statistics: Option<Statistics>) -> Result<Chunk> {
        self.sink.flush()?;
        let bytes = Bytes::from(self.sink.into_inner()?);
        self.encodings.sort_unstable();
        self.encodings.dedup();
        let mut metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.compression)
            .set_encodings(self.encodings)
            .set_total_compressed_size(whole(bytes.len())?)
            .set_total_uncompressed_size(whole(self.uncompressed)?)
            .set_num_values(whole(self.rows)?)
            .set_dictionary_page_offset(self.dictionary)
            .set_data_page_offset(self.first.unwrap_or_default());
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        self.bounds.set_boundary_order(BoundaryOrder::ASCENDING);
        let closed = ColumnCloseResult {
            bytes_written: whole(bytes.len())?,
            rows_written: whole(self.rows)?,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: self.bounds.valid().then(|| self.bounds.build()).transpose()?,
            offset_index: Some(self.places.build()),
        };
        Ok(Chunk { bytes, closed })
    }
}

/// A number in the type that Parquet has for it.
pub(super) fn whole<N: Copy + Display, M: TryFrom<N>>(number: N) -> Result<M> {
    M::try_from(number).map_err(|_| ParquetError::General(format!("{number} is too large for Parquet")))
}
