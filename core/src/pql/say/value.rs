//! Values: literals, fields, arithmetic, and the functions that PQL has too.

use crate::segment::{BinaryOp, Call, Expr, Form, Node, UnaryOp, Value};

use super::{Place, Say, Term, Type, quote};

impl Say<'_> {
    pub(super) fn value(&mut self, expr: &Expr, place: &Place) -> Option<Term> {
        if let Some((key, term)) = &self.group
            && matches!(place, Place::Profile { .. })
            && key == expr
        {
            return Some(Term::new(term.text.clone(), term.of.clone()));
        }
        match &expr.node {
            Node::Literal(value) => self.literal(value, expr),
            Node::Column(path) => self.column(path, place, expr.span),
            Node::Field { of, name } => {
                let of = self.value(of, place)?;
                let found = self.fields(of.text, of.of, &[name], expr.span)?;
                Some(Term { guards: of.guards, ..found })
            }
            Node::Unary { op: UnaryOp::Minus, expr: inner } => {
                let term = self.value(inner, place)?;
                Some(Term { text: format!("-({})", term.text), zero: false, ..term })
            }
            Node::Binary { op, left, right } => self.arithmetic(*op, left, right, place, expr),
            Node::Case { operand: None, branches, otherwise: Some(otherwise) } => {
                let mut term = self.value(otherwise, place)?;
                for (when, then) in branches.iter().rev() {
                    let (when, then) = (self.condition(when, place, true)?, self.value(then, place)?);
                    if !then.guards.is_empty() || !term.guards.is_empty() {
                        return self.cannot(expr.span, "this `CASE`");
                    }
                    let of = then.of.common(&term.of).unwrap_or(then.of);
                    term = Term::new(format!("if({when}, {}, {})", then.text, term.text), of);
                }
                Some(term)
            }
            Node::Form { form, args } => self.form_value(*form, args, expr),
            Node::Call(call) if call.over.is_some() => {
                self.cannot(expr.span, format!("`{}`, a window over all profiles,", call.name))
            }
            Node::Call(call) => self.call_value(call, place, expr),
            _ => self.cannot(expr.span, "this expression"),
        }
    }

    fn literal(&mut self, value: &Value, expr: &Expr) -> Option<Term> {
        match value {
            Value::Boolean(value) => Some(Term::new(value.to_string(), Type::Boolean)),
            Value::String(text) => Some(Term::new(quote(text), Type::String)),
            Value::Number(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                Some(Term::new(text.clone(), Type::Integer))
            }
            Value::Number(text) => match text.parse::<f64>() {
                // PQL has no exponents; the shortest decimal reads as the same number.
                Ok(number) if number.is_finite() => Some(Term::new(format!("{number:?}"), Type::Double))
                    .filter(|term| !term.text.contains('e'))
                    .or_else(|| {
                        Some(Term::new(format!("{number:.1}"), Type::Double))
                            .filter(|_| number.fract() == 0.0)
                    })
                    .or_else(|| self.cannot(expr.span, format!("the number `{text}`"))),
                _ => self.cannot(expr.span, format!("the number `{text}`")),
            },
            Value::Typed(_, text) => match day(text) {
                Some(day) => Some(Term::new(day, Type::Date)),
                None => self.cannot(expr.span, "a time that is no midnight"),
            },
            Value::Null => self.cannot(expr.span, "`NULL`"),
            Value::Interval(_) => self.cannot(expr.span, "an interval alone"),
        }
    }

    fn arithmetic(
        &mut self,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
        place: &Place,
        whole: &Expr,
    ) -> Option<Term> {
        let (a, b) = (self.value(left, place), self.value(right, place));
        let (a, b) = (a?, b?);
        let divisor = matches!(&right.node, Node::Literal(Value::Number(text)) if text.parse() != Ok(0.0));
        let is_said = match op {
            BinaryOp::Plus | BinaryOp::Minus | BinaryOp::Multiply => a.of.is_number() && b.of.is_number(),
            // SQL divides whole numbers to a whole number, and fails where PQL has null.
            BinaryOp::Divide => divisor && (a.of == Type::Double || b.of == Type::Double),
            BinaryOp::Modulo => divisor && a.of.is_number(),
            _ => false,
        };
        if !is_said {
            return self.cannot(whole.span, format!("the operator `{}` on these", op.as_str()));
        }
        let of = a.of.common(&b.of).unwrap_or(Type::Double);
        let text = format!("({}) {} ({})", a.text, op.as_str(), b.text);
        Some(Term { guards: [a.guards, b.guards].concat(), ..Term::new(text, of) })
    }

    fn call_value(&mut self, call: &Call, place: &Place, expr: &Expr) -> Option<Term> {
        match (call.name.as_str(), &call.args[..]) {
            ("now" | "current_timestamp", []) => Some(Term::new("now", Type::Timestamp)),
            ("current_date" | "today", []) => Some(Term::new("today", Type::Timestamp)),
            ("coalesce", [first, rest @ ..]) if !rest.is_empty() => self.coalesce(first, rest, place),
            ("date_part", [part, time]) => {
                let Node::Literal(Value::String(part)) = &part.node else {
                    return self.cannot(expr.span, "this part of a time");
                };
                let method = match part.to_lowercase().as_str() {
                    "year" => "getYear",
                    "month" => "getMonth",
                    "day" => "getDayOfMonth",
                    _ => return self.cannot(expr.span, format!("the part `{part}` of a time")),
                };
                let term = self.value(time, place)?;
                if !Self::is_time(&term.of) {
                    return self.cannot(time.span, "the part of what is no time");
                }
                Some(Term { text: format!("({}).{method}()", term.text), of: Type::Integer, ..term })
            }
            ("cardinality", [list]) => {
                let term = self.value(list, place)?;
                let known = format!("({}).isNotNull()", term.text);
                Some(Term {
                    zero: true,
                    ..Term::new(format!("({}).count()", term.text), Type::Integer).guarded(known)
                })
            }
            _ if is_aggregate(&call.name) && matches!(place, Place::Profile { .. }) => {
                self.aggregate(call, expr)
            }
            _ => self.cannot(expr.span, format!("the function `{}`", call.name)),
        }
    }

    fn coalesce(&mut self, first: &Expr, rest: &[Expr], place: &Place) -> Option<Term> {
        let term = self.value(first, place)?;
        let otherwise = match rest {
            [last] => self.value(last, place)?,
            [next, rest @ ..] => self.coalesce(next, rest, place)?,
            [] => return Some(term),
        };
        // `coalesce(sum(x), 0)` is what PQL's sum is.
        if term.zero && otherwise.text == "0" {
            return Some(Term { guards: vec![], ..term });
        }
        if !otherwise.guards.is_empty() {
            return self.cannot(first.span, "this `coalesce`");
        }
        let known = if term.guards.is_empty() {
            format!("({}).isNotNull()", term.text)
        } else {
            super::all(term.guards.iter().cloned().chain([format!("({}).isNotNull()", term.text)]))
        };
        let of = term.of.common(&otherwise.of).unwrap_or(term.of);
        Some(Term::new(format!("if({known}, {}, {})", term.text, otherwise.text), of))
    }

    fn form_value(&mut self, form: Form, args: &[Expr], expr: &Expr) -> Option<Term> {
        match form {
            Form::Times => {
                let events = self.matching(&args[0], args.get(1), expr.span)?;
                Some(Term::new(format!("{events}.count()"), Type::Integer))
            }
            Form::FirstTime | Form::LastTime => {
                let events = self.matching(&args[0], None, expr.span)?;
                let end = if form == Form::FirstTime { "min" } else { "max" };
                Some(Term::new(format!("{events}.{end}({})", self.timestamp()), Type::Timestamp))
            }
            Form::NthTime => self.nth_time(args, expr.span),
            Form::CountPer => self.count_per(args, expr.span),
            _ => self.cannot(expr.span, format!("`{}` as a value", form.name())),
        }
    }
}

/// The aggregates that PQL has too.
fn is_aggregate(name: &str) -> bool {
    ["count", "sum", "avg", "mean", "min", "max"].contains(&name)
}

/// A day as PQL writes it, from the text of a date or of a midnight.
fn day(text: &str) -> Option<String> {
    let (day, time) = text.trim().split_once([' ', 'T']).unwrap_or((text.trim(), ""));
    if !time.chars().all(|c| matches!(c, '0' | ':' | '.' | 'Z' | '+')) {
        return None;
    }
    let parts: Vec<u32> = day.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = parts[..] else { return None };
    Some(format!("date({year}, {month}, {day})"))
}
