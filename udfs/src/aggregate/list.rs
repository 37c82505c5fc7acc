//! Answers and states that are lists.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};

/// The type of lists without NULLs.
pub(crate) fn list_type(item: &DataType) -> DataType {
    DataType::List(item_field(item.clone(), false))
}

/// The type of lists of any values.
pub(crate) fn nullable_list_type(item: &DataType) -> DataType {
    DataType::List(item_field(item.clone(), true))
}

/// Lists without NULLs, given on end.
pub(crate) fn lists(lengths: impl IntoIterator<Item = usize>, items: ArrayRef) -> Result<ArrayRef> {
    list_array(lengths, items, false)
}

/// Lists of any values, given on end.
pub(crate) fn nullable_lists(lengths: impl IntoIterator<Item = usize>, items: ArrayRef) -> Result<ArrayRef> {
    list_array(lengths, items, true)
}

/// A list without any item.
pub(crate) fn empty_list(return_type: &DataType) -> Result<ScalarValue> {
    let item = match return_type {
        DataType::List(item) => item.data_type(),
        // Asked only whether the answer may be NULL.
        other => other,
    };
    Ok(ScalarValue::List(ScalarValue::new_list(&[], item, false)))
}

fn list_array(lengths: impl IntoIterator<Item = usize>, items: ArrayRef, nullable: bool) -> Result<ArrayRef> {
    let item = item_field(items.data_type().clone(), nullable);
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item, offsets, items, None)?))
}

fn item_field(item: DataType, nullable: bool) -> FieldRef {
    Arc::new(Field::new_list_field(item, nullable))
}
