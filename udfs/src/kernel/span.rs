//! Lengths of time, measured in the ticks of a column.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::datatypes::{
    DataType, Date32Type, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// What one tick of a time column is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scale {
    /// A timestamp; calendar arithmetic happens in its zone.
    Timestamp(TimeUnit, Option<Arc<str>>),
    /// A date.
    Day,
    /// An integer, which counts seconds.
    Second,
}

impl Scale {
    /// The scale of a column, if it is one of time.
    pub fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Timestamp(unit, zone) => Some(Self::Timestamp(*unit, zone.clone())),
            DataType::Date32 => Some(Self::Day),
            DataType::Date64 => Some(Self::Timestamp(TimeUnit::Millisecond, None)),
            DataType::Int64 => Some(Self::Second),
            _ => None,
        }
    }

    /// Nanoseconds in one tick.
    pub fn tick_nanos(&self) -> i64 {
        match self {
            Self::Timestamp(TimeUnit::Nanosecond, _) => 1,
            Self::Timestamp(TimeUnit::Microsecond, _) => 1_000,
            Self::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
            Self::Timestamp(TimeUnit::Second, _) | Self::Second => 1_000_000_000,
            Self::Day => 86_400_000_000_000,
        }
    }

    /// What so many ticks are in seconds. Divides where a tick is less than one: its own length has no exact number.
    pub fn seconds(&self, ticks: f64) -> f64 {
        let nanos = self.tick_nanos() as f64;
        if nanos < 1e9 { ticks / (1e9 / nanos) } else { ticks * (nanos / 1e9) }
    }

    /// Seconds in one tick.
    pub fn tick_seconds(&self) -> f64 {
        self.tick_nanos() as f64 / 1e9
    }
}

/// A length of time, never negative.
#[derive(Debug, Clone)]
pub enum Span {
    /// Always the same number of ticks.
    Fixed {
        /// Whole ticks.
        ticks: i64,
        /// Whether the span is a little longer than its whole ticks.
        more: bool,
    },
    /// Depends on the date it starts from: months, and days where the zone has days of 23 and 25 hours.
    Calendar {
        /// Months, days and nanoseconds, none negative.
        interval: IntervalMonthDayNano,
        /// What a tick is.
        scale: Scale,
        /// The zone of the calendar.
        zone: Tz,
    },
}

/// Why a value is no span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanError {
    /// Time does not run backwards.
    Negative,
    /// The zone of the column is not known.
    Zone(String),
}

impl Span {
    /// A number as the column itself counts: seconds for timestamps and integers, days for dates.
    pub fn from_number(number: i64, scale: &Scale) -> Result<Self, SpanError> {
        if number < 0 {
            return Err(SpanError::Negative);
        }
        let ticks = match scale {
            Scale::Timestamp(..) => number.saturating_mul(1_000_000_000 / scale.tick_nanos()),
            Scale::Day | Scale::Second => number,
        };
        Ok(Self::Fixed { ticks, more: false })
    }

    /// An SQL interval.
    pub fn from_interval(interval: IntervalMonthDayNano, scale: &Scale) -> Result<Self, SpanError> {
        let IntervalMonthDayNano { months, days, nanoseconds } = interval;
        if months < 0 || days < 0 || nanoseconds < 0 {
            return Err(SpanError::Negative);
        }
        let named_zone = match scale {
            Scale::Timestamp(_, Some(name)) => Some(name),
            _ => None,
        };
        if months == 0 && (days == 0 || named_zone.is_none()) {
            return Ok(Self::from_nanos(i128::from(days) * DAY + i128::from(nanoseconds), scale));
        }
        let name = named_zone.map_or("+00:00", |name| name.as_ref());
        let zone = Tz::from_str(name).map_err(|_| SpanError::Zone(name.to_string()))?;
        Ok(Self::Calendar { interval, scale: scale.clone(), zone })
    }

    /// A duration of `n` units.
    pub fn from_duration(n: i64, unit: TimeUnit, scale: &Scale) -> Result<Self, SpanError> {
        if n < 0 {
            return Err(SpanError::Negative);
        }
        let nanos = match unit {
            TimeUnit::Second => SECOND,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        };
        Ok(Self::from_nanos(i128::from(n) * nanos, scale))
    }

    fn from_nanos(nanos: i128, scale: &Scale) -> Self {
        let tick = i128::from(scale.tick_nanos());
        let ticks = i64::try_from(nanos / tick).unwrap_or(i64::MAX);
        Self::Fixed { ticks, more: nanos % tick != 0 }
    }

    /// The last tick that is at most this span after `from`.
    #[inline]
    pub fn reach(&self, from: i64) -> i64 {
        match self {
            Self::Fixed { ticks, .. } => from.saturating_add(*ticks),
            Self::Calendar { interval, scale, zone } => add(from, *interval, scale, *zone),
        }
    }

    /// The first tick that is at least this span after `from`.
    #[inline]
    pub fn over(&self, from: i64) -> i64 {
        match self {
            Self::Fixed { more: true, .. } => self.reach(from).saturating_add(1),
            _ => self.reach(from),
        }
    }
}

/// What lies outside the calendar is never reached.
fn add(from: i64, interval: IntervalMonthDayNano, scale: &Scale, zone: Tz) -> i64 {
    let sum = match scale {
        Scale::Timestamp(TimeUnit::Nanosecond, _) => {
            TimestampNanosecondType::add_month_day_nano(from, interval, zone)
        }
        Scale::Timestamp(TimeUnit::Microsecond, _) => {
            TimestampMicrosecondType::add_month_day_nano(from, interval, zone)
        }
        Scale::Timestamp(TimeUnit::Millisecond, _) => {
            TimestampMillisecondType::add_month_day_nano(from, interval, zone)
        }
        Scale::Timestamp(TimeUnit::Second, _) | Scale::Second => {
            TimestampSecondType::add_month_day_nano(from, interval, zone)
        }
        Scale::Day => i32::try_from(from)
            .ok()
            .and_then(|day| Date32Type::add_month_day_nano_opt(day, interval))
            .map(i64::from),
    };
    sum.unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn interval(months: i32, days: i32, nanoseconds: i64) -> IntervalMonthDayNano {
        IntervalMonthDayNano { months, days, nanoseconds }
    }

    #[test]
    fn a_number_counts_as_the_column_does() {
        let milli = Scale::Timestamp(TimeUnit::Millisecond, None);
        assert_eq!(Span::from_number(2, &milli).unwrap().reach(0), 2000);
        assert_eq!(Span::from_number(2, &Scale::Day).unwrap().reach(0), 2);
        assert_eq!(Span::from_number(2, &Scale::Second).unwrap().reach(0), 2);
        assert_eq!(Span::from_number(-1, &milli).unwrap_err(), SpanError::Negative);
        assert_eq!(Span::from_number(i64::MAX, &milli).unwrap().reach(5), i64::MAX);
    }

    #[test]
    fn a_part_of_a_tick_matters_only_for_what_must_be_over() {
        let span = Span::from_interval(interval(0, 0, 36 * HOUR * 1_000_000_000), &Scale::Day).unwrap();
        assert_eq!((span.reach(10), span.over(10)), (11, 12));
    }

    #[test]
    fn a_month_is_as_long_as_its_month() {
        // 31 January 2026 and 31 days later.
        let span = Span::from_interval(interval(1, 0, 0), &Scale::Day).unwrap();
        assert_eq!(span.reach(20_484), 20_512);
    }

    #[test]
    fn a_day_in_a_zone_may_have_23_hours() {
        let berlin = Scale::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into()));
        let span = Span::from_interval(interval(0, 1, 0), &berlin).unwrap();
        // Noon of 28 March 2026, the day before the clocks go forward.
        assert_eq!(span.reach(1_774_695_600), 1_774_695_600 + 23 * HOUR);
        let nowhere = Scale::Timestamp(TimeUnit::Second, Some("Nowhere".into()));
        assert!(matches!(Span::from_interval(interval(0, 1, 0), &nowhere), Err(SpanError::Zone(_))));
    }
}
