//! `chain(…)`.

use crate::diagnostic::{Kind, Span};

use super::super::ast::{self, Comparison, Name};
use super::super::typed::{Count, Expr, Node, Step, Variable};
use super::super::types::{Object, Type};
use super::{Bound, Checker, Context, Element, Result_};

impl Checker {
    pub(super) fn chain(
        &mut self,
        source: &ast::Expr,
        time: &[Name],
        steps: &[ast::Step],
        span: Span,
    ) -> Result_<Expr> {
        let source = self.expr(source)?;
        let element = match &source.of {
            Type::Array(item) => match &**item {
                Type::Object(object) => object.clone(),
                _ => {
                    return self.fail(
                        Kind::Type,
                        source.span,
                        format!("`chain` needs an array of objects, this is {}", source.of),
                    );
                }
            },
            other => {
                let message = format!("`chain` needs an array of objects, this is {other}");
                return self.fail(Kind::Type, source.span, message);
            }
        };
        // The path is checked once, before the steps; each step has it of its own element.
        let probe = self.fresh();
        self.time_field(probe, &element, time)?;
        let depth = self.bound.len();
        let checked = self.steps(&element, time, steps);
        self.bound.truncate(depth);
        Ok(Expr { node: Node::Chain { source: Box::new(source), steps: checked? }, of: Type::Boolean, span })
    }

    fn time_field(&mut self, variable: Variable, element: &Object, path: &[Name]) -> Result_<Expr> {
        let span = path.iter().map(|name| name.span).reduce(Span::to).unwrap_or_default();
        let mut expr = Expr { node: Node::Variable(variable), of: Type::Object(element.clone()), span };
        for name in path {
            expr = self.field(expr, name, name.span)?;
        }
        if !expr.of.is_time() {
            let message = format!("the time of a chain must be a date or timestamp, this is {}", expr.of);
            return self.fail(Kind::Type, span, message);
        }
        Ok(expr)
    }

    /// Checks the steps; labels stay bound for the caller, who unbinds them.
    fn steps(&mut self, element: &Object, time: &[Name], steps: &[ast::Step]) -> Result_<Vec<Step>> {
        let mut checked = Vec::with_capacity(steps.len());
        for step in steps {
            let variable = self.fresh();
            let of = Type::Object(element.clone());
            let time = self.time_field(variable, element, time)?;
            self.contexts.push(Context { of: of.clone(), element: Element::Variable(variable) });
            let conditions = self.step_conditions(step, &time);
            self.contexts.pop();
            let conditions = conditions?;
            let count = self.step_count(step, steps.len())?;
            let element = if step.count.is_some() { Element::Counted } else { Element::Variable(variable) };
            self.bound.push(Bound { name: step.label.text.clone(), of, element });
            checked.push(Step { variable, time, conditions, count });
        }
        Ok(checked)
    }

    fn step_conditions(&mut self, step: &ast::Step, time: &Expr) -> Result_<Vec<Expr>> {
        let mut conditions = vec![self.condition(&step.what)?];
        if let Some(condition) = &step.condition {
            conditions.push(self.condition(condition)?);
        }
        if let Some(when) = &step.when {
            let constraint = Box::new(self.constraint(when)?);
            let node = Node::Occurs { time: Box::new(time.clone()), constraint };
            conditions.push(Expr { node, of: Type::Boolean, span: when.span });
        }
        Ok(conditions)
    }

    fn step_count(&mut self, step: &ast::Step, steps: usize) -> Result_<Count> {
        let Some(count) = step.count else { return Ok(Count::AtLeast(1)) };
        let least = match count.comparison {
            None | Some(Comparison::GreaterEqual) => Some(count.number),
            Some(Comparison::Greater) => Some(count.number.saturating_add(1)),
            Some(Comparison::Equal | Comparison::NotEqual | Comparison::Less | Comparison::LessEqual) => None,
        };
        match (least, count.comparison) {
            (Some(least), _) if least >= 1 => Ok(Count::AtLeast(least)),
            (None, Some(comparison)) if steps == 1 => Ok(Count::Compare(comparison, count.number)),
            (None, _) => {
                let message = "`=`, `!=`, `<` and `<=` count only in a chain of one step";
                self.fail(Kind::Type, count.span, message)
            }
            (Some(_), _) => self.fail(Kind::Type, count.span, "a step must match at least one element"),
        }
    }
}
