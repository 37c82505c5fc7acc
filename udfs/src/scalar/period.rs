//! What `period_start` and `period_end` have in common.

use std::fmt::Debug;
use std::hash::Hash;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::{
    Result, ScalarValue, exec_datafusion_err, exec_err, internal_err, plan_datafusion_err, plan_err,
};
use datafusion::logical_expr::{ColumnarValue, Documentation};

use super::function::Function;
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::period::{Periods, Unit};
use crate::kernel::span::Scale;
use crate::ticks::Ticks;

fn coerce(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let [unit, time] = types else {
        return wrong_arity(function, "(unit, time)", types.len());
    };
    if !plain(unit).is_string() && !unit.is_null() {
        return Err(wrong_type(function, "unit", Unit::NAMES, unit));
    }
    match plain(time) {
        DataType::Date32 | DataType::Date64 | DataType::Null => Ok(vec![DataType::Utf8, DataType::Date32]),
        DataType::Timestamp(_, _) => Ok(vec![DataType::Utf8, plain(time).clone()]),
        found => Err(wrong_type(function, "time", "a date or a timestamp", found)),
    }
}

fn check(function: &str, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
    let ([_, time], Some(constant)) = (types, constants.first()) else {
        return internal_err!("{function} planned with {} arguments", types.len());
    };
    match constant {
        Some(unit) => periods(function, unit, time).map(|_| ()),
        None => Ok(()),
    }
}

/// The periods of the constant unit, for times of this type.
fn periods(function: &str, unit: &ScalarValue, time: &DataType) -> Result<Periods> {
    let name = unit.try_as_str().flatten().unwrap_or("NULL");
    let Some(unit) = Unit::named(name) else {
        return plan_err!("{function}: `unit` must be {}, found '{name}'", Unit::NAMES);
    };
    if unit == Unit::Hour && time == &DataType::Date32 {
        return plan_err!("{function}: `unit` of a date must be 'day' or longer, found '{name}'");
    }
    let periods = Scale::of(time).and_then(|scale| Periods::new(unit, &scale));
    periods.ok_or_else(|| plan_datafusion_err!("{function}: unknown time zone in {time}"))
}

/// The start of the period that lies `ahead` of that of each time.
fn starts(function: &str, args: &[ColumnarValue], n_rows: usize, ahead: i64) -> Result<ArrayRef> {
    let [unit, times] = args else {
        return internal_err!("{function} planned with {} arguments", args.len());
    };
    let ColumnarValue::Scalar(unit) = unit else {
        return exec_err!("{function}: `unit` must be a constant");
    };
    let times = times.to_array(n_rows)?;
    let periods = periods(function, unit, times.data_type())?;
    let ticks = Ticks::of(&times)?;
    let starts = ticks.values.iter().enumerate().map(|(row, tick)| {
        if times.is_null(row) {
            return Ok(0);
        }
        let start = periods.number(*tick).and_then(|number| periods.start(number.checked_add(ahead)?));
        start.ok_or_else(|| {
            exec_datafusion_err!("{function}: a time is out of the range of {}", times.data_type())
        })
    });
    Ticks::into_array(starts.collect::<Result<Vec<_>>>()?, ticks.nulls, times.data_type())
}

/// The start of a period: the one a time lies in, or one after. [`Edges`] makes it a function.
pub(crate) trait Edge: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    /// How many periods ahead.
    const AHEAD: i64;

    fn documentation(&self) -> Option<&Documentation>;
}

/// The function of an [`Edge`].
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Edges<E>(E);

impl<E: Edge> Function for Edges<E> {
    const NAME: &'static str = E::NAME;

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(E::NAME, types)
    }

    fn return_type(types: &[DataType]) -> Result<DataType> {
        Ok(types[1].clone())
    }

    fn constant(i: usize) -> Option<String> {
        (i == 0).then(|| "unit".to_string())
    }

    fn check(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
        check(E::NAME, types, constants)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        starts(E::NAME, args, n_rows, E::AHEAD)
    }
}
