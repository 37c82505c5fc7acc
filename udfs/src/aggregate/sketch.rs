//! What the aggregates of sketches have in common.

use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, internal_err, plan_err};
use datasketches::hash::value::{canonical_float, raw_bytes};
use datasketches::hll::HllSketch;
use datasketches::theta::CompactThetaSketch;

use super::call::Call;
use super::summary::Summary;
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::corrupt::Corrupt;
use crate::kernel::hll::{self, Hll};
use crate::kernel::kll::{self, Kll};
use crate::kernel::theta::{self, Theta};
use crate::scalar::encoded::{Decode, coerce_encoded};

/// A value as DataSketches hashes it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item<'a> {
    Integer(i64),
    Double(f64),
    Bytes(&'a [u8]),
}

impl Hash for Item<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Item::Integer(value) => value.hash(state),
            Item::Double(value) => canonical_float::from_f64(*value).hash(state),
            Item::Bytes(value) => raw_bytes::from_slice(value).hash(state),
        }
    }
}

/// The types of `(value [, option])`.
pub(crate) fn coerce_values(function: &str, option: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let (value, option_type) = with_option(function, "value", option, types)?;
    let read_as = match plain(value) {
        DataType::UInt64 => DataType::UInt64,
        integer if integer.is_integer() => DataType::Int64,
        DataType::Boolean | DataType::Null => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        text if text.is_string() => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::LargeBinary
        }
        found => {
            let expected = "a string, number, boolean, date, timestamp or binary (of a decimal write CAST(... AS DOUBLE))";
            return Err(wrong_type(function, "value", expected, found));
        }
    };
    Ok(std::iter::once(read_as).chain(option_type).collect())
}

/// The types of `(sketch [, option])`.
pub(crate) fn coerce_sketches<T: Decode>(
    function: &str,
    option: &str,
    types: &[DataType],
) -> Result<Vec<DataType>> {
    let (sketch, option_type) = with_option(function, "sketch", option, types)?;
    Ok(std::iter::once(coerce_encoded::<T>(function, "sketch", sketch)?).chain(option_type).collect())
}

/// The types of one argument and of an option that is an integer.
pub(crate) fn with_option<'a>(
    function: &str,
    argument: &str,
    option: &str,
    types: &'a [DataType],
) -> Result<(&'a DataType, Option<DataType>)> {
    match types {
        [first] => Ok((first, None)),
        [first, found] if plain(found).is_integer() => Ok((first, Some(DataType::Int64))),
        [_, found] => Err(wrong_type(function, option, "a whole number", found)),
        _ => wrong_arity(function, &format!("({argument} [, {option}])"), types.len()),
    }
}

/// The option of a call, or what it is if left out.
fn option<T: TryFrom<i64> + Copy + PartialOrd + std::fmt::Display>(
    call: &Call,
    name: &str,
    range: &RangeInclusive<T>,
    default: T,
) -> Result<T> {
    if call.n_args() < 2 {
        return Ok(default);
    }
    let found = call.integer(1, name)?;
    match T::try_from(found) {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => {
            let (function, least, most) = (call.function, range.start(), range.end());
            plan_err!("{function}: `{name}` must be from {least} to {most}, found {found}")
        }
    }
}

/// Calls `take` with the group and the value of each of the rows. The empty string is no value, as
/// in Java and C++.
pub(crate) fn items(
    rows: &[(usize, usize)],
    values: &ArrayRef,
    mut take: impl FnMut(usize, Item) -> Result<()>,
) -> Result<()> {
    let mut each = |item: &dyn Fn(usize) -> Item<'static>| {
        rows.iter().try_for_each(|(row, group)| take(*group, item(*row)))
    };
    match values.data_type() {
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>();
            each(&|row| Item::Integer(values.value(row)))
        }
        DataType::UInt64 => {
            let values = values.as_primitive::<UInt64Type>();
            each(&|row| Item::Integer(values.value(row).cast_signed()))
        }
        DataType::Date32 => {
            let values = values.as_primitive::<Date32Type>();
            each(&|row| Item::Integer(i64::from(values.value(row))))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = values.as_primitive::<TimestampMicrosecondType>();
            each(&|row| Item::Integer(values.value(row)))
        }
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            each(&|row| Item::Double(values.value(row)))
        }
        DataType::Utf8View => {
            let values = values.as_string_view();
            let mut filled = rows.iter().filter(|(row, _)| !values.value(*row).is_empty());
            filled.try_for_each(|(row, group)| take(*group, Item::Bytes(values.value(*row).as_bytes())))
        }
        DataType::LargeBinary => {
            let values = values.as_binary::<i64>();
            let mut filled = rows.iter().filter(|(row, _)| !values.value(*row).is_empty());
            filled.try_for_each(|(row, group)| take(*group, Item::Bytes(values.value(*row))))
        }
        other => internal_err!("a value of type {other} was not coerced"),
    }
}

impl Summary for Theta {
    type Options = u8;

    const DEFAULT: u8 = theta::DEFAULT_LG_K;

    fn options(call: &Call) -> Result<u8> {
        option(call, "lg_k", &theta::LG_K, Self::DEFAULT)
    }

    fn empty(lg_k: &u8) -> Result<Self> {
        Ok(Self::new(*lg_k))
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        Self::merge(self, &CompactThetaSketch::read(bytes)?).map_err(not_combined)
    }

    fn write(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(Some(Self::write(self).map_err(not_combined)?))
    }

    fn size(&self) -> usize {
        Self::size(self)
    }
}

/// An intersection: of nothing there is none.
impl Summary for Option<CompactThetaSketch> {
    type Options = ();

    const DEFAULT: () = ();

    fn options(_: &Call) -> Result<()> {
        Ok(())
    }

    fn empty(_: &()) -> Result<Self> {
        Ok(None)
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        let sketch = CompactThetaSketch::read(bytes)?;
        *self = Some(match self.take() {
            Some(so_far) => {
                CompactThetaSketch::read(&theta::intersect(&so_far, &sketch).map_err(not_combined)?)?
            }
            None => sketch,
        });
        Ok(())
    }

    fn write(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.as_ref().map(CompactThetaSketch::serialize))
    }

    fn size(&self) -> usize {
        self.as_ref().map_or(0, |sketch| sketch.num_retained() * size_of::<u64>())
    }
}

impl Summary for Hll {
    type Options = u8;

    const DEFAULT: u8 = hll::DEFAULT_LG_K;

    fn options(call: &Call) -> Result<u8> {
        option(call, "lg_k", &hll::LG_K, Self::DEFAULT)
    }

    fn empty(lg_k: &u8) -> Result<Self> {
        Self::new(*lg_k).map_err(not_combined)
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        Self::merge(self, &HllSketch::read(bytes)?);
        Ok(())
    }

    fn write(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(Some(Self::write(self)))
    }

    fn size(&self) -> usize {
        Self::size(self)
    }
}

impl Summary for Kll {
    type Options = u16;

    const DEFAULT: u16 = kll::DEFAULT_K;

    fn options(call: &Call) -> Result<u16> {
        option(call, "k", &kll::K, Self::DEFAULT)
    }

    fn empty(k: &u16) -> Result<Self> {
        kll::new(*k).map_err(not_combined)
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        kll::merge(self, &Self::read(bytes)?).map_err(not_combined)
    }

    fn write(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.serialize()))
    }

    fn size(&self) -> usize {
        kll::size(self)
    }
}

fn not_combined(error: Corrupt) -> DataFusionError {
    exec_datafusion_err!("sketches cannot be combined: {error}")
}
