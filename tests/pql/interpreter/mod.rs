//! A slow interpreter of the surface tree, one profile at a time: the specification read once more, without types,
//! variables or SQL, to compare with.

mod function;
mod time;
pub(crate) mod value;

use std::cmp::Ordering;
use std::rc::Rc;

use coterie::pql::ast::{
    Aggregate, Argument, Binding, Comparison, Count, Expr, Lambda, Node, Operator, Quantifier, Query, Step,
};
use serde_json::Value as Json;

use crate::cases::path;
use crate::fixture::now;
use crate::random_data::Data;
use value::{Object, Value};

pub(crate) struct Interpreter {
    now: i64,
    /// The contexts, outermost first.
    contexts: Vec<Value>,
    variables: Vec<(String, Value)>,
}

/// The profiles of some data with their events.
pub(crate) fn profiles(data: &Data) -> Vec<(String, Value)> {
    let schema = std::fs::read_to_string(path("fixture/schema.json")).unwrap();
    let schema: Json = serde_json::from_str(&schema).unwrap();
    let of_events = serde_json::json!({ "struct": schema["events"] });
    let of_profiles = serde_json::json!({ "struct": schema["profiles"] });
    let mut events = data.events.clone();
    events.sort_by_key(|event| {
        let time: chrono::DateTime<chrono::Utc> = event["timestamp"].as_str().unwrap().parse().unwrap();
        (time, event["_id"].as_str().unwrap().to_owned())
    });
    let profile = |json: &Json| {
        let id = json["profile_id"].as_str().unwrap().to_owned();
        let own = events.iter().filter(|event| event["profile_id"] == json["profile_id"]);
        let own = own.map(|event| Value::read(&of_events, Some(event))).collect();
        let Value::Object(object) = Value::read(&of_profiles, Some(json)) else { panic!() };
        let mut fields = object.fields.clone();
        fields.insert("xEvent".into(), Value::list(Some(own), Value::read(&of_events, None)));
        (id, Value::Object(Rc::new(Object { is_null: false, fields })))
    };
    data.profiles.iter().map(profile).collect()
}

/// The ids of the profiles for which a query holds, in order.
pub(crate) fn members(query: &Query, profiles: &[(String, Value)]) -> Vec<String> {
    let mut ids: Vec<String> =
        profiles.iter().filter(|(_, profile)| holds(query, profile)).map(|(id, _)| id.clone()).collect();
    ids.sort();
    ids
}

fn holds(query: &Query, profile: &Value) -> bool {
    let params = query.params.iter().flatten();
    let variables = params.map(|param| (param.text.clone(), profile.clone())).collect();
    let now = now().timestamp_millis();
    Interpreter { now, contexts: vec![profile.clone()], variables }.condition(&query.body)
}

impl Interpreter {
    fn condition(&mut self, expr: &Expr) -> bool {
        match self.value(expr) {
            Value::Boolean(value) => value,
            Value::List(list) => list.items.as_ref().is_some_and(|items| !items.is_empty()),
            Value::Null => false,
            other => panic!("not a condition: {other:?}"),
        }
    }

    fn value(&mut self, expr: &Expr) -> Value {
        match &expr.node {
            Node::String(text) => Value::Text(text.as_str().into()),
            Node::Boolean(value) => Value::Boolean(*value),
            Node::Integer(value) => Value::Integer(*value),
            Node::Double(value) => Value::Double(*value),
            Node::Moment(moment) => Value::Timestamp(self.moment(*moment)),
            Node::Array(items) => {
                let items = items.iter().map(|item| self.value(item)).collect();
                Value::list(Some(items), Value::Null)
            }
            Node::Parameter(_) => self.contexts[0].clone(),
            Node::Up(count) => self.contexts[self.contexts.len() - 1 - count].clone(),
            Node::Name(name) | Node::Variable(name) => {
                let bound = self.variables.iter().rev().find(|(bound, _)| bound == name);
                match bound {
                    Some((_, value)) => value.clone(),
                    None => field(self.contexts.last().unwrap(), name),
                }
            }
            Node::Field { of, name } => field(&self.value(of), &name.text),
            Node::Method { of, name, args } => {
                let of = self.value(of);
                self.method(&of, &name.text, args)
            }
            Node::Call { name, args } => self.call(&name.text, args),
            Node::Filter { of, condition } => {
                let of = self.value(of);
                self.filter(&of, &mut |this, element| {
                    this.with_context(element, |this| this.condition(condition))
                })
            }
            Node::And(parts) => Value::Boolean(parts.iter().all(|part| self.condition(part))),
            Node::Or(parts) => Value::Boolean(parts.iter().any(|part| self.condition(part))),
            Node::Not(operand) => Value::Boolean(!self.condition(operand)),
            Node::Negate(operand) => match self.value(operand) {
                Value::Integer(value) => Value::Integer(-value),
                Value::Double(value) => Value::Double(-value),
                other => other,
            },
            Node::Binary { op, left, right } => {
                let (left, right) = (self.value(left), self.value(right));
                binary(*op, &left, &right)
            }
            Node::Occurs { time, constraint } => {
                let time = self.value(time);
                Value::Boolean(self.occurs(&time, constraint))
            }
            Node::Quantifier { kind: Quantifier::Exists, bindings } => Value::Boolean(self.exists(bindings)),
            Node::Quantifier { kind: Quantifier::Forall, bindings } => Value::Boolean(self.forall(bindings)),
            Node::Quantifier { kind: Quantifier::Select, bindings } => {
                let source = self.value(&bindings[0].source);
                self.filter(&source, &mut |this, element| {
                    this.with_variable(&bindings[0].variable.text, element, |this| {
                        bindings[0].condition.as_ref().is_none_or(|condition| this.condition(condition))
                            && this.exists(&bindings[1..])
                    })
                })
            }
            Node::Over { aggregate, value, bindings } => {
                let mut values = vec![];
                self.over(value, bindings, &mut values);
                let name = match aggregate {
                    Aggregate::Count => {
                        let known = values.iter().filter(|value| !value.is_null()).count();
                        return Value::Integer(i64::try_from(known).unwrap());
                    }
                    other => other.as_str(),
                };
                function::fold(name, &values)
            }
            Node::Let { name, value, body } => {
                let value = self.value(value);
                self.with_variable(&name.text, &value, |this| this.value(body))
            }
            Node::Chain { source, time, steps } => {
                let source = self.value(source);
                let mut elements: Vec<(i64, Value)> = vec![];
                for element in source.items().unwrap_or_default() {
                    let mut of = element.clone();
                    for name in time {
                        of = field(&of, &name.text);
                    }
                    elements.extend(of.time().map(|time| (time, element.clone())));
                }
                elements.sort_by_key(|(time, _)| *time);
                Value::Boolean(self.chain(&elements, steps, None))
            }
            Node::Invalid => panic!("not parsed"),
        }
    }

    fn with_context<T>(&mut self, element: &Value, f: impl FnOnce(&mut Self) -> T) -> T {
        self.contexts.push(element.clone());
        let result = f(self);
        self.contexts.pop();
        result
    }

    fn with_variable<T>(&mut self, name: &str, value: &Value, f: impl FnOnce(&mut Self) -> T) -> T {
        self.variables.push((name.to_owned(), value.clone()));
        let result = f(self);
        self.variables.pop();
        result
    }

    /// An argument evaluated for an element.
    fn element(&mut self, argument: &Argument, element: &Value) -> Value {
        match argument {
            Argument::Expr(expr) => self.with_context(element, |this| this.value(expr)),
            Argument::Lambda(Lambda { params, body, .. }) => {
                self.with_variable(&params[0].text, element, |this| {
                    this.with_context(element, |this| this.value(body))
                })
            }
        }
    }

    fn element_condition(&mut self, argument: &Argument, element: &Value) -> bool {
        match self.element(argument, element) {
            Value::Boolean(value) => value,
            Value::List(list) => list.items.as_ref().is_some_and(|items| !items.is_empty()),
            _ => false,
        }
    }

    fn filter(&mut self, of: &Value, keep: &mut dyn FnMut(&mut Self, &Value) -> bool) -> Value {
        let Value::List(list) = of else { panic!("not an array: {of:?}") };
        let items =
            list.items.as_ref().map(|items| items.iter().filter(|item| keep(self, item)).cloned().collect());
        Value::list(items, list.null.clone())
    }

    fn exists(&mut self, bindings: &[Binding]) -> bool {
        let Some((binding, rest)) = bindings.split_first() else { return true };
        let source = self.value(&binding.source);
        source.items().unwrap_or_default().iter().any(|element| {
            self.with_variable(&binding.variable.text, element, |this| {
                binding.condition.as_ref().is_none_or(|condition| this.condition(condition))
                    && this.exists(rest)
            })
        })
    }

    fn forall(&mut self, bindings: &[Binding]) -> bool {
        let Some((binding, rest)) = bindings.split_first() else { return true };
        let source = self.value(&binding.source);
        source.items().unwrap_or_default().iter().all(|element| {
            self.with_variable(&binding.variable.text, element, |this| {
                binding.condition.as_ref().is_none_or(|condition| this.condition(condition))
                    && this.forall(rest)
            })
        })
    }

    fn over(&mut self, value: &Expr, bindings: &[Binding], values: &mut Vec<Value>) {
        let Some((binding, rest)) = bindings.split_first() else {
            values.push(self.value(value));
            return;
        };
        let source = self.value(&binding.source);
        for element in source.items().unwrap_or_default() {
            self.with_variable(&binding.variable.text, element, |this| {
                if binding.condition.as_ref().is_none_or(|condition| this.condition(condition)) {
                    this.over(value, rest, values);
                }
            });
        }
    }

    fn chain(&mut self, elements: &[(i64, Value)], steps: &[Step], after: Option<i64>) -> bool {
        let Some((step, rest)) = steps.split_first() else { return true };
        let later = elements.iter().filter(|(time, _)| after.is_none_or(|after| *time > after));
        let matching: Vec<&(i64, Value)> =
            later.filter(|(time, element)| self.matches(step, *time, element)).collect();
        let found = i64::try_from(matching.len()).unwrap();
        let Some(Count { comparison, number, .. }) = step.count else {
            return matching.iter().any(|(time, element)| {
                self.with_variable(&step.label.text, element, |this| this.chain(elements, rest, Some(*time)))
            });
        };
        let least = match comparison {
            None | Some(Comparison::GreaterEqual) => number,
            Some(Comparison::Greater) => number + 1,
            Some(Comparison::Equal) => return found == number,
            Some(Comparison::NotEqual) => return found != number,
            Some(Comparison::Less) => return found < number,
            Some(Comparison::LessEqual) => return found <= number,
        };
        found >= least && {
            let last = matching[usize::try_from(least).unwrap() - 1].0;
            self.chain(elements, rest, Some(last))
        }
    }

    fn matches(&mut self, step: &Step, time: i64, element: &Value) -> bool {
        self.with_context(element, |this| {
            this.condition(&step.what)
                && step.condition.as_ref().is_none_or(|condition| this.condition(condition))
                && step.when.as_ref().is_none_or(|when| this.occurs(&Value::Timestamp(time), when))
        })
    }
}

fn field(of: &Value, name: &str) -> Value {
    match of {
        Value::Object(object) => object.fields[name].clone(),
        Value::List(list) => {
            let null = field(&list.null, name);
            let values = list.items.iter().flatten().map(|item| field(item, name));
            match &null {
                Value::List(inner) => {
                    let all: Vec<Value> =
                        values.flat_map(|value| value.items().unwrap_or_default().to_vec()).collect();
                    Value::list(list.items.as_ref().map(|_| all), inner.null.clone())
                }
                _ => {
                    let values: Vec<Value> = values.collect();
                    Value::list(list.items.as_ref().map(|_| values), null)
                }
            }
        }
        other => panic!("{other:?} has no field {name}"),
    }
}

fn compares(op: Comparison, left: &Value, right: &Value) -> bool {
    left.order(right).is_some_and(|order| match op {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::NotEqual => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterEqual => order != Ordering::Less,
    })
}

/// Whether every value of one array is in the other, nulls aside.
fn subset(a: &[Value], b: &[Value]) -> bool {
    a.iter().all(|value| value.is_null() || b.iter().any(|other| value.same(other)))
}

fn binary(op: Operator, left: &Value, right: &Value) -> Value {
    let number = |f: fn(f64, f64) -> f64, g: fn(i64, i64) -> i64| match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => Value::Integer(g(*a, *b)),
        _ => match (left.number(), right.number()) {
            (Some(a), Some(b)) => Value::Double(f(a, b)),
            _ => Value::Null,
        },
    };
    match op {
        Operator::Compare(op) => Value::Boolean(match (left, right) {
            (Value::List(_), Value::List(_)) => match (left.items(), right.items()) {
                (Some(a), Some(b)) => (subset(a, b) && subset(b, a)) == (op == Comparison::Equal),
                _ => false,
            },
            (Value::List(_), scalar) => {
                left.items().unwrap_or_default().iter().any(|item| compares(op, item, scalar))
            }
            (scalar, Value::List(_)) => {
                right.items().unwrap_or_default().iter().any(|item| compares(op, scalar, item))
            }
            (a, b) => compares(op, a, b),
        }),
        Operator::In => Value::Boolean(right.items().unwrap_or_default().iter().any(|item| item.same(left))),
        Operator::NotIn => {
            let Some(items) = right.items() else { return Value::Boolean(false) };
            Value::Boolean(!left.is_null() && !items.iter().any(|item| item.same(left)))
        }
        Operator::Like => match (left.text(), right.text()) {
            (Some(text), Some(pattern)) => {
                let (text, pattern): (Vec<char>, Vec<char>) =
                    (text.chars().collect(), pattern.chars().collect());
                Value::Boolean(like(&text, &pattern))
            }
            _ => Value::Boolean(false),
        },
        Operator::Add => number(|a, b| a + b, i64::wrapping_add),
        Operator::Subtract => number(|a, b| a - b, i64::wrapping_sub),
        Operator::Multiply => number(|a, b| a * b, i64::wrapping_mul),
        Operator::Divide => match (left.number(), right.number()) {
            (Some(a), Some(b)) if b != 0.0 => Value::Double(a / b),
            _ => Value::Null,
        },
        Operator::Modulo if right.number() == Some(0.0) => Value::Null,
        Operator::Modulo => number(|a, b| a % b, i64::wrapping_rem),
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|at| like(&text[at..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', c @ ('%' | '_' | '\\'), rest @ ..] | [c, rest @ ..] => {
            text.first() == Some(c) && like(&text[1..], rest)
        }
    }
}
