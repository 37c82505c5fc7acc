//! What is asked of events: filters, counts, sums, sequences, groups.

use crate::diagnostic::Span;
use crate::segment::{Call, Expr, Node, UnaryOp, Value};

use super::{Place, Say, Term, Type, all, is_true};

impl Say<'_> {
    /// The field of an event that says when it happened.
    pub(super) fn timestamp(&self) -> String {
        let events = self.context.store.store.events.first();
        events.map_or_else(String::new, |events| events.timestamp.clone())
    }

    /// A condition on an event that is in context.
    fn of_event(&mut self, condition: &Expr, prefix: &str, want: bool) -> Option<String> {
        if self.event.is_none() {
            return self.cannot(condition.span, "a condition on events, of which the store has none,");
        }
        let group = self.group.take();
        let said = self.condition(condition, &Place::Event { prefix: prefix.to_owned() }, want);
        self.group = group;
        said
    }

    /// The events for which a condition holds, within an interval before now if one is given.
    pub(super) fn matching(&mut self, condition: &Expr, width: Option<&Expr>, span: Span) -> Option<String> {
        if self.event.is_none() {
            return self.cannot(span, "a condition on events, of which the store has none,");
        }
        let own = if is_true(condition) { None } else { Some(self.of_event(condition, "", true)) };
        let width = match width {
            None => None,
            Some(width) => Some(self.width(width)?),
        };
        let mut parts: Vec<String> = vec![];
        if let Some(own) = own {
            parts.push(own?);
        }
        parts.extend(width.map(|width| format!("{} occurs <= {} before now", self.timestamp(), width.text)));
        Some(if parts.is_empty() { self.stream.clone() } else { format!("{}[{}]", self.stream, all(parts)) })
    }

    /// An aggregate over the events.
    pub(super) fn aggregate(&mut self, call: &Call, expr: &Expr) -> Option<Term> {
        if !call.order_by.is_empty() || !call.within_group.is_empty() || self.event.is_none() {
            return self.cannot(expr.span, format!("this `{}`", call.name));
        }
        let events = match &call.filter {
            None => self.stream.clone(),
            Some(filter) => self.matching(filter, None, expr.span)?,
        };
        let is_counted = call.name == "count";
        let constant =
            matches!(&call.args[..], [Expr { node: Node::Literal(value), .. }] if *value != Value::Null);
        if is_counted && (call.star || constant) {
            return Some(Term::new(format!("{events}.count()"), Type::Integer));
        }
        let [arg] = &call.args[..] else { return self.cannot(expr.span, format!("this `{}`", call.name)) };
        let group = self.group.take();
        let value = self.value(arg, &Place::Event { prefix: String::new() });
        self.group = group;
        let value = value?;
        let known = all(std::iter::once(format!("({}).isNotNull()", value.text)).chain(value.guards));
        let (events, text) = match call.distinct {
            true => (format!("{events}.map({}).distinct()", value.text), String::new()),
            false => (events, value.text),
        };
        let integer = value.of == Type::Integer;
        Some(match call.name.as_str() {
            "count" if call.distinct => Term::new(format!("{events}.count()"), Type::Integer),
            "count" => Term::new(format!("{events}[{known}].count()"), Type::Integer),
            "sum" => {
                let of = if integer { Type::Integer } else { Type::Double };
                let any = if call.distinct {
                    format!("{events}.count() > 0")
                } else {
                    format!("{events}[{known}].count() > 0")
                };
                Term { zero: true, ..Term::new(format!("{events}.sum({text})"), of).guarded(any) }
            }
            "min" | "max" => Term::new(format!("{events}.{}({text})", call.name), value.of),
            _ => Term::new(format!("{events}.average({text})"), Type::Double),
        })
    }

    /// `bool_or(c)`, `bool_and(c)`.
    pub(super) fn bool_aggregate(
        &mut self,
        call: &Call,
        inner: &Expr,
        _: &Place,
        want: bool,
    ) -> Option<String> {
        let events = match &call.filter {
            None => self.stream.clone(),
            Some(filter) => self.matching(filter, None, inner.span)?,
        };
        // Each decides by one event: TRUE by a true one, or FALSE by a false one.
        let decides = call.name == "bool_or";
        let (one, other) = (self.of_event(inner, "", decides)?, self.of_event(inner, "", !decides)?);
        Some(match want == decides {
            true => format!("{events}.exists({one})"),
            false => format!("{events}.exists({other}) and not {events}.exists({one})"),
        })
    }

    pub(super) fn nth_time(&mut self, args: &[Expr], span: Span) -> Option<Term> {
        let events = self.matching(&args[0], None, span)?;
        let (time, n) = (self.timestamp(), whole(&args[1]));
        let Some(n) = n.filter(|n| *n != 0) else { return self.cannot(span, "this position") };
        let (near, end) = if n > 0 { ("bottomN", "max") } else { ("topN", "min") };
        let text = format!("{events}.{near}({time}, {}).{end}({time})", n.unsigned_abs());
        Some(Term::new(text, Type::Timestamp).guarded(format!("{events}.count() >= {}", n.unsigned_abs())))
    }

    /// `did_then(a, b [, w])`: a chain of two steps.
    pub(super) fn did_then(&mut self, args: &[Expr], span: Span) -> Option<String> {
        let (a, b) = (self.of_event(&args[0], "", true), self.of_event(&args[1], "", true));
        let when = match args.get(2) {
            None => String::new(),
            Some(width) => {
                let width = self.width(width)?;
                format!(" when(<= {} after A)", width.text)
            }
        };
        let _ = span;
        let (stream, time) = (&self.stream, self.timestamp());
        Some(format!("chain({stream}, {time}, [A: what({}), B: what({}){when}])", a?, b?))
    }

    /// `did_without(a, b, w)`: some a long enough ago, and no b after it and soon.
    pub(super) fn did_without(&mut self, args: &[Expr], _: Span) -> Option<String> {
        let (first, second) = (self.variable(), self.variable());
        let a = self.of_event(&args[0], &format!("{first}."), true);
        let b = self.of_event(&args[1], &format!("{second}."), true);
        let width = self.width(&args[2])?.text;
        let (stream, time, a, b) = (&self.stream, self.timestamp(), a?, b?);
        let none = format!(
            "exists {second} from {stream} where ({b}) and {second}.{time} > {first}.{time} and {second}.{time} occurs <= {width} after {first}"
        );
        Some(format!(
            "(exists {first} from {stream} where ({a}) and {first}.{time} occurs >= {width} before now and not ({none}))"
        ))
    }

    /// `count_per(key, rule)`.
    pub(super) fn count_per(&mut self, args: &[Expr], span: Span) -> Option<Term> {
        let [key, rule] = args else { return self.cannot(span, "this") };
        let of_key = self.value(key, &Place::Event { prefix: String::new() })?;
        if self.group.is_some() || !matches!(of_key.of, Type::String | Type::Integer | Type::Boolean) {
            return self.cannot(key.span, "groups by this key");
        }
        let (name, group) = (self.variable(), self.variable());
        self.group = Some((key.clone(), Term::new(name.clone(), of_key.of)));
        let outer = std::mem::replace(&mut self.stream, group.clone());
        let rule = self.condition(rule, &Place::Profile { inside: true }, true);
        (self.stream, self.group) = (outer, None);
        let text = format!(
            "{}.groupBy({}).map(({name}, {group}) => if({}, 1, 0)).sum()",
            self.stream, of_key.text, rule?
        );
        Some(Term::new(text, Type::Integer))
    }
}

fn whole(expr: &Expr) -> Option<i64> {
    match &expr.node {
        Node::Literal(Value::Number(text)) => text.parse().ok(),
        Node::Unary { op: UnaryOp::Minus, expr } => whole(expr)?.checked_neg(),
        _ => None,
    }
}
