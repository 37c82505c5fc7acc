//! Pieces of SQL expressions.

use crate::segment::{BinaryOp, Call, Expr, Node, Test, UnaryOp, Value, children};

use super::super::ast::Comparison;

pub(super) fn number(value: impl std::fmt::Display) -> Expr {
    Expr::literal(Value::Number(value.to_string()))
}

pub(super) fn double(value: f64) -> Expr {
    let text = value.to_string();
    number(if text.contains('.') { text } else { format!("{text}.0") })
}

pub(super) fn text(value: impl Into<String>) -> Expr {
    Expr::literal(Value::String(value.into()))
}

pub(super) fn boolean(value: bool) -> Expr {
    Expr::literal(Value::Boolean(value))
}

pub(super) fn and(parts: Vec<Expr>) -> Expr {
    Expr::chain(BinaryOp::And, parts).unwrap_or_else(|| boolean(true))
}

pub(super) fn or(parts: Vec<Expr>) -> Expr {
    Expr::chain(BinaryOp::Or, parts).unwrap_or_else(|| boolean(false))
}

pub(super) fn is_null(expr: Expr, negated: bool) -> Expr {
    let span = expr.span;
    Expr::new(Node::Is { expr: Box::new(expr), test: Test::Null, negated }, span)
}

/// The complement of a condition for which NULL counts as false.
///
/// `IS TRUE` would read better than `coalesce`, but where DataFusion shares such an expression between aggregates, its
/// logical and physical plans disagree whether it can be NULL, and planning fails.
pub(super) fn not(condition: Expr) -> Expr {
    let span = condition.span;
    match condition.node {
        Node::Unary { op: UnaryOp::Not, expr } if never_null(&expr) => *expr,
        Node::Is { expr, test, negated } => Expr::new(Node::Is { expr, test, negated: !negated }, span),
        Node::Literal(Value::Boolean(value)) => boolean(!value).at(span),
        _ => two_valued(condition).negated(),
    }
}

/// The condition as a value: false where it is NULL.
pub(super) fn two_valued(condition: Expr) -> Expr {
    if never_null(&condition) {
        return condition;
    }
    let span = condition.span;
    coalesce(condition, boolean(false)).at(span)
}

/// Whether the form of an expression alone tells that it is never NULL.
pub(super) fn never_null(expr: &Expr) -> bool {
    match &expr.node {
        Node::Literal(value) => *value != Value::Null,
        Node::Is { .. } | Node::List(_) | Node::Struct(_) => true,
        Node::Unary { expr, .. } | Node::Cast { expr, .. } => never_null(expr),
        Node::Binary { op, left, right } => {
            !matches!(op, BinaryOp::Divide | BinaryOp::Modulo) && never_null(left) && never_null(right)
        }
        Node::Call(call) => match call.name.as_str() {
            "count" => true,
            "coalesce" => call.args.last().is_some_and(never_null),
            _ => false,
        },
        Node::Column(_)
        | Node::In { .. }
        | Node::Between { .. }
        | Node::Like { .. }
        | Node::Case { .. }
        | Node::AtTimeZone { .. }
        | Node::Lambda { .. }
        | Node::Field { .. }
        | Node::Index { .. }
        | Node::Form { .. }
        | Node::Attribute { .. }
        | Node::Feature(_) => false,
    }
}

pub(super) fn comparison(op: Comparison) -> BinaryOp {
    match op {
        Comparison::Equal => BinaryOp::Eq,
        Comparison::NotEqual => BinaryOp::NotEq,
        Comparison::Less => BinaryOp::Lt,
        Comparison::LessEqual => BinaryOp::LtEq,
        Comparison::Greater => BinaryOp::Gt,
        Comparison::GreaterEqual => BinaryOp::GtEq,
    }
}

pub(super) fn cast(expr: Expr, to: &str) -> Expr {
    let span = expr.span;
    Expr::new(Node::Cast { expr: Box::new(expr), to: to.to_owned(), lenient: false }, span)
}

/// A value that is `otherwise` where it is NULL.
pub(super) fn coalesce(expr: Expr, otherwise: Expr) -> Expr {
    Expr::call("coalesce", vec![expr, otherwise])
}

/// The field of a struct, or the value of a constant key of a map.
pub(super) fn field(of: Expr, name: &str) -> Expr {
    let span = of.span;
    match of.node {
        // A column of a table is written as a path.
        Node::Column(mut path) if path.len() > 1 => {
            path.push(crate::segment::Name::new(name));
            Expr::new(Node::Column(path), span)
        }
        node => Expr::new(Node::Field { of: Box::new(Expr::new(node, span)), name: name.to_owned() }, span),
    }
}

/// The value of a constant key of a map, even of one that is a column.
pub(super) fn entry(of: Expr, key: &str) -> Expr {
    let span = of.span;
    Expr::new(Node::Field { of: Box::new(of), name: key.to_owned() }, span)
}

pub(super) fn first(list: Expr) -> Expr {
    Expr::synthetic(Node::Index { of: Box::new(list), index: Box::new(number(1)) })
}

pub(super) fn list(items: Vec<Expr>) -> Expr {
    Expr::synthetic(Node::List(items))
}

pub(super) fn record(fields: Vec<(&str, Expr)>) -> Expr {
    Expr::synthetic(Node::Struct(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

pub(super) fn lambda(param: &str, body: Expr) -> Expr {
    Expr::synthetic(Node::Lambda { params: vec![param.to_owned()], body: Box::new(body) })
}

pub(super) fn case(condition: Expr, then: Expr, otherwise: Option<Expr>) -> Expr {
    Expr::synthetic(Node::Case {
        operand: None,
        branches: vec![(condition, then)],
        otherwise: otherwise.map(Box::new),
    })
}

/// An aggregate with a filter, if there are conditions.
pub(super) fn aggregate(name: &str, args: Vec<Expr>, conditions: &[Expr]) -> Call {
    let filter = (!conditions.is_empty()).then(|| Box::new(and(conditions.to_vec())));
    Call { name: name.to_owned(), star: args.is_empty(), args, filter, ..Call::default() }
}

pub(super) fn called(call: Call) -> Expr {
    Expr::synthetic(Node::Call(Box::new(call)))
}

/// The number of elements; 0 for NULL.
pub(super) fn length(list: Expr) -> Expr {
    cast(coalesce(Expr::call("array_length", vec![list]), number(0)), "BIGINT")
}

/// The number of parts of an expression, or more than `limit`.
pub(super) fn size(expr: &Expr, limit: usize) -> usize {
    let mut total = 1;
    for child in children(expr) {
        if total > limit {
            break;
        }
        total += size(child, limit - total.min(limit));
    }
    total
}

/// Whether an expression may be written several times.
pub(super) fn is_small(expr: &Expr) -> bool {
    const SMALL: usize = 24;
    size(expr, SMALL) <= SMALL
}

/// The aggregates that lowering writes.
const AGGREGATES: &[&str] =
    &["count", "sum", "avg", "min", "max", "array_agg", "first_value", "sequence_steps", "sequence_linked"];

/// Whether an expression means the same inside an aggregate: it has no aggregate of its own, and no parameter of a
/// lambda around it.
pub(super) fn portable(expr: &Expr) -> bool {
    fn visit<'a>(expr: &'a Expr, bound: &mut Vec<&'a str>) -> bool {
        match &expr.node {
            Node::Column(path) => match &path[..] {
                [name] => bound.contains(&name.value.as_str()),
                _ => true,
            },
            Node::Form { .. } | Node::Feature(_) => false,
            Node::Call(call) if AGGREGATES.contains(&call.name.as_str()) => false,
            Node::Lambda { params, body } => {
                let depth = bound.len();
                bound.extend(params.iter().map(String::as_str));
                let portable = visit(body, bound);
                bound.truncate(depth);
                portable
            }
            _ => children(expr).into_iter().all(|child| visit(child, bound)),
        }
    }
    visit(expr, &mut vec![])
}
