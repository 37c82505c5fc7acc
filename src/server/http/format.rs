//! Rows as bytes: Arrow IPC, JSON, lines of JSON, CSV.

use std::convert::Infallible;
use std::pin::Pin;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, LineDelimited, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use axum::body::Bytes;
use axum::http::HeaderValue;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use serde_json::json;

use crate::error::{Error, Result};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Lines,
    Csv,
    Arrow,
}

impl Format {
    const ALL: [Self; 4] = [Self::Json, Self::Lines, Self::Csv, Self::Arrow];

    /// What a client asks for: JSON if it does not care.
    pub(super) fn accepted(header: Option<&HeaderValue>) -> Option<Self> {
        let header = header.map_or("*/*", |header| header.to_str().unwrap_or_default());
        let mut wanted: Vec<(f32, &str)> = header
            .split(',')
            .map(|part| {
                let mut parts = part.split(';').map(str::trim);
                let kind = parts.next().unwrap_or_default();
                let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
                (weight.unwrap_or(1.0), kind)
            })
            .filter(|(weight, _)| *weight > 0.0)
            .collect();
        // Stable: of equal ones the first counts.
        wanted.sort_by(|(left, _), (right, _)| right.total_cmp(left));
        wanted.into_iter().find_map(|(_, kind)| match kind {
            "*/*" | "application/*" => Some(Self::Json),
            "text/*" => Some(Self::Csv),
            kind => Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(kind)),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        if self == Self::Csv { "text/csv; charset=utf-8; header=present" } else { self.name() }
    }

    /// The bytes of some rows; an error on the way ends them in the middle.
    pub(super) fn encode(
        self,
        schema: &SchemaRef,
        batches: Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let mut encoder = Encoder::new(self, schema)?;
        let head = encoder.head(schema)?;
        // The end belongs to the last batch or follows it, and only if all went well.
        let ended = batches.map(Some).chain(stream::iter([None]));
        let body = ended.scan(false, move |failed, next| {
            let bytes = match next {
                _ if *failed => return std::future::ready(None),
                None => encoder.end(),
                Some(batch) => batch.and_then(|batch| encoder.batch(&batch)),
            };
            *failed = bytes.is_err();
            std::future::ready(Some(bytes))
        });
        let head = stream::iter([Ok::<_, Infallible>(head)]).map(|head| head.map_err(|never| match never {}));
        Ok(head
            .chain(body)
            .filter(|bytes| std::future::ready(!matches!(bytes, Ok(bytes) if bytes.is_empty())))
            .boxed())
    }
}

enum Encoder {
    Json { any: bool },
    Lines,
    Csv { any: bool },
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Encoder {
    fn new(format: Format, schema: &SchemaRef) -> Result<Self> {
        Ok(match format {
            Format::Json => Self::Json { any: false },
            Format::Lines => Self::Lines,
            Format::Csv => Self::Csv { any: false },
            Format::Arrow => Self::Arrow(Box::new(StreamWriter::try_new(vec![], schema)?)),
        })
    }

    fn head(&mut self, schema: &SchemaRef) -> Result<Bytes> {
        Ok(match self {
            Self::Json { .. } => {
                let columns: Vec<_> = schema
                    .fields()
                    .iter()
                    .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string() }))
                    .collect();
                format!("{{\"columns\":{},\"rows\":[", json!(columns)).into()
            }
            Self::Csv { any } => {
                *any = true;
                csv_bytes(&RecordBatch::new_empty(std::sync::Arc::clone(schema)), true)?
            }
            Self::Lines => Bytes::new(),
            Self::Arrow(writer) => std::mem::take(writer.get_mut()).into(),
        })
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes> {
        if batch.num_rows() == 0 {
            return Ok(Bytes::new());
        }
        Ok(match self {
            Self::Json { any } => {
                let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(vec![]);
                writer.write(batch)?;
                writer.finish()?;
                let written = writer.into_inner();
                // Without the brackets: all batches are one array.
                let rows = &written[1..written.len() - 1];
                let comma = if std::mem::replace(any, true) { &b","[..] } else { b"" };
                [comma, rows].concat().into()
            }
            Self::Lines => {
                let mut writer =
                    WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(vec![]);
                writer.write(batch)?;
                writer.finish()?;
                writer.into_inner().into()
            }
            Self::Csv { .. } => csv_bytes(batch, false)?,
            Self::Arrow(writer) => {
                writer.write(batch)?;
                std::mem::take(writer.get_mut()).into()
            }
        })
    }

    fn end(&mut self) -> Result<Bytes> {
        Ok(match self {
            Self::Json { .. } => Bytes::from_static(b"]}\n"),
            Self::Lines | Self::Csv { .. } => Bytes::new(),
            Self::Arrow(writer) => {
                writer.finish()?;
                std::mem::take(writer.get_mut()).into()
            }
        })
    }
}

fn csv_bytes(batch: &RecordBatch, header: bool) -> Result<Bytes> {
    let flat = flat(batch)?;
    let mut writer = csv::WriterBuilder::new().with_header(header).build(vec![]);
    writer.write(&flat)?;
    Ok(writer.into_inner().into())
}

/// Columns that CSV cannot hold as text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    if !batch.schema().fields().iter().any(|field| field.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let options = FormatOptions::default();
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (vec![], vec![]);
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !field.data_type().is_nested() {
            fields.push(field.as_ref().clone());
            columns.push(std::sync::Arc::clone(column));
            continue;
        }
        let formatter = ArrayFormatter::try_new(column, &options)?;
        let texts = (0..column.len()).map(|row| {
            if column.is_null(row) { Ok(None) } else { formatter.value(row).try_to_string().map(Some) }
        });
        let texts = texts.collect::<std::result::Result<StringArray, _>>()?;
        fields.push(Field::new(field.name(), DataType::Utf8, true));
        columns.push(std::sync::Arc::new(texts));
    }
    RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_format_is_chosen() {
        let accepted = |text: &str| Format::accepted(Some(&HeaderValue::from_str(text).unwrap()));
        assert_eq!(Format::accepted(None), Some(Format::Json));
        assert_eq!(accepted("*/*"), Some(Format::Json));
        assert_eq!(accepted("text/csv"), Some(Format::Csv));
        assert_eq!(
            accepted("application/json;q=0.5, application/vnd.apache.arrow.stream"),
            Some(Format::Arrow)
        );
        assert_eq!(accepted("image/png, text/csv;q=0.1"), Some(Format::Csv));
        assert_eq!(accepted("image/png"), None);
        assert_eq!(accepted("text/csv;q=0"), None);
    }
}
