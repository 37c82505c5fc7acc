//! What the functions of sketches have in common.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Documentation};
use datasketches::hll::HllSketch;
use datasketches::theta::CompactThetaSketch;

use super::encoded::{Decode, Encoded, coerce_encoded};
use super::function::Function;
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::corrupt::Corrupt;
use crate::kernel::kll::Kll;
use crate::kernel::{hll, kll, theta};

impl Decode for CompactThetaSketch {
    const WHAT: &'static str = "a theta sketch (binary, as theta_sketch makes it)";

    fn read(bytes: &[u8]) -> Result<Self> {
        theta::read(bytes).map_err(|error| exec_datafusion_err!("not a theta sketch: {error}"))
    }
}

impl Decode for HllSketch {
    const WHAT: &'static str = "an HLL sketch (binary, as hll_sketch makes it)";

    fn read(bytes: &[u8]) -> Result<Self> {
        hll::read(bytes).map_err(|error| exec_datafusion_err!("not an HLL sketch: {error}"))
    }
}

impl Decode for Kll {
    const WHAT: &'static str = "a KLL sketch (binary, as kll_sketch makes it)";

    fn read(bytes: &[u8]) -> Result<Self> {
        kll::read(bytes).map_err(|error| exec_datafusion_err!("not a KLL sketch: {error}"))
    }
}

/// The error for an operation on sketches that cannot be combined.
pub(crate) fn failed(function: &str) -> impl Fn(Corrupt) -> DataFusionError {
    move |error| exec_datafusion_err!("{function}: {error}")
}

/// A number for each sketch and number of the second argument.
pub(crate) fn with_numbers(
    args: &[ColumnarValue],
    n_rows: usize,
    answer: impl Fn(&Kll, f64) -> Result<Option<f64>>,
) -> Result<ArrayRef> {
    let sketches = Encoded::new(&args[0])?;
    let numbers = args[1].to_array(n_rows)?;
    let answers = numbers.as_primitive::<Float64Type>().iter().enumerate().map(|(row, number)| {
        let Some(number) = number else { return Ok(None) };
        Ok(sketches.map(row, |sketch| answer(sketch, number))?.flatten())
    });
    Ok(Arc::new(answers.collect::<Result<Float64Array>>()?))
}

/// How far the estimate may be off, by a number of standard deviations. [`Bounded`] makes it a function.
pub(crate) trait Bound: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    type Value: Decode;

    fn documentation(&self) -> Option<&Documentation>;

    /// The bound; nothing for a number of deviations that is not 1, 2 or 3.
    fn bound(sketch: &Self::Value, deviations: u8) -> Option<f64>;
}

/// The function of a [`Bound`].
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bounded<B>(B);

/// Where none is given.
const DEFAULT_DEVIATIONS: i64 = 2;

impl<B: Bound> Function for Bounded<B> {
    const NAME: &'static str = B::NAME;

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let sketch = |found| coerce_encoded::<B::Value>(B::NAME, "sketch", found);
        match types {
            [found] => Ok(vec![sketch(found)?]),
            [found, deviations] if plain(deviations).is_integer() || plain(deviations).is_null() => {
                Ok(vec![sketch(found)?, DataType::Int64])
            }
            [_, deviations] => Err(wrong_type(B::NAME, "deviations", "1, 2 or 3", deviations)),
            _ => wrong_arity(B::NAME, "(sketch [, deviations])", types.len()),
        }
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn check(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
        if let Some(Some(ScalarValue::Int64(Some(deviations)))) = constants.get(1)
            && !(1..=3).contains(deviations)
        {
            return plan_err!("{}: `deviations` must be 1, 2 or 3, found {deviations}", B::NAME);
        }
        Ok(())
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let sketches = Encoded::new(&args[0])?;
        let deviations = args.get(1).map(|deviations| deviations.to_array(n_rows)).transpose()?;
        let deviations = deviations.as_ref().map(|deviations| deviations.as_primitive::<Int64Type>());
        let bounds = (0..n_rows).map(|row| {
            let deviations = match deviations {
                Some(deviations) if deviations.is_null(row) => return Ok(None),
                Some(deviations) => deviations.value(row),
                None => DEFAULT_DEVIATIONS,
            };
            sketches.map(row, |sketch| {
                let bound = u8::try_from(deviations).ok().and_then(|deviations| B::bound(sketch, deviations));
                bound.ok_or_else(|| {
                    exec_datafusion_err!("{}: `deviations` must be 1, 2 or 3, found {deviations}", B::NAME)
                })
            })
        });
        Ok(Arc::new(bounds.collect::<Result<Float64Array>>()?))
    }
}
