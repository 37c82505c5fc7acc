//! The evaluation instant in rules: `now()` and its like as constants, and the time bounds of conditions.

use std::sync::LazyLock;

use arrow::datatypes::DataType;
use chrono::format::{self, Item, Parsed, StrftimeItems};
use chrono::{DateTime, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use crate::segment::{BinaryOp, Expr, Node, Relation, Value};

/// The functions that mean the evaluation instant.
pub(super) const CLOCKS: &[&str] = &["now", "current_timestamp", "localtimestamp", "current_date", "today"];

/// The instant as a constant of the sort that compares with a column of `data_type`.
pub(super) fn now_literal(function: &str, now: DateTime<Utc>, data_type: &DataType) -> Value {
    match (function, data_type) {
        ("current_date" | "today", _) => Value::Typed("DATE".into(), now.format("%Y-%m-%d").to_string()),
        (_, DataType::Timestamp(_, Some(_))) => {
            let text = now.format("%Y-%m-%d %H:%M:%S%.f+00").to_string();
            Value::Typed("TIMESTAMP WITH TIME ZONE".into(), text)
        }
        _ => Value::Typed("TIMESTAMP".into(), now.format("%Y-%m-%d %H:%M:%S%.f").to_string()),
    }
}

/// The least instant that events must have to satisfy a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The instant, for comparing bounds.
    pub instant: NaiveDateTime,
    /// The expression that it was read from.
    pub expr: Expr,
}

/// The greatest lower time bound that a condition on events of table `events` states in its conjuncts.
pub fn bounds(condition: &Expr, events: usize, timestamp: &str) -> Option<Bound> {
    let is_timestamp = |expr: &Expr| {
        matches!(&expr.node, Node::Attribute { relation: Relation::Events(at), path }
            if *at == events && path.len() == 1 && path[0] == timestamp)
    };
    match &condition.node {
        Node::Binary { op: BinaryOp::And, left, right } => {
            let bounds = [bounds(left, events, timestamp), bounds(right, events, timestamp)];
            bounds.into_iter().flatten().max_by_key(|bound| bound.instant)
        }
        Node::Binary { op: BinaryOp::GtEq | BinaryOp::Gt | BinaryOp::Eq, left, right }
            if is_timestamp(left) =>
        {
            instant_of(right).map(|instant| Bound { instant, expr: (**right).clone() })
        }
        Node::Binary { op: BinaryOp::LtEq | BinaryOp::Lt, left, right } if is_timestamp(right) => {
            instant_of(left).map(|instant| Bound { instant, expr: (**left).clone() })
        }
        Node::Between { expr, low, negated: false, .. } if is_timestamp(expr) => {
            instant_of(low).map(|instant| Bound { instant, expr: (**low).clone() })
        }
        _ => None,
    }
}

/// The instant of a constant expression, in UTC: a literal, or one moved by intervals.
pub fn instant_of(expr: &Expr) -> Option<NaiveDateTime> {
    match &expr.node {
        Node::Literal(Value::Typed(to, text)) => parse_instant(to, text),
        Node::Literal(Value::String(text)) => parse_instant("TIMESTAMP", text),
        Node::Cast { expr, .. } => match &expr.node {
            Node::Literal(Value::String(text)) => parse_instant("TIMESTAMP", text),
            _ => None,
        },
        Node::Binary { op: op @ (BinaryOp::Plus | BinaryOp::Minus), left, right } => {
            let Node::Literal(Value::Interval(text)) = &right.node else { return None };
            shift(instant_of(left)?, text, *op == BinaryOp::Minus)
        }
        _ => None,
    }
}

fn parse_instant(to: &str, text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    if to.eq_ignore_ascii_case("DATE") {
        return NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    }
    parse_timestamp(text).map(|instant| instant.naive_utc())
}

/// An instant as users write it: a date, or a date and time, with or without a zone (UTC then).
pub fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let zoned = text.replacen(' ', "T", 1);
    // Instants that rules are resolved to have no zone: that is asked first, since it is asked most.
    if let Some(instant) = parse_plain(&zoned) {
        return Some(instant.and_utc());
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(&zoned) {
        return Some(instant.to_utc());
    }
    // PostgreSQL writes whole hours of a zone alone.
    if let Ok(instant) = DateTime::parse_from_str(&format!("{zoned}:00"), "%Y-%m-%dT%H:%M:%S%.f%:z") {
        return Some(instant.to_utc());
    }
    if let Ok(instant) = NaiveDateTime::parse_from_str(&zoned, "%Y-%m-%dT%H:%M") {
        return Some(instant.and_utc());
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|instant| instant.and_utc())
}

/// A date and time without a zone.
fn parse_plain(text: &str) -> Option<NaiveDateTime> {
    // chrono reads a format anew for each text.
    static FORMAT: LazyLock<Vec<Item<'static>>> =
        LazyLock::new(|| StrftimeItems::new("%Y-%m-%dT%H:%M:%S%.f").collect());
    let mut parsed = Parsed::new();
    format::parse(&mut parsed, text, FORMAT.iter()).ok()?;
    parsed.to_naive_datetime_with_offset(0).ok()
}

/// Moves an instant by an interval such as `30 days` or `1 month 12 hours`; `None` where the text is not so plain.
fn shift(instant: NaiveDateTime, interval: &str, back: bool) -> Option<NaiveDateTime> {
    let mut words = interval.split_whitespace();
    let mut at = instant;
    while let Some(amount) = words.next() {
        let amount: i64 = amount.parse().ok()?;
        let unit = words.next().unwrap_or("seconds").to_lowercase();
        let amount = if back { amount.checked_neg()? } else { amount };
        at = match unit.trim_end_matches('s') {
            "year" => shift_months(at, amount.checked_mul(12)?)?,
            "month" | "mon" => shift_months(at, amount)?,
            "week" => shift_days(at, amount.checked_mul(7)?)?,
            "day" => shift_days(at, amount)?,
            "hour" => at.checked_add_signed(TimeDelta::try_hours(amount)?)?,
            "minute" | "min" => at.checked_add_signed(TimeDelta::try_minutes(amount)?)?,
            "second" | "sec" => at.checked_add_signed(TimeDelta::try_seconds(amount)?)?,
            "millisecond" => at.checked_add_signed(TimeDelta::try_milliseconds(amount)?)?,
            _ => return None,
        };
    }
    Some(at)
}

fn shift_months(at: NaiveDateTime, months: i64) -> Option<NaiveDateTime> {
    let amount = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 { at.checked_sub_months(amount) } else { at.checked_add_months(amount) }
}

fn shift_days(at: NaiveDateTime, days: i64) -> Option<NaiveDateTime> {
    let amount = Days::new(days.unsigned_abs());
    if days < 0 { at.checked_sub_days(amount) } else { at.checked_add_days(amount) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        parse_timestamp(text).unwrap().naive_utc()
    }

    #[test]
    fn reads_instants_as_users_write_them() {
        let noon = at("2026-06-15T12:00:00Z");
        for text in
            ["2026-06-15 12:00:00", "2026-06-15T14:00:00+02:00", "2026-06-15 12:00:00+00", "2026-06-15 12:00"]
        {
            assert_eq!(at(text), noon, "{text}");
        }
        assert_eq!(at("2026-06-15"), at("2026-06-15 00:00:00"));
        assert_eq!(parse_timestamp("yesterday"), None);
    }

    #[test]
    fn moves_instants_by_intervals() {
        let start = at("2026-03-31 12:00:00");
        assert_eq!(shift(start, "30 days", true), Some(at("2026-03-01 12:00:00")));
        assert_eq!(shift(start, "1 month", true), Some(at("2026-02-28 12:00:00")));
        assert_eq!(shift(start, "1 day 2 hours", false), Some(at("2026-04-01 14:00:00")));
        assert_eq!(shift(start, "9999999999999 years", false), None);
        assert_eq!(shift(start, "1.5 days", false), None);
    }
}
