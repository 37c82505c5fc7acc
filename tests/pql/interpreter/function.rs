//! Functions.

use std::cmp::Ordering;

use chrono::{DateTime, Datelike};
use coterie::pql::ast::{Argument, Expr, Node};

use super::value::Value;
use super::{Interpreter, field, subset};

impl Interpreter {
    pub(super) fn call(&mut self, name: &str, args: &[Argument]) -> Value {
        let now = DateTime::from_timestamp_millis(self.now).unwrap();
        match name {
            "if" => {
                if self.condition(expr(&args[0])) {
                    self.value(expr(&args[1]))
                } else {
                    self.value(expr(&args[2]))
                }
            }
            "date" => {
                let part = |at: usize| match expr(&args[at]).node {
                    Node::Integer(value) => u32::try_from(value).unwrap(),
                    _ => panic!(),
                };
                let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(part(0)).unwrap(), part(1), part(2))
                    .unwrap();
                Value::Date(date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp_millis())
            }
            "inSegment" => {
                let Node::String(id) = &expr(&args[0]).node else { panic!() };
                let memberships = field(&self.contexts[0], "segmentMembership");
                let own =
                    get(&get(&memberships, &Value::Text("ups".into())), &Value::Text(id.as_str().into()));
                let status = field(&own, "status");
                Value::Boolean(matches!(status.text(), Some("realized" | "existing")))
            }
            "mapEntry" => {
                let entry = (self.value(expr(&args[0])), self.value(expr(&args[1])));
                Value::Entry(entry.into())
            }
            "currentYear" => Value::Integer(now.year().into()),
            "currentMonth" => Value::Integer(now.month().into()),
            "currentDayOfMonth" => Value::Integer(now.day().into()),
            other => panic!("{other}"),
        }
    }

    pub(super) fn method(&mut self, of: &Value, name: &str, args: &[Argument]) -> Value {
        match name {
            "isNull" => Value::Boolean(of.is_null()),
            "isNotNull" => Value::Boolean(!of.is_null()),
            "startsWith" | "doesNotStartWith" | "endsWith" | "doesNotEndWith" | "contains"
            | "doesNotContain" | "notEqualTo" | "equals" => Value::Boolean(self.text_test(of, name, args)),
            "matches" => Value::Boolean(of.text().is_some_and(|text| regex(&args[0]).is_match(text))),
            "regexGroup" => {
                let group = args.get(1).map_or(1, |group| match expr(group).node {
                    Node::Integer(group) => usize::try_from(group).unwrap(),
                    _ => panic!(),
                });
                let captures = of.text().and_then(|text| regex(&args[0]).captures(text));
                let found =
                    captures.and_then(|captures| captures.get(group).map(|m| Value::Text(m.as_str().into())));
                found.unwrap_or(Value::Null)
            }
            "count" => Value::Integer(match of {
                Value::Map(map) => map.entries.as_ref().map_or(0, Vec::len),
                other => other.items().map_or(0, <[Value]>::len),
            } as i64),
            "sum" | "average" | "min" | "max" => {
                let items = of.items().unwrap_or_default();
                let values: Vec<Value> = match args.first() {
                    Some(argument) => items.iter().map(|item| self.element(argument, item)).collect(),
                    None => items.to_vec(),
                };
                fold(name, &values)
            }
            "exists" if args.is_empty() => Value::Boolean(!of.items().unwrap_or_default().is_empty()),
            "exists" => {
                let items = of.items().unwrap_or_default();
                Value::Boolean(items.iter().any(|item| self.element_condition(&args[0], item)))
            }
            "forall" => {
                let items = of.items().unwrap_or_default();
                Value::Boolean(items.iter().all(|item| self.element_condition(&args[0], item)))
            }
            "filter" => self.filter(of, &mut |this, item| this.element_condition(&args[0], item)),
            "map" => self.map(of, &args[0]),
            "distinct" => {
                let Value::List(list) = of else { panic!() };
                Value::list(list.items.as_deref().map(distinct), list.null.clone())
            }
            "includes" => {
                let wanted = self.value(expr(&args[0]));
                Value::Boolean(of.items().unwrap_or_default().iter().any(|item| item.same(&wanted)))
            }
            "intersects" | "intersection" | "subsetOf" | "supersetOf" => {
                let other = self.value(expr(&args[0]));
                set(name, of, &other)
            }
            "topN" | "bottomN" => self.top(of, name == "topN", args),
            "head" => {
                let Value::List(list) = of else { panic!() };
                list.items.iter().flatten().next().unwrap_or(&list.null).clone()
            }
            "groupBy" => self.group_by(of, &args[0]),
            "get" => {
                let key = self.value(expr(&args[0]));
                get(of, &key)
            }
            "keys" => {
                let Value::Map(map) = of else { panic!() };
                let keys =
                    map.entries.as_ref().map(|entries| entries.iter().map(|(key, _)| key.clone()).collect());
                Value::list(keys, Value::Null)
            }
            "values" => {
                let Value::Map(map) = of else { panic!() };
                let values = map.entries.iter().flatten().map(|(_, value)| value.clone());
                let (values, null): (Vec<Value>, Value) = match &map.null {
                    Value::List(list) => (
                        values.flat_map(|list| list.items().unwrap_or_default().to_vec()).collect(),
                        list.null.clone(),
                    ),
                    null => (values.collect(), null.clone()),
                };
                Value::list(map.entries.as_ref().map(|_| values), null)
            }
            "getYear" | "getMonth" | "getDayOfMonth" => {
                let Some(time) = of.time() else { return Value::Null };
                let date = DateTime::from_timestamp_millis(time).unwrap();
                Value::Integer(match name {
                    "getYear" => date.year().into(),
                    "getMonth" => date.month().into(),
                    _ => date.day().into(),
                })
            }
            other => panic!("{other}"),
        }
    }

    fn text_test(&mut self, of: &Value, name: &str, args: &[Argument]) -> bool {
        let flag = match args.last() {
            Some(Argument::Expr(Expr { node: Node::Boolean(flag), .. })) => Some(*flag),
            _ => None,
        };
        let values = if flag.is_some() { &args[..args.len() - 1] } else { args };
        let fold = |text: &str| if flag == Some(false) { text.to_lowercase() } else { text.to_owned() };
        let Some(of) = of.text().map(fold) else { return false };
        values.iter().any(|value| {
            let value = self.value(expr(value));
            let Some(value) = value.text().map(fold) else { return false };
            match name {
                "startsWith" => of.starts_with(&value),
                "doesNotStartWith" => !of.starts_with(&value),
                "endsWith" => of.ends_with(&value),
                "doesNotEndWith" => !of.ends_with(&value),
                "contains" => of.contains(&value),
                "doesNotContain" => !of.contains(&value),
                "notEqualTo" => of != value,
                _ => of == value,
            }
        })
    }

    fn map(&mut self, of: &Value, argument: &Argument) -> Value {
        if let Value::Map(map) = of {
            let Argument::Lambda(lambda) = argument else { panic!() };
            let mut each = |key: &Value, value: &Value| {
                self.with_variable(&lambda.params[0].text, key, |this| {
                    this.with_variable(&lambda.params[1].text, value, |this| {
                        this.with_context(key, |this| this.value(&lambda.body))
                    })
                })
            };
            let null = each(&Value::Null, &map.null);
            let made =
                map.entries.as_ref().map(|entries| entries.iter().map(|(key, value)| each(key, value)));
            let made: Option<Vec<Value>> = made.map(Iterator::collect);
            let Value::Entry(entry) = &null else { return Value::list(made, null.nullified()) };
            let mut kept: Vec<(Value, Value)> = vec![];
            for made in made.iter().flatten() {
                let Value::Entry(entry) = made else { panic!() };
                if !entry.0.is_null() && !kept.iter().any(|(key, _)| key.same(&entry.0)) {
                    kept.push((**entry).clone());
                }
            }
            return Value::map(made.map(|_| kept), entry.1.nullified());
        }
        let Value::List(list) = of else { panic!() };
        let null = self.element(argument, &list.null).nullified();
        let made =
            list.items.as_ref().map(|items| items.iter().map(|item| self.element(argument, item)).collect());
        Value::list(made, null)
    }

    fn top(&mut self, of: &Value, greatest: bool, args: &[Argument]) -> Value {
        let Value::List(list) = of else { panic!() };
        let Node::Integer(count) = expr(&args[1]).node else { panic!() };
        let items = list.items.as_ref().map(|items| {
            let mut keyed: Vec<(Value, Value)> =
                items.iter().map(|item| (self.element(&args[0], item), item.clone())).collect();
            keyed.sort_by(|(a, _), (b, _)| match (a.is_null(), b.is_null()) {
                (false, false) => {
                    let order = a.order(b).unwrap();
                    if greatest { order.reverse() } else { order }
                }
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
            });
            keyed.into_iter().take(usize::try_from(count).unwrap()).map(|(_, item)| item).collect()
        });
        Value::list(items, list.null.clone())
    }

    fn group_by(&mut self, of: &Value, key: &Argument) -> Value {
        let Value::List(list) = of else { panic!() };
        let null = Value::list(None, list.null.clone());
        let groups = list.items.as_ref().map(|items| {
            let mut groups: Vec<(Value, Vec<Value>)> = vec![];
            for item in items {
                let key = self.element(key, item);
                match groups.iter_mut().find(|(known, _)| known.same(&key)) {
                    Some((_, group)) => group.push(item.clone()),
                    None if key.is_null() => {}
                    None => groups.push((key, vec![item.clone()])),
                }
            }
            groups
                .into_iter()
                .map(|(key, group)| (key, Value::list(Some(group), list.null.clone())))
                .collect()
        });
        Value::map(groups, null)
    }
}

fn expr(argument: &Argument) -> &Expr {
    match argument {
        Argument::Expr(expr) => expr,
        Argument::Lambda(_) => panic!("a lambda"),
    }
}

fn regex(argument: &Argument) -> regex::Regex {
    match &expr(argument).node {
        Node::String(pattern) => regex::Regex::new(pattern).unwrap(),
        _ => panic!(),
    }
}

fn get(map: &Value, key: &Value) -> Value {
    let Value::Map(map) = map else { panic!() };
    let found = map.entries.iter().flatten().find(|(own, _)| own.same(key));
    found.map_or(&map.null, |(_, value)| value).clone()
}

fn distinct(items: &[Value]) -> Vec<Value> {
    let mut kept: Vec<Value> = vec![];
    for item in items {
        if !item.is_null() && !kept.iter().any(|other| other.same(item)) {
            kept.push(item.clone());
        }
    }
    kept
}

fn set(name: &str, of: &Value, other: &Value) -> Value {
    let (Value::List(list), Some(b)) = (of, other.items()) else {
        let Value::List(list) = of else { panic!() };
        return if name == "intersection" {
            Value::list(None, list.null.clone())
        } else {
            Value::Boolean(false)
        };
    };
    let Some(a) = list.items.as_deref() else {
        return if name == "intersection" { of.clone() } else { Value::Boolean(false) };
    };
    let common: Vec<Value> =
        distinct(a).into_iter().filter(|value| b.iter().any(|other| value.same(other))).collect();
    match name {
        "intersects" => Value::Boolean(!common.is_empty()),
        "intersection" => Value::list(Some(common), list.null.clone()),
        "subsetOf" => Value::Boolean(subset(a, b)),
        _ => Value::Boolean(subset(b, a)),
    }
}

pub(super) fn fold(name: &str, values: &[Value]) -> Value {
    let known: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    let order = |a: &&Value, b: &&Value| a.order(b).unwrap();
    match name {
        "sum" => {
            let whole: Option<i64> = known
                .iter()
                .map(|value| match value {
                    Value::Integer(value) => Some(*value),
                    _ => None,
                })
                .sum();
            match whole {
                Some(sum) => Value::Integer(sum),
                None => Value::Double(known.iter().filter_map(|value| value.number()).sum()),
            }
        }
        "average" if known.is_empty() => Value::Null,
        "average" => {
            let sum: f64 = known.iter().filter_map(|value| value.number()).sum();
            Value::Double(sum / known.len() as f64)
        }
        "min" => known.into_iter().min_by(order).cloned().unwrap_or(Value::Null),
        _ => known.into_iter().max_by(order).cloned().unwrap_or(Value::Null),
    }
}
