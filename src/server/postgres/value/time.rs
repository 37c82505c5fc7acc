//! Dates, times, instants and intervals: PostgreSQL counts from the year 2000, in microseconds.

use std::fmt::Write as _;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Offset, TimeZone};

use crate::error::Result;

use super::{Zone, out_of_range};

/// From 1970 to 2000.
const DAYS: i32 = 10_957;
const MICROS_A_DAY: i64 = 86_400_000_000;

/// A value of one of these types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Days since 1970.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970.
    Timestamp(i64),
    /// The same, as an instant.
    Instant(i64),
    /// Months, days and microseconds.
    Interval(i32, i32, i64),
}

/// Reads values of a column; `None` where it has none of these types.
pub(super) fn reader(array: &ArrayRef) -> Option<Box<dyn Fn(usize) -> Result<Moment> + Send>> {
    macro_rules! read {
        ($kind:ty, |$value:ident| $moment:expr) => {{
            let array = array.as_primitive::<$kind>().clone();
            Box::new(move |row| {
                let $value = array.value(row);
                Ok($moment)
            }) as Box<dyn Fn(usize) -> Result<Moment> + Send>
        }};
    }
    let is_instant = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
    let stamp = move |micros| if is_instant { Moment::Instant(micros) } else { Moment::Timestamp(micros) };
    let scaled =
        |value: i64, factor: i64| value.checked_mul(factor).ok_or_else(|| out_of_range("a timestamp"));
    let length = |micros: i64| Moment::Interval(0, 0, micros);
    Some(match array.data_type() {
        DataType::Date32 => read!(Date32Type, |value| Moment::Date(value)),
        DataType::Date64 => read!(Date64Type, |value| {
            Moment::Date(i32::try_from(value.div_euclid(86_400_000)).map_err(|_| out_of_range("a date"))?)
        }),
        DataType::Time32(TimeUnit::Second) => {
            read!(Time32SecondType, |value| Moment::Time(i64::from(value) * 1_000_000))
        }
        DataType::Time32(_) => read!(Time32MillisecondType, |value| Moment::Time(i64::from(value) * 1000)),
        DataType::Time64(TimeUnit::Microsecond) => read!(Time64MicrosecondType, |value| Moment::Time(value)),
        DataType::Time64(_) => read!(Time64NanosecondType, |value| Moment::Time(value / 1000)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            read!(TimestampSecondType, |value| stamp(scaled(value, 1_000_000)?))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            read!(TimestampMillisecondType, |value| stamp(scaled(value, 1000)?))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            read!(TimestampMicrosecondType, |value| stamp(value))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            read!(TimestampNanosecondType, |value| stamp(value.div_euclid(1000)))
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            read!(IntervalYearMonthType, |value| Moment::Interval(value, 0, 0))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            read!(IntervalDayTimeType, |value| Moment::Interval(
                0,
                value.days,
                i64::from(value.milliseconds) * 1000
            ))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            read!(IntervalMonthDayNanoType, |value| Moment::Interval(
                value.months,
                value.days,
                value.nanoseconds / 1000
            ))
        }
        DataType::Duration(TimeUnit::Second) => {
            read!(DurationSecondType, |value| length(scaled(value, 1_000_000)?))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            read!(DurationMillisecondType, |value| length(scaled(value, 1000)?))
        }
        DataType::Duration(TimeUnit::Microsecond) => read!(DurationMicrosecondType, |value| length(value)),
        DataType::Duration(TimeUnit::Nanosecond) => {
            read!(DurationNanosecondType, |value| length(value / 1000))
        }
        _ => return None,
    })
}

impl Moment {
    pub(super) fn write_binary(self, out: &mut BytesMut) -> Result<()> {
        match self {
            Self::Date(days) => {
                out.put_i32(days.checked_sub(DAYS).ok_or_else(|| out_of_range("a date"))?);
            }
            Self::Time(micros) => out.put_i64(micros),
            Self::Timestamp(micros) | Self::Instant(micros) => {
                let since = micros.checked_sub(i64::from(DAYS) * MICROS_A_DAY);
                out.put_i64(since.ok_or_else(|| out_of_range("a timestamp"))?);
            }
            Self::Interval(months, days, micros) => {
                out.put_i64(micros);
                out.put_i32(days);
                out.put_i32(months);
            }
        }
        Ok(())
    }

    pub(super) fn write_text(self, zone: Zone, out: &mut BytesMut) -> Result<()> {
        match self {
            Self::Date(days) => {
                let era = write_date(i64::from(days), out)?;
                out.put_slice(era.as_bytes());
            }
            Self::Time(micros) => write_time(micros, out),
            Self::Timestamp(micros) => write_stamp(micros, "", out)?,
            Self::Instant(micros) => {
                let offset = offset(micros, zone)?;
                let local = micros.checked_add(i64::from(offset) * 1_000_000);
                write_stamp(local.ok_or_else(|| out_of_range("a timestamp"))?, &shown(offset), out)?;
            }
            Self::Interval(months, days, micros) => write_interval(months, days, micros, out),
        }
        Ok(())
    }
}

/// Appends a date; returns what follows it before the year 1.
fn write_date(days: i64, out: &mut BytesMut) -> Result<&'static str> {
    let (year, month, day) = civil(days);
    if !(-4712..=294_276).contains(&year) {
        return Err(out_of_range("a date"));
    }
    // There is no year 0: before 1 comes 1 BC.
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    Ok(era)
}

fn write_stamp(micros: i64, offset: &str, out: &mut BytesMut) -> Result<()> {
    let era = write_date(micros.div_euclid(MICROS_A_DAY), out)?;
    out.put_u8(b' ');
    write_time(micros.rem_euclid(MICROS_A_DAY), out);
    out.put_slice(offset.as_bytes());
    out.put_slice(era.as_bytes());
    Ok(())
}

fn write_time(micros: i64, out: &mut BytesMut) {
    let seconds = micros / 1_000_000;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    write_fraction(micros % 1_000_000, out);
}

fn write_fraction(micros: i64, out: &mut BytesMut) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

fn write_interval(months: i32, days: i32, micros: i64, out: &mut BytesMut) {
    let mut first = true;
    let mut negative_before = false;
    let mut part = |value: i64, unit: &str, out: &mut BytesMut| {
        if value == 0 {
            return;
        }
        // After a negative part, the sign of the next is written even if it is `+`.
        let sign = if negative_before && value > 0 { "+" } else { "" };
        let (space, plural) = (if first { "" } else { " " }, if value == 1 { "" } else { "s" });
        let _ = write!(out, "{space}{sign}{value} {unit}{plural}");
        (first, negative_before) = (false, value < 0);
    };
    part(i64::from(months / 12), "year", out);
    part(i64::from(months % 12), "mon", out);
    part(i64::from(days), "day", out);
    if micros != 0 || first {
        let space = if first { "" } else { " " };
        let sign = if micros < 0 {
            "-"
        } else if negative_before {
            "+"
        } else {
            ""
        };
        let micros = micros.unsigned_abs();
        let seconds = micros / 1_000_000;
        let _ =
            write!(out, "{space}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        // Less than a second.
        write_fraction(i64::try_from(micros % 1_000_000).unwrap_or(0), out);
    }
}

/// Year, month and day of a number of days since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// How far local time is ahead at an instant, in seconds.
fn offset(micros: i64, zone: Zone) -> Result<i32> {
    let Some(zone) = zone.0 else { return Ok(0) };
    let instant = DateTime::from_timestamp_micros(micros).ok_or_else(|| out_of_range("a timestamp"))?;
    Ok(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc())
}

/// An offset as PostgreSQL writes it: `+00`, `+05:30`.
fn shown(offset: i32) -> String {
    let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut shown = format!("{sign}{hours:02}");
    if minutes != 0 || seconds != 0 {
        let _ = write!(shown, ":{minutes:02}");
    }
    if seconds != 0 {
        let _ = write!(shown, ":{seconds:02}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(moment: Moment, zone: &str) -> String {
        let mut out = BytesMut::new();
        moment.write_text(Zone::named(zone).unwrap(), &mut out).unwrap();
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn moments_are_written_as_postgresql_does() {
        assert_eq!(text(Moment::Date(0), "UTC"), "1970-01-01");
        assert_eq!(text(Moment::Date(-719_529), "UTC"), "0002-12-31 BC");
        assert_eq!(text(Moment::Date(19_782), "UTC"), "2024-02-29");
        assert_eq!(text(Moment::Time(45_296_789_000), "UTC"), "12:34:56.789");
        assert_eq!(text(Moment::Timestamp(-1), "UTC"), "1969-12-31 23:59:59.999999");
        assert_eq!(text(Moment::Instant(0), "UTC"), "1970-01-01 00:00:00+00");
        assert_eq!(text(Moment::Instant(0), "+05:30"), "1970-01-01 05:30:00+05:30");
        assert_eq!(text(Moment::Instant(1_718_452_800_000_000), "Europe/Berlin"), "2024-06-15 14:00:00+02");
        assert_eq!(text(Moment::Interval(14, 3, 14_706_789_000), "UTC"), "1 year 2 mons 3 days 04:05:06.789");
        assert_eq!(text(Moment::Interval(-1, 1, -1_000_000), "UTC"), "-1 mons +1 day -00:00:01");
        assert_eq!(text(Moment::Interval(0, 0, 0), "UTC"), "00:00:00");
        assert!(Moment::Date(i32::MAX).write_text(Zone::UTC, &mut BytesMut::new()).is_err());
        assert!(Moment::Date(i32::MIN).write_binary(&mut BytesMut::new()).is_err());
    }
}
