//! What a rule means, said as plainly as can be: row by row, without planning anything.
//!
//! It shares the parser with coterie and nothing else: names, levels, aggregates, windows and NULLs are read here anew.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDateTime, Timelike};
use coterie::segment::{
    BinaryOp, Call, Expr, Form, Node, Order, Over, Test, UnaryOp, Value as Literal, children,
};

use super::data::{Table, World};
use super::value::{Value, and, interval, like, or, shift};

/// A rule's place: one profile, perhaps one of its events or one group of them, and the lambdas around.
#[derive(Clone)]
struct Place<'a> {
    profile: &'a [Value],
    event: Option<(usize, &'a [Value])>,
    group: Option<Group<'a>>,
    params: Vec<(String, Value)>,
}

#[derive(Clone)]
struct Group<'a> {
    table: usize,
    key: &'a Expr,
    value: Value,
}

/// Interprets rules about a world.
pub(crate) struct Interpreter<'a> {
    pub(crate) world: &'a World,
    /// The instant that `now()` means.
    pub(crate) now: NaiveDateTime,
    /// Whether events after it are hidden.
    pub(crate) as_of: bool,
    /// The other segments' rules.
    pub(crate) segments: &'a BTreeMap<String, Expr>,
}

impl<'a> Interpreter<'a> {
    /// The keys of the profiles that a rule holds for, sorted as texts.
    pub(crate) fn members(&self, rule: &'a Expr) -> Vec<String> {
        let holds = |place: &Place<'a>| self.eval(rule, place).truth() == Some(true);
        let mut keys: Vec<String> = self
            .profiles()
            .filter(|profile| holds(&at(profile)))
            .map(|profile| match &profile[0] {
                Value::Text(key) => key.clone(),
                Value::Int(key) => key.to_string(),
                other => panic!("{other:?} is no key"),
            })
            .collect();
        keys.sort();
        keys
    }

    /// The profiles that have a key, which is the first column.
    fn profiles(&self) -> impl Iterator<Item = &'a [Value]> {
        self.world.people.rows.iter().map(Vec::as_slice).filter(|row| !row[0].is_null())
    }

    fn eval(&self, expr: &'a Expr, place: &Place<'a>) -> Value {
        if let Some(group) = &place.group
            && place.event.is_none()
            && expr == group.key
        {
            return group.value.clone();
        }
        match &expr.node {
            Node::Literal(value) => literal(value),
            Node::Column(path) => {
                let path: Vec<&str> = path.iter().map(|name| name.value.as_str()).collect();
                self.column(&path, place)
            }
            Node::Unary { op: UnaryOp::Not, expr } => {
                Value::condition(self.eval(expr, place).truth().map(|truth| !truth))
            }
            Node::Unary { op: UnaryOp::Minus, expr } => {
                Value::Int(0).arithmetic('-', &self.eval(expr, place))
            }
            Node::Binary { op, left, right } => {
                binary(*op, &self.eval(left, place), &self.eval(right, place))
            }
            Node::Is { expr, test, negated } => {
                let value = self.eval(expr, place);
                let holds = match test {
                    Test::Null | Test::Unknown => value.is_null(),
                    Test::True => value.truth() == Some(true),
                    Test::False => value.truth() == Some(false),
                };
                Value::Bool(holds != *negated)
            }
            Node::In { expr, list, negated } => {
                let value = self.eval(expr, place);
                let found = list.iter().map(|item| value.equals(&self.eval(item, place)));
                let found = found.fold(Some(false), or);
                Value::condition(found.map(|found| found != *negated))
            }
            Node::Between { expr, low, high, negated } => {
                let value = self.eval(expr, place);
                let above = value.compare(&self.eval(low, place)).map(Ordering::is_ge);
                let below = value.compare(&self.eval(high, place)).map(Ordering::is_le);
                Value::condition(and(above, below).map(|within| within != *negated))
            }
            Node::Like { expr, pattern, escape, case_insensitive, negated } => {
                let (Value::Text(text), Value::Text(pattern)) =
                    (self.eval(expr, place), self.eval(pattern, place))
                else {
                    return Value::Null;
                };
                let chars = |text: &str| -> Vec<char> {
                    if *case_insensitive {
                        text.to_lowercase().chars().collect()
                    } else {
                        text.chars().collect()
                    }
                };
                Value::Bool(like(&chars(&text), &chars(&pattern), escape.or(Some('\\'))) != *negated)
            }
            Node::Case { operand: None, branches, otherwise } => {
                let taken = branches.iter().find(|(when, _)| self.eval(when, place).truth() == Some(true));
                match (taken, otherwise) {
                    (Some((_, then)), _) => self.eval(then, place),
                    (None, Some(otherwise)) => self.eval(otherwise, place),
                    (None, None) => Value::Null,
                }
            }
            Node::Call(call) => self.call(call, place),
            Node::Form { form, args } => self.form(*form, args, place),
            other => panic!("not interpreted: {other:?}"),
        }
    }

    fn column(&self, path: &[&str], place: &Place<'a>) -> Value {
        if let Some((_, value)) = place.params.iter().rev().find(|(name, _)| name == path[0]) {
            return value.clone();
        }
        let world = self.world;
        let event = place.event.map(|(table, row)| (&world.events[table], row));
        if path.len() > 1 {
            let own = event.filter(|(events, _)| events.table.name == path[0]);
            if let Some((events, row)) = own {
                return field(&events.table, row, &path[1..]);
            }
            if path[0] == world.people.name {
                return field(&world.people, place.profile, &path[1..]);
            }
            if let Some(at) = world.lookups.iter().position(|lookup| lookup.table.name == path[0]) {
                let lookup = &world.lookups[at];
                let referrer = event.filter(|(events, _)| events.lookups.contains(&at));
                let (table, row) = match referrer {
                    Some((events, row)) => (&events.table, row),
                    None => (&world.people, place.profile),
                };
                let key = field(table, row, &[lookup.key]);
                let found = lookup.table.rows.iter().find(|row| row[0].equals(&key) == Some(true));
                return found.map_or(Value::Null, |row| field(&lookup.table, row, &path[1..]));
            }
        }
        match event {
            Some((events, row)) if events.table.column(path[0]).is_some() => field(&events.table, row, path),
            _ => field(&world.people, place.profile, path),
        }
    }

    fn call(&self, call: &'a Call, place: &Place<'a>) -> Value {
        if let Some(over) = &call.over {
            return self.window(call, over, place);
        }
        if AGGREGATES.contains(&call.name.as_str()) && place.event.is_none() {
            return self.aggregate(call, place);
        }
        if call.name == "array_any_match" {
            return self.any_match(&call.args[0], &call.args[1], place);
        }
        let args: Vec<Value> = call.args.iter().map(|arg| self.eval(arg, place)).collect();
        match (call.name.as_str(), &args[..]) {
            ("now", []) => Value::Time(self.now),
            ("coalesce", args) => args.iter().find(|arg| !arg.is_null()).cloned().unwrap_or(Value::Null),
            (_, args) if args.iter().any(Value::is_null) => Value::Null,
            ("lower", [Value::Text(text)]) => Value::Text(text.to_lowercase()),
            ("length", [Value::Text(text)]) => Value::Int(text.chars().count() as i64),
            ("abs", [Value::Int(value)]) => Value::Int(value.abs()),
            ("abs", [Value::Float(value)]) => Value::Float(value.abs()),
            ("cardinality", [Value::List(items)]) => Value::Int(items.len() as i64),
            ("array_has", [Value::List(items), item]) => {
                Value::Bool(items.iter().any(|other| other.equals(item) == Some(true)))
            }
            ("date_part", [Value::Text(part), Value::Time(at)]) => {
                Value::Int(match part.to_lowercase().as_str() {
                    "hour" => at.hour().into(),
                    "day" => at.day().into(),
                    "month" => at.month().into(),
                    other => panic!("{other}"),
                })
            }
            (name, args) => panic!("not interpreted: {name}({args:?})"),
        }
    }

    fn any_match(&self, list: &'a Expr, lambda: &'a Expr, place: &Place<'a>) -> Value {
        let (Value::List(items), Node::Lambda { params, body }) = (self.eval(list, place), &lambda.node)
        else {
            return Value::Null;
        };
        let found = items.into_iter().map(|item| {
            let mut inner = place.clone();
            inner.params.push((params[0].clone(), item));
            self.eval(body, &inner).truth()
        });
        Value::condition(found.fold(Some(false), or))
    }

    /// The events of the place's profile and group, in the order of the table.
    fn events(&self, table: usize, place: &Place<'a>) -> Vec<Place<'a>> {
        let events = &self.world.events[table];
        let (key, time) =
            (events.table.column(events.key).unwrap(), events.table.column(events.time).unwrap());
        let seen = |row: &&'a Vec<Value>| match &row[time] {
            Value::Time(at) => *at <= self.now,
            _ => false,
        };
        let own = events.table.rows.iter().filter(|row| row[key].equals(&place.profile[0]) == Some(true));
        own.filter(|row| !self.as_of || seen(row))
            .map(|row| Place { event: Some((table, row.as_slice())), group: None, ..place.clone() })
            .filter(|event| match &place.group {
                None => true,
                Some(group) => self.eval(group.key, event).equals(&group.value) == Some(true),
            })
            .collect()
    }

    /// The events for which a condition holds, with their times.
    fn matching(&self, condition: &'a Expr, table: usize, place: &Place<'a>) -> Vec<Option<NaiveDateTime>> {
        let column = self.world.events[table].table.column(self.world.events[table].time).unwrap();
        let events = self.events(table, place).into_iter();
        events
            .filter(|event| self.eval(condition, event).truth() == Some(true))
            .map(|event| match event.event.unwrap().1[column] {
                Value::Time(at) => Some(at),
                _ => None,
            })
            .collect()
    }

    fn form(&self, form: Form, args: &'a [Expr], place: &Place<'a>) -> Value {
        let parts: Vec<&Expr> = args.iter().collect();
        let table = || place.group.as_ref().map_or_else(|| self.table_of(&parts), |group| group.table);
        let times = |at: usize| -> Vec<NaiveDateTime> {
            let mut times: Vec<_> = self.matching(&args[at], table(), place).into_iter().flatten().collect();
            times.sort();
            times
        };
        let or_null = |time: Option<&NaiveDateTime>| time.map_or(Value::Null, |at| Value::Time(*at));
        match form {
            Form::Did | Form::Times => {
                let found = self.matching(&args[0], table(), place);
                let n = match args.get(1).map(|width| self.eval(width, place)) {
                    None => found.len(),
                    Some(width) => {
                        let from = shift(self.now, &width, true);
                        found.into_iter().flatten().filter(|at| *at >= from && *at <= self.now).count()
                    }
                };
                if form == Form::Did { Value::Bool(n > 0) } else { Value::Int(n as i64) }
            }
            Form::FirstTime => or_null(times(0).first()),
            Form::LastTime => or_null(times(0).last()),
            Form::NthTime => {
                let Value::Int(n) = self.eval(&args[1], place) else { panic!("n") };
                let times = times(0);
                let index = usize::try_from(n.abs() - 1).unwrap();
                or_null(if n > 0 { times.get(index) } else { times.iter().rev().nth(index) })
            }
            Form::DidThen => {
                let (a, b) = (times(0), times(1));
                let width = args.get(2).map(|width| self.eval(width, place));
                let soon = |a: NaiveDateTime, b: NaiveDateTime| {
                    b > a && width.as_ref().is_none_or(|width| b <= shift(a, width, false))
                };
                Value::Bool(a.iter().any(|a| b.iter().any(|b| soon(*a, *b))))
            }
            Form::DidWithout => {
                let (a, b) = (times(0), times(1));
                let width = self.eval(&args[2], place);
                let alone = |a: NaiveDateTime| {
                    let end = shift(a, &width, false);
                    end <= self.now && !b.iter().any(|b| *b > a && *b <= end)
                };
                Value::Bool(a.iter().any(|a| alone(*a)))
            }
            Form::AnyPer | Form::CountPer => {
                let mut all = vec![&args[0]];
                conditions(&args[1], &mut all);
                let table = self.table_of(&all);
                let mut keys: Vec<Value> = vec![];
                for event in self.events(table, place) {
                    let key = self.eval(&args[0], &event);
                    if !key.is_null() && !keys.contains(&key) {
                        keys.push(key);
                    }
                }
                let holds = |value: &Value| {
                    let group = Group { table, key: &args[0], value: value.clone() };
                    let inner = Place { group: Some(group), ..place.clone() };
                    self.eval(&args[1], &inner).truth() == Some(true)
                };
                let n = keys.iter().filter(|key| holds(key)).count();
                if form == Form::AnyPer { Value::Bool(n > 0) } else { Value::Int(n as i64) }
            }
            Form::TopPercent | Form::TopN => {
                let own = self.eval(&args[0], place);
                if own.is_null() {
                    return Value::Bool(false);
                }
                let all: Vec<(Value, &Value)> = self
                    .profiles()
                    .map(|profile| (self.eval(&args[0], &at(profile)), &profile[0]))
                    .filter(|(value, _)| !value.is_null())
                    .collect();
                let before = all.iter().filter(|(value, key)| {
                    let order = self.order_of(&own, value).then(self.order_of(key, &place.profile[0]));
                    order.is_lt()
                });
                let (before, limit) = (before.count() as f64, self.eval(&args[1], place).number().unwrap());
                Value::Bool(match form {
                    Form::TopN => before < limit,
                    _ => before * 100.0 < limit * all.len() as f64,
                })
            }
            Form::InSegment => {
                let Value::Text(name) = self.eval(&args[0], place) else { panic!("name") };
                Value::Bool(self.eval(&self.segments[&name], &at(place.profile)).truth() == Some(true))
            }
        }
    }

    fn aggregate(&self, call: &'a Call, place: &Place<'a>) -> Value {
        let parts: Vec<&Expr> = call
            .args
            .iter()
            .chain(call.order_by.iter().map(|order| &order.expr))
            .chain(call.filter.as_deref())
            .collect();
        let table = place.group.as_ref().map_or_else(|| self.table_of(&parts), |group| group.table);
        let passes = |event: &Place<'a>| match &call.filter {
            None => true,
            Some(filter) => self.eval(filter, event).truth() == Some(true),
        };
        let mut events: Vec<Place<'a>> = self.events(table, place).into_iter().filter(passes).collect();
        events.sort_by(|a, b| self.order(&call.order_by, a, b));
        if call.star {
            return Value::Int(events.len() as i64);
        }
        let mut values: Vec<Value> = events.iter().map(|event| self.eval(&call.args[0], event)).collect();
        match call.name.as_str() {
            "array_agg" if values.is_empty() => return Value::Null,
            "array_agg" => return Value::List(values),
            "first_value" => return values.into_iter().next().unwrap_or(Value::Null),
            "last_value" => return values.pop().unwrap_or(Value::Null),
            _ => {}
        }
        values.retain(|value| !value.is_null());
        if call.distinct {
            let mut seen: Vec<Value> = vec![];
            values.retain(|value| {
                let new = !seen.contains(value);
                seen.push(value.clone());
                new
            });
        }
        summary(&call.name, &values)
    }

    fn window(&self, call: &'a Call, over: &'a Over, place: &Place<'a>) -> Value {
        let own_partition: Vec<Value> = over.partition_by.iter().map(|expr| self.eval(expr, place)).collect();
        let mut rows: Vec<Place<'a>> = self
            .profiles()
            .map(at)
            .filter(|row| {
                let partition: Vec<Value> =
                    over.partition_by.iter().map(|expr| self.eval(expr, row)).collect();
                partition == own_partition
            })
            .collect();
        rows.sort_by(|a, b| self.order(&over.order_by, a, b));
        let before = || rows.iter().filter(|row| self.order(&over.order_by, row, place).is_lt()).count();
        let number = rows.iter().position(|row| row.profile[0] == place.profile[0]).unwrap();
        let int = |n: usize| Value::Int(n as i64);
        match call.name.as_str() {
            "row_number" => int(number + 1),
            "rank" => int(before() + 1),
            "dense_rank" => {
                let mut ranks = 1;
                for pair in rows[..=before()].windows(2) {
                    ranks += usize::from(self.order(&over.order_by, &pair[0], &pair[1]).is_ne());
                }
                int(ranks)
            }
            "ntile" => {
                let Value::Int(n) = self.eval(&call.args[0], place) else { panic!("n") };
                let (n, all) = (usize::try_from(n).unwrap(), rows.len());
                let (size, longer) = (all / n, all % n);
                let cut = longer * (size + 1);
                int(1 + if number < cut { number / (size + 1) } else { longer + (number - cut) / size })
            }
            name => {
                assert!(over.order_by.is_empty(), "frames are not interpreted");
                let values = rows.iter().map(|row| self.eval(&call.args[0], row));
                summary(name, &values.filter(|value| !value.is_null()).collect::<Vec<_>>())
            }
        }
    }

    /// How two values are sorted, neither of which is NULL.
    fn order_of(&self, a: &Value, b: &Value) -> Ordering {
        match (a, b) {
            (Value::Float(_), _) | (_, Value::Float(_)) if self.world.has_signed_zeros() => {
                a.number().unwrap().total_cmp(&b.number().unwrap())
            }
            _ => a.compare(b).unwrap(),
        }
    }

    fn order(&self, orders: &'a [Order], a: &Place<'a>, b: &Place<'a>) -> Ordering {
        for order in orders {
            let (a, b) = (self.eval(&order.expr, a), self.eval(&order.expr, b));
            let nulls_first = order.nulls_first.unwrap_or(order.descending);
            let found = match (a.is_null(), b.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) => {
                    if nulls_first {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
                (false, true) => {
                    if nulls_first {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    }
                }
                (false, false) => {
                    let order_of_values = self.order_of(&a, &b);
                    if order.descending { order_of_values.reverse() } else { order_of_values }
                }
            };
            if found.is_ne() {
                return found;
            }
        }
        Ordering::Equal
    }

    /// The event table that some expressions name a column of.
    fn table_of(&self, parts: &[&Expr]) -> usize {
        let world = self.world;
        let names = |expr: &Expr, table: usize| match &expr.node {
            Node::Column(path) => {
                let (events, first) = (&world.events[table], path[0].value.as_str());
                let is_lookup = |at: &usize| world.lookups[*at].table.name == first && path.len() > 1;
                first == events.table.name && path.len() > 1
                    || events.table.column(first).is_some()
                    || events.lookups.iter().any(is_lookup)
            }
            _ => false,
        };
        let named = |table: &usize| parts.iter().any(|part| any(part, &|expr| names(expr, *table)));
        if world.events.len() == 1 { 0 } else { (0..world.events.len()).rfind(named).unwrap() }
    }
}

/// The aggregates that are interpreted.
const AGGREGATES: &[&str] =
    &["count", "sum", "avg", "min", "max", "bool_or", "bool_and", "array_agg", "first_value", "last_value"];

fn summary(name: &str, values: &[Value]) -> Value {
    let least = |order: Ordering| {
        let best = values.iter().reduce(|a, b| if b.compare(a) == Some(order) { b } else { a });
        best.cloned().unwrap_or(Value::Null)
    };
    let truths = || values.iter().map(|value| value.truth() == Some(true));
    let sum = || values.iter().cloned().reduce(|a, b| a.arithmetic('+', &b)).unwrap_or(Value::Null);
    match name {
        "count" => Value::Int(values.len() as i64),
        "sum" => sum(),
        "avg" => sum().number().map_or(Value::Null, |sum| Value::Float(sum / values.len() as f64)),
        "min" => least(Ordering::Less),
        "max" => least(Ordering::Greater),
        _ if values.is_empty() => Value::Null,
        "bool_or" => Value::Bool(truths().any(|truth| truth)),
        "bool_and" => Value::Bool(truths().all(|truth| truth)),
        other => panic!("not interpreted: {other}"),
    }
}

fn at(profile: &[Value]) -> Place<'_> {
    Place { profile, event: None, group: None, params: vec![] }
}

fn field(table: &Table, row: &[Value], path: &[&str]) -> Value {
    let at = table.column(path[0]).unwrap_or_else(|| panic!("no column {path:?} in {}", table.name));
    let mut value = row[at].clone();
    for name in &path[1..] {
        value = match value {
            Value::Row(fields) => fields.into_iter().find(|(field, _)| field == name).unwrap().1,
            Value::Null => Value::Null,
            other => panic!("{other:?} has no fields"),
        };
    }
    value
}

fn literal(value: &Literal) -> Value {
    match value {
        Literal::Null => Value::Null,
        Literal::Boolean(value) => Value::Bool(*value),
        Literal::Number(text) => {
            text.parse().map_or_else(|_| Value::Float(text.parse().unwrap()), Value::Int)
        }
        Literal::String(text) => Value::text(text),
        Literal::Typed(_, text) => Value::Time(text.replacen(' ', "T", 1).parse().unwrap()),
        Literal::Interval(text) => interval(text),
    }
}

fn binary(op: BinaryOp, left: &Value, right: &Value) -> Value {
    let compare = |test: fn(Ordering) -> bool| Value::condition(left.compare(right).map(test));
    match op {
        BinaryOp::And => Value::condition(and(left.truth(), right.truth())),
        BinaryOp::Or => Value::condition(or(left.truth(), right.truth())),
        BinaryOp::Eq => compare(Ordering::is_eq),
        BinaryOp::NotEq => compare(Ordering::is_ne),
        BinaryOp::Lt => compare(Ordering::is_lt),
        BinaryOp::LtEq => compare(Ordering::is_le),
        BinaryOp::Gt => compare(Ordering::is_gt),
        BinaryOp::GtEq => compare(Ordering::is_ge),
        BinaryOp::Plus => left.arithmetic('+', right),
        BinaryOp::Minus => left.arithmetic('-', right),
        BinaryOp::Multiply => left.arithmetic('*', right),
        BinaryOp::Modulo => left.arithmetic('%', right),
        BinaryOp::Concat => match (left, right) {
            (Value::Text(a), Value::Text(b)) => Value::Text(format!("{a}{b}")),
            _ => Value::Null,
        },
        other => panic!("not interpreted: {other:?}"),
    }
}

fn any(expr: &Expr, test: &impl Fn(&Expr) -> bool) -> bool {
    test(expr) || children(expr).into_iter().any(|child| any(child, test))
}

/// The conditions on events in a group's rule.
fn conditions<'a>(expr: &'a Expr, found: &mut Vec<&'a Expr>) {
    match &expr.node {
        Node::Form { form, args } if form.is_aggregate() => found.extend(args),
        _ => children(expr).into_iter().for_each(|child| conditions(child, found)),
    }
}
