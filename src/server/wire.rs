//! Columns in the types that clients read: views, dictionaries and runs become what they stand for.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result};

/// The columns of a result. All may be null: what a plan says of that is a promise about its input.
pub fn schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(|field| Arc::new(inner(field).as_ref().clone().with_nullable(true)))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A batch with the columns that were announced.
pub fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type()).map_err(Error::from)
        }
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// A type as it is sent.
pub fn data_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => data_type(values),
        DataType::RunEndEncoded(_, values) => data_type(values.data_type()),
        DataType::ListView(item) => DataType::List(inner(item)),
        DataType::LargeListView(item) => DataType::LargeList(inner(item)),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        // Of the narrow decimals most clients have not heard.
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        other => other.clone(),
    }
}

fn inner(field: &FieldRef) -> FieldRef {
    let kind = data_type(field.data_type());
    if kind == *field.data_type() {
        return Arc::clone(field);
    }
    let sent = Field::new(field.name(), kind, field.is_nullable());
    Arc::new(sent.with_metadata(field.metadata().clone()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, StringArray, StringViewArray, StructArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn views_and_dictionaries_become_plain_at_any_depth() {
        let words: DictionaryArray<Int32Type> = [Some("a"), None, Some("a")].into_iter().collect();
        let views: StringViewArray = [Some("x"), Some("y"), None].into_iter().collect();
        let views: ArrayRef = Arc::new(views);
        let nested = StructArray::from(vec![(
            Arc::new(Field::new("v", DataType::Utf8View, true)),
            Arc::clone(&views),
        )]);
        let columns: [(&str, ArrayRef); 3] =
            [("words", Arc::new(words)), ("views", views), ("nested", Arc::new(nested))];
        let given = RecordBatch::try_from_iter(columns).unwrap();
        let announced = schema(&given.schema());
        let sent = batch(&given, &announced).unwrap();
        assert_eq!(sent.schema(), announced);
        let plain = |kind: &DataType| matches!(kind, DataType::Utf8);
        assert!(plain(announced.field(0).data_type()) && plain(announced.field(1).data_type()));
        assert_eq!(data_type(announced.field(2).data_type()), *announced.field(2).data_type());
        let words: &StringArray = sent.column(0).as_any().downcast_ref().unwrap();
        assert_eq!(words.iter().collect::<Vec<_>>(), [Some("a"), None, Some("a")]);
    }

    #[test]
    fn rows_without_columns_keep_their_number() {
        let options = RecordBatchOptions::new().with_row_count(Some(3));
        let given = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
        let sent = batch(&given, &schema(&given.schema())).unwrap();
        assert_eq!(sent.num_rows(), 3);
    }
}
