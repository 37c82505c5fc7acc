//! Chains. One step is a count; several steps without labels one ordered pass; labels nest: for each match of a step,
//! look for a later match of the next.

use crate::segment::{Expr, Form};

use super::super::ast::Comparison;
use super::super::typed::{self, Count, Step, Variable};
use super::{Element, Lowered, Lowering, Stop, Stream, Value, sql};

impl Lowering<'_> {
    pub(super) fn chain(&mut self, source: &typed::Expr, steps: &[Step]) -> Lowered<Expr> {
        let value = self.value(source)?;
        match steps {
            [step] => self.one_step(value, source, step),
            _ if uses_labels(steps) => self.labelled(&value, source, steps),
            _ => self.in_order(value, source, steps),
        }
    }

    fn one_step(&mut self, source: Value, of: &typed::Expr, step: &Step) -> Lowered<Expr> {
        let known = step.time_is_known();
        let mut conditions: Vec<&typed::Expr> = step.conditions.iter().collect();
        conditions.push(&known);
        let filtered = self.filter(source, of, step.variable, &conditions)?;
        let (op, number) = match step.count {
            Count::AtLeast(1) => {
                return match filtered {
                    Value::Events(stream) => Ok(self.any(&stream)),
                    other => super::each::not_empty(self.native(other, of)?),
                };
            }
            Count::AtLeast(number) => (Comparison::GreaterEqual, number),
            Count::Compare(op, number) => (op, number),
        };
        let count = match filtered {
            Value::Events(stream) => self.count_stream(&stream),
            other => sql::length(self.native(other, of)?),
        };
        Ok(count.binary(sql::comparison(op), sql::number(number)))
    }

    /// Steps without labels: the earliest match of each step is the best.
    fn in_order(&mut self, source: Value, of: &typed::Expr, steps: &[Step]) -> Lowered<Expr> {
        if let Value::Events(stream) = &source {
            match self.in_order_of_events(stream, steps) {
                Err(Stop::Blocked) if !self.in_event => {}
                result => return result,
            }
        }
        let list = self.native(source, of)?;
        let param = self.param();
        let element = Value::Sql(Expr::column([param.clone()]));
        let matches = self.matches(&element, steps)?;
        let events = Expr::call("array_transform", vec![list, sql::lambda(&param, matches)]);
        Ok(Expr::call("steps_in_order", vec![events, counts(steps)]))
    }

    fn in_order_of_events(&mut self, stream: &Stream, steps: &[Step]) -> Lowered<Expr> {
        let element = match &stream.element {
            Element::Event => Value::Event,
            Element::Sql(value) => Value::Sql(value.clone()),
            Element::Flat(_) => return Err(Stop::Blocked),
        };
        if let [a, b] = steps
            && matches!(stream.element, Element::Event)
            && self.by_timestamp(a)
            && (a.count, b.count) == (Count::AtLeast(1), Count::AtLeast(1))
        {
            let conditions = |lowering: &mut Self, step: &Step| {
                lowering.about_event(|lowering| {
                    let mut parts = stream.conditions.clone();
                    parts.extend(lowering.step_conditions(&element, step)?);
                    Ok(sql::and(parts))
                })
            };
            let (a, b) = (conditions(self, a)?, conditions(self, b)?);
            return Ok(Expr::form(Form::DidThen, vec![a, b]));
        }
        let (matches, any) = self.about_event(|lowering| {
            let matches = lowering.matches(&element, steps)?;
            let any = steps.iter().map(|step| Ok(sql::and(lowering.step_conditions(&element, step)?)));
            Ok((matches, sql::or(any.collect::<Lowered<Vec<_>>>()?)))
        })?;
        let mut conditions = stream.conditions.clone();
        conditions.push(any);
        let events = sql::called(sql::aggregate("array_agg", vec![matches], &conditions));
        Ok(sql::two_valued(Expr::call("steps_in_order", vec![events, counts(steps)])))
    }

    /// Whether the time of a step is the event's timestamp.
    fn by_timestamp(&self, step: &Step) -> bool {
        let timestamp = self.context.store.store.events.first().map(|events| events.timestamp.as_str());
        matches!(&step.time.node, typed::Node::Field { of, name }
            if matches!(of.node, typed::Node::Variable(_)) && Some(name.as_str()) == timestamp)
    }

    /// The conditions of a step on an element.
    fn step_conditions(&mut self, element: &Value, step: &Step) -> Lowered<Vec<Expr>> {
        self.bind(step.variable, element.clone());
        step.conditions.iter().map(|condition| self.condition(condition)).collect()
    }

    /// An element's time, and which steps it matches.
    fn matches(&mut self, element: &Value, steps: &[Step]) -> Lowered<Expr> {
        let mut fields = vec![];
        for (at, step) in steps.iter().enumerate() {
            let conditions = self.step_conditions(element, step)?;
            if at == 0 {
                fields.push(("t".to_owned(), self.sql(&step.time)?));
            }
            fields.push((format!("step_{}", at + 1), sql::and(conditions)));
        }
        Ok(Expr::synthetic(crate::segment::Node::Struct(fields)))
    }

    /// Steps with labels: all assignments are tried, step by step.
    fn labelled(&mut self, source: &Value, of: &typed::Expr, steps: &[Step]) -> Lowered<Expr> {
        self.labelled_from(source, of, steps, None)
    }

    fn labelled_from(
        &mut self,
        source: &Value,
        of: &typed::Expr,
        steps: &[Step],
        after: Option<&typed::Expr>,
    ) -> Lowered<Expr> {
        let Some((step, rest)) = steps.split_first() else { return Ok(sql::boolean(true)) };
        let known = step.time_is_known();
        let later = after.map(|after| typed::Expr {
            node: typed::Node::Compare {
                op: Comparison::Greater,
                left: Box::new(step.time.clone()),
                right: Box::new(after.clone()),
            },
            of: super::super::types::Type::Boolean,
            span: step.time.span,
        });
        let mut conditions: Vec<&typed::Expr> = step.conditions.iter().collect();
        conditions.push(&known);
        conditions.extend(&later);
        let filtered = self.filter(source.clone(), of, step.variable, &conditions)?;
        if rest.is_empty() && step.count == Count::AtLeast(1) {
            return match filtered {
                Value::Events(stream) => Ok(self.any(&stream)),
                other => super::each::not_empty(self.native(other, of)?),
            };
        }
        let mut candidates = match filtered {
            Value::Events(stream) => self.events_list(&stream, false)?,
            other => self.native(other, of)?,
        };
        if let Count::AtLeast(number) | Count::Compare(_, number) = step.count
            && number > 1
        {
            // Of a step that counts, the time of the last element needed is all that matters.
            let key = self.lambda(step.variable, |lowering| lowering.sql(&step.time))?;
            let first = Expr::call("array_bottom_n", vec![candidates, sql::number(number), key]);
            candidates = Expr::call("array_slice", vec![first, sql::number(number), sql::number(number)]);
        }
        let body = self
            .lambda(step.variable, |lowering| lowering.labelled_from(source, of, rest, Some(&step.time)))?;
        Ok(Expr::call("array_any_match", vec![candidates, body]))
    }
}

impl Step {
    /// The condition that the element has a time.
    fn time_is_known(&self) -> typed::Expr {
        typed::Expr {
            node: typed::Node::IsNull { of: Box::new(self.time.clone()), negated: true },
            of: super::super::types::Type::Boolean,
            span: self.time.span,
        }
    }
}

fn counts(steps: &[Step]) -> Expr {
    let count = |step: &Step| match step.count {
        Count::AtLeast(number) | Count::Compare(_, number) => sql::number(number),
    };
    sql::list(steps.iter().map(count).collect())
}

/// Whether some step uses the label of an earlier one.
fn uses_labels(steps: &[Step]) -> bool {
    fn uses(expr: &typed::Expr, labels: &[Variable]) -> bool {
        if matches!(&expr.node, typed::Node::Variable(variable) if labels.contains(variable)) {
            return true;
        }
        let mut found = false;
        typed::visit(expr, &mut |part| found |= uses(part, labels));
        found
    }
    let labels: Vec<Variable> = steps.iter().map(|step| step.variable).collect();
    steps
        .iter()
        .enumerate()
        .any(|(at, step)| step.conditions.iter().any(|condition| uses(condition, &labels[..at])))
}
