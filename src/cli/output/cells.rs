//! Values as text, the same in every format that is text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The texts of one row. Their memory is used again for the next one: a result may have millions.
#[derive(Default)]
pub(super) struct Row {
    texts: Vec<String>,
    known: Vec<bool>,
}

impl Row {
    /// The cells in order; `None` is NULL.
    pub(super) fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        self.texts.iter().zip(&self.known).map(|(text, known)| known.then_some(text.as_str()))
    }
}

/// The cells of a batch.
pub(super) struct Cells<'a> {
    columns: Vec<Column<'a>>,
}

enum Column<'a> {
    /// Texts, as which most keys come; of many rows writing them is most of the work.
    Text(&'a StringViewArray),
    Plain(&'a ArrayRef, ArrayFormatter<'a>),
    /// Lists, structs and maps, as JSON: the one notation that every reader of a CSV file can take apart.
    Nested(NullableEncoder<'a>),
}

/// What makes the encoders of a schema's nested columns; outlives the [`Cells`] of its batches.
pub(super) struct Encoding {
    fields: Vec<FieldRef>,
    options: EncoderOptions,
    format: FormatOptions<'static>,
}

impl Encoding {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self {
            fields: schema.fields().iter().map(Arc::clone).collect(),
            options: EncoderOptions::default().with_explicit_nulls(true),
            format: FormatOptions::default(),
        }
    }

    pub(super) fn cells<'a>(&'a self, batch: &'a RecordBatch) -> Result<Cells<'a>, ArrowError> {
        let columns = self.fields.iter().zip(batch.columns()).map(|(field, array)| {
            if array.data_type().is_nested() {
                return Ok(Column::Nested(make_encoder(field, array.as_ref(), &self.options)?));
            }
            if let Some(texts) = array.as_string_view_opt() {
                return Ok(Column::Text(texts));
            }
            Ok(Column::Plain(array, ArrayFormatter::try_new(array.as_ref(), &self.format)?))
        });
        Ok(Cells { columns: columns.collect::<Result<_, ArrowError>>()? })
    }
}

impl Cells<'_> {
    /// Reads a row.
    pub(super) fn read(&mut self, at: usize, row: &mut Row) -> Result<(), ArrowError> {
        row.texts.resize_with(self.columns.len(), String::new);
        row.known.resize(self.columns.len(), false);
        let cells = row.texts.iter_mut().zip(&mut row.known);
        for (column, (text, known)) in self.columns.iter_mut().zip(cells) {
            text.clear();
            match column {
                Column::Text(texts) => {
                    *known = texts.is_valid(at);
                    if *known {
                        text.push_str(texts.value(at));
                    }
                }
                Column::Plain(array, formatter) => {
                    *known = array.is_valid(at) && array.data_type() != &DataType::Null;
                    if *known {
                        formatter.value(at).write(text)?;
                    }
                }
                Column::Nested(encoder) => {
                    *known = !encoder.is_null(at);
                    if *known {
                        let mut json = vec![];
                        encoder.encode(at, &mut json);
                        text.push_str(&String::from_utf8_lossy(&json));
                    }
                }
            }
        }
        Ok(())
    }
}
