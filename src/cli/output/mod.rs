//! Results as text: a stream of record batches in, a table, CSV, TSV or JSON out.
//!
//! All but tables are written as batches arrive; a table must know its widest cell, so it is limited to some rows.

mod cells;
mod delimited;
mod sink;
mod table;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::record_batch::RecordBatch;
use clap::ValueEnum;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;
use futures::{StreamExt, TryStreamExt};

pub(crate) use sink::Sink;

use super::Stop;
use crate::bug;
use crate::error::Error;
use cells::{Encoding, Row};
use table::Rows;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people, cut to the width of the terminal
    #[default]
    Table,
    /// Comma-separated values with a header; NULL is empty, an empty text is ""
    Csv,
    /// Tab-separated values with a header; NULL is \N
    Tsv,
    /// An array of objects
    Json,
    /// An object a line
    Ndjson,
}

/// Rows of a table on a terminal, and elsewhere.
const LIMIT_ON_TERMINAL: usize = 100;
const LIMIT: usize = 10_000;

/// So many batches are made into text at once.
const AHEAD: usize = 4;

/// Appends a line with some cells.
type Line = fn(&mut String, &mut dyn Iterator<Item = Option<&str>>);

/// Writes results.
pub(crate) struct Output {
    pub(crate) sink: Sink,
    pub(crate) format: Format,
    /// One value a line instead of tables.
    pub(crate) expanded: bool,
    /// Rows of a table, if other than usual.
    pub(crate) limit: Option<usize>,
}

impl Output {
    pub(crate) fn new(sink: Sink, format: Format) -> Self {
        Self { sink, format, expanded: false, limit: None }
    }

    /// Writes all rows; `tag` names the statement, for one that has none. Returns how many rows were written.
    pub(crate) async fn show(
        &mut self,
        tag: &str,
        schema: &SchemaRef,
        mut stream: SendableRecordBatchStream,
    ) -> Result<usize, Stop> {
        if schema.fields().is_empty() {
            // A statement acts while its stream is read.
            while let Some(batch) = stream.next().await {
                batch.map_err(Error::from)?;
            }
            if self.format == Format::Table {
                self.sink.write(&format!("{tag}\n"))?;
            }
            return Ok(0);
        }
        match self.format {
            Format::Table => self.table(schema, stream).await,
            Format::Csv => self.lines(schema, stream, delimited::csv).await,
            Format::Tsv => self.lines(schema, stream, delimited::tsv).await,
            Format::Json => self.json(stream).await,
            Format::Ndjson => {
                let mut count = 0;
                while let Some(batch) = stream.next().await {
                    let batch = batch.map_err(Error::from)?;
                    count += batch.num_rows();
                    self.sink.write(&objects(&batch).map_err(unwritable)?)?;
                }
                Ok(count)
            }
        }
    }

    /// Batches become text on all threads, some ahead of the one that is written.
    async fn lines(
        &mut self,
        schema: &SchemaRef,
        stream: SendableRecordBatchStream,
        line: Line,
    ) -> Result<usize, Stop> {
        let encoding = Arc::new(Encoding::new(schema));
        let mut header = String::new();
        line(&mut header, &mut schema.fields().iter().map(|field| Some(field.name().as_str())));
        let texts = stream.map(|batch| {
            let encoding = Arc::clone(&encoding);
            async move {
                let batch = batch.map_err(Error::from)?;
                let count = batch.num_rows();
                let text = SpawnedTask::spawn(async move { lines_of(&encoding, &batch, line) }).join().await;
                let text = text.map_err(|cause| bug!("rows as text: {cause}"))?;
                Ok::<_, Stop>((count, text.map_err(unwritable)?))
            }
        });
        let mut texts = std::pin::pin!(texts.buffered(AHEAD));
        let mut count = 0;
        while let Some((n_rows, text)) = texts.try_next().await? {
            self.sink.write(&std::mem::take(&mut header))?;
            self.sink.write(&text)?;
            count += n_rows;
        }
        // The header, when there were no rows.
        self.sink.write(&header)?;
        Ok(count)
    }

    async fn json(&mut self, mut stream: SendableRecordBatchStream) -> Result<usize, Stop> {
        let mut count = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(Error::from)?;
            let mut text = String::new();
            // Line breaks within values are escaped: a line is an object.
            for object in objects(&batch).map_err(unwritable)?.lines() {
                text.push_str(if count == 0 { "[\n" } else { ",\n" });
                text.push_str(object);
                count += 1;
            }
            self.sink.write(&text)?;
        }
        self.sink.write(if count == 0 { "[]\n" } else { "\n]\n" })?;
        Ok(count)
    }

    async fn table(
        &mut self,
        schema: &SchemaRef,
        mut stream: SendableRecordBatchStream,
    ) -> Result<usize, Stop> {
        let usual = if self.sink.is_terminal() { LIMIT_ON_TERMINAL } else { LIMIT };
        let limit = self.limit.unwrap_or(usual);
        let encoding = Encoding::new(schema);
        let mut shown = Rows {
            names: schema.fields().iter().map(|field| field.name().clone()).collect(),
            numbers: schema.fields().iter().map(|field| field.data_type().is_numeric()).collect(),
            rows: vec![],
        };
        let (mut more, mut row) = (false, Row::default());
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(Error::from)?;
            let mut cells = encoding.cells(&batch).map_err(unwritable)?;
            let room = limit - shown.rows.len();
            for at in 0..batch.num_rows().min(room) {
                cells.read(at, &mut row).map_err(unwritable)?;
                shown.rows.push(row.cells().map(|cell| cell.map(str::to_owned)).collect());
            }
            if batch.num_rows() > room {
                more = true;
                break;
            }
        }
        let count = shown.rows.len();
        let rows = if count == 1 { "row" } else { "rows" };
        let mut footer = if more {
            format!("first {count} {rows}; there are more, which another format or a LIMIT shows")
        } else {
            format!("{count} {rows}")
        };
        let text = if self.expanded {
            table::expanded(&shown)
        } else if table::is_text(&shown) {
            table::texts(&shown)
        } else {
            let (text, left_out) = table::render(&shown, self.sink.width());
            if left_out > 0 {
                let columns = shown.names[shown.names.len() - left_out..].join(", ");
                footer.push_str(&format!("; no room for {left_out} columns: {columns}"));
            }
            text
        };
        let between = if text.is_empty() { "" } else { "\n" };
        self.sink.write(&format!("{text}{between}{footer}\n"))?;
        Ok(count)
    }
}

/// The rows of a batch, one a line.
fn lines_of(encoding: &Encoding, batch: &RecordBatch, line: Line) -> Result<String, ArrowError> {
    let (mut text, mut row) = (String::new(), Row::default());
    let mut cells = encoding.cells(batch)?;
    for at in 0..batch.num_rows() {
        cells.read(at, &mut row)?;
        line(&mut text, &mut row.cells());
    }
    Ok(text)
}

/// The rows of a batch as JSON objects, one a line.
fn objects(batch: &RecordBatch) -> Result<String, ArrowError> {
    let mut writer: LineDelimitedWriter<Vec<u8>> =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(vec![]);
    writer.write(batch)?;
    writer.finish()?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned())
}

/// A value that has no text in the format.
fn unwritable(cause: ArrowError) -> Error {
    Error::caused(crate::diagnostic::Kind::Unsupported, format!("cannot write a value: {cause}"), cause)
}

/// A small table of texts; `right` says which columns are aligned at their ends.
pub(crate) fn grid<R: IntoIterator<Item = String>>(
    names: &[&str],
    right: &[usize],
    rows: impl Iterator<Item = R>,
) -> String {
    let rows = Rows {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        numbers: (0..names.len()).map(|at| right.contains(&at)).collect(),
        rows: rows.map(|row| row.into_iter().map(Some).collect()).collect(),
    };
    table::render(&rows, None).0 + "\n"
}

#[cfg(test)]
mod tests;
