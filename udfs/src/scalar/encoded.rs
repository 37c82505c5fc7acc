//! Functions of values that travel as bytes: bitmaps and sketches.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, LargeBinaryArray, LargeBinaryBuilder, PrimitiveBuilder,
};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation};

use super::function::Function;
use crate::args::{plain, wrong_arity, wrong_type};

/// A value that travels as bytes.
pub(crate) trait Decode: Sized {
    /// What an argument that is one must be.
    const WHAT: &'static str;

    fn read(bytes: &[u8]) -> Result<Self>;
}

/// The type such an argument is read as.
pub(crate) fn coerce_encoded<T: Decode>(
    function: &str,
    argument: &str,
    found: &DataType,
) -> Result<DataType> {
    match plain(found) {
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Null => Ok(DataType::LargeBinary),
        _ => Err(wrong_type(function, argument, T::WHAT, found)),
    }
}

/// The types of a call with one such argument.
pub(crate) fn coerce_one<T: Decode>(
    function: &str,
    argument: &str,
    types: &[DataType],
) -> Result<Vec<DataType>> {
    match types {
        [found] => Ok(vec![coerce_encoded::<T>(function, argument, found)?]),
        _ => wrong_arity(function, &format!("({argument})"), types.len()),
    }
}

/// A column of such values. A constant is read once, not once for each row.
pub(crate) enum Encoded<T> {
    Same(Option<T>),
    Each(LargeBinaryArray),
}

impl<T: Decode> Encoded<T> {
    pub(crate) fn new(arg: &ColumnarValue) -> Result<Self> {
        Ok(match arg {
            ColumnarValue::Scalar(value) => {
                let bytes = value.to_array()?;
                let bytes = bytes.as_binary::<i64>();
                Self::Same(if bytes.is_null(0) { None } else { Some(T::read(bytes.value(0))?) })
            }
            ColumnarValue::Array(bytes) => Self::Each(bytes.as_binary::<i64>().clone()),
        })
    }

    /// What `make` makes of the value of `row`; nothing if it is NULL.
    pub(crate) fn map<R>(&self, row: usize, make: impl FnOnce(&T) -> Result<R>) -> Result<Option<R>> {
        match self {
            Self::Same(value) => value.as_ref().map(make).transpose(),
            Self::Each(bytes) if bytes.is_null(row) => Ok(None),
            Self::Each(bytes) => make(&T::read(bytes.value(row))?).map(Some),
        }
    }
}

/// Answers that are bytes.
pub(crate) fn collect_bytes(
    n_rows: usize,
    mut answer: impl FnMut(usize) -> Result<Option<Vec<u8>>>,
) -> Result<ArrayRef> {
    let mut answers = LargeBinaryBuilder::with_capacity(n_rows, 0);
    for row in 0..n_rows {
        answers.append_option(answer(row)?);
    }
    Ok(Arc::new(answers.finish()))
}

/// One value made of two; NULL if either is. [`Combined`] makes it a function.
pub(crate) trait Combine: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    type Value: Decode;

    fn documentation(&self) -> Option<&Documentation>;
    fn combine(a: &Self::Value, b: &Self::Value) -> Result<Vec<u8>>;
}

/// The function of a [`Combine`].
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Combined<C>(C);

impl<C: Combine> Function for Combined<C> {
    const NAME: &'static str = C::NAME;

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [a, b] = types else { return wrong_arity(C::NAME, "(a, b)", types.len()) };
        Ok(vec![coerce_encoded::<C::Value>(C::NAME, "a", a)?, coerce_encoded::<C::Value>(C::NAME, "b", b)?])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let (a, b) = (Encoded::new(&args[0])?, Encoded::new(&args[1])?);
        collect_bytes(n_rows, |row| Ok(a.map(row, |a| b.map(row, |b| C::combine(a, b)))?.flatten()))
    }
}

/// A number of one value; NULL if that is. [`Measured`] makes it a function.
pub(crate) trait Measure: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    const ARGUMENT: &'static str;
    type Value: Decode;
    type Number: ArrowPrimitiveType;

    fn documentation(&self) -> Option<&Documentation>;
    fn measure(value: &Self::Value) -> Result<<Self::Number as ArrowPrimitiveType>::Native>;
}

/// The function of a [`Measure`].
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Measured<M>(M);

impl<M: Measure> Function for Measured<M> {
    const NAME: &'static str = M::NAME;

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_one::<M::Value>(M::NAME, M::ARGUMENT, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(M::Number::DATA_TYPE)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let values = Encoded::new(&args[0])?;
        let mut numbers = PrimitiveBuilder::<M::Number>::with_capacity(n_rows);
        for row in 0..n_rows {
            numbers.append_option(values.map(row, M::measure)?);
        }
        Ok(Arc::new(numbers.finish()))
    }
}
