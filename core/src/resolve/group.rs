//! `any_per` and `count_per`: a rule about each group of a profile's events.

use crate::diagnostic::{Diagnostic, Kind, Result, Span};
use crate::segment::{BinaryOp, Expr, Form, Node, Relation, Value, children, map_children};

use super::profile::needs_over;
use super::{Feature, Resolver, Sort};

impl Resolver<'_> {
    /// Resolves `any_per(key, rule)` and `count_per(key, rule)`.
    pub(super) fn groups(&mut self, form: Form, args: Vec<Expr>, span: Span) -> Result<Expr> {
        let [key, rule] = &args[..] else {
            return Err(Diagnostic::new(Kind::Type, format!("write `{}`", form.signature())).at(span));
        };
        // The key alone may fit several tables; what the rule's aggregates name decides then.
        let mut parts = vec![key];
        event_parts(rule, &mut parts);
        let events = self.events_of(&parts, None, key.span)?;
        let resolved = self.event_expr(key.clone(), events)?;
        let own_key = self.store().store.events.get(events).map(|events| events.key.clone());
        if let Node::Attribute { relation: Relation::Events(_), path } = &resolved.node
            && path.first() == own_key.as_ref()
        {
            let fault = Diagnostic::new(Kind::Type, "all events of a profile have the same profile key");
            return Err(fault
                .at(key.span)
                .help("group by another column, or use the rule without `any_per`"));
        }
        let entry = (events, resolved);
        let per = match self.program.keys.iter().position(|known| *known == entry) {
            Some(known) => known,
            None => {
                self.program.keys.push(entry);
                self.program.keys.len() - 1
            }
        };
        let rule = self.group_expr(rule.clone(), key, per)?;
        let count = self.feature(Feature::Groups { per, rule }, span);
        if form == Form::CountPer {
            return Ok(count);
        }
        Ok(count.binary(BinaryOp::Gt, Expr::literal(Value::Number("0".into()))).at(span))
    }

    /// Resolves an expression about one group: its aggregates range over the group's events, the key's expression
    /// means the group's key, other columns are the profile's.
    fn group_expr(&mut self, expr: Expr, key: &Expr, per: usize) -> Result<Expr> {
        let span = expr.span;
        if expr == *key {
            return Ok(Expr::new(Node::Attribute { relation: Relation::Group(per), path: vec![] }, span));
        }
        match expr.node {
            Node::Column(path) => self.profile_column(&path),
            Node::Form { form, args } if form.is_aggregate() => self.short_form(form, args, Some(per), span),
            Node::Form { form, .. } => {
                let message = format!("`{}` inside `any_per` or `count_per`", form.name());
                let help =
                    "a group's rule holds conditions on the group's events; combine such forms outside";
                Err(Diagnostic::new(Kind::Type, message).at(span).help(help))
            }
            Node::Call(call) => {
                if let Some(clock) = self.clock(&call, span) {
                    return Ok(clock);
                }
                match (self.sort(&call)?, &call.over) {
                    (Sort::Aggregate, None) => self.aggregate(*call, Some(per), span),
                    (Sort::Window, None) => Err(needs_over(&call, span)),
                    (_, Some(_)) => {
                        let message =
                            format!("window function `{}` inside `any_per` or `count_per`", call.name);
                        Err(Diagnostic::new(Kind::Type, message).at(span))
                    }
                    (Sort::Scalar, None) => {
                        let call = Expr::new(Node::Call(call), span);
                        map_children(call, &mut |part| self.group_expr(part, key, per))
                    }
                }
            }
            Node::Lambda { params, body } => {
                let body = self.within_lambda(&params, |resolver| resolver.group_expr(*body, key, per))?;
                Ok(Expr::new(Node::Lambda { params, body: Box::new(body) }, span))
            }
            node => map_children(Expr::new(node, span), &mut |part| self.group_expr(part, key, per)),
        }
    }
}

/// The parts of a group's rule that are about single events: the conditions of its short forms.
fn event_parts<'a>(expr: &'a Expr, parts: &mut Vec<&'a Expr>) {
    match &expr.node {
        Node::Form { form, args } if form.is_aggregate() => parts.extend(args),
        _ => children(expr).into_iter().for_each(|child| event_parts(child, parts)),
    }
}
