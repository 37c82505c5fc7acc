//! Names and levels: expressions as written → a [`Program`] over the tables of one profile store.
//!
//! Resolving finds the table of every column, the sort of every function, and splits each rule in two: an expression
//! over the profile's row, and the *features* it needs, values computed from the profile's events. Short forms become
//! features, `now()` a constant, `in_segment` the other rule itself. Features are interned, so that rules which ask
//! the same question share one. Nothing here reads data or knows DataFusion.

mod column;
mod event;
mod form;
mod group;
mod profile;
mod rank;
mod time;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};

use crate::diagnostic::{Diagnostic, Kind, Result, Source, Span};
use crate::profile::Bound;
use crate::segment::{Call, Expr, Node, Relation, Value};

pub use rank::ranked;
pub use time::{Bound as TimeBound, bounds, instant_of, parse_timestamp};

/// What a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A value from values.
    Scalar,
    /// A value from many rows; with `OVER`, a window function too.
    Aggregate,
    /// Only with `OVER`.
    Window,
}

/// The functions there are.
pub trait Functions {
    /// What the function of that name is, if there is one.
    fn sort(&self, name: &str) -> Option<Sort>;
    /// All names, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// The other segments, for `in_segment`.
pub trait Segments {
    /// The rule of a segment, the store it is about, and the text that the rule's places point into.
    fn rule(&self, name: &str) -> Option<Result<Member>>;
    /// All names, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// A segment's rule, as `in_segment` needs it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The store it is about.
    pub store: String,
    /// Its rule.
    pub rule: Expr,
    /// What the rule's places point into.
    pub source: Source,
}

/// What a rule is resolved against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The store and its schemas.
    pub store: &'a Arc<Bound>,
    /// The functions there are.
    pub functions: &'a dyn Functions,
    /// The other segments.
    pub segments: &'a dyn Segments,
    /// The instant that `now()` means.
    pub now: DateTime<Utc>,
    /// Whether events after `now` are hidden.
    pub as_of: bool,
}

/// Resolved rules about one store, with the features that they share.
#[derive(Clone, Debug)]
pub struct Program {
    /// The store.
    pub store: Arc<Bound>,
    /// The instant that `now()` means.
    pub now: DateTime<Utc>,
    /// Whether events after `now` are hidden.
    pub as_of: bool,
    /// The rules, in the order in which they were added.
    pub rules: Vec<Rule>,
    /// What they need to know of a profile's events.
    pub features: Vec<Feature>,
    /// The keys by which some features group a profile's events, with their event table.
    pub keys: Vec<(usize, Expr)>,
}

/// A resolved rule: a boolean expression over a profile's row and features.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The segment's name.
    pub name: String,
    /// The condition; not a member where it is NULL.
    pub expr: Expr,
}

/// A value computed from events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// An aggregate over a profile's events, one value a profile, or one a group of its events by a key.
    Aggregate {
        /// The event table.
        events: usize,
        /// The key, of the program's keys.
        per: Option<usize>,
        /// The aggregate; columns inside it are resolved.
        call: Call,
    },
    /// In how many groups of a profile's events a rule holds, one value a profile.
    Groups {
        /// The key, of the program's keys.
        per: usize,
        /// The rule about one group: an expression over its features, its key and the profile.
        rule: Expr,
    },
}

impl Program {
    /// The evaluation instant, to compare with an event table's timestamps.
    pub fn now_for(&self, events: usize) -> Expr {
        let column = self.store.store.events.get(events).map(|events| events.timestamp.as_str());
        let schema = self.store.events.get(events);
        let field = schema.zip(column).and_then(|(schema, name)| schema.field_with_name(name).ok());
        let data_type = field.map_or(DataType::Null, |field| field.data_type().clone());
        Expr::literal(time::now_literal("now", self.now, &data_type))
    }

    /// The timestamp column of an event table.
    pub fn timestamp(&self, events: usize) -> Expr {
        let path = self.store.store.events.get(events).map(|events| events.timestamp.clone());
        Expr::synthetic(Node::Attribute {
            relation: Relation::Events(events),
            path: path.into_iter().collect(),
        })
    }

    /// The event table that a feature is computed from.
    pub fn events_of(&self, feature: &Feature) -> Option<usize> {
        match feature {
            Feature::Aggregate { events, .. } => Some(*events),
            Feature::Groups { per, .. } => self.keys.get(*per).map(|(events, _)| *events),
        }
    }
}

impl Feature {
    /// What the feature is for a profile without events; `None` for NULL.
    pub fn empty(&self) -> Option<Value> {
        match self {
            Self::Groups { .. } => Some(Value::Number("0".into())),
            Self::Aggregate { call, .. } => EMPTY
                .iter()
                .find(|(names, _)| names.contains(&call.name.as_str()))
                .map(|(_, value)| value.clone()),
        }
    }
}

/// The aggregates that are not NULL over no rows. A test asks every registered aggregate.
static EMPTY: std::sync::LazyLock<Vec<(&[&str], Value)>> = std::sync::LazyLock::new(|| {
    vec![
        (
            &["count", "regr_count", "approx_distinct", "window_funnel", "session_count", "sequence_count"][..],
            Value::Number("0".into()),
        ),
        (&["did_then", "did_without", "sequence_match"][..], Value::Boolean(false)),
    ]
});

/// Resolves rules one by one into a [`Program`].
pub struct Resolver<'a> {
    context: Context<'a>,
    program: Program,
    features: HashMap<Feature, usize>,
    /// The segments whose rules are being inlined, outermost first.
    path: Vec<String>,
    /// The parameters of the lambdas around the expression at hand.
    params: Vec<String>,
}

impl<'a> Resolver<'a> {
    /// Begins a program without rules.
    pub fn new(context: Context<'a>) -> Self {
        let Context { store, now, as_of, .. } = context;
        let store = Arc::clone(store);
        let program = Program { store, now, as_of, rules: vec![], features: vec![], keys: vec![] };
        Self { context, program, features: HashMap::new(), path: vec![], params: vec![] }
    }

    /// Resolves a rule and adds it. A rule that fails leaves the program as it was.
    pub fn add(&mut self, name: &str, rule: &Expr) -> Result<()> {
        let (features, keys) = (self.program.features.len(), self.program.keys.len());
        self.path = vec![name.to_owned()];
        self.params.clear();
        match self.profile_expr(rule) {
            Ok(expr) => {
                self.program.rules.push(Rule { name: name.to_owned(), expr });
                Ok(())
            }
            Err(fault) => {
                for feature in self.program.features.drain(features..) {
                    self.features.remove(&feature);
                }
                self.program.keys.truncate(keys);
                Err(fault)
            }
        }
    }

    /// The program of all rules added.
    pub fn finish(self) -> Program {
        self.program
    }

    fn store(&self) -> &Arc<Bound> {
        &self.program.store
    }

    /// The position of a feature, which is new or known.
    fn feature(&mut self, feature: Feature, span: Span) -> Expr {
        let next = self.program.features.len();
        let at = *self.features.entry(feature.clone()).or_insert(next);
        if at == next {
            self.program.features.push(feature);
        }
        Expr::new(Node::Feature(at), span)
    }

    /// The sort of a function, or a fault that names near ones.
    fn sort(&self, call: &Call) -> Result<Sort> {
        self.context.functions.sort(&call.name).ok_or_else(|| {
            let forms = crate::segment::Form::ALL.iter().map(|form| form.name().to_owned());
            let names: Vec<String> = self.context.functions.names().into_iter().chain(forms).collect();
            Diagnostic::new(Kind::Name, format!("unknown function `{}`", call.name))
                .at(call.name_span)
                .suggest(&call.name, names.iter().map(String::as_str))
        })
    }
}

/// Resolves one rule alone.
pub fn resolve(name: &str, rule: &Expr, context: Context<'_>) -> Result<Program> {
    let mut resolver = Resolver::new(context);
    resolver.add(name, rule)?;
    Ok(resolver.finish())
}
