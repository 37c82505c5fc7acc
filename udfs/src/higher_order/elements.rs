//! The elements of a column of lists, or the entries of a column of maps, laid end to end.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericListArray, OffsetSizeTrait, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, take, take_arrays};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, exec_datafusion_err, internal_err};
use datafusion::logical_expr::{LambdaArgument, LambdaParametersProgress, ValueOrLambda};

use crate::args::{plain, wrong_arity, wrong_type};

/// Elements by column (a list has one column, a map two: keys and values), and whose they are.
pub(crate) struct Elements {
    columns: Vec<ArrayRef>,
    /// Row `i` has the elements from `offsets[i]` to `offsets[i + 1]`; a null row has none.
    offsets: Vec<usize>,
    nulls: Option<NullBuffer>,
}

impl Elements {
    /// Takes the column apart. What a slice or a null row hides is left out: a lambda must not be
    /// run on it, as it could fail there.
    pub(crate) fn of(column: &ArrayRef) -> Result<Self> {
        match column.data_type() {
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                Self::visible(vec![Arc::clone(list.values())], list.offsets(), list.nulls())
            }
            DataType::LargeList(_) => {
                let list = column.as_list::<i64>();
                Self::visible(vec![Arc::clone(list.values())], list.offsets(), list.nulls())
            }
            DataType::Map(_, _) => {
                let map = column.as_map();
                let columns = vec![Arc::clone(map.keys()), Arc::clone(map.values())];
                Self::visible(columns, map.offsets(), map.nulls())
            }
            other => internal_err!("elements of {other}"),
        }
    }

    fn visible<O: OffsetSizeTrait>(
        columns: Vec<ArrayRef>,
        starts: &OffsetBuffer<O>,
        nulls: Option<&NullBuffer>,
    ) -> Result<Self> {
        let starts = starts.iter().map(|start| start.as_usize()).collect::<Vec<_>>();
        let (first, last) = (starts[0], starts[starts.len() - 1]);
        let shown = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
        let hidden = (0..starts.len() - 1).any(|row| !shown(row) && starts[row] < starts[row + 1]);
        if !hidden {
            return Ok(Self {
                columns: columns.iter().map(|column| column.slice(first, last - first)).collect(),
                offsets: starts.iter().map(|start| start - first).collect(),
                nulls: nulls.cloned(),
            });
        }
        let mut kept = vec![];
        let mut offsets = vec![0];
        for row in 0..starts.len() - 1 {
            if shown(row) {
                kept.extend((starts[row]..starts[row + 1]).map(|i| i as u64));
            }
            offsets.push(kept.len());
        }
        let kept = UInt64Array::from(kept);
        Ok(Self { columns: take_arrays(&columns, &kept, None)?, offsets, nulls: nulls.cloned() })
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn n_elements(&self) -> usize {
        self.offsets[self.n_rows()]
    }

    /// The places of the elements of `row`.
    pub(crate) fn places(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }

    pub(crate) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// The elements at `places`, a column for each of the columns.
    pub(crate) fn take(&self, places: Vec<u64>) -> Result<Vec<ArrayRef>> {
        Ok(take_arrays(&self.columns, &UInt64Array::from(places), None)?)
    }

    /// The elements of a list.
    pub(crate) fn values(&self) -> &ArrayRef {
        &self.columns[0]
    }

    /// The answer of the lambda for each element.
    pub(crate) fn evaluate(&self, lambda: &LambdaArgument) -> Result<ArrayRef> {
        let columns = self.columns.iter().map(|column| || Ok(Arc::clone(column))).collect::<Vec<_>>();
        let columns = columns.iter().map(|column| column as &dyn Fn() -> _).collect::<Vec<_>>();
        let answers = lambda.evaluate(&columns, |captured| {
            let row_of = (0..self.n_rows())
                .flat_map(|row| self.places(row).map(move |_| row as u64))
                .collect::<Vec<_>>();
            Ok(take_arrays(captured, &UInt64Array::from(row_of), None)?)
        })?;
        answers.into_array(self.n_elements())
    }

    /// The answer of a condition for each element.
    pub(crate) fn condition(&self, lambda: &LambdaArgument) -> Result<BooleanArray> {
        // A lambda that is always NULL has no type of its own.
        Ok(cast(&self.evaluate(lambda)?, &DataType::Boolean)?.as_boolean().clone())
    }
}

/// The list type a list argument is read as.
pub(crate) fn list_type(function: &str, found: &DataType) -> Result<DataType> {
    match plain(found) {
        DataType::List(_) | DataType::LargeList(_) => Ok(plain(found).clone()),
        DataType::ListView(field) | DataType::FixedSizeList(field, _) => {
            Ok(DataType::List(Arc::clone(field)))
        }
        DataType::LargeListView(field) => Ok(DataType::LargeList(Arc::clone(field))),
        DataType::Null => Ok(DataType::new_list(DataType::Null, true)),
        found => Err(wrong_type(function, "array", "an array", found)),
    }
}

/// The map type a map argument is read as.
pub(crate) fn map_type(function: &str, found: &DataType) -> Result<DataType> {
    match plain(found) {
        DataType::Map(_, _) => Ok(plain(found).clone()),
        found => Err(wrong_type(function, "map", "a map", found)),
    }
}

/// What a lambda over the elements of this type is given.
pub(crate) fn parameters(function: &str, collection: &DataType) -> Result<Vec<FieldRef>> {
    match collection {
        DataType::List(element) | DataType::LargeList(element) => Ok(vec![Arc::clone(element)]),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Ok(fields.iter().cloned().collect()),
            other => internal_err!("{function}: a map of {other}"),
        },
        other => internal_err!("{function}: elements of {other}"),
    }
}

/// Refuses a call whose arguments are not values and lambdas in the places `syntax` shows.
pub(crate) fn expect_shape<V, L>(
    function: &str,
    syntax: &str,
    shapes: &[&[Shape]],
    args: &[ValueOrLambda<V, L>],
) -> Result<()> {
    let found = args
        .iter()
        .map(|arg| match arg {
            ValueOrLambda::Value(_) => Shape::Value,
            ValueOrLambda::Lambda(_) => Shape::Lambda,
        })
        .collect::<Vec<_>>();
    if shapes.contains(&found.as_slice()) {
        return Ok(());
    }
    if shapes.iter().any(|shape| shape.len() == found.len()) {
        return datafusion::common::plan_err!(
            "{function} takes {syntax}; a value stands where a lambda should, or the reverse"
        );
    }
    wrong_arity(function, syntax, found.len())
}

/// What an argument is in the text of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Value,
    Lambda,
}

/// A list of the type of `like`, from elements end to end and the number of each row.
pub(crate) fn list_of(
    like: &DataType,
    elements: ArrayRef,
    lengths: &[usize],
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    match like {
        DataType::List(field) => Ok(Arc::new(GenericListArray::<i32>::try_new(
            Arc::clone(field),
            offsets(lengths)?,
            elements,
            nulls,
        )?)),
        DataType::LargeList(field) => Ok(Arc::new(GenericListArray::<i64>::try_new(
            Arc::clone(field),
            offsets(lengths)?,
            elements,
            nulls,
        )?)),
        other => internal_err!("a list of type {other}"),
    }
}

/// Offsets of rows that have `lengths` elements.
pub(crate) fn offsets<O: OffsetSizeTrait>(lengths: &[usize]) -> Result<OffsetBuffer<O>> {
    let mut at = 0;
    let mut offsets = Vec::with_capacity(lengths.len() + 1);
    offsets.push(O::default());
    for length in lengths {
        at += length;
        let end = O::from_usize(at);
        offsets.push(end.ok_or_else(|| exec_datafusion_err!("a list column of {at} elements is too long"))?);
    }
    Ok(OffsetBuffer::new(offsets.into()))
}

/// `column` at `places`.
pub(crate) fn take_places(column: &ArrayRef, places: Vec<u64>) -> Result<ArrayRef> {
    Ok(take(column, &UInt64Array::from(places), None)?)
}

/// The types of the values of `(collection, lambda)`; `coerce` reads the collection's.
pub(crate) fn coerce_collection(
    function: &str,
    syntax: &str,
    types: &[DataType],
    coerce: fn(&str, &DataType) -> Result<DataType>,
) -> Result<Vec<DataType>> {
    if let [found] = types {
        return Ok(vec![coerce(function, found)?]);
    }
    let values = vec![ValueOrLambda::<_, ()>::Value(()); types.len()];
    expect_shape(function, syntax, COLLECTION_AND_LAMBDA, &values)?;
    Ok(types.to_vec())
}

/// What the lambda of `(collection, lambda)` is given.
pub(crate) fn collection_parameters(
    function: &str,
    syntax: &str,
    fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
) -> Result<LambdaParametersProgress> {
    expect_shape(function, syntax, COLLECTION_AND_LAMBDA, fields)?;
    match fields {
        [ValueOrLambda::Value(collection), _] => {
            Ok(LambdaParametersProgress::Complete(vec![parameters(function, collection.data_type())?]))
        }
        _ => internal_err!("{function} planned with other arguments than it takes"),
    }
}

const COLLECTION_AND_LAMBDA: &[&[Shape]] = &[&[Shape::Value, Shape::Lambda]];
