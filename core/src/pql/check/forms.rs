//! Quantifiers, aggregates over bindings, `let`.

use crate::diagnostic::{Kind, Span};

use super::super::ast::{self, Aggregate, Name, Quantifier};
use super::super::typed::{Binding, Expr, Fold, Node};
use super::super::types::Type;
use super::{Bound, Checker, Element, Result_};

impl Checker {
    pub(super) fn quantifier(
        &mut self,
        kind: Quantifier,
        bindings: &[ast::Binding],
        span: Span,
    ) -> Result_<Expr> {
        let depth = self.bound.len();
        let checked = self.bindings(bindings);
        self.bound.truncate(depth);
        let bindings = checked?;
        let (node, of) = match kind {
            Quantifier::Exists => (Node::Exists(bindings), Type::Boolean),
            Quantifier::Forall => (Node::Forall(bindings), Type::Boolean),
            Quantifier::Select => {
                let of = bindings[0].source.of.clone();
                (Node::Select(bindings), of)
            }
        };
        Ok(Expr { node, of, span })
    }

    /// Checks bindings; their variables stay bound for the caller, who unbinds them.
    fn bindings(&mut self, bindings: &[ast::Binding]) -> Result_<Vec<Binding>> {
        let mut checked = Vec::with_capacity(bindings.len());
        for binding in bindings {
            let source = self.expr(&binding.source)?;
            let Type::Array(item) = &source.of else {
                let message = format!("`from` needs an array, this is {}", source.of);
                return self.fail(Kind::Type, source.span, message);
            };
            let of = (**item).clone();
            let variable = self.fresh();
            let element = Element::Variable(variable);
            self.bound.push(Bound { name: binding.variable.text.clone(), of, element });
            let condition =
                binding.condition.as_ref().map(|condition| self.condition(condition)).transpose()?;
            checked.push(Binding { variable, source, condition });
        }
        Ok(checked)
    }

    pub(super) fn over(
        &mut self,
        aggregate: Aggregate,
        value: &ast::Expr,
        bindings: &[ast::Binding],
        span: Span,
    ) -> Result_<Expr> {
        let depth = self.bound.len();
        let checked = self.bindings(bindings).and_then(|bindings| Ok((bindings, self.expr(value)?)));
        self.bound.truncate(depth);
        let (bindings, value) = checked?;
        let fold = match aggregate {
            Aggregate::Sum => Some(Fold::Sum),
            Aggregate::Average => Some(Fold::Average),
            Aggregate::Min => Some(Fold::Min),
            Aggregate::Max => Some(Fold::Max),
            Aggregate::Count => None,
        };
        let of = match fold {
            Some(fold) => {
                let name = Name { text: aggregate.as_str().to_owned(), span };
                self.folded(fold, &value.of, &name, value.span)?
            }
            None if matches!(value.of, Type::Entry(..)) => {
                return self.fail(Kind::Type, value.span, "a map entry is only the result of a map's lambda");
            }
            None => Type::Integer,
        };
        Ok(Expr { node: Node::Over { aggregate, value: Box::new(value), bindings }, of, span })
    }

    pub(super) fn let_in(
        &mut self,
        name: &Name,
        value: &ast::Expr,
        body: &ast::Expr,
        span: Span,
    ) -> Result_<Expr> {
        let value = self.expr(value)?;
        if matches!(value.of, Type::Entry(..)) {
            return self.fail(Kind::Type, value.span, "a map entry is only the result of a map's lambda");
        }
        let of = value.of.clone();
        let (variable, body) =
            self.with_variable(&name.text, of, |checker, variable| Ok((variable, checker.expr(body)?)))?;
        let of = body.of.clone();
        Ok(Expr { node: Node::Let { variable, value: Box::new(value), body: Box::new(body) }, of, span })
    }
}
