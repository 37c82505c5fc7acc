//! The conditions that `top_n` and `top_percent` are about: the order of all profiles by a value.

use crate::segment::{BinaryOp, Call, Expr, Node, Order, Over, Relation, Value};

use super::Program;

/// Whether a profile is among the first so many by `x`, greatest first, those without an `x` last; of equals those with
/// the lesser key come first.
pub(super) fn first(x: Expr, program: &Program, limit: Expr) -> Expr {
    position(x, program).binary(BinaryOp::LtEq, limit)
}

/// Whether it is among the first so many percent of those that have an `x`.
pub(super) fn first_percent(x: Expr, program: &Program, percent: Expr) -> Expr {
    let all = window("count", vec![x.clone()], Over::default());
    let before = position(x, program).binary(BinaryOp::Minus, number("1"));
    let before = before.binary(BinaryOp::Multiply, number("100"));
    before.binary(BinaryOp::Lt, percent.binary(BinaryOp::Multiply, all))
}

/// What profiles are ordered by and the limit, if the condition is one of these; and whether the limit is a percentage.
pub fn ranked<'e>(expr: &'e Expr, program: &Program) -> Option<(&'e Expr, &'e Expr, bool)> {
    let Node::Binary { op, left, right } = &expr.node else { return None };
    let (position, limit, is_percentage) = match (op, &left.node, &right.node) {
        (BinaryOp::LtEq, ..) => (left, right, false),
        (
            BinaryOp::Lt,
            Node::Binary { op: BinaryOp::Multiply, left: before, .. },
            Node::Binary { op: BinaryOp::Multiply, left: percent, .. },
        ) => match &before.node {
            Node::Binary { op: BinaryOp::Minus, left, .. } => (left, percent, true),
            _ => return None,
        },
        _ => return None,
    };
    let Node::Call(call) = &position.node else { return None };
    let x = &call.over.as_ref()?.order_by.first()?.expr;
    let written = match is_percentage {
        true => first_percent(x.clone(), program, limit.as_ref().clone()),
        false => first(x.clone(), program, limit.as_ref().clone()),
    };
    (written == *expr).then_some((x, limit, is_percentage))
}

/// The position of a profile, from 1.
fn position(x: Expr, program: &Program) -> Expr {
    let key = Expr::synthetic(Node::Attribute {
        relation: Relation::Profiles,
        path: vec![program.store.store.profiles.key.clone()],
    });
    let order = |expr, descending: bool| Order { expr, descending, nulls_first: descending.then_some(false) };
    let over = Over { order_by: vec![order(x, true), order(key, false)], ..Over::default() };
    window("row_number", vec![], over)
}

fn number(text: &str) -> Expr {
    Expr::literal(Value::Number(text.into()))
}

fn window(name: &str, args: Vec<Expr>, over: Over) -> Expr {
    let call = Call { name: name.into(), args, over: Some(Box::new(over)), ..Call::default() };
    Expr::synthetic(Node::Call(Box::new(call)))
}
