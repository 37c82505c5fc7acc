//! The keys of a bucket by number: 0, 1, 2 … in the order in which the bucket's rows were written first.
//!
//! Each event of a copy has the number of its key beside the key, so that whoever reads many of them need not compare
//! texts. A key keeps its number as long as the copy is only added to.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, RecordBatch};
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

/// The keys of one bucket that have a number.
pub(super) struct Numbers {
    schema: SchemaRef,
    known: Box<dyn GroupValues>,
    groups: Vec<usize>,
}

impl Numbers {
    /// No key has a number yet.
    pub(super) fn new(key_type: &DataType) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![Field::new("key", key_type.clone(), false)]));
        let known = new_group_values(Arc::clone(&schema), &GroupOrdering::None)?;
        Ok(Self { schema, known, groups: vec![] })
    }

    /// How many keys have a number.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The bytes that they take.
    pub(super) fn memory(&self) -> usize {
        self.known.size()
    }

    /// The number of each key, null for a missing one. A key without a number gets the next.
    pub(super) fn of(&mut self, keys: &ArrayRef) -> Result<Int32Array> {
        let own = match keys.null_count() {
            0 => Arc::clone(keys),
            _ => is_not_null(keys)
                .and_then(|valid| filter(keys, &valid))
                .map_err(|error| crate::bug!("keys: {error}"))?,
        };
        self.known.intern(&[own], &mut self.groups)?;
        if i32::try_from(self.len()).is_err() {
            return Err(Error::new(Kind::Resource, "more than 2,147,483,647 keys in one bucket")
                .help("lay the events out into more buckets"));
        }
        let mut numbers = self.groups.iter().map(|group| i32::try_from(*group).ok());
        Ok((0..keys.len())
            .map(|at| if keys.is_valid(at) { numbers.next().flatten() } else { None })
            .collect())
    }

    /// The keys, by their numbers.
    pub(super) fn into_list(mut self) -> Result<RecordBatch> {
        let columns = match self.known.is_empty() {
            true => vec![arrow::array::new_empty_array(self.schema.field(0).data_type())],
            false => self.known.emit(EmitTo::All)?,
        };
        RecordBatch::try_new(self.schema, columns).map_err(|error| crate::bug!("keys: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringArray};

    use super::*;

    #[test]
    fn keys_keep_their_numbers() {
        let keys = |keys: &[Option<&str>]| Arc::new(StringArray::from(keys.to_vec())) as ArrayRef;
        let mut numbers = Numbers::new(&DataType::Utf8).unwrap();
        let found = numbers.of(&keys(&[None, Some("b"), Some("a"), Some("b"), None])).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [None, Some(0), Some(1), Some(0), None]);
        assert_eq!(numbers.of(&keys(&[None])).unwrap().null_count(), 1);
        let list = numbers.into_list().unwrap();
        assert_eq!(list.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["b", "a"]);
        // Another run goes on with the list.
        let mut numbers = Numbers::new(&DataType::Utf8).unwrap();
        numbers.of(list.column(0)).unwrap();
        let found = numbers.of(&keys(&[Some("c"), Some("a")])).unwrap();
        assert_eq!((found.values()[0], found.values()[1], numbers.len()), (2, 1, 3));
        assert_eq!(Numbers::new(&DataType::Int64).unwrap().into_list().unwrap().num_rows(), 0);
    }
}
