//! Typed tree → [`segment::Expr`](crate::segment::Expr): PQL said in SQL.
//!
//! What is asked of events one by one becomes a filtered aggregate: `xEvent[c].count()` is `count(*) FILTER (WHERE c)`.
//! An expression inside an aggregate is about one event, and may use the profile's columns, but neither other events
//! nor the parameters of lambdas around it. Where a query needs those, the events become a list of structs,
//! `array_agg({…} ORDER BY timestamp, id)`, and lambdas do the rest: lowering tries the first and falls back.
//!
//! A condition is lowered so that NULL counts as false; it is made two-valued (`IS TRUE`, `IS NOT TRUE`) only where it
//! is negated or used as a value, so that the SQL stays readable and filters can be pushed down.

mod calendar;
mod chain;
mod condition;
mod each;
mod expr;
mod list;
mod map;
mod occurs;
mod quantifier;
mod sql;
mod steps;
mod stream;

use std::collections::{BTreeSet, HashMap};

use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::profile::alias;
use crate::segment::Expr;

use super::Context;
use super::typed::{self, Variable};
use super::types::{Role, Type};

/// The rule in SQL.
pub fn lower(query: &typed::Expr, context: &Context<'_>) -> Result<Expr, Diagnostic> {
    let mut lowering = Lowering::new(query, context);
    lowering.condition(query).map(|rule| rule.at(query.span)).map_err(|stop| match stop {
        Stop::Unsupported(fault) => *fault,
        Stop::Blocked => {
            let message = "this query could not be translated (this is a fault of coterie; please report it)";
            Diagnostic::new(Kind::Internal, message).at(query.span)
        }
    })
}

/// Why an expression was not lowered.
enum Stop {
    /// It cannot be said about one event.
    Blocked,
    /// It cannot be said at all.
    Unsupported(Box<Diagnostic>),
}

type Lowered<T> = Result<T, Stop>;

/// What a typed expression became.
#[derive(Clone)]
enum Value {
    /// SQL of the same type: a scalar, struct, list or map.
    Sql(Expr),
    /// A map as a list of structs with `key` and `value`, each key once.
    Entries(Expr),
    /// The profile's row.
    Profile,
    /// The event that the aggregate at hand is looking at.
    Event,
    /// An array of something about each event.
    Events(Stream),
    /// The first event of a stream.
    FirstEvent(Stream),
}

/// The profile's events that satisfy some conditions, in order, and what is made of each.
#[derive(Clone)]
struct Stream {
    conditions: Vec<Expr>,
    element: Element,
}

/// What a stream makes of an event.
#[derive(Clone)]
enum Element {
    /// The event itself.
    Event,
    /// A value.
    Sql(Expr),
    /// The elements of a list, after those of the events before.
    Flat(Expr),
}

struct Lowering<'a> {
    context: &'a Context<'a>,
    /// What variables stand for, and whether they were bound inside an aggregate.
    values: HashMap<Variable, (Value, bool)>,
    /// How many variables were made up here.
    made_up: usize,
    /// Whether the expression at hand is inside an aggregate.
    in_event: bool,
    /// The event's fields that the query uses: those that lists of events hold.
    event_fields: Vec<String>,
    /// The names of columns, which parameters must not have.
    taken: BTreeSet<String>,
    next_param: usize,
    /// Whether some number of the store is not of 64 bits.
    odd_numbers: bool,
}

impl<'a> Lowering<'a> {
    fn new(query: &typed::Expr, context: &'a Context<'a>) -> Self {
        let mut fields = BTreeSet::new();
        event_fields(query, &mut fields);
        let event_schema = context.store.events.first();
        let schemas = event_schema.into_iter().chain([&context.store.profiles]);
        let mut taken = BTreeSet::new();
        let mut odd_numbers = false;
        for schema in schemas {
            for field in schema.fields() {
                taken.insert(field.name().clone());
                odd_numbers |= expr::has_odd_number(field.data_type());
            }
        }
        Self {
            context,
            values: HashMap::new(),
            made_up: 0,
            in_event: false,
            event_fields: fields.into_iter().collect(),
            taken,
            next_param: 0,
            odd_numbers,
        }
    }

    fn profile_column(&self, name: &str) -> Expr {
        Expr::column([alias(&self.context.store.store.profiles.table), name.to_owned()])
    }

    fn event_column(&self, name: &str) -> Expr {
        Expr::column([self.event_alias(), name.to_owned()])
    }

    /// The name that columns of events have in front.
    fn event_alias(&self) -> String {
        let table = self.context.store.store.events.first().map(|events| alias(&events.table));
        table.unwrap_or_default()
    }

    /// A name for a lambda's parameter that nothing else has.
    fn param(&mut self) -> String {
        loop {
            self.next_param += 1;
            let name = format!("x{}", self.next_param);
            if !self.taken.contains(&name) {
                return name;
            }
        }
    }

    /// A variable that the query does not have.
    fn fresh_variable(&mut self) -> Variable {
        self.made_up += 1;
        usize::MAX - self.made_up
    }

    fn bind(&mut self, variable: Variable, value: Value) {
        self.values.insert(variable, (value, self.in_event));
    }

    fn variable(&self, variable: Variable, span: Span) -> Lowered<Value> {
        let Some((value, bound_in_event)) = self.values.get(&variable) else {
            return Err(unsupported(span, "this variable is not known here"));
        };
        if self.in_event && !bound_in_event && !value.portable() {
            return Err(Stop::Blocked);
        }
        Ok(value.clone())
    }

    /// Lowers something about one event.
    fn about_event<T>(&mut self, lower: impl FnOnce(&mut Self) -> Lowered<T>) -> Lowered<T> {
        if self.in_event {
            return Err(Stop::Blocked);
        }
        self.in_event = true;
        let result = lower(self);
        self.in_event = false;
        result
    }

    /// Runs `body` with an expression that it may use several times: a large one is computed once, by a lambda.
    fn shared(&mut self, value: Expr, body: impl FnOnce(&mut Self, Expr) -> Lowered<Expr>) -> Lowered<Expr> {
        if sql::is_small(&value) {
            return body(self, value);
        }
        let param = self.param();
        let body = body(self, Expr::column([param.clone()]))?;
        Ok(sql::first(Expr::call("array_transform", vec![sql::list(vec![value]), sql::lambda(&param, body)])))
    }
}

impl Value {
    /// Whether the value means the same inside an aggregate.
    fn portable(&self) -> bool {
        match self {
            Self::Sql(expr) | Self::Entries(expr) => sql::portable(expr),
            Self::Profile => true,
            Self::Event | Self::Events(_) | Self::FirstEvent(_) => false,
        }
    }
}

fn unsupported(span: Span, message: &str) -> Stop {
    Stop::Unsupported(Box::new(Diagnostic::new(Kind::Unsupported, message).at(span)))
}

/// The fields of events that a query uses.
fn event_fields(expr: &typed::Expr, found: &mut BTreeSet<String>) {
    let of_event = |of: &Type| match of {
        Type::Object(object) => object.role == Role::Event,
        Type::Array(item) => matches!(&**item, Type::Object(object) if object.role == Role::Event),
        _ => false,
    };
    if let typed::Node::Field { of, name } | typed::Node::Projection { of, name, .. } = &expr.node
        && of_event(&of.of)
    {
        found.insert(name.clone());
    }
    typed::visit(expr, &mut |part| event_fields(part, found));
}
