//! A rule as coterie understood it: one node a line, its parts below it.

use crate::segment::{Call, Expr, Node, Relation, Test, UnaryOp, Value, children};

/// The tree of an expression, without a line break at the end.
pub(super) fn render(expr: &Expr) -> String {
    let mut lines = vec![];
    write(expr, 0, &mut lines);
    lines.join("\n")
}

fn write(expr: &Expr, depth: usize, lines: &mut Vec<String>) {
    lines.push(format!("{}{}", "  ".repeat(depth), head(&expr.node)));
    for child in children(expr) {
        write(child, depth + 1, lines);
    }
}

fn head(node: &Node) -> String {
    let not = |negated: &bool| if *negated { "not " } else { "" };
    match node {
        Node::Literal(value) => literal(value),
        Node::Column(path) => {
            let path: Vec<&str> = path.iter().map(|name| name.value.as_str()).collect();
            format!("column {}", path.join("."))
        }
        Node::Unary { op: UnaryOp::Not, .. } => "not".to_owned(),
        Node::Unary { op: UnaryOp::Minus, .. } => "-".to_owned(),
        Node::Binary { op, .. } => op.as_str().to_lowercase(),
        Node::Is { test, negated, .. } => {
            let test = match test {
                Test::Null => "null",
                Test::True => "true",
                Test::False => "false",
                Test::Unknown => "unknown",
            };
            format!("is {}{test}", not(negated))
        }
        Node::In { negated, .. } => format!("{}in", not(negated)),
        Node::Between { negated, .. } => format!("{}between", not(negated)),
        Node::Like { case_insensitive, negated, .. } => {
            format!("{}{}", not(negated), if *case_insensitive { "ilike" } else { "like" })
        }
        Node::Case { .. } => "case".to_owned(),
        Node::Cast { to, lenient, .. } => format!("{} {to}", if *lenient { "try_cast" } else { "cast" }),
        Node::AtTimeZone { zone, .. } => format!("at time zone '{zone}'"),
        Node::Call(call) => call_head(call),
        Node::Lambda { params, .. } => format!("({}) ->", params.join(", ")),
        Node::List(_) => "list".to_owned(),
        Node::Struct(fields) => {
            let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
            format!("struct {}", names.join(", "))
        }
        Node::Field { name, .. } => format!("field {name}"),
        Node::Index { .. } => "index".to_owned(),
        Node::Form { form, .. } => form.name().to_owned(),
        Node::Attribute { relation, path } => {
            let relation = match relation {
                Relation::Profiles => "profiles".to_owned(),
                Relation::Events(at) => format!("events {at}"),
                Relation::Lookup(at) => format!("lookup {at}"),
                Relation::Group(at) => format!("group {at}"),
            };
            format!("attribute {} of {relation}", path.join("."))
        }
        Node::Feature(at) => format!("feature {at}"),
    }
}

fn call_head(call: &Call) -> String {
    let mut head = format!("{}()", call.name);
    let clauses = [
        (call.star, "*"),
        (call.distinct, "distinct"),
        (!call.order_by.is_empty(), "order by"),
        (!call.within_group.is_empty(), "within group"),
        (call.filter.is_some(), "filter"),
        (call.over.is_some(), "over"),
    ];
    for (_, clause) in clauses.iter().filter(|(said, _)| *said) {
        head.push(' ');
        head.push_str(clause);
    }
    head
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Number(text) => text.clone(),
        Value::String(text) => format!("'{text}'"),
        Value::Typed(kind, text) => format!("{} '{text}'", kind.to_lowercase()),
        Value::Interval(text) => format!("interval '{text}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_line() {
        let rule = "did(event_type = 'search', INTERVAL '30 days') AND NOT sum(a.price) FILTER (WHERE b IS NOT NULL) > 5";
        insta::assert_snapshot!(render(&crate::statement::parse_rule(rule).unwrap()), @r"
        and
          did
            =
              column event_type
              'search'
            interval '30 days'
          not
            >
              sum() filter
                column a.price
                is not null
                  column b
              5
        ");
    }
}
