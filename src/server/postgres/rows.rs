//! The rows of a statement on their way to a client.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::{BufMut, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use pgwire::api::Type;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, RowDescription};

use crate::engine::Answer;
use crate::error::{Error, Result};
use crate::server::{flow, wire};

use super::sqlstate::{Fault, PROTOCOL_VIOLATION};
use super::value::{Format, Writer, Zone};
use crate::engine::postgres_types::{length, modifier, type_of};

/// A column as it is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Type,
    modifier: i32,
    pub(super) format: Format,
}

/// The columns of a schema, each in the format that the client asks for: none is text, one is every column's.
pub(super) fn columns(schema: &Schema, formats: &[i16]) -> Result<Vec<Column>, Fault> {
    let schema = wire::schema(schema);
    let count = schema.fields().len();
    if i16::try_from(count).is_err() {
        return Err(Fault::error("54011", format!("{count} columns are too many for one result")));
    }
    if formats.len() > 1 && formats.len() != count {
        let message =
            format!("bind message has {} result formats but query has {count} columns", formats.len());
        return Err(Fault::error(PROTOCOL_VIOLATION, message));
    }
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let code = formats.get(at).or(formats.first().filter(|_| formats.len() == 1)).copied().unwrap_or(0);
        Ok(Column {
            name: field.name().replace('\0', "\u{fffd}"),
            kind: type_of(field),
            modifier: modifier(field.data_type()),
            format: format_of(code)?,
        })
    });
    columns.collect()
}

/// The same columns in other formats.
pub(super) fn with_formats(columns: &[Column], formats: &[i16]) -> Result<Vec<Column>, Fault> {
    let format =
        |at: usize| formats.get(at).or(formats.first().filter(|_| formats.len() == 1)).copied().unwrap_or(0);
    let columns = columns.iter().enumerate();
    columns.map(|(at, column)| Ok(Column { format: format_of(format(at))?, ..column.clone() })).collect()
}

/// What a code of the protocol means.
pub(super) fn format_of(code: i16) -> Result<Format, Fault> {
    match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        other => Err(Fault::error(PROTOCOL_VIOLATION, format!("unsupported format code: {other}"))),
    }
}

/// Columns as they are announced.
pub(super) fn description(columns: &[Column]) -> PgWireBackendMessage {
    let fields = columns.iter().map(|column| {
        let format = i16::from(column.format == Format::Binary);
        let (oid, length) = (column.kind.oid(), length(&column.kind));
        FieldDescription::new(column.name.clone(), 0, 0, oid, length, column.modifier, format)
    });
    PgWireBackendMessage::RowDescription(RowDescription::new(fields.collect()))
}

/// A statement that has begun: its columns and its rows.
pub(super) type Begun = (SchemaRef, BoxStream<'static, Result<RecordBatch>>);

/// A statement that runs, with its place in the rows that it has made.
pub(super) struct Rows {
    pub(super) columns: Vec<Column>,
    schema: SchemaRef,
    stream: BoxStream<'static, Result<RecordBatch>>,
    zone: Zone,
    ended: bool,
    batch: Option<RecordBatch>,
    writers: Vec<Writer>,
    next: usize,
    end: usize,
    /// How many rows were taken.
    pub(super) taken: u64,
}

impl Rows {
    /// Of a statement that has begun. Made where statements run: rows are made ahead there.
    pub(super) fn of(answer: Answer, limit: Option<u64>) -> Begun {
        flow::rows(answer, limit)
    }

    pub(super) fn new((schema, stream): Begun, columns: Vec<Column>, zone: Zone) -> Self {
        let schema = wire::schema(&schema);
        Self {
            columns,
            schema,
            stream,
            zone,
            ended: false,
            batch: None,
            writers: vec![],
            next: 0,
            end: 0,
            taken: 0,
        }
    }

    /// The columns as they come.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Makes sure that there is a row to take; `false` when there are no more. Nothing is lost when the wait is given up.
    pub(super) async fn ready(&mut self) -> Result<bool> {
        while self.next >= self.end {
            let next = if self.ended { None } else { self.stream.next().await };
            let Some(batch) = next else {
                self.ended = true;
                return Ok(false);
            };
            let batch = wire::batch(&batch?, &self.schema)?;
            (self.next, self.end) = (0, batch.num_rows());
            self.batch = Some(batch);
            self.write_from_here()?;
        }
        Ok(true)
    }

    /// Goes on in other formats.
    pub(super) fn set_columns(&mut self, columns: Vec<Column>) -> Result<()> {
        if columns == self.columns {
            return Ok(());
        }
        self.columns = columns;
        self.write_from_here()
    }

    fn write_from_here(&mut self) -> Result<()> {
        let Some(batch) = &self.batch else { return Ok(()) };
        let columns = batch.columns().iter().zip(&self.columns);
        let writers =
            columns.map(|(array, column)| Writer::new(array, &column.kind, column.format, self.zone));
        self.writers = writers.collect::<Result<_>>()?;
        Ok(())
    }

    /// Takes the next row of the batch, if there is one left.
    pub(super) fn take(&mut self) -> Option<(&[Writer], usize)> {
        if self.next >= self.end {
            return None;
        }
        let row = self.next;
        self.next += 1;
        self.taken += 1;
        Some((&self.writers, row))
    }
}

/// Appends a row as a message.
pub(super) fn write_row(writers: &[Writer], row: usize, out: &mut BytesMut) -> Result<()> {
    let start = out.len();
    out.put_u8(b'D');
    out.put_i32(0);
    // As many as were announced, which is less than 32,768.
    out.put_i16(i16::try_from(writers.len()).unwrap_or(i16::MAX));
    let written = writers.iter().try_for_each(|writer| writer.write_sized(row, out));
    finish(start, written, out)
}

/// Writes the length of a message that began at `start`; takes it back if it failed.
pub(super) fn finish(start: usize, written: Result<()>, out: &mut BytesMut) -> Result<()> {
    let length = i32::try_from(out.len() - start - 1);
    let length = match (written, length) {
        (Ok(()), Ok(length)) => length,
        (failed, _) => {
            out.truncate(start);
            failed?;
            return Err(Error::new(crate::diagnostic::Kind::Resource, "a row has more than 2 GB"));
        }
    };
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
