//! Instants that are known when a rule is lowered: milliseconds since 1970 in UTC.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Utc};

use crate::segment::{Expr, Value};

use super::super::ast::{Unit, Which};
use super::super::typed::DatePart;

/// A millisecond since 1970.
pub(super) type Instant = i64;

pub(super) const DAY: i64 = 86_400_000;

pub(super) fn date_literal(date: NaiveDate) -> Expr {
    Expr::literal(Value::Typed("DATE".into(), date.format("%Y-%m-%d").to_string()))
}

pub(super) fn of_date(date: NaiveDate) -> Instant {
    i64::from(date.to_epoch_days()) * DAY
}

/// The date and time of an instant; the ends of the calendar stand for what lies beyond.
pub(super) fn naive(instant: Instant) -> NaiveDateTime {
    match DateTime::<Utc>::from_timestamp_millis(instant) {
        Some(time) => time.naive_utc(),
        None if instant < 0 => NaiveDateTime::MIN,
        None => NaiveDateTime::MAX,
    }
}

fn millis(time: NaiveDateTime) -> Instant {
    time.and_utc().timestamp_millis()
}

pub(super) fn part(instant: Instant, part: DatePart) -> i64 {
    let time = naive(instant);
    match part {
        DatePart::Year => i64::from(time.year()),
        DatePart::Month => i64::from(time.month()),
        DatePart::Day => i64::from(time.day()),
    }
}

/// The day that holds an instant, and whether the instant is its start.
pub(super) fn day(instant: Instant) -> (NaiveDate, bool) {
    (naive(instant).date(), instant.rem_euclid(DAY) == 0)
}

/// The length of a unit: of fixed length in milliseconds, or in months.
pub(super) enum Length {
    Millis(i64),
    Months(i64),
}

pub(super) fn length(unit: Unit) -> Length {
    match unit {
        Unit::Millisecond => Length::Millis(1),
        Unit::Second => Length::Millis(1000),
        Unit::Minute => Length::Millis(60_000),
        Unit::Hour => Length::Millis(3_600_000),
        Unit::Day => Length::Millis(DAY),
        Unit::Week => Length::Millis(7 * DAY),
        Unit::Month => Length::Months(1),
        Unit::Year => Length::Months(12),
        Unit::Decade => Length::Months(120),
        Unit::Century => Length::Months(1200),
        Unit::Millennium => Length::Months(12_000),
    }
}

/// A number of units as an SQL interval. What leaves the calendar would fail when it is added: such a distance is as
/// good as any other.
pub(super) fn interval(number: i64, unit: Unit) -> String {
    const MONTHS: i64 = 12 * 100_000;
    const DAYS: i64 = 36_500_000;
    let millis = match length(unit) {
        Length::Months(length) => return format!("{} months", number.saturating_mul(length).min(MONTHS)),
        Length::Millis(length) => number.saturating_mul(length).min(DAYS * DAY),
    };
    // A day is all that an interval holds apart from smaller units, which end after 292 years.
    let (days, rest) = (millis / DAY, millis % DAY);
    let units = [(3_600_000, "hours"), (60_000, "minutes"), (1000, "seconds"), (1, "milliseconds")];
    let rest = units
        .iter()
        .find(|(length, _)| rest != 0 && rest % length == 0)
        .map(|(length, name)| format!("{} {name}", rest / length));
    match rest {
        None => format!("{days} days"),
        Some(rest) if days == 0 => rest,
        Some(rest) => format!("{days} days {rest}"),
    }
}

/// An instant moved by a number of units, later for a positive number. The day of the month is clamped; what leaves
/// the calendar stays at its end.
pub(super) fn shift(instant: Instant, number: i64, unit: Unit) -> Instant {
    match length(unit) {
        Length::Millis(length) => instant.saturating_add(number.saturating_mul(length)),
        Length::Months(length) => {
            let months = number.saturating_mul(length);
            let Ok(count) = u32::try_from(months.unsigned_abs()) else { return edge(months) };
            let time = naive(instant);
            let moved = if months < 0 {
                time.checked_sub_months(Months::new(count))
            } else {
                time.checked_add_months(Months::new(count))
            };
            moved.map_or(edge(months), millis)
        }
    }
}

fn edge(sign: i64) -> Instant {
    millis(if sign < 0 { NaiveDateTime::MIN } else { NaiveDateTime::MAX })
}

/// The start of the calendar unit that contains an instant.
pub(super) fn start(instant: Instant, unit: Unit) -> Instant {
    let time = naive(instant);
    let date = time.date();
    let first = |years: i32| {
        let year = date.year() - date.year().rem_euclid(years);
        NaiveDate::from_ymd_opt(year, 1, 1)
    };
    let start = match unit {
        Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour | Unit::Day => {
            let Length::Millis(length) = length(unit) else { return instant };
            return instant - instant.rem_euclid(length);
        }
        Unit::Week => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday()))),
        Unit::Month => date.with_day(1),
        Unit::Year => first(1),
        Unit::Decade => first(10),
        Unit::Century => first(100),
        Unit::Millennium => first(1000),
    };
    start.and_then(|date| date.and_hms_opt(0, 0, 0)).map_or(instant, millis)
}

/// The start of this, the last or the next calendar unit.
pub(super) fn period(now: Instant, which: Which, unit: Unit) -> Instant {
    let this = start(now, unit);
    match which {
        Which::This => this,
        Which::Last => shift(this, -1, unit),
        Which::Next => shift(this, 1, unit),
    }
}

/// An instant without the part below the millisecond.
pub(super) fn truncate(now: DateTime<Utc>) -> Instant {
    now.timestamp_millis()
}
