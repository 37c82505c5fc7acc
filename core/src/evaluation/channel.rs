//! Values that are kept of events, each in eight bytes.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion::physical_expr::expressions::{CastExpr, Column};
use hashbrown::HashMap;

use crate::bug;
use crate::error::Result;

use super::asked::SECONDS_A_DAY;
use super::bind::RowExpr;

/// A channel: what is kept of events, and how.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) expr: RowExpr,
    /// Whether values are made from the times of events, when they are needed, instead of being kept.
    pub(super) is_of_time: bool,
    /// Where values are the days of a timestamp, its unit.
    day_of: Option<TimeUnit>,
    kind: Kind,
    texts: Mutex<Texts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Anything that is a whole number inside: also dates, timestamps and booleans.
    Whole,
    Float,
    /// The position of the string among all that were seen.
    Text,
}

/// The strings seen by all threads.
#[derive(Debug, Default)]
struct Texts {
    codes: HashMap<Box<str>, u32>,
    all: Vec<Box<str>>,
}

/// Some 246,000 years, in days.
const FAR: i64 = 90_000_000;

/// The unit of a timestamp that has no zone, where an expression is its day.
fn day_of(expr: &RowExpr) -> Option<TimeUnit> {
    let (expr, schema) = expr.parts();
    let cast = expr.downcast_ref::<CastExpr>().filter(|cast| *cast.cast_type() == DataType::Date32)?;
    let column = cast.expr().downcast_ref::<Column>()?;
    let DataType::Timestamp(unit, None) = schema.field(column.index()).data_type() else { return None };
    Some(*unit)
}

/// How many ticks a day has.
const SECONDS: i64 = SECONDS_A_DAY;
const MILLISECONDS: i64 = SECONDS * 1_000;
const MICROSECONDS: i64 = MILLISECONDS * 1_000;
const NANOSECONDS: i64 = MICROSECONDS * 1_000;

/// The days of instants.
fn days<const TICKS_A_DAY: i64>(times: impl Iterator<Item = i64>) -> Vec<u64> {
    times.map(|time| time.div_euclid(TICKS_A_DAY).cast_unsigned()).collect()
}

impl Channel {
    /// A channel for an expression; `None` where its type does not fit.
    pub(super) fn new(expr: RowExpr) -> Option<Self> {
        let kind = match &expr.data_type {
            DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::Date32
            | DataType::Timestamp(..) => Kind::Whole,
            DataType::Float32 | DataType::Float64 => Kind::Float,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
            DataType::Dictionary(_, values) if **values == DataType::Utf8 => Kind::Text,
            _ => return None,
        };
        let day_of = day_of(&expr);
        Some(Self { expr, is_of_time: false, day_of, kind, texts: Mutex::default() })
    }

    /// The values made from times, where they are days; [`i64::MIN`] is the time of events without one. Arrow's cast goes
    /// by the calendar, which takes longer than counting them. `None` where they are something else, or where days are so
    /// far away that no calendar has them.
    pub(super) fn days(
        &self,
        times: impl Iterator<Item = i64> + Clone,
    ) -> Option<(Vec<u64>, Option<NullBuffer>)> {
        // Dividing by what is known beforehand takes a fraction of the time.
        let days = match self.day_of? {
            TimeUnit::Second => days::<SECONDS>(times.clone()),
            TimeUnit::Millisecond => days::<MILLISECONDS>(times.clone()),
            TimeUnit::Microsecond => days::<MICROSECONDS>(times.clone()),
            TimeUnit::Nanosecond => days::<NANOSECONDS>(times.clone()),
        };
        let is_far = |(time, day): (i64, &u64)| time != i64::MIN && day.cast_signed().abs() > FAR;
        if times.clone().zip(&days).any(is_far) {
            return None;
        }
        let is_known = |time: i64| time != i64::MIN;
        let nulls = if times.clone().all(is_known) { None } else { Some(times.map(is_known).collect()) };
        Some((days, nulls))
    }

    /// The values of a column as they are kept, and which are NULL.
    pub(super) fn encode(&self, values: &ArrayRef) -> Result<(Vec<u64>, Option<NullBuffer>)> {
        let failed = |error| bug!("a kept value: {error}");
        Ok(match self.kind {
            Kind::Whole => {
                let values = match values.data_type() {
                    DataType::Date32 => &cast(values, &DataType::Int32).map_err(failed)?,
                    _ => values,
                };
                let values = cast(values, &DataType::Int64).map_err(failed)?;
                let values = values.as_primitive::<Int64Type>();
                (values.values().iter().map(|value| value.cast_unsigned()).collect(), values.nulls().cloned())
            }
            Kind::Float => {
                let values = cast(values, &DataType::Float64).map_err(failed)?;
                let values = values.as_primitive::<Float64Type>();
                // Zero has no sign.
                let codes = values.values().iter().map(|value| (value + 0.0).to_bits());
                (codes.collect(), values.nulls().cloned())
            }
            Kind::Text => {
                let values = cast(values, &DataType::Utf8View).map_err(failed)?;
                let values = values.as_string_view();
                let mut known = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
                let Texts { codes, all } = &mut *known;
                let code = |value: Option<&str>| {
                    let Some(value) = value else { return 0 };
                    if let Some(code) = codes.get(value) {
                        return u64::from(*code);
                    }
                    let code = super::bits::small(all.len());
                    all.push(Box::from(value));
                    codes.insert(Box::from(value), code);
                    u64::from(code)
                };
                (values.iter().map(code).collect(), values.nulls().cloned())
            }
        })
    }

    /// Whether values are made from times so that equal ones belong to times next to each other.
    pub(super) fn is_in_order(&self) -> bool {
        self.is_of_time && self.day_of.is_some()
    }

    /// Whether values are floating-point numbers.
    pub(super) fn is_float(&self) -> bool {
        self.kind == Kind::Float
    }

    /// All strings seen, for [`decode`](Self::decode).
    pub(super) fn texts(&self) -> StringArray {
        let known = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        known.all.iter().map(|text| Some(&**text)).collect()
    }

    /// Kept values as an array.
    pub(super) fn decode(&self, values: &[Option<u64>], texts: &StringArray) -> Result<ArrayRef> {
        let failed = |error| bug!("a kept value: {error}");
        let data_type = &self.expr.data_type;
        let array: ArrayRef = match self.kind {
            Kind::Whole if *data_type == DataType::Boolean => {
                Arc::new(values.iter().map(|value| value.map(|value| value != 0)).collect::<BooleanArray>())
            }
            Kind::Whole => {
                Arc::new(values.iter().map(|value| value.map(u64::cast_signed)).collect::<Int64Array>())
            }
            Kind::Float => {
                Arc::new(values.iter().map(|value| value.map(f64::from_bits)).collect::<Float64Array>())
            }
            Kind::Text => {
                let codes: UInt32Array =
                    values.iter().map(|value| value.and_then(|code| u32::try_from(code).ok())).collect();
                take(texts, &codes, None).map_err(failed)?
            }
        };
        let array = match data_type {
            DataType::Date32 => cast(&array, &DataType::Int32).map_err(failed)?,
            _ => array,
        };
        cast(&array, data_type).map_err(failed)
    }
}
