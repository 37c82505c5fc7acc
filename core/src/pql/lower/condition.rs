//! Conditions, for which NULL counts as false.

use crate::segment::{BinaryOp, Expr, Node};

use super::super::ast::Comparison;
use super::super::typed::{self, Each, TextTest};
use super::super::types::Type;
use super::{Lowered, Lowering, Value, each::not_empty, sql};

impl Lowering<'_> {
    /// The condition that an expression is: a boolean, or an array that must have elements.
    pub(super) fn condition(&mut self, expr: &typed::Expr) -> Lowered<Expr> {
        let lowered = self.condition_of(expr)?;
        Ok(lowered.at(expr.span))
    }

    fn condition_of(&mut self, expr: &typed::Expr) -> Lowered<Expr> {
        match &expr.node {
            typed::Node::And(parts) => Ok(sql::and(self.conditions(parts)?)),
            typed::Node::Or(parts) => Ok(sql::or(self.conditions(parts)?)),
            typed::Node::Not(operand) => Ok(sql::not(self.condition(operand)?)),
            typed::Node::Compare { op, left, right } => self.compare(*op, left, right),
            typed::Node::In { value, array, negated } => self.membership(value, array, *negated),
            typed::Node::Like { value, pattern } => {
                let value = Box::new(self.sql(value)?);
                let pattern = Box::new(match &pattern.node {
                    typed::Node::String(text) => sql::text(like_pattern(text)),
                    _ => self.sql(pattern)?,
                });
                let node = Node::Like {
                    expr: value,
                    pattern,
                    escape: None,
                    case_insensitive: false,
                    negated: false,
                };
                Ok(Expr::synthetic(node))
            }
            typed::Node::IsNull { of, negated } => self.is_null(of, *negated),
            typed::Node::TextTest { test, of, value, negated, case_sensitive } => {
                let (of, value) = (self.text(of, *case_sensitive)?, self.text(value, *case_sensitive)?);
                Ok(match (test, negated) {
                    (TextTest::Equals, true) => of.binary(BinaryOp::NotEq, value),
                    (TextTest::Equals, false) => of.binary(BinaryOp::Eq, value),
                    (_, true) => text_test(*test, of, value).negated(),
                    (_, false) => text_test(*test, of, value),
                })
            }
            typed::Node::Equals { of, values, case_sensitive } => {
                let of = self.text(of, *case_sensitive)?;
                let values = values.iter().map(|value| self.text(value, *case_sensitive));
                let mut values = values.collect::<Lowered<Vec<_>>>()?;
                Ok(match values.len() {
                    1 => of.binary(BinaryOp::Eq, values.remove(0)),
                    _ => Expr::synthetic(Node::In { expr: Box::new(of), list: values, negated: false }),
                })
            }
            typed::Node::Matches { of, regex } => {
                Ok(self.sql(of)?.binary(BinaryOp::Match, sql::text(regex.clone())))
            }
            typed::Node::NotEmpty(of) => {
                let of = self.value(of).map(|value| (value, of))?;
                self.some(of.0, of.1)
            }
            typed::Node::Each { function: Each::Exists, of, variable, body } => {
                let source = self.value(of)?;
                self.exists_each(source, of, *variable, body)
            }
            typed::Node::Each { function: Each::Forall, of, variable, body } => {
                let source = self.value(of)?;
                self.forall_each(source, of, *variable, body)
            }
            typed::Node::Set { function, of, other } if expr.of == Type::Boolean => {
                self.set(*function, of, other)
            }
            typed::Node::InSegment(id) => self.in_segment(id, expr.span),
            typed::Node::Exists(bindings) => self.exists(bindings),
            typed::Node::Forall(bindings) => self.forall(bindings),
            typed::Node::Occurs { time, constraint } => self.occurs(time, constraint),
            typed::Node::Chain { source, steps } => self.chain(source, steps),
            typed::Node::If { condition, then, otherwise } => {
                let condition = self.condition(condition)?;
                let (then, otherwise) = (self.condition(then)?, self.condition(otherwise)?);
                Ok(sql::case(condition, then, Some(otherwise)))
            }
            typed::Node::Let { variable, value, body } => {
                let value = self.value(value)?;
                match value {
                    Value::Sql(value) => self.shared(value, |lowering, value| {
                        lowering.bind(*variable, Value::Sql(value));
                        lowering.condition(body)
                    }),
                    other => {
                        self.bind(*variable, other);
                        self.condition(body)
                    }
                }
            }
            _ => match &expr.of {
                Type::Array(_) => {
                    let value = self.value(expr)?;
                    self.some(value, expr)
                }
                Type::Nothing => Ok(sql::boolean(false)),
                _ => self.sql(expr),
            },
        }
    }

    fn conditions(&mut self, parts: &[typed::Expr]) -> Lowered<Vec<Expr>> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    /// Whether an array has elements.
    fn some(&mut self, array: Value, expr: &typed::Expr) -> Lowered<Expr> {
        match array {
            Value::Events(stream) => Ok(self.any(&stream)),
            other => not_empty(self.native(other, expr)?),
        }
    }

    fn is_null(&mut self, of: &typed::Expr, negated: bool) -> Lowered<Expr> {
        Ok(match self.value(of)? {
            Value::Profile | Value::Event | Value::Events(_) => sql::boolean(negated),
            Value::FirstEvent(stream) => {
                let found = self.any(&stream);
                if negated { found } else { sql::not(found) }
            }
            Value::Entries(value) | Value::Sql(value) => sql::is_null(value, negated),
        })
    }

    fn compare(&mut self, op: Comparison, left: &typed::Expr, right: &typed::Expr) -> Lowered<Expr> {
        match (&left.of, &right.of) {
            (Type::Array(_), Type::Array(_)) => {
                let same = self.same_set(left, right)?;
                if op == Comparison::Equal {
                    return Ok(same);
                }
                // The complement among arrays that are known.
                let mut parts = vec![];
                for array in [left, right] {
                    if !matches!(array.node, typed::Node::Array(_)) {
                        parts.push(self.is_null(array, true)?);
                    }
                }
                parts.push(sql::not(same));
                Ok(sql::and(parts))
            }
            (Type::Array(_), _) => self.any_compares(op, left, right, false),
            (_, Type::Array(_)) => self.any_compares(op, right, left, true),
            _ => self.compare_scalars(op, left, right),
        }
    }

    fn membership(&mut self, value: &typed::Expr, array: &typed::Expr, negated: bool) -> Lowered<Expr> {
        let contains = self.contains(value, array)?;
        if !negated {
            return Ok(contains);
        }
        let constants = match &array.node {
            typed::Node::Array(items) => items.iter().all(is_constant),
            _ => false,
        };
        if constants && let Node::In { expr, list, negated: false } = contains.node {
            return Ok(Expr::new(Node::In { expr, list, negated: true }, contains.span));
        }
        let mut parts = vec![self.is_null(value, true)?];
        if !matches!(array.node, typed::Node::Array(_)) {
            parts.push(self.is_null(array, true)?);
        }
        parts.push(sql::not(contains));
        Ok(sql::and(parts))
    }

    /// A string, in lower case unless case counts.
    fn text(&mut self, expr: &typed::Expr, case_sensitive: bool) -> Lowered<Expr> {
        match &expr.node {
            typed::Node::String(value) if !case_sensitive => Ok(sql::text(value.to_lowercase())),
            _ if case_sensitive => self.sql(expr),
            _ => Ok(Expr::call("lower", vec![self.sql(expr)?])),
        }
    }
}

fn is_constant(expr: &typed::Expr) -> bool {
    matches!(
        expr.node,
        typed::Node::String(_)
            | typed::Node::Boolean(_)
            | typed::Node::Integer(_)
            | typed::Node::Double(_)
            | typed::Node::Date(_)
            | typed::Node::Moment(_)
    )
}

fn text_test(test: TextTest, of: Expr, value: Expr) -> Expr {
    let name = match test {
        TextTest::Starts => "starts_with",
        TextTest::Ends => "ends_with",
        TextTest::Contains => "contains",
        TextTest::Equals => return of.binary(BinaryOp::Eq, value),
    };
    Expr::call(name, vec![of, value])
}

/// A pattern in SQL: there every backslash escapes, here only those before `%`, `_` and `\`.
fn like_pattern(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '\\' {
            match chars.next_if(|next| matches!(next, '%' | '_' | '\\')) {
                Some(next) => out.push(next),
                None => out.push('\\'),
            }
        }
    }
    out
}
