//! Walking expressions.

use super::{Expr, Node, Value};

/// The direct parts of an expression, in the order of the text.
pub fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.node {
        Node::Literal(_) | Node::Column(_) | Node::Attribute { .. } | Node::Feature(_) => vec![],
        Node::Unary { expr, .. }
        | Node::Is { expr, .. }
        | Node::Cast { expr, .. }
        | Node::AtTimeZone { expr, .. } => vec![expr],
        Node::Lambda { body, .. } => vec![body],
        Node::Field { of, .. } => vec![of],
        Node::Binary { left, right, .. } => vec![left, right],
        Node::Index { of, index } => vec![of, index],
        Node::In { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
        Node::Between { expr, low, high, .. } => vec![expr, low, high],
        Node::Like { expr, pattern, .. } => vec![expr, pattern],
        Node::Case { operand, branches, otherwise } => operand
            .as_deref()
            .into_iter()
            .chain(branches.iter().flat_map(|(when, then)| [when, then]))
            .chain(otherwise.as_deref())
            .collect(),
        Node::List(items) | Node::Form { args: items, .. } => items.iter().collect(),
        Node::Struct(fields) => fields.iter().map(|(_, value)| value).collect(),
        Node::Call(call) => {
            let over = call.over.as_deref();
            call.args
                .iter()
                .chain(call.order_by.iter().chain(&call.within_group).map(|order| &order.expr))
                .chain(call.filter.as_deref())
                .chain(over.into_iter().flat_map(|over| &over.partition_by))
                .chain(over.into_iter().flat_map(|over| &over.order_by).map(|order| &order.expr))
                .collect()
        }
    }
}

/// The direct parts of an expression, to change them.
pub fn children_mut(expr: &mut Expr) -> Vec<&mut Expr> {
    match &mut expr.node {
        Node::Literal(_) | Node::Column(_) | Node::Attribute { .. } | Node::Feature(_) => vec![],
        Node::Unary { expr, .. }
        | Node::Is { expr, .. }
        | Node::Cast { expr, .. }
        | Node::AtTimeZone { expr, .. } => vec![expr],
        Node::Lambda { body, .. } => vec![body],
        Node::Field { of, .. } => vec![of],
        Node::Binary { left, right, .. } => vec![left, right],
        Node::Index { of, index } => vec![of, index],
        Node::In { expr, list, .. } => std::iter::once(&mut **expr).chain(list).collect(),
        Node::Between { expr, low, high, .. } => vec![expr, low, high],
        Node::Like { expr, pattern, .. } => vec![expr, pattern],
        Node::Case { operand, branches, otherwise } => operand
            .as_deref_mut()
            .into_iter()
            .chain(branches.iter_mut().flat_map(|(when, then)| [when, then]))
            .chain(otherwise.as_deref_mut())
            .collect(),
        Node::List(items) | Node::Form { args: items, .. } => items.iter_mut().collect(),
        Node::Struct(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
        Node::Call(call) => {
            let call = &mut **call;
            let (partition, order) = match call.over.as_deref_mut() {
                Some(over) => (over.partition_by.iter_mut(), over.order_by.iter_mut()),
                None => Default::default(),
            };
            call.args
                .iter_mut()
                .chain(call.order_by.iter_mut().chain(&mut call.within_group).map(|order| &mut order.expr))
                .chain(call.filter.as_deref_mut())
                .chain(partition)
                .chain(order.map(|order| &mut order.expr))
                .collect()
        }
    }
}

/// Calls `f` on the expression and all below it, parents first; `f` says whether to go below.
pub fn walk<'a>(expr: &'a Expr, f: &mut impl FnMut(&'a Expr) -> bool) {
    if f(expr) {
        for child in children(expr) {
            walk(child, f);
        }
    }
}

/// Calls `f` on the expression and all below it, children first.
pub fn walk_mut(expr: &mut Expr, f: &mut impl FnMut(&mut Expr)) {
    for child in children_mut(expr) {
        walk_mut(child, f);
    }
    f(expr);
}

/// The expression with every direct part replaced by what `f` makes of it.
pub fn map_children<E>(mut expr: Expr, f: &mut impl FnMut(Expr) -> Result<Expr, E>) -> Result<Expr, E> {
    for child in children_mut(&mut expr) {
        let part = std::mem::replace(child, Expr::literal(Value::Null));
        *child = f(part)?;
    }
    Ok(expr)
}
