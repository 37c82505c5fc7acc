//! Calendar periods by number.

use std::str::FromStr;

use arrow::array::timezone::Tz;
use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};

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

    /// The local time at which the period of that number begins; `None` where the calendar does not
    /// reach it.
    fn first(self, number: i64) -> Option<NaiveDateTime> {
        let midnight = |days: i64| {
            NaiveDate::default().checked_add_signed(TimeDelta::try_days(days)?)?.and_hms_opt(0, 0, 0)
        };
        let month = |months: i64| {
            let year = i32::try_from(months.div_euclid(12)).ok()?;
            let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
            NaiveDate::from_ymd_opt(year, month, 1)?.and_hms_opt(0, 0, 0)
        };
        match self {
            Self::Hour => midnight(0)?.checked_add_signed(TimeDelta::try_hours(number)?),
            Self::Day => midnight(number),
            Self::Week => midnight(number.checked_mul(7)? - 3),
            Self::Month => month(number),
            Self::Quarter => month(number.checked_mul(3)?),
            Self::Year => month(number.checked_mul(12)?),
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

    /// The tick at which the period of that number begins; `None` where the calendar or the column
    /// does not reach it.
    pub fn start(&self, number: i64) -> Option<i64> {
        let local = self.unit.first(number)?;
        let utc = match self.zone {
            Some(zone) => first_instant(zone, local)?,
            None => local.and_utc(),
        };
        match &self.scale {
            Scale::Timestamp(TimeUnit::Second, _) | Scale::Second => Some(utc.timestamp()),
            Scale::Timestamp(TimeUnit::Millisecond, _) => Some(utc.timestamp_millis()),
            Scale::Timestamp(TimeUnit::Microsecond, _) => {
                utc.timestamp().checked_mul(1_000_000)?.checked_add(i64::from(utc.timestamp_subsec_micros()))
            }
            Scale::Timestamp(TimeUnit::Nanosecond, _) => utc.timestamp_nanos_opt(),
            Scale::Day => Some(utc.timestamp().div_euclid(86_400)),
        }
    }
}

/// The first instant at which clocks show `local` or later. Where they go forward over midnight,
/// the day begins later than at midnight.
fn first_instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    // Clocks have never been put forward by more than a day, nor by less than a quarter.
    (0..=96)
        .filter_map(|quarters| local.checked_add_signed(TimeDelta::try_minutes(15 * quarters)?))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .map(|instant| instant.with_timezone(&Utc))
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

    #[test]
    fn a_period_begins_where_its_number_does() {
        for unit in [Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Quarter, Unit::Year] {
            let periods = Periods::new(unit, &Scale::Timestamp(TimeUnit::Second, None)).unwrap();
            for tick in (-5_000_000_000..5_000_000_000).step_by(7_777_777) {
                let number = periods.number(tick).unwrap();
                let (start, end) = (periods.start(number).unwrap(), periods.start(number + 1).unwrap());
                assert!(start <= tick && tick < end, "{unit:?} of {tick}");
                assert_eq!((periods.number(start), periods.number(end - 1)), (Some(number), Some(number)));
            }
        }
    }

    #[test]
    fn clocks_that_skip_midnight() {
        // On 4 November 2018 clocks in Sao Paulo went from 00:00 to 01:00, 03:00 UTC.
        let scale = Scale::Timestamp(TimeUnit::Second, Some("America/Sao_Paulo".into()));
        let days = Periods::new(Unit::Day, &scale).unwrap();
        let skipped = 1_541_300_400;
        let number = days.number(skipped).unwrap();
        assert_eq!((days.start(number), days.number(skipped - 1)), (Some(skipped), Some(number - 1)));
        assert_eq!(days.start(number + 1), Some(skipped + 23 * 3600));
    }
}
