//! Expressions about a profile: columns are its attributes, aggregates range over its events.

use crate::diagnostic::{Diagnostic, Kind, Result, Span};
use crate::profile::{Referrer, alias};
use crate::segment::{Call, Expr, Form, Node, Relation, map_children, walk_mut};
use crate::segment::{Test, Value};

use super::column::{has, path_span};
use super::time::{CLOCKS, now_literal};
use super::{Resolver, Sort};

impl Resolver<'_> {
    /// Resolves an expression about a profile.
    pub(super) fn profile_expr(&mut self, expr: &Expr) -> Result<Expr> {
        self.at_profile(expr.clone())
    }

    fn at_profile(&mut self, expr: Expr) -> Result<Expr> {
        let span = expr.span;
        match expr.node {
            Node::Column(path) => self.profile_column(&path),
            Node::Form { form: Form::InSegment, args } => self.in_segment(&args, span),
            Node::Form { form: form @ (Form::TopPercent | Form::TopN), args } => self.top(form, args, span),
            Node::Form { form: form @ (Form::AnyPer | Form::CountPer), args } => {
                self.groups(form, args, span)
            }
            Node::Form { form, args } => self.short_form(form, args, None, span),
            Node::Call(call) => {
                if let Some(clock) = self.clock(&call, span) {
                    return Ok(clock);
                }
                match (self.sort(&call)?, &call.over) {
                    (Sort::Aggregate, None) => self.aggregate(*call, None, span),
                    (Sort::Window, None) => Err(needs_over(&call, span)),
                    _ => map_children(Expr::new(Node::Call(call), span), &mut |part| self.at_profile(part)),
                }
            }
            Node::Lambda { params, body } => {
                let body = self.within_lambda(&params, |resolver| resolver.at_profile(*body))?;
                Ok(Expr::new(Node::Lambda { params, body: Box::new(body) }, span))
            }
            node => map_children(Expr::new(node, span), &mut |part| self.at_profile(part)),
        }
    }

    /// Resolves the body of a lambda, whose parameters hide columns of the same name.
    pub(super) fn within_lambda(
        &mut self,
        params: &[String],
        body: impl FnOnce(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        let outer = self.params.len();
        self.params.extend_from_slice(params);
        let resolved = body(self);
        self.params.truncate(outer);
        resolved
    }

    /// `now()` and its like, as a constant.
    pub(super) fn clock(&self, call: &Call, span: Span) -> Option<Expr> {
        let is_clock = CLOCKS.contains(&call.name.as_str()) && call.args.is_empty() && call.over.is_none();
        is_clock.then(|| {
            let events = self.store().store.events.iter().zip(&self.store().events).next();
            let data_type = events
                .and_then(|(events, schema)| schema.field_with_name(&events.timestamp).ok())
                .map(|field| field.data_type().clone());
            let data_type = data_type.unwrap_or(arrow::datatypes::DataType::Null);
            Expr::new(Node::Literal(now_literal(&call.name, self.program.now, &data_type)), span)
        })
    }

    pub(super) fn profile_column(&self, path: &[crate::segment::Name]) -> Result<Expr> {
        if let Some(param) = self.param(path) {
            return Ok(param);
        }
        let lookups = self.lookups_of(Referrer::Profiles);
        if let Some(found) = self.find(path, &[Relation::Profiles], &lookups) {
            return found;
        }
        // The commonest slip: a column of an event outside of an aggregate.
        for (at, events) in self.store().store.events.iter().enumerate() {
            let (schema, table) = (&self.store().events[at], alias(&events.table));
            let (qualified, column) = match path {
                [qualifier, column, ..] if qualifier.value == table => (true, column),
                [column, ..] => (false, column),
                [] => continue,
            };
            if has(schema, &column.value) {
                let name = &column.value;
                let what = if qualified { format!("{table}.{name}") } else { name.clone() };
                let fault =
                    Diagnostic::new(Kind::Name, format!("`{what}` is a column of the event table `{table}`"));
                return Err(fault.at(path_span(path)).help(format!(
                    "a profile has many events: ask for one with `did({what} = …)`, or aggregate them"
                )));
            }
        }
        let relations: Vec<Relation> = std::iter::once(Relation::Profiles).chain(lookups).collect();
        Err(self.unknown_column(path, &relations))
    }

    /// `in_segment('other')`: the other rule itself, TRUE or not.
    fn in_segment(&mut self, args: &[Expr], span: Span) -> Result<Expr> {
        let [Expr { node: Node::Literal(Value::String(name)), span: place }] = args else {
            let fault = Diagnostic::new(Kind::Type, "`in_segment` takes the name of a segment as a string");
            return Err(fault.at(span).help("write `in_segment('name')`"));
        };
        if self.path.contains(name) {
            let path: Vec<String> = self.path.iter().chain([name]).map(|name| format!("`{name}`")).collect();
            let fault = Diagnostic::new(Kind::Type, format!("segment `{name}` would contain itself"));
            return Err(fault.at(*place).help(format!("the cycle is {}", path.join(" → "))));
        }
        let Some(member) = self.context.segments.rule(name) else {
            let names = self.context.segments.names();
            return Err(Diagnostic::new(Kind::NotFound, format!("no segment is called `{name}`"))
                .at(*place)
                .suggest(name, names.iter().map(String::as_str)));
        };
        let member = member?;
        let store = &self.store().store.name;
        if member.store != *store {
            let message = format!("segment `{name}` is about the store `{}`, not `{store}`", member.store);
            return Err(Diagnostic::new(Kind::Type, message).at(*place));
        }
        self.path.push(name.clone());
        let params = std::mem::take(&mut self.params);
        let rule = self.at_profile(member.rule).map_err(|fault| fault.in_source(&member.source));
        self.params = params;
        self.path.pop();
        let mut rule = rule?;
        // The parts stand in another text: here they are all this call.
        walk_mut(&mut rule, &mut |part| part.span = span);
        Ok(Expr::new(Node::Is { expr: Box::new(rule), test: Test::True, negated: false }, span))
    }
}

pub(super) fn needs_over(call: &Call, span: Span) -> Diagnostic {
    Diagnostic::new(Kind::Type, format!("`{}` is a window function, it needs `OVER`", call.name))
        .at(span)
        .help("window functions range over all profiles: `ntile(10) OVER (ORDER BY sum(price)) = 10`")
}
