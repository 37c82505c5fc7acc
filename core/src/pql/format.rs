//! Surface tree → canonical PQL: one line, keywords in lower case, the fewest parentheses that keep the meaning.
//! Parsing what is written here gives the same tree.

use super::ast::{
    Aggregate, Argument, Binding, Constraint, ConstraintBody, Expr, Name, Node, Operator, Quantifier, Query,
    Step, Time, is_reserved,
};

/// How tightly a form binds; greater binds tighter.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    /// Forms that swallow all to their right.
    Greedy,
    Or,
    And,
    Not,
    Comparison,
    Additive,
    Multiplicative,
    Unary,
    Postfix,
}

/// The query in canonical form.
pub fn format(query: &Query) -> String {
    let mut out = String::new();
    if let Some(params) = &query.params {
        lambda_params(params, &mut out);
    }
    expr(&query.body, Level::Greedy, &mut out);
    out
}

fn level(node: &Node) -> Level {
    match node {
        Node::Quantifier { .. } | Node::Over { .. } | Node::Let { .. } => Level::Greedy,
        Node::Or(_) => Level::Or,
        Node::And(_) => Level::And,
        Node::Not(_) => Level::Not,
        Node::Occurs { .. } => Level::Comparison,
        Node::Binary { op, .. } => match op {
            Operator::Compare(_) | Operator::In | Operator::NotIn | Operator::Like => Level::Comparison,
            Operator::Add | Operator::Subtract => Level::Additive,
            Operator::Multiply | Operator::Divide | Operator::Modulo => Level::Multiplicative,
        },
        Node::Negate(_) => Level::Unary,
        Node::String(_)
        | Node::Boolean(_)
        | Node::Integer(_)
        | Node::Double(_)
        | Node::Moment(_)
        | Node::Array(_)
        | Node::Parameter(_)
        | Node::Up(_)
        | Node::Name(_)
        | Node::Variable(_)
        | Node::Field { .. }
        | Node::Method { .. }
        | Node::Call { .. }
        | Node::Filter { .. }
        | Node::Chain { .. }
        | Node::Invalid => Level::Postfix,
    }
}

/// Writes `expr` where a form that binds at least as tightly as `least` is needed.
fn expr(expr: &Expr, least: Level, out: &mut String) {
    if level(&expr.node) < least {
        out.push('(');
        bare(&expr.node, out);
        out.push(')');
    } else {
        bare(&expr.node, out);
    }
}

fn bare(node: &Node, out: &mut String) {
    match node {
        Node::String(value) => string(value, out),
        Node::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Integer(value) => out.push_str(&value.to_string()),
        Node::Double(value) => {
            // Display never writes an exponent; a whole number lacks the dot that makes it a double.
            let text = value.to_string();
            out.push_str(&text);
            if !text.contains('.') {
                out.push_str(".0");
            }
        }
        Node::Moment(moment) => out.push_str(moment.as_str()),
        Node::Array(items) => separated("[", items, "]", out, |item, out| expr(item, Level::Greedy, out)),
        Node::Parameter(position) => out.push_str(&format!("${position}")),
        Node::Up(count) => out.push_str(&"^".repeat(*count)),
        Node::Name(name) | Node::Variable(name) => out.push_str(name),
        Node::Field { of, name } => {
            expr(of, Level::Postfix, out);
            out.push('.');
            out.push_str(&name.text);
        }
        Node::Method { of, name, args } => {
            expr(of, Level::Postfix, out);
            out.push('.');
            out.push_str(&name.text);
            separated("(", args, ")", out, argument);
        }
        Node::Call { name, args } => {
            out.push_str(&name.text);
            separated("(", args, ")", out, argument);
        }
        Node::Filter { of, condition } => {
            expr(of, Level::Postfix, out);
            out.push('[');
            expr(condition, Level::Greedy, out);
            out.push(']');
        }
        Node::And(parts) => joined(parts, " and ", Level::Not, out),
        Node::Or(parts) => joined(parts, " or ", Level::And, out),
        Node::Not(operand) => {
            out.push_str("not ");
            expr(operand, Level::Not, out);
        }
        Node::Negate(operand) => {
            out.push('-');
            expr(operand, Level::Unary, out);
        }
        Node::Binary { op, left, right } => {
            let (before, after) = match op {
                Operator::Compare(_) | Operator::In | Operator::NotIn | Operator::Like => {
                    (Level::Additive, Level::Additive)
                }
                Operator::Add | Operator::Subtract => (Level::Additive, Level::Multiplicative),
                Operator::Multiply | Operator::Divide | Operator::Modulo => {
                    (Level::Multiplicative, Level::Unary)
                }
            };
            expr(left, before, out);
            out.push(' ');
            out.push_str(op.as_str());
            out.push(' ');
            expr(right, after, out);
        }
        Node::Occurs { time, constraint: asked } => {
            expr(time, Level::Additive, out);
            out.push_str(" occurs ");
            constraint(asked, out);
        }
        Node::Quantifier { kind, bindings: list } => {
            out.push_str(Quantifier::as_str(*kind));
            bindings(list, out);
        }
        Node::Over { aggregate, value, bindings: list } => {
            out.push_str(Aggregate::as_str(*aggregate));
            out.push(' ');
            aggregated(value, out);
            out.push_str(" over");
            bindings(list, out);
        }
        Node::Let { name, value, body } => {
            out.push_str(&format!("let {} = ", name.text));
            expr(value, Level::Additive, out);
            out.push_str(" in ");
            expr(body, Level::Greedy, out);
        }
        Node::Chain { source, time: path, steps } => {
            out.push_str("chain(");
            expr(source, Level::Greedy, out);
            out.push_str(", ");
            let path: Vec<&str> = path.iter().map(|name| name.text.as_str()).collect();
            out.push_str(&path.join("."));
            out.push_str(", ");
            separated("[", steps, "]", out, step);
            out.push(')');
        }
        Node::Invalid => out.push('?'),
    }
}

fn separated<T>(open: &str, items: &[T], close: &str, out: &mut String, write: fn(&T, &mut String)) {
    out.push_str(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(item, out);
    }
    out.push_str(close);
}

fn joined(parts: &[Expr], word: &str, least: Level, out: &mut String) {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push_str(word);
        }
        expr(part, least, out);
    }
}

fn string(value: &str, out: &mut String) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn argument(argument: &Argument, out: &mut String) {
    match argument {
        Argument::Expr(value) => expr(value, Level::Greedy, out),
        Argument::Lambda(lambda) => {
            lambda_params(&lambda.params, out);
            expr(&lambda.body, Level::Greedy, out);
        }
    }
}

fn lambda_params(params: &[Name], out: &mut String) {
    match params {
        [one] => out.push_str(&one.text),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.text.as_str()).collect();
            out.push_str(&format!("({})", names.join(", ")));
        }
    }
    out.push_str(" => ");
}

/// The value of an aggregate over bindings must begin like an operand, or the aggregate's name is a mere name.
fn aggregated(value: &Expr, out: &mut String) {
    let mut text = String::new();
    expr(value, Level::Additive, &mut text);
    let word = first_word(&text);
    let literal = matches!(word, "true" | "false");
    if text.starts_with(['-', '[']) || (is_reserved(word) && !literal) {
        text = format!("({text})");
    }
    out.push_str(&text);
}

fn bindings(list: &[Binding], out: &mut String) {
    for (at, binding) in list.iter().enumerate() {
        out.push_str(if at > 0 { ", " } else { " " });
        out.push_str(&binding.variable.text);
        out.push_str(" from ");
        expr(&binding.source, Level::Postfix, out);
        if let Some(condition) = &binding.condition {
            out.push_str(" where ");
            // A greedy form here would take the bindings after it.
            expr(condition, Level::Or, out);
        }
    }
}

fn step(step: &Step, out: &mut String) {
    out.push_str(&step.label.text);
    out.push_str(": what(");
    expr(&step.what, Level::Greedy, out);
    out.push(')');
    if let Some(when) = &step.when {
        out.push_str(" when(");
        constraint(when, out);
        out.push(')');
    }
    if let Some(condition) = &step.condition {
        out.push_str(" where(");
        expr(condition, Level::Greedy, out);
        out.push(')');
    }
    if let Some(count) = &step.count {
        let comparison =
            count.comparison.map_or(String::new(), |comparison| format!("{} ", comparison.as_str()));
        out.push_str(&format!(" count({comparison}{})", count.number));
    }
}

fn constraint(constraint: &Constraint, out: &mut String) {
    match &constraint.body {
        ConstraintBody::Offset { comparison, number, unit, direction, anchor } => {
            out.push_str(&format!(
                "{} {number} {} {} ",
                comparison.as_str(),
                unit.as_str(),
                direction.as_str()
            ));
            time(anchor, out);
        }
        ConstraintBody::Direction { direction, anchor } => {
            out.push_str(direction.as_str());
            out.push(' ');
            time(anchor, out);
        }
        ConstraintBody::Between { from, to } => {
            out.push_str("between ");
            time(from, out);
            out.push_str(" and ");
            time(to, out);
        }
        ConstraintBody::On(anchor) => time(anchor, out),
    }
    if constraint.ignore_year {
        out.push_str(" ignoreYear");
    }
}

/// Words that mean something else where a time begins.
const TIME_WORDS: &[&str] = &[
    "this", "last", "next", "before", "after", "from", "on", "between", "sum", "average", "min", "max",
    "count",
];

fn time(time_: &Time, out: &mut String) {
    match time_ {
        Time::Period { which, unit, .. } => {
            out.push_str(&format!("{} {}", which.as_str(), singular(unit.as_str())))
        }
        Time::Offset { number, unit, direction, anchor, .. } => {
            out.push_str(&format!("{number} {} {} ", unit.as_str(), direction.as_str()));
            time(anchor, out);
        }
        Time::Value(value) => {
            let mut text = String::new();
            expr(value, Level::Postfix, &mut text);
            let word = first_word(&text).to_ascii_lowercase();
            if TIME_WORDS.contains(&word.as_str()) || text.starts_with(|c: char| c.is_ascii_digit()) {
                text = format!("({text})");
            }
            out.push_str(&text);
        }
    }
}

fn singular(plural: &str) -> &str {
    match plural {
        "centuries" => "century",
        "millennia" => "millennium",
        regular => regular.strip_suffix('s').unwrap_or(regular),
    }
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}
