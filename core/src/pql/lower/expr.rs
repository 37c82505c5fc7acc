//! Values.

use arrow::datatypes::DataType;

use crate::segment::{BinaryOp, Expr, Node, UnaryOp};

use super::super::ast::Moment;
use super::super::typed::{self, Arithmetic, DatePart};
use super::super::types::{EVENTS, Type};
use super::{Element, Lowered, Lowering, Stop, Stream, Value, calendar, sql, unsupported};

impl Lowering<'_> {
    /// The value of an expression, in the form that is best for what comes next.
    pub(super) fn value(&mut self, expr: &typed::Expr) -> Lowered<Value> {
        let span = expr.span;
        let value = match &expr.node {
            typed::Node::String(value) => Value::Sql(sql::text(value.clone())),
            typed::Node::Boolean(value) => Value::Sql(sql::boolean(*value)),
            typed::Node::Integer(value) => Value::Sql(sql::number(value)),
            typed::Node::Double(value) => Value::Sql(sql::double(*value)),
            typed::Node::Date(date) => Value::Sql(calendar::date_literal(*date)),
            typed::Node::Moment(moment) => Value::Sql(self.timestamp(self.moment(*moment), None)),
            typed::Node::Current(part) => {
                Value::Sql(sql::number(calendar::part(self.moment(Moment::Now), *part)))
            }
            typed::Node::Array(items) => Value::Sql(self.array(items, &expr.of)?),
            typed::Node::Profile => Value::Profile,
            typed::Node::Variable(variable) => self.variable(*variable, span)?,
            typed::Node::Field { of, name } => self.field(of, name)?,
            typed::Node::Projection { of, name, flatten } => {
                let of = self.value(of)?;
                self.projection(of, name, *flatten)?
            }
            typed::Node::Negate(operand) => {
                let operand = self.number(operand)?;
                Value::Sql(Expr::new(Node::Unary { op: UnaryOp::Minus, expr: Box::new(operand) }, span))
            }
            typed::Node::Arithmetic { op, left, right } => Value::Sql(self.arithmetic(*op, left, right)?),
            typed::Node::RegexGroup { of, regex, group } => {
                let args = vec![self.sql(of)?, sql::text(regex.clone()), sql::number(group)];
                Value::Sql(Expr::call("regexp_group", args))
            }
            typed::Node::DatePart { part, of } => {
                let of = self.sql(of)?;
                Value::Sql(date_part(*part, of))
            }
            typed::Node::Each { function, of, variable, body } => {
                self.each(*function, of, *variable, body)?
            }
            typed::Node::Fold { fold, of } => {
                let integer = expr.of == Type::Integer;
                let of = self.value(of)?;
                Value::Sql(self.fold(*fold, of, integer)?)
            }
            typed::Node::Count(of) => Value::Sql(self.count(of)?),
            typed::Node::Distinct(of) => Value::Sql(distinct(self.sql(of)?)),
            typed::Node::Head(of) => match self.value(of)? {
                Value::Events(stream) => self.head(stream),
                other => Value::Sql(sql::first(self.native(other, of)?)),
            },
            typed::Node::Set { function: typed::Set::Intersection, of, other } => {
                Value::Sql(self.intersection(of, other)?)
            }
            typed::Node::Get { of, key } => self.get(of, key)?,
            typed::Node::Keys(of) => self.keys(of)?,
            typed::Node::Values(of) => self.map_values(of)?,
            typed::Node::MapEntries { of, key, value, body } => self.map_entries(of, *key, *value, body)?,
            typed::Node::Entry { key, value } => {
                Value::Sql(sql::record(vec![("key", self.sql(key)?), ("value", self.sql(value)?)]))
            }
            typed::Node::If { condition, then, otherwise } => {
                self.if_else(condition, then, otherwise, &expr.of)?
            }
            typed::Node::Select(bindings) => self.select(bindings)?,
            typed::Node::Over { aggregate, value, bindings } => {
                Value::Sql(self.over(*aggregate, value, bindings, expr.of == Type::Integer)?)
            }
            typed::Node::Let { variable, value, body } => self.let_in(*variable, value, body)?,
            typed::Node::And(_)
            | typed::Node::Or(_)
            | typed::Node::Not(_)
            | typed::Node::Compare { .. }
            | typed::Node::In { .. }
            | typed::Node::Like { .. }
            | typed::Node::IsNull { .. }
            | typed::Node::TextTest { .. }
            | typed::Node::Equals { .. }
            | typed::Node::Matches { .. }
            | typed::Node::NotEmpty(_)
            | typed::Node::Set { .. }
            | typed::Node::InSegment(_)
            | typed::Node::Exists(_)
            | typed::Node::Forall(_)
            | typed::Node::Occurs { .. }
            | typed::Node::Chain { .. } => Value::Sql(sql::two_valued(self.condition(expr)?)),
        };
        Ok(match value {
            Value::Sql(sql) => Value::Sql(sql.at(span)),
            other => other,
        })
    }

    /// The value as SQL of its own type.
    pub(super) fn sql(&mut self, expr: &typed::Expr) -> Lowered<Expr> {
        let value = self.value(expr)?;
        self.native(value, expr)
    }

    /// A value as SQL of its own type.
    pub(super) fn native(&mut self, value: Value, expr: &typed::Expr) -> Lowered<Expr> {
        match value {
            Value::Sql(sql) => Ok(sql),
            Value::Events(stream) => self.events_list(&stream, true),
            Value::FirstEvent(stream) => Ok(sql::first(self.events_list(&stream, false)?)),
            Value::Event => Ok(self.event_struct()),
            Value::Entries(_) | Value::Profile => Err(unsupported(expr.span, "this value cannot stand here")),
        }
    }

    /// A number as 64 bits, for arithmetic.
    pub(super) fn number(&mut self, expr: &typed::Expr) -> Lowered<Expr> {
        let number = self.sql(expr)?;
        Ok(self.wide(number, &expr.of))
    }

    /// Narrow integers would overflow, decimals divide in their own way.
    pub(super) fn wide(&self, number: Expr, of: &Type) -> Expr {
        let stored = !matches!(number.node, Node::Literal(_) | Node::Cast { .. });
        match of {
            Type::Integer if self.odd_numbers && stored => sql::cast(number, "BIGINT"),
            Type::Double if self.odd_numbers && stored => sql::cast(number, "DOUBLE"),
            _ => number,
        }
    }

    fn array(&mut self, items: &[typed::Expr], of: &Type) -> Lowered<Expr> {
        let Type::Array(item) = of else { return Err(Stop::Blocked) };
        let items = items.iter().map(|value| self.as_type(value, item)).collect::<Lowered<Vec<_>>>()?;
        Ok(sql::list(items))
    }

    /// A value converted to the wider type that it stands for.
    pub(super) fn as_type(&mut self, expr: &typed::Expr, wanted: &Type) -> Lowered<Expr> {
        let value = self.sql(expr)?;
        Ok(match (&expr.node, &expr.of, wanted) {
            #[expect(clippy::cast_precision_loss, reason = "an integer among doubles is the nearest double")]
            (typed::Node::Integer(number), _, Type::Double) => sql::double(*number as f64),
            (_, Type::Integer, Type::Double) => sql::cast(value, "DOUBLE"),
            (_, Type::Date, Type::Timestamp) => self.to_timestamp(value),
            (_, of, _) => self.wide(value, of),
        })
    }

    fn field(&mut self, of: &typed::Expr, name: &str) -> Lowered<Value> {
        match self.value(of)? {
            Value::Profile if name == EVENTS && !self.context.store.events.is_empty() => {
                if self.in_event {
                    return Err(Stop::Blocked);
                }
                Ok(Value::Events(Stream { conditions: vec![], element: Element::Event }))
            }
            Value::Profile => Ok(Value::Sql(self.profile_column(name))),
            Value::Event => Ok(Value::Sql(self.event_column(name))),
            Value::FirstEvent(stream) => Ok(Value::Sql(self.first_value(&stream, self.event_column(name)))),
            other => Ok(Value::Sql(sql::field(self.native(other, of)?, name))),
        }
    }

    fn arithmetic(&mut self, op: Arithmetic, left: &typed::Expr, right: &typed::Expr) -> Lowered<Expr> {
        let (a, b) = match op {
            Arithmetic::Divide => (self.as_type(left, &Type::Double)?, self.as_type(right, &Type::Double)?),
            _ => (self.number(left)?, self.number(right)?),
        };
        // Nothing fails at run time: a divisor of zero gives NULL.
        let nonzero = |b: Expr| match &b.node {
            Node::Literal(crate::segment::Value::Number(text))
                if text.parse().is_ok_and(|value: f64| value != 0.0) =>
            {
                b
            }
            _ => Expr::call("nullif", vec![b, sql::number(0)]),
        };
        Ok(match op {
            Arithmetic::Add => a.binary(BinaryOp::Plus, b),
            Arithmetic::Subtract => a.binary(BinaryOp::Minus, b),
            Arithmetic::Multiply => a.binary(BinaryOp::Multiply, b),
            Arithmetic::Divide => a.binary(BinaryOp::Divide, nonzero(b)),
            Arithmetic::Modulo => a.binary(BinaryOp::Modulo, nonzero(b)),
        })
    }

    fn if_else(
        &mut self,
        condition: &typed::Expr,
        then: &typed::Expr,
        otherwise: &typed::Expr,
        of: &Type,
    ) -> Lowered<Value> {
        let condition = self.condition(condition)?;
        if matches!(of, Type::Map(..)) {
            let (a, b) = (self.value(then)?, self.value(otherwise)?);
            if let (Value::Sql(a), Value::Sql(b)) = (&a, &b) {
                return Ok(Value::Sql(sql::case(condition, a.clone(), Some(b.clone()))));
            }
            let (a, b) = (self.entries(a, then)?, self.entries(b, otherwise)?);
            return Ok(Value::Entries(sql::case(condition, a, Some(b))));
        }
        let then = self.as_type(then, of)?;
        let otherwise = self.as_type(otherwise, of)?;
        Ok(Value::Sql(sql::case(condition, then, Some(otherwise))))
    }

    pub(super) fn let_in(
        &mut self,
        variable: typed::Variable,
        value: &typed::Expr,
        body: &typed::Expr,
    ) -> Lowered<Value> {
        let value = self.value(value)?;
        match value {
            Value::Sql(expr) if !sql::is_small(&expr) => {
                let shared = self.shared(expr, |lowering, expr| {
                    lowering.bind(variable, Value::Sql(expr));
                    lowering.sql(body)
                })?;
                Ok(Value::Sql(shared))
            }
            small => {
                self.bind(variable, small);
                self.value(body)
            }
        }
    }
}

pub(super) fn date_part(part: DatePart, of: Expr) -> Expr {
    let name = match part {
        DatePart::Year => "year",
        DatePart::Month => "month",
        DatePart::Day => "day",
    };
    sql::cast(Expr::call("date_part", vec![sql::text(name), of]), "BIGINT")
}

/// The elements that are not NULL, each once, in the order in which they are first met.
pub(super) fn distinct(list: Expr) -> Expr {
    Expr::call("array_distinct", vec![Expr::call("array_compact", vec![list])])
}

/// Whether a type holds numbers that are not of 64 bits.
pub(super) fn has_odd_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Int64 | DataType::Float64 => false,
        DataType::Struct(fields) => fields.iter().any(|field| has_odd_number(field.data_type())),
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
            has_odd_number(item.data_type())
        }
        DataType::Dictionary(_, values) => has_odd_number(values),
        other => other.is_numeric(),
    }
}
