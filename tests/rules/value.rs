//! Values of the interpreter, and SQL's three-valued logic.

use std::cmp::Ordering;

use chrono::{Months, NaiveDateTime, TimeDelta};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Time(NaiveDateTime),
    Interval { months: i32, micros: i64 },
    List(Vec<Value>),
    Row(Vec<(&'static str, Value)>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// A condition: `None` is NULL.
    pub(crate) fn truth(&self) -> Option<bool> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(*value),
            other => panic!("{other:?} is no condition"),
        }
    }

    pub(crate) fn condition(truth: Option<bool>) -> Self {
        truth.map_or(Self::Null, Self::Bool)
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// How two values compare; `None` where one is NULL.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Null, _) | (_, Self::Null) => return None,
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => {
                let differ = a.iter().zip(b).map(|(a, b)| a.compare(b).unwrap()).find(|order| order.is_ne());
                differ.unwrap_or(a.len().cmp(&b.len()))
            }
            (a, b) => match (a.number(), b.number()) {
                // Zero has no sign.
                (Some(a), Some(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
                _ => panic!("{a:?} and {b:?} do not compare"),
            },
        })
    }

    pub(crate) fn equals(&self, other: &Self) -> Option<bool> {
        self.compare(other).map(Ordering::is_eq)
    }

    /// `+`, `-`, `*`, `%`.
    pub(crate) fn arithmetic(&self, op: char, other: &Self) -> Self {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => Self::Null,
            (Self::Int(a), Self::Int(b)) => Self::Int(match op {
                '+' => a + b,
                '-' => a - b,
                '*' => a * b,
                _ => a % b,
            }),
            (Self::Time(at), Self::Interval { .. }) => Self::Time(shift(*at, other, op == '-')),
            (a, b) => match (a.number(), b.number()) {
                (Some(a), Some(b)) => Self::Float(match op {
                    '+' => a + b,
                    '-' => a - b,
                    '*' => a * b,
                    _ => a % b,
                }),
                _ => panic!("{a:?} {op} {b:?}"),
            },
        }
    }
}

/// A time moved by an interval, months first.
pub(crate) fn shift(at: NaiveDateTime, by: &Value, back: bool) -> NaiveDateTime {
    let Value::Interval { months, micros } = *by else { panic!("{by:?} is no interval") };
    let (months, micros) = if back { (-months, -micros) } else { (months, micros) };
    let amount = Months::new(months.unsigned_abs());
    let moved = if months < 0 { at - amount } else { at + amount };
    moved + TimeDelta::microseconds(micros)
}

/// `30 days`, `1 month 12 hours`.
pub(crate) fn interval(text: &str) -> Value {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (mut months, mut micros) = (0, 0);
    for pair in words.chunks(2) {
        let amount: i64 = pair[0].parse().unwrap();
        let seconds = match pair[1].trim_end_matches('s') {
            "month" => {
                months += i32::try_from(amount).unwrap();
                continue;
            }
            "week" => 7 * 86_400,
            "day" => 86_400,
            "hour" => 3600,
            "minute" => 60,
            "second" => 1,
            other => panic!("{other}"),
        };
        micros += amount * seconds * 1_000_000;
    }
    Value::Interval { months, micros }
}

/// SQL's `AND`.
pub(crate) fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// SQL's `OR`.
pub(crate) fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    and(a.map(|a| !a), b.map(|b| !b)).map(|c| !c)
}

/// SQL's `LIKE`, by trying all ways.
pub(crate) fn like(text: &[char], pattern: &[char], escape: Option<char>) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((c, rest)) if Some(*c) == escape && !rest.is_empty() => {
            text.first() == rest.first() && like(&text[1..], &rest[1..], escape)
        }
        Some(('%', rest)) => (0..=text.len()).any(|at| like(&text[at..], rest, escape)),
        Some(('_', rest)) => !text.is_empty() && like(&text[1..], rest, escape),
        Some((c, rest)) => text.first() == Some(c) && like(&text[1..], rest, escape),
    }
}
