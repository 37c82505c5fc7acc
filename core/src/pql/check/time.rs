//! `occurs` and its constraints.

use crate::diagnostic::{Diagnostic, Kind, Span};

use super::super::ast::{self, Comparison};
use super::super::typed::{Constraint, ConstraintBody, Expr, Node, Time};
use super::super::types::{Role, Type};
use super::{Checker, Result_};

impl Checker {
    pub(super) fn occurs(
        &mut self,
        time: &ast::Expr,
        constraint: &ast::Constraint,
        span: Span,
    ) -> Result_<Expr> {
        let time = self.expr(time)?;
        if !time.of.is_time() {
            let message = format!("`occurs` needs a date or timestamp, this is {}", time.of);
            return self.fail(Kind::Type, time.span, message);
        }
        let constraint = Box::new(self.constraint(constraint)?);
        Ok(Expr { node: Node::Occurs { time: Box::new(time), constraint }, of: Type::Boolean, span })
    }

    pub(super) fn constraint(&mut self, constraint: &ast::Constraint) -> Result_<Constraint> {
        let (body, bounded) = match &constraint.body {
            ast::ConstraintBody::Offset { comparison, number, unit, direction, anchor } => {
                let bounded =
                    matches!(comparison, Comparison::Equal | Comparison::Less | Comparison::LessEqual);
                let (comparison, number, unit, direction) = (*comparison, *number, *unit, *direction);
                let anchor = self.time(anchor)?;
                (ConstraintBody::Offset { comparison, number, unit, direction, anchor }, bounded)
            }
            ast::ConstraintBody::Direction { direction, anchor } => {
                (ConstraintBody::Direction(*direction, self.time(anchor)?), false)
            }
            ast::ConstraintBody::Between { from, to } => {
                (ConstraintBody::Between(self.time(from)?, self.time(to)?), true)
            }
            ast::ConstraintBody::On(anchor) => (ConstraintBody::On(self.time(anchor)?), true),
        };
        if constraint.ignore_year && !bounded {
            let message = "`ignoreYear` needs a constraint with two ends";
            let fault = Diagnostic::new(Kind::Type, message).at(constraint.span);
            return self.fail_with(fault.help("write `on …`, `between … and …`, or `<= n days before …`"));
        }
        Ok(Constraint { body, ignore_year: constraint.ignore_year })
    }

    fn time(&mut self, time: &ast::Time) -> Result_<Time> {
        match time {
            ast::Time::Period { which, unit, .. } => Ok(Time::Period(*which, *unit)),
            ast::Time::Offset { number, unit, direction, anchor, .. } => {
                let before = *direction == ast::Direction::Before;
                let anchor = Box::new(self.time(anchor)?);
                Ok(Time::Offset { number: *number, unit: *unit, before, anchor })
            }
            ast::Time::Value(ast::Expr { node: ast::Node::Moment(moment), .. }) => Ok(Time::Moment(*moment)),
            ast::Time::Value(value) => {
                let value = self.expr(value)?;
                if value.of.is_time() {
                    return Ok(Time::Value(Box::new(value)));
                }
                if let Type::Object(object) = &value.of
                    && object.role == Role::Event
                    && let Some(of) = object.field("timestamp").filter(|of| of.is_time()).cloned()
                {
                    let span = value.span;
                    let node = Node::Field { of: Box::new(value), name: "timestamp".into() };
                    return Ok(Time::Value(Box::new(Expr {
                        node,
                        of: Type::Timestamp.common(&of).unwrap_or(of),
                        span,
                    })));
                }
                let fault = Diagnostic::new(Kind::Type, format!("a time is needed, this is {}", value.of))
                    .at(value.span);
                self.fail_with(match value.of {
                    Type::String => fault.help("write `date(2026, 1, 31)`"),
                    _ => fault,
                })
            }
        }
    }
}
