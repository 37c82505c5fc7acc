//! What functions say about arguments they cannot take, in one wording.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use datafusion::common::{DataFusionError, Result, plan_datafusion_err, plan_err};

/// The error for an argument the function does not take; `expected` says what would do.
pub(crate) fn wrong_type(
    function: &str,
    argument: &str,
    expected: &str,
    found: &DataType,
) -> DataFusionError {
    plan_datafusion_err!("{function}: `{argument}` must be {expected}, found {found}")
}

/// The type without its dictionary.
pub(crate) fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        other => other,
    }
}

/// The type of a whole number.
pub(crate) fn coerce_integer(function: &str, argument: &str, found: &DataType) -> Result<DataType> {
    match plain(found) {
        integer if integer.is_integer() || integer.is_null() => Ok(DataType::Int64),
        found => Err(wrong_type(function, argument, "a whole number", found)),
    }
}

/// The type of how many of something each step needs.
pub(crate) fn coerce_counts(function: &str, found: &DataType) -> Result<DataType> {
    match found {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if plain(item.data_type()).is_integer() => {}
        DataType::Null => {}
        _ => return Err(wrong_type(function, "counts", "an array of whole numbers", found)),
    }
    Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))))
}

/// What is wrong with numbers that do not say how many of something each step needs.
pub(crate) fn wrong_counts(function: &str, n_steps: usize) -> String {
    let numbers = if n_steps == 1 { "number" } else { "numbers" };
    format!("{function}: `counts` must be {n_steps} {numbers} above 0, one for each step")
}

/// Wrong number of arguments.
pub(crate) fn wrong_arity<T>(function: &str, syntax: &str, found: usize) -> Result<T> {
    plan_err!("{function} takes {syntax}, found {found} argument{}", if found == 1 { "" } else { "s" })
}

/// The type a time column is read as; dictionaries are unpacked.
pub(crate) fn coerce_ts(function: &str, argument: &str, found: &DataType) -> Result<DataType> {
    match plain(found) {
        found @ (DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) => Ok(found.clone()),
        integer if integer.is_integer() => Ok(DataType::Int64),
        DataType::Null => Ok(DataType::Timestamp(TimeUnit::Microsecond, None)),
        found => Err(wrong_type(function, argument, "a timestamp, a date or seconds as an integer", found)),
    }
}

/// The type a length of time is read as.
pub(crate) fn coerce_span(function: &str, argument: &str, found: &DataType) -> Result<DataType> {
    match plain(found) {
        DataType::Interval(_) => Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
        DataType::Duration(_) => Ok(found.clone()),
        integer if integer.is_integer() => Ok(DataType::Int64),
        DataType::Null => Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
        found => Err(wrong_type(function, argument, "an INTERVAL or a whole number of seconds", found)),
    }
}

/// The type of a condition.
pub(crate) fn coerce_condition(function: &str, argument: &str, found: &DataType) -> Result<DataType> {
    match found {
        DataType::Boolean | DataType::Null => Ok(DataType::Boolean),
        found => {
            plan_err!(
                "{function}: `{argument}` must be a condition, found {found}; compare it with something"
            )
        }
    }
}

/// Whether a constant of this type may be a word of a function's own language.
pub(crate) fn is_text(found: &DataType) -> bool {
    plain(found).is_string()
}
