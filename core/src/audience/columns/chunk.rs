//! The pages of one column in one row group, and what the file says about them.

use std::fmt::Display;
use std::io::Write;

use bytes::Bytes;
use datafusion::parquet::basic::{BoundaryOrder, Compression, Encoding, PageType};
use datafusion::parquet::column::page::{CompressedPage, Page, PageWriter};
use datafusion::parquet::column::writer::ColumnCloseResult;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use datafusion::parquet::schema::types::ColumnDescPtr;

/// Bytes that come before a page in the file, of which there are fewer.
const HEADER: usize = 64;

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
    /// Kept one by one until it is known how long they are together: a buffer that grows is copied again and again.
    pages: Vec<(CompressedPage, Bounds)>,
}

impl Pages {
    /// Its pages have to be compressed in this way already.
    pub(super) fn new(column: &ColumnDescPtr, compression: Compression) -> Self {
        Self { column: column.clone(), compression, pages: vec![] }
    }

    /// The bytes of its pages so far.
    pub(super) fn bytes(&self) -> usize {
        self.pages.iter().map(|(page, _)| page.compressed_size() + HEADER).sum()
    }

    /// The values that later pages refer to, which are in the plain encoding.
    pub(super) fn dictionary(&mut self, values: Vec<u8>, n: u32) {
        let uncompressed = values.len();
        let encoding = Encoding::PLAIN;
        let page = Page::DictionaryPage { buf: values.into(), num_values: n, encoding, is_sorted: true };
        self.pages.push((CompressedPage::new(page, uncompressed), Bounds { ends: None, nulls: 0 }));
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
        self.pages.push((CompressedPage::new(page, uncompressed), bounds));
        Ok(())
    }

    /// The column, whose pages come in the order of their values.
    pub(super) fn finish(self, statistics: Option<Statistics>) -> Result<Chunk> {
        let mut sink = TrackedWrite::new(Vec::with_capacity(self.bytes()));
        let mut places = OffsetIndexBuilder::new();
        let mut all_bounds = ColumnIndexBuilder::new(self.column.physical_type());
        let (mut dictionary, mut first, mut all_rows, mut uncompressed) = (None, None, 0, 0);
        let mut encodings = vec![];
        for (page, Bounds { ends, nulls }) in self.pages {
            let (is_dictionary, encoding) = (page.page_type() == PageType::DICTIONARY_PAGE, page.encoding());
            let rows = page.num_values();
            let written = SerializedPageWriter::new(&mut sink).write_page(page)?;
            uncompressed += written.uncompressed_size;
            let (offset, size) = (whole(written.offset)?, whole(written.compressed_size)?);
            if is_dictionary {
                dictionary = Some(offset);
                continue;
            }
            encodings.push(encoding);
            first.get_or_insert(offset);
            all_rows += i64::from(rows);
            places.append_row_count(i64::from(rows));
            places.append_offset_and_size(offset, size);
            let nulls: i64 = whole(nulls)?;
            let all_null = nulls == i64::from(rows);
            if ends.is_none() && !all_null {
                all_bounds.to_invalid();
            }
            let (low, high) = ends.unwrap_or_default();
            all_bounds.append(all_null, low, high, nulls);
        }
        sink.flush()?;
        let bytes = Bytes::from(sink.into_inner()?);
        encodings.sort_unstable();
        encodings.dedup();
        let mut metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.compression)
            .set_encodings(encodings)
            .set_total_compressed_size(whole(bytes.len())?)
            .set_total_uncompressed_size(whole(uncompressed)?)
            .set_num_values(all_rows)
            .set_dictionary_page_offset(dictionary)
            .set_data_page_offset(first.unwrap_or_default());
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        all_bounds.set_boundary_order(BoundaryOrder::ASCENDING);
        let closed = ColumnCloseResult {
            bytes_written: whole(bytes.len())?,
            rows_written: whole(all_rows)?,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: all_bounds.valid().then(|| all_bounds.build()).transpose()?,
            offset_index: Some(places.build()),
        };
        Ok(Chunk { bytes, closed })
    }
}

/// A number in the type that Parquet has for it.
pub(super) fn whole<N: Copy + Display, M: TryFrom<N>>(number: N) -> Result<M> {
    M::try_from(number).map_err(|_| ParquetError::General(format!("{number} is too large for Parquet")))
}
