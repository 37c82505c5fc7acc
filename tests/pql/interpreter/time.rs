//! Time constraints, instant by instant.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime};
use coterie::pql::ast::{Comparison, Constraint, ConstraintBody, Direction, Moment, Time, Unit, Which};

use super::Interpreter;
use super::value::Value;

const DAY: i64 = 86_400_000;

fn naive(time: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(time).unwrap().naive_utc()
}

fn millis(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_millis()
}

fn shift(time: i64, number: i64, unit: Unit) -> i64 {
    let months = |n: i64| {
        let moved = if n < 0 {
            naive(time).checked_sub_months(Months::new(u32::try_from(-n).unwrap()))
        } else {
            naive(time).checked_add_months(Months::new(u32::try_from(n).unwrap()))
        };
        millis(moved.unwrap())
    };
    match unit {
        Unit::Millisecond => time + number,
        Unit::Second => time + number * 1000,
        Unit::Minute => time + number * 60_000,
        Unit::Hour => time + number * 3_600_000,
        Unit::Day => time + number * DAY,
        Unit::Week => time + number * 7 * DAY,
        Unit::Month => months(number),
        Unit::Year => months(12 * number),
        Unit::Decade => months(120 * number),
        Unit::Century => months(1200 * number),
        Unit::Millennium => months(12_000 * number),
    }
}

fn floor(time: i64, unit: Unit) -> i64 {
    let date = naive(time).date();
    let year = |n: i32| NaiveDate::from_ymd_opt(date.year() / n * n, 1, 1).unwrap();
    let date = match unit {
        Unit::Millisecond => return time,
        Unit::Second => return time - time.rem_euclid(1000),
        Unit::Minute => return time - time.rem_euclid(60_000),
        Unit::Hour => return time - time.rem_euclid(3_600_000),
        Unit::Day => return time - time.rem_euclid(DAY),
        Unit::Week => date - Days::new(u64::from(date.weekday().num_days_from_monday())),
        Unit::Month => date.with_day(1).unwrap(),
        Unit::Year => year(1),
        Unit::Decade => year(10),
        Unit::Century => year(100),
        Unit::Millennium => year(1000),
    };
    millis(date.and_hms_opt(0, 0, 0).unwrap())
}

/// A start, and the unit that is as long.
type Interval = (i64, Option<Unit>);

fn end((start, unit): Interval) -> Option<i64> {
    unit.map(|unit| shift(start, 1, unit))
}

fn inside(time: i64, interval: Interval) -> bool {
    match end(interval) {
        None => time == interval.0,
        Some(end) => interval.0 <= time && time < end,
    }
}

impl Interpreter {
    pub(super) fn moment(&self, moment: Moment) -> i64 {
        let today = floor(self.now, Unit::Day);
        match moment {
            Moment::Now => self.now,
            Moment::Today => today,
            Moment::Yesterday => today - DAY,
            Moment::Tomorrow => today + DAY,
        }
    }

    pub(super) fn occurs(&mut self, time: &Value, constraint: &Constraint) -> bool {
        let Some(time) = time.time() else { return false };
        if !constraint.ignore_year {
            return self.satisfies(time, &constraint.body);
        }
        let date = naive(time);
        (1..=3000).any(|year| {
            let moved = date.with_year(year).or_else(|| date.with_day(28).unwrap().with_year(year));
            self.satisfies(millis(moved.unwrap()), &constraint.body)
        })
    }

    fn satisfies(&mut self, time: i64, body: &ConstraintBody) -> bool {
        match body {
            ConstraintBody::On(anchor) => {
                self.interval(anchor).is_some_and(|interval| inside(time, interval))
            }
            ConstraintBody::Direction { direction, anchor } => {
                let Some(interval) = self.interval(anchor) else { return false };
                match direction {
                    Direction::Before => time < interval.0,
                    Direction::From => time >= interval.0,
                    Direction::After => end(interval).map_or(time > interval.0, |end| time >= end),
                }
            }
            ConstraintBody::Between { from, to } => {
                let (Some(from), Some(to)) = (self.interval(from), self.interval(to)) else { return false };
                from.0 <= time && end(to).map_or(time <= to.0, |end| time < end)
            }
            ConstraintBody::Offset { comparison, number, unit, direction, anchor } => {
                let Some((start, length)) = self.interval(anchor) else { return false };
                let before = *direction == Direction::Before;
                let moved = shift(start, if before { -number } else { *number }, *unit);
                match (comparison, before) {
                    (Comparison::Equal, _) => inside(time, (moved, length)),
                    (Comparison::NotEqual, _) => !inside(time, (moved, length)),
                    (Comparison::LessEqual, true) => moved <= time && time <= start,
                    (Comparison::Less, true) => moved < time && time <= start,
                    (Comparison::GreaterEqual, true) => time <= moved,
                    (Comparison::Greater, true) => time < moved,
                    (Comparison::LessEqual, false) => start <= time && time <= moved,
                    (Comparison::Less, false) => start <= time && time < moved,
                    (Comparison::GreaterEqual, false) => time >= moved,
                    (Comparison::Greater, false) => time > moved,
                }
            }
        }
    }

    fn interval(&mut self, time: &Time) -> Option<Interval> {
        match time {
            Time::Period { which, unit, .. } => {
                let this = floor(self.now, *unit);
                let steps = match which {
                    Which::This => 0,
                    Which::Last => -1,
                    Which::Next => 1,
                };
                Some((shift(this, steps, *unit), Some(*unit)))
            }
            Time::Offset { number, unit, direction, anchor, .. } => {
                let (start, length) = self.interval(anchor)?;
                let before = *direction == Direction::Before;
                Some((shift(start, if before { -number } else { *number }, *unit), length))
            }
            Time::Value(value) => {
                if let coterie::pql::ast::Node::Moment(moment) = &value.node {
                    let day = (*moment != Moment::Now).then_some(Unit::Day);
                    return Some((self.moment(*moment), day));
                }
                match self.value(value) {
                    Value::Date(day) => Some((day, Some(Unit::Day))),
                    other => Some((other.time()?, None)),
                }
            }
        }
    }
}
