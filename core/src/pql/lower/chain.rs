//! Chains. One step is a count, one event after another `did_then`, other steps of events one ordered aggregate. Over
//! lists, steps without labels are `steps_in_order`; labels nest: for each match of a step, look for a later match of
//! the next.

use arrow::datatypes::DataType;

use crate::profile::is_utc;
use crate::segment::{Expr, Form, Value as Constant};

use super::super::ast::{Comparison, Direction};
use super::super::typed::{self, ConstraintBody, Count, Step, Time, Variable};
use super::super::types::Type;
use super::each::conjuncts;
use super::steps::counts;
use super::{Element, Lowered, Lowering, Stop, Stream, Value, calendar, sql};

impl Lowering<'_> {
    pub(super) fn chain(&mut self, source: &typed::Expr, steps: &[Step]) -> Lowered<Expr> {
        let value = self.value(source)?;
        if let [step] = steps {
            return self.one_step(value, source, step);
        }
        if let Value::Events(stream) = &value {
            if let Some(then) = self.one_then_another(stream, steps)? {
                return Ok(then);
            }
            if let Some(taken) = self.steps_taken(stream, steps)? {
                return Ok(taken);
            }
        }
        if uses_labels(steps) {
            self.labelled(&value, source, steps)
        } else {
            self.in_order(value, source, steps)
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
        let list = self.native(source, of)?;
        let param = self.param();
        let element = Value::Sql(Expr::column([param.clone()]));
        let matches = self.matches(&element, steps)?;
        let events = Expr::call("array_transform", vec![list, sql::lambda(&param, matches)]);
        Ok(Expr::call("steps_in_order", vec![events, counts(steps)]))
    }

    /// Two steps by the events' timestamp, the second at most some time after the first: `did_then`; of events that have
    /// a value in common, `any_per` of that.
    fn one_then_another(&mut self, stream: &Stream, steps: &[Step]) -> Lowered<Option<Expr>> {
        let [first, second] = steps else { return Ok(None) };
        if !matches!(stream.element, Element::Event)
            || !self.is_timestamp(first.variable, &first.time)
            || (first.count, second.count) != (Count::AtLeast(1), Count::AtLeast(1))
        {
            return Ok(None);
        }
        let (second, within) = self.without_limit(first, second);
        let (second, shared) = without_shared(first, &second);
        if uses_labels(&[first.clone(), second.clone()]) {
            return Ok(None);
        }
        let mut conditions = |step: &Step| {
            self.about_event(|lowering| {
                let mut parts = stream.conditions.clone();
                parts.extend(lowering.step_conditions(&Value::Event, step)?);
                Ok(sql::and(parts))
            })
        };
        match (conditions(first), conditions(&second)) {
            (Ok(first), Ok(second)) => {
                let then = Expr::form(Form::DidThen, [first, second].into_iter().chain(within).collect());
                let Some(shared) = shared else { return Ok(Some(then)) };
                let shared = self.about_event(|lowering| lowering.sql(&shared))?;
                Ok(Some(Expr::form(Form::AnyPer, vec![shared, then])))
            }
            (Err(Stop::Blocked), _) | (_, Err(Stop::Blocked)) if !self.in_event => Ok(None),
            (Err(stop), _) | (_, Err(stop)) => Err(stop),
        }
    }

    /// A step without `WHEN(<= n U after L)`, where L is the step before, and that limit as an interval.
    fn without_limit(&self, before: &Step, step: &Step) -> (Step, Option<Expr>) {
        let mut conditions = vec![];
        step.conditions.iter().for_each(|condition| conjuncts(condition, &mut conditions));
        let limit = conditions.iter().enumerate().find_map(|(at, condition)| {
            let limit = self.limit(before, step, condition)?;
            Some((at, limit))
        });
        if let Some((at, _)) = limit {
            conditions.remove(at);
        }
        let conditions = conditions.into_iter().cloned().collect();
        (Step { conditions, ..step.clone() }, limit.map(|(_, limit)| limit))
    }

    /// The longest time after the step before, if that is all that a condition is about.
    fn limit(&self, before: &Step, step: &Step, condition: &typed::Expr) -> Option<Expr> {
        let typed::Node::Occurs { time, constraint } = &condition.node else { return None };
        let ConstraintBody::Offset {
            comparison: Comparison::LessEqual,
            number,
            unit,
            direction: Direction::After | Direction::From,
            anchor: Time::Value(anchor),
        } = &constraint.body
        else {
            return None;
        };
        let is_limit = !constraint.ignore_year
            && self.is_timestamp(step.variable, time)
            && self.is_timestamp(before.variable, anchor)
            && self.is_utc();
        is_limit.then(|| Expr::literal(Constant::Interval(calendar::interval(*number, *unit))))
    }

    /// Whether an expression is the events' timestamp of a variable.
    fn is_timestamp(&self, variable: Variable, expr: &typed::Expr) -> bool {
        let timestamp = self.context.store.store.events.first().map(|events| events.timestamp.as_str());
        matches!(&expr.node, typed::Node::Field { of, name }
            if of.node == typed::Node::Variable(variable) && Some(name.as_str()) == timestamp)
    }

    /// Whether days and months of the events' timestamps are those of UTC, as they are in PQL.
    fn is_utc(&self) -> bool {
        match self.timestamp_type() {
            Some(DataType::Timestamp(_, zone)) => zone.as_deref().is_none_or(is_utc),
            _ => false,
        }
    }

    /// The conditions of a step on an element.
    pub(super) fn step_conditions(&mut self, element: &Value, step: &Step) -> Lowered<Vec<Expr>> {
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
            of: Type::Boolean,
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
            of: Type::Boolean,
            span: self.time.span,
        }
    }
}

/// A step without `x = L.x`, where L is the step before, and x of its own element.
fn without_shared(before: &Step, step: &Step) -> (Step, Option<typed::Expr>) {
    let of_step = |left: &typed::Expr, right: &typed::Expr| {
        let is_key = matches!(left.of, Type::String | Type::Integer | Type::Boolean) && left.of == right.of;
        (is_key && is_same_field(left, step.variable, right, before.variable)).then(|| left.clone())
    };
    let shared = step.conditions.iter().enumerate().find_map(|(at, condition)| {
        let typed::Node::Compare { op: Comparison::Equal, left, right } = &condition.node else {
            return None;
        };
        Some((at, of_step(left, right).or_else(|| of_step(right, left))?))
    });
    let Some((at, shared)) = shared else { return (step.clone(), None) };
    let mut step = step.clone();
    step.conditions.remove(at);
    (step, Some(shared))
}

/// Whether two expressions are the same field, each of its own variable.
fn is_same_field(left: &typed::Expr, of_left: Variable, right: &typed::Expr, of_right: Variable) -> bool {
    match (&left.node, &right.node) {
        (typed::Node::Field { of: left, name }, typed::Node::Field { of: right, name: other }) => {
            name == other && is_same_field(left, of_left, right, of_right)
        }
        (typed::Node::Variable(left), typed::Node::Variable(right)) => (*left, *right) == (of_left, of_right),
        _ => false,
    }
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
