//! What functions say about arguments they cannot take, in one wording.

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, plan_datafusion_err};

pub(crate) use crate::aggregate::call::wrong_arity;

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
