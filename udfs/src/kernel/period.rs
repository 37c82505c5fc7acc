//! Calendar periods by number.

use std::str::FromStr;

use arrow::array::timezone::Tz;
use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

use super::span::Scale;

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// A month of the calendar.
    Month,
    /// Three months, the first of which is January, April, July or October.
    Quarter,
    /// A year of the calendar.
    Year,
}

impl Unit {
    /// The names of all units.
    pub const NAMES: &'static str = "'hour', 'day', 'week', 'month', 'quarter' or 'year'";

    /// The unit of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The number of the period that a local time lies in: one more for each period.
    fn number(self, local: NaiveDateTime) -> i64 {
        let date = local.date();
        // 1 January 1970 was a Thursday.
        let days = date.signed_duration_since(NaiveDate::default()).num_days();
        match self {
            Self::Hour => local.and_utc().timestamp().div_euclid(3600),
            Self::Day => days,
            Self::Week => (days + 3).div_euclid(7),
            Self::Month => i64::from(date.year()) * 12 + i64::from(date.month0()),
            Self::Quarter => i64::from(date.year()) * 4 + i64::from(date.month0() / 3),
            Self::Year => i64::from(date.year()),
        }
    }
}

/// Numbers the ticks of one column by period, in the zone of the column.
#[derive(Debug, Clone)]
pub struct Periods {
    unit: Unit,
    scale: Scale,
    zone: Option<Tz>,
}

impl Periods {
    /// `None` where the zone of the column is not known.
    pub fn new(unit: Unit, scale: &Scale) -> Option<Self> {
        let zone = match scale {
            Scale::Timestamp(_, Some(name)) => Some(Tz::from_str(name).ok()?),
            _ => None,
        };
        Some(Self { unit, scale: scale.clone(), zone })
    }

    /// The number of the period of a tick; `None` where the calendar does not reach it.
    pub fn number(&self, tick: i64) -> Option<i64> {
        let utc = match &self.scale {
            Scale::Timestamp(TimeUnit::Second, _) | Scale::Second => DateTime::from_timestamp(tick, 0)?,
            Scale::Timestamp(TimeUnit::Millisecond, _) => DateTime::from_timestamp_millis(tick)?,
            Scale::Timestamp(TimeUnit::Microsecond, _) => DateTime::from_timestamp_micros(tick)?,
            Scale::Timestamp(TimeUnit::Nanosecond, _) => DateTime::from_timestamp_nanos(tick),
            Scale::Day => DateTime::from_timestamp(tick.checked_mul(86_400)?, 0)?,
        };
        let local = match self.zone {
            Some(zone) => utc.with_timezone(&zone).naive_local(),
            None => utc.naive_utc(),
        };
        Some(self.unit.number(local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday() {
        let weeks = Periods::new(Unit::Week, &Scale::Day).unwrap();
        // Sunday 4 January 1970 and the Monday after it.
        assert_eq!((weeks.number(3), weeks.number(4), weeks.number(-4)), (Some(0), Some(1), Some(-1)));
    }

    #[test]
    fn the_zone_decides_the_day() {
        let scale = Scale::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into()));
        let days = Periods::new(Unit::Day, &scale).unwrap();
        assert_eq!((days.number(0), days.number(23 * 3600)), (Some(0), Some(1)));
        let months = Periods::new(Unit::Month, &scale).unwrap();
        assert_eq!(months.number(0), Some(1970 * 12));
    }
}
