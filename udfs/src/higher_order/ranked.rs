//! Functions that sort elements by a key.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, make_comparator};
use arrow::buffer::NullBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature,
    HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
};

use super::elements::{Elements, Shape, expect_shape, list_of, list_type, parameters};
use crate::args::{plain, wrong_type};

const SYNTAX: &str = "(array, n [, element -> key])";
const SHAPES: &[&[Shape]] = &[&[Shape::Value, Shape::Value], &[Shape::Value, Shape::Value, Shape::Lambda]];

/// One function: from which end it takes.
pub(crate) trait Ranking: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    /// Whether the greatest come first.
    const GREATEST: bool;
    fn documentation(&self) -> Option<&Documentation>;
}

/// The function of a [`Ranking`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ranked<R> {
    signature: HigherOrderSignature,
    ranking: R,
}

impl<R: Ranking> Default for Ranked<R> {
    fn default() -> Self {
        Self { signature: HigherOrderSignature::user_defined(Volatility::Immutable), ranking: R::default() }
    }
}

impl<R: Ranking> HigherOrderUDFImpl for Ranked<R> {
    fn name(&self) -> &str {
        R::NAME
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [array, n] = arg_types else {
            let values = vec![ValueOrLambda::<_, ()>::Value(()); arg_types.len()];
            expect_shape(R::NAME, SYNTAX, SHAPES, &values)?;
            return Ok(arg_types.to_vec());
        };
        if !plain(n).is_integer() && !n.is_null() {
            return Err(wrong_type(R::NAME, "n", "a whole number of 0 or more", n));
        }
        Ok(vec![list_type(R::NAME, array)?, DataType::Int64])
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        expect_shape(R::NAME, SYNTAX, SHAPES, fields)?;
        match fields {
            [ValueOrLambda::Value(array), _, _] => {
                Ok(LambdaParametersProgress::Complete(vec![parameters(R::NAME, array.data_type())?]))
            }
            _ => Ok(LambdaParametersProgress::Complete(vec![])),
        }
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let (array, n, key) = match args.arg_fields {
            [ValueOrLambda::Value(array), ValueOrLambda::Value(n)] => (array, n, None),
            [ValueOrLambda::Value(array), ValueOrLambda::Value(n), ValueOrLambda::Lambda(key)] => {
                (array, n, Some(key))
            }
            _ => return internal_err!("{} planned with other arguments than it takes", R::NAME),
        };
        if let Some(Some(ScalarValue::Int64(Some(n)))) = args.scalar_arguments.get(1)
            && *n < 0
        {
            return plan_err!("{}: `n` must be 0 or more, found {n}", R::NAME);
        }
        match key {
            Some(key) => expect_ordered(R::NAME, "key", key.data_type())?,
            None => match array.data_type() {
                DataType::List(element) | DataType::LargeList(element) => {
                    expect_ordered(R::NAME, "array", element.data_type())?;
                }
                _ => {}
            },
        }
        Ok(Arc::new(Field::new(R::NAME, array.data_type().clone(), array.is_nullable() || n.is_nullable())))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (array, n, key) = match args.args.as_slice() {
            [ValueOrLambda::Value(array), ValueOrLambda::Value(n)] => (array, n, None),
            [ValueOrLambda::Value(array), ValueOrLambda::Value(n), ValueOrLambda::Lambda(key)] => {
                (array, n, Some(key))
            }
            _ => return internal_err!("{} planned with other arguments than it takes", R::NAME),
        };
        let array = array.to_array(args.number_rows)?;
        let n = n.to_array(args.number_rows)?;
        let elements = Elements::of(&array)?;
        let keys = match key {
            Some(key) => elements.evaluate(key)?,
            None => Arc::clone(elements.values()),
        };
        let first = first(R::NAME, &elements, &keys, n.as_primitive::<Int64Type>(), R::GREATEST)?;
        let nulls = NullBuffer::union(elements.nulls(), n.nulls());
        let [picked] = elements.take(first.places)?.try_into().map_err(|columns: Vec<ArrayRef>| {
            datafusion::common::internal_datafusion_err!("a list of {} columns", columns.len())
        })?;
        Ok(ColumnarValue::Array(list_of(array.data_type(), picked, &first.lengths, nulls)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.ranking.documentation()
    }
}

/// Refuses keys that have no order of their own.
fn expect_ordered(function: &str, argument: &str, found: &DataType) -> Result<()> {
    if plain(found).is_nested() {
        let expected = "something with an order: a number, a string, a date, a boolean";
        return Err(wrong_type(function, argument, expected, found));
    }
    Ok(())
}

struct First {
    places: Vec<u64>,
    lengths: Vec<usize>,
}

/// The first `n` places of each row, by key; NULL keys last, equal keys in their order.
fn first(
    function: &str,
    elements: &Elements,
    keys: &ArrayRef,
    n: &Int64Array,
    greatest: bool,
) -> Result<First> {
    let by_key = make_comparator(keys, keys, SortOptions { descending: greatest, nulls_first: false })?;
    // The place breaks ties, so an unstable sort of places is a stable one of elements.
    let by_key = |a: &usize, b: &usize| -> Ordering { by_key(*a, *b).then(a.cmp(b)) };
    let mut first = First { places: vec![], lengths: Vec::with_capacity(elements.n_rows()) };
    let mut places = vec![];
    for row in 0..elements.n_rows() {
        if n.is_null(row) || elements.is_null(row) {
            first.lengths.push(0);
            continue;
        }
        let Ok(n) = usize::try_from(n.value(row)) else {
            return exec_err!("{function}: `n` must be 0 or more, found {}", n.value(row));
        };
        places.clear();
        places.extend(elements.places(row));
        if 0 < n && n < places.len() {
            places.select_nth_unstable_by(n - 1, by_key);
        }
        places.truncate(n);
        places.sort_unstable_by(by_key);
        first.places.extend(places.iter().map(|place| *place as u64));
        first.lengths.push(places.len());
    }
    Ok(first)
}
