//! Values as text, the same in every format that is text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The cells of a batch.
pub(super) struct Cells<'a> {
    columns: Vec<Column<'a>>,
}

enum Column<'a> {
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
            format: FormatOptions::default().with_display_error(true),
        }
    }

    pub(super) fn cells<'a>(&'a self, batch: &'a RecordBatch) -> Result<Cells<'a>, ArrowError> {
        let columns = self.fields.iter().zip(batch.columns()).map(|(field, array)| {
            if array.data_type().is_nested() {
                return Ok(Column::Nested(make_encoder(field, array.as_ref(), &self.options)?));
            }
            Ok(Column::Plain(array, ArrayFormatter::try_new(array.as_ref(), &self.format)?))
        });
        Ok(Cells { columns: columns.collect::<Result<_, ArrowError>>()? })
    }
}

impl Cells<'_> {
    /// The cells of a row; `None` is NULL.
    pub(super) fn row(&mut self, row: usize) -> impl Iterator<Item = Result<Option<String>, ArrowError>> {
        self.columns.iter_mut().map(move |column| match column {
            Column::Plain(array, formatter) => {
                if array.is_null(row) || array.data_type() == &DataType::Null {
                    return Ok(None);
                }
                formatter.value(row).try_to_string().map(Some)
            }
            Column::Nested(encoder) => {
                if encoder.is_null(row) {
                    return Ok(None);
                }
                let mut text = vec![];
                encoder.encode(row, &mut text);
                Ok(Some(String::from_utf8_lossy(&text).into_owned()))
            }
        })
    }
}
