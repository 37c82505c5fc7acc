//! `with_year`: the same day of another year.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Int64Type};
use chrono::{Datelike, NaiveDate};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::{Function, scalar_udf};
use crate::args::{coerce_integer, plain, wrong_arity, wrong_type};
use crate::kernel::span::Scale;
use crate::ticks::Ticks;

/// `with_year(time, year)`
pub fn with_year_udf() -> Arc<ScalarUDF> {
    scalar_udf::<WithYear>()
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
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct WithYear;

impl Function for WithYear {
    const NAME: &'static str = "with_year";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [time, year] = types else { return wrong_arity(Self::NAME, "(time, year)", types.len()) };
        let time = match plain(time) {
            DataType::Date32 | DataType::Date64 | DataType::Null => DataType::Date32,
            timestamp @ DataType::Timestamp(..) => timestamp.clone(),
            _ => return Err(wrong_type(Self::NAME, "time", "a date or a timestamp", time)),
        };
        Ok(vec![time, coerce_integer(Self::NAME, "year", year)?])
    }

    fn return_type(types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let (times, years) = (args[0].to_array(n_rows)?, args[1].to_array(n_rows)?);
        let Some(scale) = Scale::of(times.data_type()) else {
            return internal_err!("with_year planned with {}", times.data_type());
        };
        let ticks_a_day = NANOS_A_DAY / scale.tick_nanos();
        let ticks = Ticks::of(&times)?;
        let years = years.as_primitive::<Int64Type>();
        let moved = (0..n_rows).map(|row| {
            if ticks.is_valid(row) && years.is_valid(row) {
                moved(ticks.values[row], years.value(row), ticks_a_day)
            } else {
                None
            }
        });
        let moved = moved.collect::<Vec<_>>();
        let nulls = NullBuffer::from_iter(moved.iter().map(Option::is_some));
        let values = moved.into_iter().map(Option::unwrap_or_default).collect();
        Ticks::into_array(values, Some(nulls), times.data_type())
    }
}

const NANOS_A_DAY: i64 = 86_400_000_000_000;

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
