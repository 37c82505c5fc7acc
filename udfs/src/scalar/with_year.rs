//! `with_year`: the same day of another year.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{Datelike, NaiveDate};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_macros::user_doc;

use crate::args::{plain, wrong_arity, wrong_type};

/// `with_year(time, year)`
pub fn with_year_udf() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(WithYear { signature: Signature::user_defined(Volatility::Immutable) }))
}

#[user_doc(
    doc_section(label = "Calendar"),
    description = "The same month, day and time of day in another year, in UTC. 29 February becomes 28 February in years without it. NULL if an argument is NULL or the year has no such dates.",
    syntax_example = "with_year(time, year)",
    sql_example = r#"```sql
> SELECT with_year(DATE '2000-02-29', 2026) AS birthday;
+------------+
| birthday   |
+------------+
| 2026-02-28 |
+------------+
```"#,
    argument(name = "time", description = "A date or a timestamp."),
    argument(name = "year", description = "The year.")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct WithYear {
    signature: Signature,
}

impl ScalarUDFImpl for WithYear {
    fn name(&self) -> &str {
        "with_year"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [time, _] = arg_types else { return wrong_arity(self.name(), "(time, year)", arg_types.len()) };
        let time = match plain(time) {
            DataType::Date32 | DataType::Date64 | DataType::Null => DataType::Date32,
            timestamp @ DataType::Timestamp(..) => timestamp.clone(),
            _ => return Err(wrong_type(self.name(), "time", "a date or a timestamp", time)),
        };
        Ok(vec![time, DataType::Int64])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first() {
            Some(time) => Ok(time.clone()),
            None => internal_err!("with_year planned without arguments"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [time, year] = &arrays[..] else {
            return internal_err!("with_year planned with {} arguments", arrays.len());
        };
        let ticks_a_day = match time.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => 86_400,
            DataType::Timestamp(TimeUnit::Millisecond, _) => 86_400_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 86_400_000_000,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => 86_400_000_000_000,
            _ => 1,
        };
        let whole = |array: &ArrayRef| -> Result<ArrayRef> {
            // A date becomes a whole number of days only by way of its 32 bits.
            let array = match array.data_type() {
                DataType::Date32 => cast(array, &DataType::Int32)?,
                _ => Arc::clone(array),
            };
            Ok(cast(&array, &DataType::Int64)?)
        };
        let (ticks, years) = (whole(time)?, whole(year)?);
        let (ticks, years) = (ticks.as_primitive::<Int64Type>(), years.as_primitive::<Int64Type>());
        let moved: PrimitiveArray<Int64Type> = (0..ticks.len())
            .map(|row| {
                if ticks.is_null(row) || years.is_null(row) {
                    return None;
                }
                moved(ticks.value(row), years.value(row), ticks_a_day)
            })
            .collect();
        let moved: ArrayRef = match time.data_type() {
            DataType::Date32 => cast(&cast(&moved, &DataType::Int32)?, &DataType::Date32)?,
            other => cast(&moved, other)?,
        };
        Ok(ColumnarValue::Array(moved))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

fn moved(ticks: i64, year: i64, ticks_a_day: i64) -> Option<i64> {
    let (days, rest) = (ticks.div_euclid(ticks_a_day), ticks.rem_euclid(ticks_a_day));
    let date = NaiveDate::from_epoch_days(i32::try_from(days).ok()?)?;
    let year = i32::try_from(year).ok()?;
    // Only 29 February can be missing from a year.
    let date = date.with_year(year).or_else(|| date.with_day(28)?.with_year(year))?;
    i64::from(date.to_epoch_days()).checked_mul(ticks_a_day)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamps_the_leap_day() {
        let day = |y, m, d| i64::from(NaiveDate::from_ymd_opt(y, m, d).unwrap().to_epoch_days());
        assert_eq!(moved(day(2000, 2, 29), 2026, 1), Some(day(2026, 2, 28)));
        assert_eq!(moved(day(2000, 2, 29), 2024, 1), Some(day(2024, 2, 29)));
        assert_eq!(moved(day(1969, 12, 31) * 10 + 7, 1970, 10), Some(day(1970, 12, 31) * 10 + 7));
        assert_eq!(moved(0, i64::MAX, 1), None);
    }
}
