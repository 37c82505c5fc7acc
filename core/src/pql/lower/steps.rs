//! The steps of a chain over events as one ordered aggregate: `sequence_steps`, or `sequence_linked` where a step uses
//! the label of an earlier one.
//!
//! A condition that uses a label is taken apart until what remains are comparisons of something about the one event
//! with something about the other: both become fields of the event, and the comparison a link between them. Where one
//! operand needs both events, `amount + a.amount`, the steps cannot be said this way.

use crate::segment::{BinaryOp, Call, Expr, Node, UnaryOp, Value as Constant, walk};

use super::super::typed::{Count, Step};
use super::{Element, Lowered, Lowering, Stop, Stream, Value, sql};

/// The most conditions of the aggregates.
const MAX_STEPS: usize = 32;

impl Lowering<'_> {
    /// Whether the steps were taken; `None` where only lists of events can say it.
    pub(super) fn steps_taken(&mut self, stream: &Stream, steps: &[Step]) -> Lowered<Option<Expr>> {
        let element = match &stream.element {
            Element::Event => Value::Event,
            Element::Sql(value) => Value::Sql(value.clone()),
            Element::Flat(_) => return Ok(None),
        };
        let Some(first) = steps.first().filter(|_| steps.len() <= MAX_STEPS) else { return Ok(None) };
        // The labels are gone when this is done: their names are free again.
        let next_param = self.next_param;
        let labels: Vec<String> = steps.iter().map(|_| self.param()).collect();
        let lowered = self.about_event(|lowering| {
            let mut conditions = vec![];
            for (at, step) in steps.iter().enumerate() {
                for (earlier, label) in steps[..at].iter().zip(&labels) {
                    lowering.bind(earlier.variable, Value::Sql(labelled(label)));
                }
                conditions.push(lowering.step_conditions(&element, step)?);
            }
            lowering.bind(first.variable, element.clone());
            Ok((conditions, lowering.sql(&first.time)?))
        });
        self.next_param = next_param;
        let (conditions, time) = match lowered {
            Ok(lowered) => lowered,
            Err(Stop::Blocked) if !self.in_event => return Ok(None),
            Err(stop) => return Err(stop),
        };
        let mut links = Links {
            own: vec![vec![]; steps.len()],
            links: vec![],
            fields: vec![],
            labels,
            element,
            event: self.event_alias(),
        };
        for (at, conditions) in conditions.into_iter().enumerate() {
            if conditions.into_iter().any(|condition| links.add(at, condition).is_none()) {
                return Ok(None);
            }
        }
        Ok(Some(links.aggregate(time, counts(steps), &stream.conditions)))
    }
}

/// What stands for the event of an earlier step: a path, so that its fields become longer paths.
fn labelled(label: &str) -> Expr {
    Expr::column([label, label])
}

/// How many elements each step needs.
pub(super) fn counts(steps: &[Step]) -> Expr {
    let count = |step: &Step| match step.count {
        Count::AtLeast(number) | Count::Compare(_, number) => sql::number(number),
    };
    sql::list(steps.iter().map(count).collect())
}

/// The conditions of the steps: those about one event, and what links several.
struct Links {
    /// By step.
    own: Vec<Vec<Expr>>,
    links: Vec<String>,
    /// The fields of an event that links compare.
    fields: Vec<(String, Expr)>,
    /// What stands for the event of each step in the conditions of later ones.
    labels: Vec<String>,
    element: Value,
    /// The name of the table of events.
    event: String,
}

/// The steps that an expression is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    One(usize),
    Several,
}

impl Links {
    /// Takes a condition of a step; `None` if it cannot be said.
    fn add(&mut self, at: usize, condition: Expr) -> Option<()> {
        if let Node::Binary { op: BinaryOp::And, left, right } = condition.node {
            self.add(at, *left)?;
            return self.add(at, *right);
        }
        match self.about(at, &condition) {
            About::One(step) => {
                let condition = self.unlabelled(condition)?;
                self.own[step].push(condition);
            }
            About::Several => {
                let link = self.link(at, &condition)?;
                self.links.push(link);
            }
        }
        Some(())
    }

    /// The steps that an expression among the conditions of step `at` is about: what is about none is about `at`.
    fn about(&self, at: usize, expr: &Expr) -> About {
        let mut about = None;
        walk(expr, &mut |part| {
            if let Node::Column(path) = &part.node
                && let [table, _, ..] = &path[..]
            {
                let label = self.labels.iter().position(|label| *label == table.value);
                if let Some(step) = label.or((table.value == self.event).then_some(at)) {
                    about = match about {
                        None => Some(About::One(step)),
                        Some(About::One(other)) if other == step => about,
                        Some(_) => Some(About::Several),
                    };
                }
            }
            true
        });
        about.unwrap_or(About::One(at))
    }

    /// A condition about several steps as a link.
    fn link(&mut self, at: usize, condition: &Expr) -> Option<String> {
        if let About::One(step) = self.about(at, condition) {
            return self.field(step, condition);
        }
        match &condition.node {
            Node::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
                Some(format!("({} {} {})", self.link(at, left)?, op.as_str(), self.link(at, right)?))
            }
            Node::Binary { op, left, right } if is_comparison(*op) => {
                let operand = |links: &mut Self, expr: &Expr| match links.about(at, expr) {
                    About::One(step) => links.field(step, expr),
                    About::Several => None,
                };
                Some(format!("{} {} {}", operand(self, left)?, op.as_str(), operand(self, right)?))
            }
            // Links have two values, as conditions that are negated.
            Node::Unary { op: UnaryOp::Not, expr } => Some(format!("NOT ({})", self.link(at, expr)?)),
            Node::Call(call) => self.link(at, two_valued(call)?),
            _ => None,
        }
    }

    /// Something about the event of one step as a field of it.
    fn field(&mut self, step: usize, expr: &Expr) -> Option<String> {
        let expr = self.unlabelled(expr.clone())?;
        let known = self.fields.iter().find(|(_, field)| *field == expr);
        let name = match known {
            Some((name, _)) => name.clone(),
            None => {
                let name = self.free_name(&expr);
                self.fields.push((name.clone(), expr));
                name
            }
        };
        let is_word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let name = if is_word { name } else { format!("\"{}\"", name.replace('"', "\"\"")) };
        Some(format!("{}.{name}", step + 1))
    }

    /// A name that no other field has: that of the column, if it is one.
    fn free_name(&self, expr: &Expr) -> String {
        let name = match &expr.node {
            Node::Column(path) => path.last().map_or("value", |name| &name.value),
            _ => "value",
        };
        let is_free = |name: &String| self.fields.iter().all(|(other, _)| other != name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }

    /// An expression about one step as one about the event at hand.
    fn unlabelled(&self, mut expr: Expr) -> Option<Expr> {
        let mut possible = true;
        crate::segment::walk_mut(&mut expr, &mut |part| {
            let Node::Column(path) = &mut part.node else { return };
            let [label, _, fields @ ..] = &path[..] else { return };
            if !self.labels.contains(&label.value) {
                return;
            }
            let mut fields = fields.iter().map(|field| field.value.as_str());
            let element = match (&self.element, fields.next()) {
                (Value::Sql(value), None) => Some(value.clone()),
                (Value::Sql(value), Some(field)) => Some(sql::field(value.clone(), field)),
                (Value::Event, Some(field)) => Some(Expr::column([self.event.as_str(), field])),
                _ => None,
            };
            match element {
                Some(element) => *part = fields.fold(element, sql::field).at(part.span),
                None => possible = false,
            }
        });
        possible.then_some(expr)
    }

    fn aggregate(self, time: Expr, counts: Expr, conditions: &[Expr]) -> Expr {
        let steps = self.own.into_iter().map(sql::and);
        let (name, args) = if self.links.is_empty() {
            ("sequence_steps", vec![counts, time])
        } else {
            let links = sql::text(self.links.join(" AND "));
            let fields = Expr::synthetic(Node::Struct(self.fields));
            ("sequence_linked", vec![counts, links, time, fields])
        };
        sql::called(sql::aggregate(name, args.into_iter().chain(steps).collect(), conditions))
    }
}

fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq
    )
}

/// `x` of `coalesce(x, false)`.
fn two_valued(call: &Call) -> Option<&Expr> {
    match &call.args[..] {
        [condition, otherwise] if call.name == "coalesce" => {
            (otherwise.node == Node::Literal(Constant::Boolean(false))).then_some(condition)
        }
        _ => None,
    }
}
