//! Constants in the unit of the column that they are compared with.

use arrow::datatypes::{DataType, TimeUnit};

use crate::profile::is_utc;
use crate::resolve::instant_of;
use crate::segment::{BinaryOp, Expr, Node, UnaryOp, Value};

/// A constant among the values of an ordered column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// The greatest value that is not above the constant.
    pub floor: i64,
    /// Whether it is the constant.
    pub exact: bool,
}

impl Tick {
    fn exactly(value: i64) -> Self {
        Self { floor: value, exact: true }
    }

    /// The least value that is at or above the constant.
    pub(super) fn ceiling(self) -> Option<i64> {
        if self.exact { Some(self.floor) } else { self.floor.checked_add(1) }
    }
}

/// The key by which floating-point numbers compare as in SQL: zero has no sign, NaN is the greatest.
pub fn float_key(value: f64) -> i64 {
    // Of the two zeros and zero the sum is the one without a sign.
    let bits = (value + 0.0).to_bits().cast_signed();
    // Of negative numbers all bits but the sign are turned, so that a greater magnitude is less.
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// A constant expression among the values of a column of `data_type`; `None` where it is no constant, or the two do
/// not compare in the column's own terms.
pub(super) fn tick(expr: &Expr, data_type: &DataType) -> Option<Tick> {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            number(expr)?.parse().ok().map(Tick::exactly)
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            number(expr)?.parse().ok().map(Tick::exactly)
        }
        DataType::Float32 | DataType::Float64 => {
            let value: f64 = number(expr)?.parse().ok()?;
            Some(Tick::exactly(float_key(value)))
        }
        DataType::Date32 => {
            // A date moved by an interval is a date for DataFusion only where the interval says days.
            let Node::Literal(Value::Typed(to, _)) = &expr.node else { return None };
            if !to.eq_ignore_ascii_case("DATE") {
                return None;
            }
            days(expr)
        }
        DataType::Timestamp(unit, zone) if zone.as_deref().is_none_or(is_utc) => {
            // A constant with a zone does not compare with a column without one by its UTC reading alone.
            if zone.is_none() && has_zone(expr) {
                return None;
            }
            let instant = instant_of(expr)?.and_utc();
            let (floor, rest) = match unit {
                TimeUnit::Second => (instant.timestamp(), instant.timestamp_subsec_nanos()),
                TimeUnit::Millisecond => {
                    (instant.timestamp_millis(), instant.timestamp_subsec_nanos() % 1_000_000)
                }
                TimeUnit::Microsecond => {
                    (instant.timestamp_micros(), instant.timestamp_subsec_nanos() % 1_000)
                }
                TimeUnit::Nanosecond => (instant.timestamp_nanos_opt()?, 0),
            };
            Some(Tick { floor, exact: rest == 0 })
        }
        _ => None,
    }
}

fn days(expr: &Expr) -> Option<Tick> {
    let days = instant_of(expr)?.date().signed_duration_since(chrono::NaiveDate::default()).num_days();
    Some(Tick::exactly(days))
}

/// Whether a constant names a zone.
fn has_zone(expr: &Expr) -> bool {
    match &expr.node {
        Node::Literal(Value::Typed(to, text)) => {
            let time = text.trim().get(10..).unwrap_or_default();
            to.to_uppercase().contains("ZONE")
                || to.to_uppercase().contains("TZ")
                || time.contains(['Z', 'z', '+', '-'])
        }
        Node::Literal(Value::String(text)) => {
            text.trim().get(10..).unwrap_or_default().contains(['Z', 'z', '+', '-'])
        }
        Node::Cast { expr, .. } => has_zone(expr),
        Node::Binary { left, .. } => has_zone(left),
        _ => false,
    }
}

/// The text of a number, with its sign.
pub(super) fn number(expr: &Expr) -> Option<String> {
    match &expr.node {
        Node::Literal(Value::Number(text)) => Some(text.clone()),
        Node::Unary { op: UnaryOp::Minus, expr } => match &expr.node {
            Node::Literal(Value::Number(text)) if !text.starts_with('-') => Some(format!("-{text}")),
            _ => None,
        },
        _ => None,
    }
}

/// The text of a string.
pub(super) fn text(expr: &Expr) -> Option<&str> {
    match &expr.node {
        Node::Literal(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The comparison with its sides exchanged.
pub(super) fn mirrored(op: BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        BinaryOp::Eq => BinaryOp::Eq,
        BinaryOp::NotEq => BinaryOp::NotEq,
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::LtEq => BinaryOp::GtEq,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::GtEq => BinaryOp::LtEq,
        _ => return None,
    })
}
