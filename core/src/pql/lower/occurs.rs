//! `occurs`, and comparisons of times and other scalars.

use arrow::datatypes::DataType;

use crate::segment::{BinaryOp, Expr, Node, Value as Constant};

use super::super::ast::{Comparison, Direction, Moment, Unit};
use super::super::typed::{self, Constraint, ConstraintBody, Time};
use super::super::types::Type;
use super::calendar::{self, Instant};
use super::{Lowered, Lowering, sql};

/// A point in time.
#[derive(Clone)]
enum Point {
    Known(Instant),
    /// A timestamp in SQL.
    Sql(Expr),
}

/// What a time stands for: an instant, or the unit that begins there.
struct Interval {
    start: Point,
    length: Option<Unit>,
}

/// Comparisons that must all hold of a time.
type Bounds = Vec<(Comparison, Point)>;

impl Lowering<'_> {
    pub(super) fn moment(&self, moment: Moment) -> Instant {
        let now = calendar::truncate(self.context.now);
        let today = calendar::start(now, Unit::Day);
        match moment {
            Moment::Now => now,
            Moment::Today => today,
            Moment::Yesterday => today - calendar::DAY,
            Moment::Tomorrow => today + calendar::DAY,
        }
    }

    pub(super) fn occurs(&mut self, time: &typed::Expr, constraint: &Constraint) -> Lowered<Expr> {
        let value = self.sql(time)?;
        let of = time.of.clone();
        self.shared(value, |lowering, value| {
            if constraint.ignore_year {
                return lowering.occurs_in_any_year(value, &of, constraint);
            }
            if let ConstraintBody::Offset {
                comparison: Comparison::NotEqual,
                number,
                unit,
                direction,
                anchor,
            } = &constraint.body
            {
                let moved = lowering.moved(anchor, *number, *unit, *direction == Direction::Before)?;
                let mut parts = vec![sql::is_null(value.clone(), true)];
                if let Point::Sql(anchor) = &moved.start {
                    parts.push(sql::is_null(anchor.clone(), true));
                }
                let bounds = lowering.within(moved);
                parts.push(sql::not(lowering.all_hold(&value, &of, bounds)));
                return Ok(sql::and(parts));
            }
            let bounds = lowering.bounds(&constraint.body)?;
            Ok(lowering.all_hold(&value, &of, bounds))
        })
    }

    fn bounds(&mut self, body: &ConstraintBody) -> Lowered<Bounds> {
        Ok(match body {
            ConstraintBody::On(anchor) => {
                let interval = self.interval(anchor)?;
                self.within(interval)
            }
            ConstraintBody::Direction(direction, anchor) => {
                let interval = self.interval(anchor)?;
                match (direction, interval.length) {
                    (Direction::Before, _) => vec![(Comparison::Less, interval.start)],
                    (Direction::From, _) => vec![(Comparison::GreaterEqual, interval.start)],
                    (Direction::After, None) => vec![(Comparison::Greater, interval.start)],
                    (Direction::After, Some(unit)) => {
                        vec![(Comparison::GreaterEqual, self.shift(interval.start, 1, unit))]
                    }
                }
            }
            ConstraintBody::Between(from, to) => {
                let (from, to) = (self.interval(from)?, self.interval(to)?);
                let end = match to.length {
                    None => (Comparison::LessEqual, to.start),
                    Some(unit) => (Comparison::Less, self.shift(to.start, 1, unit)),
                };
                vec![(Comparison::GreaterEqual, from.start), end]
            }
            ConstraintBody::Offset { comparison, number, unit, direction, anchor } => {
                let before = *direction == Direction::Before;
                if *comparison == Comparison::Equal {
                    let moved = self.moved(anchor, *number, *unit, before)?;
                    return Ok(self.within(moved));
                }
                let start = self.interval(anchor)?.start;
                let signed = if before { -*number } else { *number };
                let moved = self.shift(start.clone(), signed, *unit);
                let strict = matches!(comparison, Comparison::Less | Comparison::Greater);
                let near = matches!(comparison, Comparison::Less | Comparison::LessEqual);
                match (before, near) {
                    (true, true) => vec![(lower_bound(strict), moved), (Comparison::LessEqual, start)],
                    (false, true) => vec![(Comparison::GreaterEqual, start), (upper_bound(strict), moved)],
                    (true, false) => vec![(upper_bound(strict), moved)],
                    (false, false) => vec![(lower_bound(strict), moved)],
                }
            }
        })
    }

    /// The bounds of an interval.
    fn within(&mut self, interval: Interval) -> Bounds {
        match interval.length {
            None => vec![(Comparison::Equal, interval.start)],
            Some(unit) => {
                let end = self.shift(interval.start.clone(), 1, unit);
                vec![(Comparison::GreaterEqual, interval.start), (Comparison::Less, end)]
            }
        }
    }

    fn moved(&mut self, anchor: &Time, number: i64, unit: Unit, before: bool) -> Lowered<Interval> {
        let Interval { start, length } = self.interval(anchor)?;
        let start = self.shift(start, if before { -number } else { number }, unit);
        Ok(Interval { start, length })
    }

    fn interval(&mut self, time: &Time) -> Lowered<Interval> {
        let now = self.moment(Moment::Now);
        Ok(match time {
            Time::Moment(Moment::Now) => Interval { start: Point::Known(now), length: None },
            Time::Moment(day) => Interval { start: Point::Known(self.moment(*day)), length: Some(Unit::Day) },
            Time::Period(which, unit) => {
                Interval { start: Point::Known(calendar::period(now, *which, *unit)), length: Some(*unit) }
            }
            Time::Offset { number, unit, before, anchor } => self.moved(anchor, *number, *unit, *before)?,
            Time::Value(value) => {
                let length = (value.of == Type::Date).then_some(Unit::Day);
                let start = match self.known_instant(value) {
                    Some(instant) => Point::Known(instant),
                    None => {
                        let sql = self.sql(value)?;
                        Point::Sql(if value.of == Type::Date { self.to_timestamp(sql) } else { sql })
                    }
                };
                Interval { start, length }
            }
        })
    }

    fn shift(&self, point: Point, number: i64, unit: Unit) -> Point {
        let expr = match point {
            Point::Known(instant) => return Point::Known(calendar::shift(instant, number, unit)),
            Point::Sql(expr) => expr,
        };
        let op = if number < 0 { BinaryOp::Minus } else { BinaryOp::Plus };
        let interval = calendar::interval(number.saturating_abs(), unit);
        let interval = Expr::literal(Constant::Interval(interval));
        Point::Sql(millis_of(expr).binary(op, interval))
    }

    fn all_hold(&self, value: &Expr, of: &Type, bounds: Bounds) -> Expr {
        let hold = bounds.into_iter().map(|(op, point)| self.compare_point(op, value.clone(), of, point));
        sql::and(hold.collect())
    }

    fn compare_point(&self, op: Comparison, value: Expr, of: &Type, point: Point) -> Expr {
        match point {
            Point::Known(instant) => self.compare_known(op, value, of, instant),
            Point::Sql(other) => {
                let value = if *of == Type::Date { self.to_timestamp(value) } else { value };
                value.binary(sql::comparison(op), other)
            }
        }
    }

    /// A time compared with a constant of its own type, so that statistics of files can answer it.
    fn compare_known(&self, op: Comparison, value: Expr, of: &Type, instant: Instant) -> Expr {
        if *of != Type::Date {
            let constant = self.timestamp(instant, Some(&value));
            return value.binary(sql::comparison(op), constant);
        }
        let (day, midnight) = calendar::day(instant);
        // A day lies before an instant within it: what is asked becomes a question about days.
        let op = match op {
            Comparison::Equal | Comparison::NotEqual if !midnight => {
                let unequal = sql::is_null(value, true);
                return if op == Comparison::NotEqual { unequal } else { sql::boolean(false) };
            }
            Comparison::Less if !midnight => Comparison::LessEqual,
            Comparison::GreaterEqual if !midnight => Comparison::Greater,
            op => op,
        };
        value.binary(sql::comparison(op), calendar::date_literal(day))
    }

    /// Some year brings the time within the bounds.
    fn occurs_in_any_year(&mut self, value: Expr, of: &Type, constraint: &Constraint) -> Lowered<Expr> {
        let bounds = self.bounds(&constraint.body)?;
        let (Some((_, first)), Some((_, last))) = (bounds.first().cloned(), bounds.last().cloned()) else {
            return Ok(sql::boolean(false));
        };
        let in_year = |lowering: &Self, year: Expr| {
            let moved = Expr::call("with_year", vec![value.clone(), year]);
            lowering.all_hold(&moved, of, bounds.clone())
        };
        if let (Point::Known(first), Point::Known(last)) = (&first, &last) {
            let year = |instant: &Instant| calendar::part(*instant, typed::DatePart::Year);
            let (from, to) = (year(first), year(last));
            if to - from >= 2 {
                return Ok(sql::is_null(value, true));
            }
            return Ok(sql::or((from..=to).map(|year| in_year(self, sql::number(year))).collect()));
        }
        let year = |point: &Point| match point {
            Point::Known(instant) => sql::number(calendar::part(*instant, typed::DatePart::Year)),
            Point::Sql(expr) => super::expr::date_part(typed::DatePart::Year, expr.clone()),
        };
        let (from, to) = (year(&first), year(&last));
        let span = to.clone().binary(BinaryOp::Minus, from.clone());
        let long =
            sql::and(vec![sql::is_null(value.clone(), true), span.binary(BinaryOp::GtEq, sql::number(2))]);
        Ok(sql::or(vec![in_year(self, from), in_year(self, to), long]))
    }

    // ---- scalars ----

    pub(super) fn compare_scalars(
        &mut self,
        op: Comparison,
        left: &typed::Expr,
        right: &typed::Expr,
    ) -> Lowered<Expr> {
        if left.of.is_time() {
            if let Some(instant) = self.known_instant(right) {
                let value = self.sql(left)?;
                return Ok(self.compare_known(op, value, &left.of, instant));
            }
            if let Some(instant) = self.known_instant(left) {
                let value = self.sql(right)?;
                return Ok(self.compare_known(op.flipped(), value, &right.of, instant));
            }
        }
        let (a, b) = (self.sql(left)?, self.sql(right)?);
        Ok(self.compare_sql(op, (a, &left.of), (b, &right.of)))
    }

    pub(super) fn compare_sql(&self, op: Comparison, left: (Expr, &Type), right: (Expr, &Type)) -> Expr {
        let (a, b) = match (left.1, right.1) {
            (Type::Date, Type::Timestamp) => (self.to_timestamp(left.0), right.0),
            (Type::Timestamp, Type::Date) => (left.0, self.to_timestamp(right.0)),
            (Type::Integer, Type::Double) if !literal(&left.0) => (sql::cast(left.0, "DOUBLE"), right.0),
            (Type::Double, Type::Integer) if !literal(&right.0) => (left.0, sql::cast(right.0, "DOUBLE")),
            _ => (left.0, right.0),
        };
        a.binary(sql::comparison(op), b)
    }

    /// The instant of an expression that `now` and literals decide.
    fn known_instant(&self, expr: &typed::Expr) -> Option<Instant> {
        match &expr.node {
            typed::Node::Moment(moment) => Some(self.moment(*moment)),
            typed::Node::Date(date) => Some(calendar::of_date(*date)),
            _ => None,
        }
    }

    /// A timestamp as a constant, with a zone if the column that it is compared with has one.
    pub(super) fn timestamp(&self, instant: Instant, compared: Option<&Expr>) -> Expr {
        let time = calendar::naive(instant);
        let zoned = self.is_zoned(compared);
        let year = calendar::part(instant, typed::DatePart::Year);
        // Literals are read as nanoseconds, which end in these years.
        if (1678..2262).contains(&year) {
            let text = time.format("%Y-%m-%d %H:%M:%S%.f").to_string();
            return Expr::literal(if zoned {
                Constant::Typed("TIMESTAMP WITH TIME ZONE".into(), format!("{text}+00"))
            } else {
                Constant::Typed("TIMESTAMP".into(), text)
            });
        }
        let zone = if zoned { "Some(\"+00:00\")" } else { "None" };
        Expr::call(
            "arrow_cast",
            vec![sql::number(instant), sql::text(format!("Timestamp(Millisecond, {zone})"))],
        )
    }

    /// Whether a timestamp has a zone: the column's own, else as the events' time.
    fn is_zoned(&self, expr: Option<&Expr>) -> bool {
        let own = expr.and_then(|expr| self.column_type(expr));
        let events = || self.timestamp_type().cloned();
        matches!(own.or_else(events), Some(DataType::Timestamp(_, Some(_))))
    }

    /// The type of the events' timestamp.
    pub(super) fn timestamp_type(&self) -> Option<&DataType> {
        let name = &self.context.store.store.events.first()?.timestamp;
        Some(self.context.store.events.first()?.field_with_name(name).ok()?.data_type())
    }

    /// The type of a column or of a field below it.
    fn column_type(&self, expr: &Expr) -> Option<DataType> {
        let Node::Column(path) = &expr.node else { return None };
        let (table, fields) = path.split_first()?;
        let (column, fields) = fields.split_first()?;
        let profiles = crate::profile::alias(&self.context.store.store.profiles.table);
        let schema = if table.value == profiles {
            &self.context.store.profiles
        } else {
            self.context.store.events.first()?
        };
        let mut found = schema.field_with_name(&column.value).ok()?.data_type();
        for field in fields {
            let DataType::Struct(inner) = found else { return None };
            found = inner.find(&field.value)?.1.data_type();
        }
        Some(found.clone())
    }

    /// A date as the timestamp of its midnight.
    pub(super) fn to_timestamp(&self, date: Expr) -> Expr {
        millis_of(date)
    }
}

/// A time as milliseconds in UTC: fine units end too early for arithmetic, other zones have days of other lengths.
fn millis_of(time: Expr) -> Expr {
    Expr::call("arrow_cast", vec![time, sql::text("Timestamp(Millisecond, Some(\"+00:00\"))")])
}

fn literal(expr: &Expr) -> bool {
    matches!(expr.node, Node::Literal(_))
}

fn lower_bound(strict: bool) -> Comparison {
    if strict { Comparison::Greater } else { Comparison::GreaterEqual }
}

fn upper_bound(strict: bool) -> Comparison {
    if strict { Comparison::Less } else { Comparison::LessEqual }
}
