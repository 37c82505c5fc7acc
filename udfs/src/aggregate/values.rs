//! Values of any type as small numbers: equal values share a number, each is kept once.

use std::fmt;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{HashMap, Result, exec_datafusion_err, internal_datafusion_err};

/// The values seen so far, by number.
pub(crate) struct Interner {
    converter: RowConverter,
    /// NULL as a row.
    null: Box<[u8]>,
    numbers: HashMap<Box<[u8]>, u32>,
    /// The values as rows, on end; bytes of them compare as the values do.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl fmt::Debug for Interner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interner({} values)", self.ends.len())
    }
}

impl Interner {
    pub(crate) fn new(data_type: &DataType) -> Result<Self> {
        let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        let null = converter.convert_columns(&[arrow::array::new_null_array(data_type, 1)])?;
        let null = null.row(0).data().into();
        Ok(Self { converter, null, numbers: HashMap::new(), bytes: vec![], ends: vec![] })
    }

    /// The number of each value of `column`; of NULLs too, which are as good a value as any.
    pub(crate) fn intern(&mut self, column: &ArrayRef) -> Result<Vec<u32>> {
        let rows = self.converter.convert_columns(std::slice::from_ref(column))?;
        let mut numbers = Vec::with_capacity(column.len());
        for row in &rows {
            let row = row.data();
            numbers.push(match self.numbers.get(row) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(self.ends.len())
                        .map_err(|_| exec_datafusion_err!("more than 2^32 different values"))?;
                    self.bytes.extend_from_slice(row);
                    self.ends.push(self.bytes.len());
                    self.numbers.insert(row.into(), number);
                    number
                }
            });
        }
        Ok(numbers)
    }

    /// The value of a number, as bytes that compare as the values do.
    pub(crate) fn bytes(&self, number: u32) -> &[u8] {
        let i = number as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..self.ends[i]]
    }

    /// Whether a number stands for NULL.
    pub(crate) fn is_null(&self, number: u32) -> bool {
        self.bytes(number) == self.null.as_ref()
    }

    /// A column of the values of `numbers`; NULL for none.
    pub(crate) fn column(&self, numbers: impl IntoIterator<Item = Option<u32>>) -> Result<ArrayRef> {
        let parser = self.converter.parser();
        let rows = numbers
            .into_iter()
            .map(|number| parser.parse(number.map_or(self.null.as_ref(), |n| self.bytes(n))));
        let mut columns = self.converter.convert_rows(rows)?;
        columns.pop().ok_or_else(|| internal_datafusion_err!("a converter of one column gave none"))
    }

    pub(crate) fn size(&self) -> usize {
        self.converter.size()
            + self.bytes.capacity() * 2
            + self.ends.capacity() * size_of::<usize>()
            + self.numbers.capacity() * (size_of::<Box<[u8]>>() + size_of::<u32>())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, StringViewArray};

    use super::*;

    #[test]
    fn equal_values_share_a_number() {
        let mut interner = Interner::new(&DataType::Utf8View).unwrap();
        let column: ArrayRef = Arc::new(StringViewArray::from(vec!["b", "a", "b"]));
        assert_eq!(interner.intern(&column).unwrap(), [0, 1, 0]);
        assert!(interner.bytes(1) < interner.bytes(0));
        let back = interner.column([Some(1), None, Some(0)]).unwrap();
        assert_eq!(back.as_string_view(), &StringViewArray::from(vec![Some("a"), None, Some("b")]));
    }
}
