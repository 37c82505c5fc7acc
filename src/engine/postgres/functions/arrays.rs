//! Arrays, as PostgreSQL counts their items.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{
    Array, ArrayRef, Int16Array, Int32Array, ListArray, ListBuilder, StringArray, StringBuilder, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::{Call, oids, pair_fields, texts};

fn lists(call: &Call<'_>) -> Result<Option<ListArray>> {
    let array = call.argument(0)?;
    Ok(matches!(array.data_type(), DataType::List(_)).then(|| array.as_list::<i32>().clone()))
}

/// The length of an array's first dimension, of the only one it has.
fn bounds(call: &Call<'_>, value: impl Fn(i32) -> i32) -> Result<ArrayRef> {
    let Some(lists) = lists(call)? else { return Ok(call.no_number()) };
    let dimensions = call.ints(1)?;
    let values = (0..call.rows).map(|row| {
        let is_first = !dimensions.is_null(row) && dimensions.value(row) == 1;
        if lists.is_null(row) || !is_first {
            return None;
        }
        Some(lists.value_length(row)).filter(|length| *length > 0).map(&value)
    });
    Ok(Arc::new(values.collect::<Int32Array>()))
}

pub(super) fn array_lower(call: &Call<'_>) -> Result<ArrayRef> {
    bounds(call, |_| 1)
}

pub(super) fn array_upper(call: &Call<'_>) -> Result<ArrayRef> {
    bounds(call, |length| length)
}

/// The items of an array in one text.
pub(super) fn array_to_string(call: &Call<'_>) -> Result<ArrayRef> {
    let Some(lists) = lists(call)? else {
        return call.map(|text| Some(text.trim_matches(['{', '}']).to_owned()));
    };
    let separators = call.texts(1)?;
    let text = |row: usize| {
        if lists.is_null(row) || separators.is_null(row) {
            return Ok(None);
        }
        let items = cast(&lists.value(row), &DataType::Utf8)?;
        let items: Vec<&str> = items.as_string::<i32>().iter().flatten().collect();
        Ok(Some(items.join(separators.value(row))))
    };
    Ok(Arc::new((0..call.rows).map(text).collect::<Result<StringArray>>()?))
}

/// The texts of a list, each with something before it.
pub(super) fn prefix_each(call: &Call<'_>) -> Result<ArrayRef> {
    let prefixes = call.texts(0)?;
    let items = cast(call.argument(1)?, &texts())?;
    let items = items.as_list::<i32>();
    let mut list = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        if items.is_null(row) || prefixes.is_null(row) {
            list.append(false);
            continue;
        }
        let values = items.value(row);
        for item in values.as_string::<i32>() {
            list.values().append_option(item.map(|item| format!("{}{item}", prefixes.value(row))));
        }
        list.append(true);
    }
    Ok(Arc::new(list.finish()))
}

/// A list of numbers as one of numbers of objects.
pub(super) fn pg_oids(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(field) = oids() else { return exec_err!("no list") };
    let Some(lists) = lists(call)? else { return Ok(arrow::array::new_null_array(&oids(), call.rows)) };
    let (_, offsets, values, nulls) = lists.into_parts();
    Ok(Arc::new(ListArray::try_new(field, offsets, cast(&values, &DataType::Int32)?, nulls)?))
}

/// The places of an array, as `generate_subscripts` has them.
pub(super) fn subscripts(call: &Call<'_>) -> Result<ArrayRef> {
    let (lists, begin) = (lists(call)?, call.arguments.get(1).map(|_| call.ints(1)).transpose()?);
    let mut places = ListBuilder::new(Int32Array::builder(0));
    for row in 0..call.rows {
        let length =
            lists.as_ref().filter(|lists| !lists.is_null(row)).map_or(0, |lists| lists.value_length(row));
        let begin = begin.as_ref().map_or(1, |begin| begin.value(row));
        (begin..begin + length).for_each(|place| places.values().append_value(place));
        places.append(true);
    }
    Ok(Arc::new(places.finish()))
}

/// The only column of a key with its place: keys have one column here.
pub(super) fn expand_array(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = lists(call)?;
    let values = (0..call.rows).map(|row| {
        let lists = lists.as_ref().filter(|lists| !lists.is_null(row) && lists.value_length(row) > 0)?;
        let first = cast(&lists.value(row), &DataType::Int16).ok()?;
        let first = first.as_primitive::<arrow::datatypes::Int16Type>();
        Some(first.value(0))
    });
    let values: Int16Array = values.collect();
    let places: Int32Array = values.iter().map(|value| value.map(|_| 1)).collect();
    Ok(Arc::new(StructArray::new(pair_fields(), vec![Arc::new(values), Arc::new(places)], None)))
}
