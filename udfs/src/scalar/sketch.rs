//! What the functions of sketches have in common.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, internal_err, plan_err};
use datafusion::logical_expr::ColumnarValue;
use datasketches::hll::HllSketch;
use datasketches::theta::CompactThetaSketch;

use super::function::{Encoded, bytes_type};
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::corrupt::Corrupt;
use crate::kernel::kll::Kll;
use crate::kernel::{hll, kll, theta};

/// What an argument that is a sketch must be.
pub(crate) const THETA: &str = "a theta sketch (binary, as theta_sketch makes it)";
pub(crate) const HLL: &str = "an HLL sketch (binary, as hll_sketch makes it)";
pub(crate) const KLL: &str = "a KLL sketch (binary, as kll_sketch makes it)";

pub(crate) fn read_theta(bytes: &[u8]) -> Result<CompactThetaSketch> {
    theta::read(bytes).map_err(|error| exec_datafusion_err!("not a theta sketch: {error}"))
}

pub(crate) fn read_hll(bytes: &[u8]) -> Result<HllSketch> {
    hll::read(bytes).map_err(|error| exec_datafusion_err!("not an HLL sketch: {error}"))
}

pub(crate) fn read_kll(bytes: &[u8]) -> Result<Kll> {
    kll::read(bytes).map_err(|error| exec_datafusion_err!("not a KLL sketch: {error}"))
}

/// The error for an operation on sketches that cannot be combined.
pub(crate) fn failed(function: &str) -> impl Fn(Corrupt) -> DataFusionError {
    move |error| exec_datafusion_err!("{function}: {error}")
}

/// The type of one sketch.
pub(crate) fn coerce_one(function: &str, what: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [sketch] => Ok(vec![bytes_type(function, "sketch", what, sketch)?]),
        _ => wrong_arity(function, "(sketch)", types.len()),
    }
}

/// The types of two sketches.
pub(crate) fn coerce_two(function: &str, what: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [a, b] => Ok(vec![bytes_type(function, "a", what, a)?, bytes_type(function, "b", what, b)?]),
        _ => wrong_arity(function, "(a, b)", types.len()),
    }
}

/// The types of a sketch and a number of standard deviations.
pub(crate) fn coerce_bound(function: &str, what: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [_] => coerce_one(function, what, types),
        [sketch, deviations] if plain(deviations).is_integer() || plain(deviations).is_null() => {
            Ok(vec![bytes_type(function, "sketch", what, sketch)?, DataType::Int64])
        }
        [_, deviations] => Err(wrong_type(function, "deviations", "1, 2 or 3", deviations)),
        _ => wrong_arity(function, "(sketch [, deviations])", types.len()),
    }
}

/// Refuses a constant number of standard deviations that is not 1, 2 or 3.
pub(crate) fn check_bound(function: &str, constants: &[Option<&ScalarValue>]) -> Result<()> {
    if let Some(Some(ScalarValue::Int64(Some(deviations)))) = constants.get(1)
        && !(1..=3).contains(deviations)
    {
        return plan_err!("{function}: `deviations` must be 1, 2 or 3, found {deviations}");
    }
    Ok(())
}

/// A number for each sketch and its number of standard deviations, which is 2 if left out.
pub(crate) fn bound<T>(
    function: &str,
    args: &[ColumnarValue],
    n_rows: usize,
    read: fn(&[u8]) -> Result<T>,
    bound: impl Fn(&T, u8) -> Option<f64>,
) -> Result<ArrayRef> {
    let Some(sketches) = args.first() else {
        return internal_err!("{function} planned without arguments");
    };
    let sketches = Encoded::new(sketches, read)?;
    let deviations = args.get(1).map(|deviations| deviations.to_array(n_rows)).transpose()?;
    let deviations = deviations.as_ref().map(|deviations| deviations.as_primitive::<Int64Type>());
    let bounds = (0..n_rows).map(|row| {
        let deviations = match deviations {
            Some(deviations) if deviations.is_null(row) => return Ok(None),
            Some(deviations) => deviations.value(row),
            None => 2,
        };
        sketches.map(row, |sketch| {
            let bound = u8::try_from(deviations).ok().and_then(|deviations| bound(sketch, deviations));
            bound.ok_or_else(|| {
                exec_datafusion_err!("{function}: `deviations` must be 1, 2 or 3, found {deviations}")
            })
        })
    });
    Ok(Arc::new(bounds.collect::<Result<Float64Array>>()?))
}

/// A number for each sketch.
pub(crate) fn number<T>(
    args: &[ColumnarValue],
    n_rows: usize,
    read: fn(&[u8]) -> Result<T>,
    number: impl Fn(&T) -> f64,
) -> Result<ArrayRef> {
    let sketches = Encoded::new(&args[0], read)?;
    let numbers = (0..n_rows).map(|row| sketches.map(row, |sketch| Ok(number(sketch))));
    Ok(Arc::new(numbers.collect::<Result<Float64Array>>()?))
}
