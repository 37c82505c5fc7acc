//! `array_reduce`

use std::sync::Arc;

use arrow::array::UInt64Array;
use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::{cast, concat, nullif, take_arrays};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature,
    HigherOrderUDF, HigherOrderUDFImpl, LambdaArgument, LambdaParametersProgress, ValueOrLambda, Volatility,
};
use datafusion_macros::user_doc;

use super::elements::{Elements, Shape, expect_shape, list_type, parameters, take_places};

const NAME: &str = "array_reduce";
const SYNTAX: &str = "(array, initial, (so_far, element) -> next [, so_far -> result])";
const SHAPES: &[&[Shape]] = &[
    &[Shape::Value, Shape::Value, Shape::Lambda],
    &[Shape::Value, Shape::Value, Shape::Lambda, Shape::Lambda],
];

/// `array_reduce(array, initial, (so_far, element) -> next [, so_far -> result])`
pub fn array_reduce_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(ArrayReduce {
        signature: HigherOrderSignature::user_defined(Volatility::Immutable),
    }))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "Folds an array into one value: starts from `initial` and goes through the elements in order, each time replacing the value by what the lambda makes of it and the element. NULL elements are given to the lambda as they are. An empty array gives `initial`, a NULL array NULL. `initial` is cast to the type of the lambda's result.",
    syntax_example = "array_reduce(array, initial, (so_far, element) -> next [, so_far -> result])",
    sql_example = "```sql
> SELECT array_reduce([2, 3, 4], 1, (p, x) -> p * x) AS product,
         array_reduce([2, NULL], 0, (s, x) -> s + coalesce(x, 1), s -> s * 10) AS scaled;
+---------+--------+
| product | scaled |
+---------+--------+
| 24      | 30     |
+---------+--------+
```",
    argument(name = "array", description = "An array of anything."),
    argument(name = "initial", description = "The value to start from."),
    argument(name = "next", description = "Lambda from the value so far and an element to the next value."),
    argument(
        name = "result",
        description = "Lambda from the last value to the answer; the value itself if left out."
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayReduce {
    signature: HigherOrderSignature,
}

impl HigherOrderUDFImpl for ArrayReduce {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if let [array, initial] = arg_types {
            return Ok(vec![list_type(NAME, array)?, initial.clone()]);
        }
        let values = vec![ValueOrLambda::<_, ()>::Value(()); arg_types.len()];
        expect_shape(NAME, SYNTAX, SHAPES, &values)?;
        Ok(arg_types.to_vec())
    }

    /// The value so far has the type of what the lambda returns, which depends on the type of the
    /// value so far. Starting from the type of `initial`, two rounds reach a type that stays:
    /// `0` and `x * 1.5` give a float, and a float it remains.
    fn lambda_parameters(
        &self,
        step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        expect_shape(NAME, SYNTAX, SHAPES, fields)?;
        let (array, initial, next, has_result) = match fields {
            [
                ValueOrLambda::Value(array),
                ValueOrLambda::Value(initial),
                ValueOrLambda::Lambda(next),
                rest @ ..,
            ] => (array, initial, next, !rest.is_empty()),
            _ => return internal_err!("{NAME} planned with other arguments than it takes"),
        };
        let so_far = |data_type: &DataType| Arc::new(Field::new("so_far", widest(data_type), true));
        let element = parameters(NAME, array.data_type())?;
        let of_next = |so_far: FieldRef| std::iter::once(so_far).chain(element.clone()).collect::<Vec<_>>();
        let Some(next) = next else {
            let mut partial = vec![Some(of_next(so_far(initial.data_type())))];
            partial.extend(has_result.then_some(None));
            return Ok(LambdaParametersProgress::Partial(partial));
        };
        let so_far = so_far(next.data_type());
        if step == 1 {
            let mut partial = vec![Some(of_next(Arc::clone(&so_far)))];
            partial.extend(has_result.then(|| Some(vec![so_far])));
            return Ok(LambdaParametersProgress::Partial(partial));
        }
        let mut complete = vec![of_next(Arc::clone(&so_far))];
        complete.extend(has_result.then(|| vec![so_far]));
        Ok(LambdaParametersProgress::Complete(complete))
    }

    fn coerce_values_for_lambdas(
        &self,
        fields: &[ValueOrLambda<DataType, DataType>],
    ) -> Result<Option<Vec<DataType>>> {
        match fields {
            [ValueOrLambda::Value(array), ValueOrLambda::Value(_), ValueOrLambda::Lambda(next), ..] => {
                Ok(Some(vec![array.clone(), widest(next)]))
            }
            _ => internal_err!("{NAME} planned with other arguments than it takes"),
        }
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let data_type = match args.arg_fields {
            [_, _, ValueOrLambda::Lambda(next)] => widest(next.data_type()),
            [_, _, _, ValueOrLambda::Lambda(result)] => result.data_type().clone(),
            _ => return internal_err!("{NAME} planned with other arguments than it takes"),
        };
        Ok(Arc::new(Field::new(NAME, data_type, true)))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (array, initial, next, result) = match args.args.as_slice() {
            [ValueOrLambda::Value(array), ValueOrLambda::Value(initial), ValueOrLambda::Lambda(next)] => {
                (array, initial, next, None)
            }
            [
                ValueOrLambda::Value(array),
                ValueOrLambda::Value(initial),
                ValueOrLambda::Lambda(next),
                ValueOrLambda::Lambda(result),
            ] => (array, initial, next, Some(result)),
            _ => return internal_err!("{NAME} planned with other arguments than it takes"),
        };
        let elements = Elements::of(&array.to_array(args.number_rows)?)?;
        let initial = initial.to_array(args.number_rows)?;
        let mut answers = reduce(&elements, &initial, next)?;
        if let Some(result) = result {
            let last = || Ok(Arc::clone(&answers));
            let finished = result.evaluate(&[&last], |captured| Ok(captured.to_vec()))?;
            answers = finished.into_array(args.number_rows)?;
        }
        if let Some(nulls) = elements.nulls()
            && answers.data_type() != &DataType::Null
        {
            answers = nullif(&answers, &BooleanArray::new(!nulls.inner(), None))?;
        }
        Ok(ColumnarValue::Array(answers))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

/// Decimals grow a digit with each sum; the widest is the only one that stays as it is.
fn widest(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
            DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale)
        }
        DataType::Decimal256(_, scale) => DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale),
        other => other.clone(),
    }
}

/// Goes through all rows at once, position by position. Rows are taken longest first: those still
/// going on are then always the first ones, and a step costs no more than they are.
fn reduce(elements: &Elements, initial: &ArrayRef, next: &LambdaArgument) -> Result<ArrayRef> {
    let length = |row: usize| elements.places(row).len();
    let mut order = (0..elements.n_rows()).collect::<Vec<_>>();
    order.sort_by_key(|row| std::cmp::Reverse(length(*row)));
    let rows = order.iter().map(|row| *row as u64).collect::<Vec<_>>();
    let mut going = take_places(initial, rows.clone())?;
    // Values of rows that ended, the shortest rows first.
    let mut ended = vec![];
    let mut position = 0;
    loop {
        let n_going = order[..going.len()].partition_point(|row| length(*row) > position);
        ended.push(going.slice(n_going, going.len() - n_going));
        if n_going == 0 {
            break;
        }
        going = going.slice(0, n_going);
        let places =
            order[..n_going].iter().map(|row| (elements.places(*row).start + position) as u64).collect();
        let element = take_places(elements.values(), places)?;
        let (so_far, element) = (|| Ok(Arc::clone(&going)), || Ok(Arc::clone(&element)));
        let stepped = next.evaluate(&[&so_far, &element], |captured| {
            Ok(take_arrays(captured, &UInt64Array::from(rows[..n_going].to_vec()), None)?)
        })?;
        going = cast(&stepped.into_array(n_going)?, initial.data_type())?;
        position += 1;
    }
    ended.reverse();
    let in_order = concat(&ended.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?;
    let mut back = vec![0; order.len()];
    for (place, row) in order.iter().enumerate() {
        back[*row] = place as u64;
    }
    take_places(&in_order, back)
}
