//! The short forms, each as the aggregate or window function that it stands for.

use crate::diagnostic::{Diagnostic, Kind, Result, Span};
use crate::segment::{BinaryOp, Call, Expr, Form, Node, Test, Value};

use super::{Feature, Resolver, rank};

impl Resolver<'_> {
    /// Resolves a short form about events, or about a group of them.
    pub(super) fn short_form(
        &mut self,
        form: Form,
        args: Vec<Expr>,
        per: Option<usize>,
        span: Span,
    ) -> Result<Expr> {
        let conditions = if matches!(form, Form::DidThen | Form::DidWithout) { 2 } else { 1 };
        let parts: Vec<&Expr> = args.iter().take(conditions).collect();
        let events = self.events_of(&parts, per, span)?;
        let mut rest = args.into_iter();
        let mut conditions: Vec<Expr> = rest
            .by_ref()
            .take(conditions)
            .map(|condition| self.event_expr(condition, events))
            .collect::<Result<_>>()?;
        let rest: Vec<Expr> = rest.collect();
        let first = conditions.remove(0);
        let time = self.program.timestamp(events);
        let call = match form {
            Form::Did | Form::Times => {
                let window = rest.first().map(|width| self.window(width, events)).transpose()?;
                let filter = Expr::all(condition(first).into_iter().chain(window)).map(Box::new);
                Call { name: "count".into(), star: true, filter, ..Call::default() }
            }
            Form::FirstTime | Form::LastTime => {
                let name = if form == Form::FirstTime { "min" } else { "max" };
                let filter = condition(first).map(Box::new);
                Call { name: name.into(), args: vec![time], filter, ..Call::default() }
            }
            Form::NthTime => {
                let position = position(&rest[0])?;
                let filter = condition(first).map(Box::new);
                Call { name: "nth_time".into(), args: vec![time, position], filter, ..Call::default() }
            }
            Form::DidThen => {
                let mut args = vec![time, first, conditions.remove(0)];
                if let Some(width) = rest.first() {
                    args.push(interval(width)?);
                }
                Call { name: "did_then".into(), args, ..Call::default() }
            }
            Form::DidWithout => {
                let now = self.program.now_for(events);
                let args = vec![time, first, conditions.remove(0), interval(&rest[0])?, now];
                Call { name: "did_without".into(), args, ..Call::default() }
            }
            Form::AnyPer | Form::CountPer | Form::TopPercent | Form::TopN | Form::InSegment => {
                return Err(
                    Diagnostic::new(Kind::Type, format!("`{}` is about a profile", form.name())).at(span)
                );
            }
        };
        let feature = self.feature(Feature::Aggregate { events, per, call }, span);
        Ok(if form == Form::Did {
            feature.binary(BinaryOp::Gt, Expr::literal(Value::Number("0".into()))).at(span)
        } else {
            feature
        })
    }

    /// `top_percent(x, p)`, `top_n(x, n)`: a rank among all profiles whose x is not NULL.
    pub(super) fn top(&mut self, form: Form, args: Vec<Expr>, span: Span) -> Result<Expr> {
        let [x, limit] = &args[..] else {
            return Err(Diagnostic::new(Kind::Type, format!("write `{}`", form.signature())).at(span));
        };
        let limit = match (&limit.node, form) {
            (Node::Literal(Value::Number(text)), Form::TopPercent)
                if text.parse::<f64>().is_ok_and(|percent| (0.0..=100.0).contains(&percent)) =>
            {
                limit.clone()
            }
            (Node::Literal(Value::Number(text)), Form::TopN) if text.parse::<u64>().is_ok() => limit.clone(),
            _ => {
                let wanted =
                    if form == Form::TopPercent { "a percentage from 0 to 100" } else { "a whole number" };
                let fault = Diagnostic::new(Kind::Type, format!("`{}` takes {wanted}", form.name()));
                return Err(fault.at(limit.span).help(format!("write `{}`", form.signature())));
            }
        };
        let x = self.profile_expr(x)?;
        let known = Expr::new(Node::Is { expr: Box::new(x.clone()), test: Test::Null, negated: true }, span);
        let within = match form {
            Form::TopN => rank::first(x, &self.program, limit.clone()),
            _ => rank::first_percent(x, &self.program, limit.clone()),
        };
        Ok(known.binary(BinaryOp::And, within).at(span))
    }

    /// `timestamp >= now() - width AND timestamp <= now()`.
    fn window(&self, width: &Expr, events: usize) -> Result<Expr> {
        let (time, now) = (self.program.timestamp(events), self.program.now_for(events));
        let from = now.clone().binary(BinaryOp::Minus, interval(width)?);
        let after = time.clone().binary(BinaryOp::GtEq, from);
        Ok(after.binary(BinaryOp::And, time.binary(BinaryOp::LtEq, now)))
    }
}

/// A condition as a filter: none where it is `true`.
fn condition(expr: Expr) -> Option<Expr> {
    (expr.node != Node::Literal(Value::Boolean(true))).then_some(expr)
}

/// The width of a window: an interval that does not reach backwards.
fn interval(expr: &Expr) -> Result<Expr> {
    match &expr.node {
        Node::Literal(Value::Interval(text)) if !text.trim_start().starts_with('-') => Ok(expr.clone()),
        Node::Literal(Value::Interval(_)) => {
            Err(Diagnostic::new(Kind::Type, "the interval is negative").at(expr.span))
        }
        _ => Err(Diagnostic::new(Kind::Type, "expected an interval")
            .at(expr.span)
            .help("write `INTERVAL '30 days'`")),
    }
}

/// The n of `nth_time`: a whole number other than 0.
fn position(expr: &Expr) -> Result<Expr> {
    let digits = match &expr.node {
        Node::Literal(Value::Number(text)) => text.parse::<i64>().ok(),
        Node::Unary { op: crate::segment::UnaryOp::Minus, expr } => match &expr.node {
            Node::Literal(Value::Number(text)) => text.parse::<i64>().ok(),
            _ => None,
        },
        _ => None,
    };
    match digits {
        Some(n) if n != 0 => Ok(expr.clone()),
        _ => Err(Diagnostic::new(Kind::Type, "`nth_time` takes a whole number other than 0")
            .at(expr.span)
            .help("1 is the first event, -1 the last")),
    }
}
