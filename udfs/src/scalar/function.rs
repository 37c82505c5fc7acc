//! What the scalar functions of sets, sketches and periods have in common.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeBinaryArray, LargeBinaryBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::args::{plain, wrong_type};

/// One function.
pub(crate) trait Function: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    fn documentation(&self) -> Option<&Documentation>;
    /// The types the arguments are read as.
    fn coerce(types: &[DataType]) -> Result<Vec<DataType>>;
    fn return_type(types: &[DataType]) -> Result<DataType>;
    /// Refuses constants that will not do. Arguments that are not constant are `None`.
    fn check(_types: &[DataType], _constants: &[Option<&ScalarValue>]) -> Result<()> {
        Ok(())
    }
    /// The answers for `n_rows` rows.
    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef>;
}

/// The scalar function of a [`Function`].
pub(crate) fn scalar_udf<F: Function>() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Scalar {
        function: F::default(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scalar<F> {
    function: F,
    signature: Signature,
}

impl<F: Function> ScalarUDFImpl for Scalar<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        F::coerce(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        F::return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types = args.arg_fields.iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        F::check(&types, args.scalar_arguments)?;
        Ok(Arc::new(Field::new(F::NAME, F::return_type(&types)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            let answer = F::invoke(&args.args, 1)?;
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?));
        }
        Ok(ColumnarValue::Array(F::invoke(&args.args, args.number_rows)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// The type bytes are read as, or an error that says what the bytes should be.
pub(crate) fn bytes_type(function: &str, argument: &str, what: &str, found: &DataType) -> Result<DataType> {
    match plain(found) {
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Null => Ok(DataType::LargeBinary),
        _ => Err(wrong_type(function, argument, what, found)),
    }
}

/// A column of bytes and how to read them. A constant is read once, not once for each row.
pub(crate) enum Encoded<T> {
    Same(Option<T>),
    Each(LargeBinaryArray, fn(&[u8]) -> Result<T>),
}

impl<T> Encoded<T> {
    pub(crate) fn new(arg: &ColumnarValue, read: fn(&[u8]) -> Result<T>) -> Result<Self> {
        Ok(match arg {
            ColumnarValue::Scalar(value) => {
                let bytes = value.to_array()?;
                let bytes = bytes.as_binary::<i64>();
                Self::Same(if bytes.is_null(0) { None } else { Some(read(bytes.value(0))?) })
            }
            ColumnarValue::Array(bytes) => Self::Each(bytes.as_binary::<i64>().clone(), read),
        })
    }

    /// What `make` makes of the value of `row`; nothing if it is NULL.
    pub(crate) fn map<R>(&self, row: usize, make: impl FnOnce(&T) -> Result<R>) -> Result<Option<R>> {
        match self {
            Self::Same(value) => value.as_ref().map(make).transpose(),
            Self::Each(bytes, _) if bytes.is_null(row) => Ok(None),
            Self::Each(bytes, read) => make(&read(bytes.value(row))?).map(Some),
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
