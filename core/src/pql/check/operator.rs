//! Operators and literals.

use crate::diagnostic::{Diagnostic, Kind, Span};

use super::super::ast::{self, Comparison, Operator};
use super::super::typed::{Arithmetic, Expr, Node};
use super::super::types::Type;
use super::{Checker, Result_};

impl Checker {
    pub(super) fn array_literal(&mut self, items: &[ast::Expr], span: Span) -> Result_<Expr> {
        let mut element = Type::Nothing;
        let mut checked = Vec::with_capacity(items.len());
        for item in items {
            let item = self.expr(item)?;
            if !item.of.is_scalar() {
                let message = format!("array literals hold scalars, this is {}", item.of);
                return self.fail(Kind::Type, item.span, message);
            }
            let Some(common) = element.common(&item.of) else {
                let message = format!("this is {}, the elements before it are not", item.of);
                return self.fail(Kind::Type, item.span, message);
            };
            element = common;
            checked.push(item);
        }
        Ok(Expr { node: Node::Array(checked), of: element.array(), span })
    }

    pub(super) fn negate(&mut self, operand: &ast::Expr, span: Span) -> Result_<Expr> {
        let operand = self.expr(operand)?;
        if !operand.of.is_number() {
            let message = format!("only a number can be negated, this is {}", operand.of);
            return self.fail(Kind::Type, operand.span, message);
        }
        let of = operand.of.clone();
        Ok(Expr { node: Node::Negate(Box::new(operand)), of, span })
    }

    pub(super) fn binary(
        &mut self,
        op: Operator,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Result_<Expr> {
        let left = self.expr(left)?;
        let right = self.expr(right)?;
        match op {
            Operator::Compare(op) => self.compare(op, left, right, span),
            Operator::In => self.membership(left, right, false, span),
            Operator::NotIn => self.membership(left, right, true, span),
            Operator::Like => {
                self.expect(&left, &Type::String, "`like` compares strings")?;
                self.expect(&right, &Type::String, "`like` needs a pattern that is a string")?;
                let node = Node::Like { value: Box::new(left), pattern: Box::new(right) };
                Ok(Expr { node, of: Type::Boolean, span })
            }
            Operator::Add => self.arithmetic(Arithmetic::Add, op, left, right, span),
            Operator::Subtract => self.arithmetic(Arithmetic::Subtract, op, left, right, span),
            Operator::Multiply => self.arithmetic(Arithmetic::Multiply, op, left, right, span),
            Operator::Divide => self.arithmetic(Arithmetic::Divide, op, left, right, span),
            Operator::Modulo => self.arithmetic(Arithmetic::Modulo, op, left, right, span),
        }
    }

    /// Fails unless an expression is of a type, or known to be null.
    pub(super) fn expect(&mut self, expr: &Expr, of: &Type, message: &str) -> Result_<()> {
        if expr.of == *of || expr.of == Type::Nothing {
            return Ok(());
        }
        self.fail(Kind::Type, expr.span, format!("{message}, this is {}", expr.of))
    }

    fn compare(&mut self, op: Comparison, left: Expr, right: Expr, span: Span) -> Result_<Expr> {
        let equality = matches!(op, Comparison::Equal | Comparison::NotEqual);
        let (a, b, sets) = match (&left.of, &right.of) {
            (Type::Array(a), Type::Array(b)) => (&**a, &**b, true),
            (Type::Array(a), b) => (&**a, b, false),
            (a, Type::Array(b)) => (a, &**b, false),
            (a, b) => (a, b, false),
        };
        if !a.comparable(b) {
            let message = format!("{} cannot be compared with {}", left.of, right.of);
            return self.fail(Kind::Type, span, message);
        }
        if sets && !equality {
            return self.fail(Kind::Type, span, "arrays are compared as sets, with `=` or `!=` alone");
        }
        if !equality && (*a == Type::Boolean || *b == Type::Boolean) {
            return self.fail(Kind::Type, span, "booleans have no order");
        }
        let node = Node::Compare { op, left: Box::new(left), right: Box::new(right) };
        Ok(Expr { node, of: Type::Boolean, span })
    }

    fn membership(&mut self, value: Expr, array: Expr, negated: bool, span: Span) -> Result_<Expr> {
        let word = if negated { "notIn" } else { "in" };
        if !value.of.is_scalar() {
            let message = format!("`{word}` looks for a scalar, this is {}", value.of);
            let fault = Diagnostic::new(Kind::Type, message).at(value.span);
            return self.fail_with(fault.help("two arrays: write `a.intersects(b)` or `a.subsetOf(b)`"));
        }
        let Type::Array(item) = &array.of else {
            let message = format!("`{word}` needs an array, this is {}", array.of);
            return self.fail(Kind::Type, array.span, message);
        };
        if !value.of.comparable(item) {
            let message = format!("{} cannot be among the elements of {}", value.of, array.of);
            return self.fail(Kind::Type, span, message);
        }
        let node = Node::In { value: Box::new(value), array: Box::new(array), negated };
        Ok(Expr { node, of: Type::Boolean, span })
    }

    fn arithmetic(
        &mut self,
        op: Arithmetic,
        sign: Operator,
        left: Expr,
        right: Expr,
        span: Span,
    ) -> Result_<Expr> {
        for operand in [&left, &right] {
            if !operand.of.is_number() {
                let message = format!("`{}` needs numbers, this is {}", sign.as_str(), operand.of);
                let fault = Diagnostic::new(Kind::Type, message).at(operand.span);
                let text = operand.of == Type::String && op == Arithmetic::Add;
                return self.fail_with(if text { fault.help("PQL does not join strings") } else { fault });
            }
        }
        let of = match (op, left.of.common(&right.of)) {
            (Arithmetic::Divide, _) | (_, None) => Type::Double,
            (_, Some(of)) => of,
        };
        Ok(Expr { node: Node::Arithmetic { op, left: Box::new(left), right: Box::new(right) }, of, span })
    }
}
