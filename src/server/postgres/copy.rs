//! Rows in the formats of `COPY`: text, CSV, binary; out to clients, and in from them.

use std::iter::{Copied, Peekable};
use std::slice::Iter;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use datafusion::common::ScalarValue;

use super::command::{CopyFormat, Options};
use super::rows::{Column, finish};
use super::sqlstate::{BAD_COPY, Fault};
use super::value::Format;
use super::value::{Given, Writer, read};
use crate::error::Result;

/// How binary rows begin: the signature, no flags, no extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// How many rows make a batch.
const BATCH: usize = 8192;
/// How many bytes of rows make a batch, if they are long.
const BATCH_BYTES: usize = 8 << 20;

/// The format of the values within rows.
pub(super) fn value_format(options: &Options) -> Format {
    if options.format == CopyFormat::Binary { Format::Binary } else { Format::Text }
}

/// Appends the names of the columns, if they are wanted.
pub(super) fn write_header(columns: &[Column], options: &Options, out: &mut BytesMut) -> Result<()> {
    if options.format == CopyFormat::Binary || !options.header {
        return Ok(());
    }
    message(out, |out| {
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.put_u8(options.delimiter);
            }
            write_text(column.name.as_bytes(), options, out);
        }
        out.put_u8(b'\n');
        Ok(())
    })
}

/// Appends what comes after the rows; `none` if there were none.
pub(super) fn write_tail(options: &Options, none: bool, out: &mut BytesMut) -> Result<()> {
    if options.format != CopyFormat::Binary {
        return Ok(());
    }
    message(out, |out| {
        if none {
            out.put_slice(SIGNATURE);
        }
        out.put_i16(-1);
        Ok(())
    })
}

/// Appends a row.
pub(super) fn write_row(
    writers: &[Writer],
    row: usize,
    options: &Options,
    first: bool,
    out: &mut BytesMut,
) -> Result<()> {
    message(out, |out| {
        if options.format == CopyFormat::Binary {
            if first {
                out.put_slice(SIGNATURE);
            }
            out.put_i16(i16::try_from(writers.len()).unwrap_or(i16::MAX));
            return writers.iter().try_for_each(|writer| writer.write_sized(row, out));
        }
        let mut value = BytesMut::new();
        for (at, writer) in writers.iter().enumerate() {
            if at > 0 {
                out.put_u8(options.delimiter);
            }
            if writer.is_null(row) {
                out.put_slice(options.null.as_bytes());
                continue;
            }
            value.clear();
            writer.write(row, &mut value)?;
            write_text(&value, options, out);
        }
        out.put_u8(b'\n');
        Ok(())
    })
}

fn message(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.put_u8(b'd');
    out.put_i32(0);
    let written = body(out);
    finish(start, written, out)
}

fn write_text(value: &[u8], options: &Options, out: &mut BytesMut) {
    if options.format == CopyFormat::Csv {
        let special = |byte: &u8| [options.delimiter, options.quote, b'\n', b'\r'].contains(byte);
        // `\.` alone is the end of the data to old readers.
        let quotes = options.force_quote
            || value.iter().any(special)
            || value == options.null.as_bytes()
            || value == b"\\.";
        if !quotes {
            return out.put_slice(value);
        }
        out.put_u8(options.quote);
        for byte in value {
            if [options.quote, options.escape].contains(byte) {
                out.put_u8(options.escape);
            }
            out.put_u8(*byte);
        }
        return out.put_u8(options.quote);
    }
    for byte in value {
        let escaped = match byte {
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0x0b => b'v',
            other if *other == options.delimiter => *other,
            other => {
                out.put_u8(*other);
                continue;
            }
        };
        out.put_u8(b'\\');
        out.put_u8(escaped);
    }
}

/// Rows of a client on their way into a table.
pub(super) struct Incoming {
    options: Options,
    schema: SchemaRef,
    arrived: BytesMut,
    /// How much of `arrived` has been looked at, and whether it is within quotes.
    seen: usize,
    quoted: bool,
    /// Whether the last byte was a backslash that stands before the next.
    escaped: bool,
    fields: Fields,
    rows: usize,
    bytes: usize,
    line: usize,
    header: bool,
    ended: bool,
}

enum Fields {
    /// Texts, which the table makes values of.
    Text(Vec<StringBuilder>),
    Binary {
        begun: bool,
        columns: Vec<Vec<ScalarValue>>,
    },
}

impl Incoming {
    /// For these columns of a table.
    pub(super) fn new(columns: &[Field], options: Options) -> Self {
        let (schema, fields) = match options.format {
            CopyFormat::Binary => {
                let columns = columns.iter().map(|_| vec![]).collect();
                (None, Fields::Binary { begun: false, columns })
            }
            _ => {
                let text = columns.iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
                let builders = columns.iter().map(|_| StringBuilder::new()).collect();
                (Some(Schema::new(text.collect::<Vec<_>>())), Fields::Text(builders))
            }
        };
        let schema = schema.unwrap_or_else(|| Schema::new(columns.to_vec()));
        let header = options.header;
        Self {
            options,
            schema: Arc::new(schema),
            arrived: BytesMut::new(),
            seen: 0,
            quoted: false,
            escaped: false,
            fields,
            rows: 0,
            bytes: 0,
            line: 0,
            header,
            ended: false,
        }
    }

    /// The columns of the batches.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Takes what arrived; returns a batch when there are enough rows.
    pub(super) fn push(&mut self, data: &Bytes) -> Result<Option<RecordBatch>, Fault> {
        self.arrived.extend_from_slice(data);
        while !self.ended {
            let went_on = match self.options.format {
                CopyFormat::Binary => self.binary_row()?,
                _ => match self.line_end() {
                    Some(end) => {
                        let line = self.arrived.split_to(end);
                        self.row(&line)?;
                        true
                    }
                    None => false,
                },
            };
            if !went_on {
                break;
            }
        }
        if self.rows >= BATCH || self.bytes >= BATCH_BYTES { self.batch() } else { Ok(None) }
    }

    /// The end: what is left.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>, Fault> {
        if !self.ended {
            match self.options.format {
                CopyFormat::Binary if self.arrived.is_empty() => {}
                CopyFormat::Binary => return Err(self.wrong("unexpected EOF in COPY data")),
                _ if self.quoted => return Err(self.wrong("unterminated CSV quoted field")),
                _ if !self.arrived.is_empty() => {
                    let line = self.arrived.split();
                    self.row(&line)?;
                }
                _ => {}
            }
        }
        self.batch()
    }

    /// Where the next line ends, behind its line feed.
    fn line_end(&mut self) -> Option<usize> {
        let is_csv = self.options.format == CopyFormat::Csv;
        while let Some(byte) = self.arrived.get(self.seen) {
            self.seen += 1;
            if is_csv && *byte == self.options.quote {
                // A doubled quote ends and begins again.
                self.quoted = !self.quoted;
            } else if !is_csv && (self.escaped || *byte == b'\\') {
                // What a backslash stands before is data, a line feed too.
                self.escaped = !self.escaped;
            } else if *byte == b'\n' && !self.quoted {
                return Some(std::mem::take(&mut self.seen));
            }
        }
        None
    }

    fn row(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.line += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if std::mem::take(&mut self.header) {
            return Ok(());
        }
        if line == b"\\." {
            self.ended = true;
            return Ok(());
        }
        let values = if self.options.format == CopyFormat::Csv {
            csv_values(line, &self.options)
        } else {
            text_values(line, &self.options)
        };
        let Fields::Text(builders) = &mut self.fields else { return Ok(()) };
        if values.len() != builders.len() {
            let message = if values.len() > builders.len() {
                "extra data after last expected column".to_owned()
            } else {
                let missing = self.schema.field(values.len()).name();
                format!("missing data for column \"{missing}\"")
            };
            return Err(self.wrong(&message));
        }
        for (builder, value) in builders.iter_mut().zip(values) {
            match value.map(String::from_utf8) {
                None => builder.append_null(),
                Some(Ok(text)) => builder.append_value(text),
                Some(Err(_)) => {
                    let message = "invalid byte sequence for encoding \"UTF8\"";
                    return Err(Fault::error(super::sqlstate::INVALID_ENCODING, message));
                }
            }
        }
        self.rows += 1;
        self.bytes += line.len();
        Ok(())
    }

    /// Takes a binary row, if it is there as a whole.
    fn binary_row(&mut self) -> Result<bool, Fault> {
        let wrong = |message: &str| Fault::error(BAD_COPY, message);
        let Fields::Binary { begun, columns } = &mut self.fields else { return Ok(false) };
        if !*begun {
            let Some(head) = self.arrived.first_chunk::<19>() else { return Ok(false) };
            if head[..11] != SIGNATURE[..11] {
                return Err(wrong("COPY file signature not recognized"));
            }
            let [.., a, b, c, d] = *head;
            let extension = usize::try_from(i32::from_be_bytes([a, b, c, d])).unwrap_or(0);
            if self.arrived.len() < 19 + extension {
                return Ok(false);
            }
            self.arrived.advance(19 + extension);
            *begun = true;
        }
        let Some(count) = self.arrived.first_chunk::<2>() else { return Ok(false) };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.arrived.advance(2);
            self.ended = true;
            return Ok(false);
        }
        if usize::try_from(count) != Ok(columns.len()) {
            return Err(wrong(&format!("row field count is {count}, expected {}", columns.len())));
        }
        // First whether all of it has come.
        let mut place = 2;
        let mut values = vec![];
        for _ in 0..count {
            let Some(length) = self.arrived.get(place..).and_then(|rest| rest.first_chunk::<4>()) else {
                return Ok(false);
            };
            let length = i32::from_be_bytes(*length);
            place += 4;
            values.push(match usize::try_from(length) {
                Ok(length) if self.arrived.len() < place + length => return Ok(false),
                Ok(length) => {
                    place += length;
                    Some(place - length..place)
                }
                Err(_) if length == -1 => None,
                Err(_) => return Err(wrong("invalid field size")),
            });
        }
        let row = self.arrived.split_to(place).freeze();
        for ((values, range), field) in columns.iter_mut().zip(values).zip(self.schema.fields()) {
            let bytes = range.map(|range| row.slice(range));
            let (oid, wanted) =
                (crate::engine::postgres_types::type_of(field).oid(), Some(field.data_type()));
            let value = read(&Given { bytes: &bytes, format: Format::Binary, oid, wanted })?;
            let cast = value.cast_to(field.data_type());
            values
                .push(cast.map_err(|_| wrong(&format!("a value of \"{}\" is out of range", field.name())))?);
        }
        self.rows += 1;
        self.bytes += row.len();
        Ok(true)
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, Fault> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.bytes) = (0, 0);
        let columns: Vec<ArrayRef> = match &mut self.fields {
            Fields::Text(builders) => {
                builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect()
            }
            Fields::Binary { columns, .. } => {
                let arrays =
                    columns.iter_mut().map(|values| ScalarValue::iter_to_array(std::mem::take(values)));
                arrays.collect::<Result<_, _>>().map_err(|error| Fault::of(&error.into(), ""))?
            }
        };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        batch.map(Some).map_err(|error| Fault::of(&error.into(), ""))
    }

    fn wrong(&self, message: &str) -> Fault {
        let mut fault = Fault::error(BAD_COPY, message);
        fault.detail = Some(format!("line {}", self.line));
        fault
    }
}

/// The values of a line of text; what is NULL is none.
fn text_values(line: &[u8], options: &Options) -> Vec<Option<Vec<u8>>> {
    let mut values = vec![];
    let mut start = 0;
    let mut at = 0;
    loop {
        match line.get(at) {
            Some(b'\\') => at += 2,
            Some(byte) if *byte != options.delimiter => at += 1,
            end => {
                let raw = &line[start.min(line.len())..at.min(line.len())];
                // Before anything in it is read: `\N` is NULL, `\\N` is not.
                values.push((raw != options.null.as_bytes()).then(|| unescaped(raw)));
                if end.is_none() {
                    return values;
                }
                at += 1;
                start = at;
            }
        }
    }
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        value.push(match bytes.next() {
            None => b'\\',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'v') => 0x0b,
            Some(b'x') if bytes.peek().is_some_and(u8::is_ascii_hexdigit) => {
                let first = bytes.next().unwrap_or(b'0');
                number(first, 16, 2, &mut bytes).unwrap_or(b'x')
            }
            Some(first @ b'0'..=b'7') => number(first, 8, 3, &mut bytes).unwrap_or(first),
            Some(other) => other,
        });
    }
    value
}

/// The byte that is written as up to `most` digits.
fn number(first: u8, base: u32, most: usize, bytes: &mut Peekable<Copied<Iter<'_, u8>>>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(base);
    let mut number = digit(first)?;
    for _ in 1..most {
        let Some(next) = bytes.peek().and_then(|byte| digit(*byte)) else { break };
        number = number * base + next;
        bytes.next();
    }
    u8::try_from(number & 0xff).ok()
}

/// The values of a line of CSV; what is NULL and not quoted is none.
fn csv_values(line: &[u8], options: &Options) -> Vec<Option<Vec<u8>>> {
    let mut values = vec![];
    let (mut value, mut quoted, mut was_quoted) = (vec![], false, false);
    let mut bytes = line.iter().copied().peekable();
    loop {
        match bytes.next() {
            Some(byte) if quoted => {
                let next = bytes.peek().copied();
                if byte == options.escape
                    && next.is_some_and(|next| next == options.quote || next == options.escape)
                {
                    value.push(bytes.next().unwrap_or(byte));
                } else if byte == options.quote {
                    quoted = false;
                } else {
                    value.push(byte);
                }
            }
            Some(byte) if byte == options.quote => (quoted, was_quoted) = (true, true),
            Some(byte) if byte != options.delimiter => value.push(byte),
            end => {
                let is_null = !was_quoted && value == options.null.as_bytes();
                let value = std::mem::take(&mut value);
                values.push((!is_null).then_some(value));
                was_quoted = false;
                if end.is_none() {
                    return values;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::cast::AsArray;

    use super::*;

    fn options(format: CopyFormat) -> Options {
        let csv = format == CopyFormat::Csv;
        Options {
            format,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { "" } else { "\\N" }.to_owned(),
            header: false,
            quote: b'"',
            escape: b'"',
            force_quote: false,
        }
    }

    /// The rows of a text that arrives in two pieces, wherever it is cut.
    fn rows(text: &str, format: CopyFormat, cut: usize) -> Result<Vec<Vec<Option<String>>>, Fault> {
        let columns = ["a", "b"].map(|name| Field::new(name, DataType::Utf8, true));
        let mut incoming = Incoming::new(&columns, options(format));
        let (first, second) = text.as_bytes().split_at(cut);
        incoming.push(&Bytes::copy_from_slice(first))?;
        incoming.push(&Bytes::copy_from_slice(second))?;
        let Some(batch) = incoming.finish()? else { return Ok(vec![]) };
        let value = |column: usize, row| {
            let column = batch.column(column).as_string::<i32>();
            (!arrow::array::Array::is_null(column, row)).then(|| column.value(row).to_owned())
        };
        Ok((0..batch.num_rows()).map(|row| vec![value(0, row), value(1, row)]).collect())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn text_is_read_wherever_it_is_cut() {
        let text = "a\\tb\t\\N\n\\\\N\tx\\\ny\n\t\\101\\x42\n\\.\nignored\n";
        for cut in 0..=text.len() {
            assert_eq!(
                rows(text, CopyFormat::Text, cut).unwrap_or_else(|fault| panic!("{cut}: {fault:?}")),
                [vec![some("a\tb"), None], vec![some("\\N"), some("x\ny")], vec![some(""), some("AB")]]
            );
        }
    }

    #[test]
    fn csv_is_read_wherever_it_is_cut() {
        let text = "1,\n\"\",\"a\nb \"\"c\"\"\"\r\nx,y";
        for cut in 0..=text.len() {
            assert_eq!(
                rows(text, CopyFormat::Csv, cut).unwrap(),
                [vec![some("1"), None], vec![some(""), some("a\nb \"c\"")], vec![some("x"), some("y")]]
            );
        }
    }

    #[test]
    fn wrong_rows_are_refused() {
        for (text, format) in
            [("a\n", CopyFormat::Text), ("a\tb\tc\n", CopyFormat::Text), ("\"a,b", CopyFormat::Csv)]
        {
            assert_eq!(rows(text, format, 0).unwrap_err().code, BAD_COPY, "{text:?}");
        }
        assert_eq!(rows("garbage that is no signature", CopyFormat::Binary, 0).unwrap_err().code, BAD_COPY);
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for format in [CopyFormat::Text, CopyFormat::Csv] {
            for value in ["", "a", "a\tb\nc", "\\N", "\\", "x,\"y\"", "\\.", "é"] {
                let options = options(format);
                let mut out = BytesMut::new();
                write_text(value.as_bytes(), &options, &mut out);
                let read = match format {
                    CopyFormat::Csv => csv_values(&out, &options),
                    _ => text_values(&out, &options),
                };
                assert_eq!(read, [Some(value.as_bytes().to_vec())], "{format:?} {value:?}");
            }
        }
    }
}
