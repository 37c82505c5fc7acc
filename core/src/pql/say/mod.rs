//! A rule as written in SQL → the same rule in PQL, where PQL can say it.
//!
//! SQL's conditions have three values, PQL's have two. Whatever is written here has the members that the SQL rule has:
//! a condition is written once for "it is TRUE" and once for "it is FALSE", and a value that PQL has where SQL has NULL
//! (the sum of nothing, the length of no list) comes with the condition under which SQL has it too.

mod condition;
mod event;
mod time;
mod value;

use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::profile::alias;
use crate::segment::{Expr, Language, Name, Node};

use super::types::{EVENTS, Object, Type};
use super::{Context, ast, compile, format, lower, parse};

/// The rule in canonical PQL, or every part that PQL cannot say.
pub fn say(rule: &Expr, context: &Context<'_>) -> Result<String, Vec<Diagnostic>> {
    let profile = context.profile();
    let event = profile.field(EVENTS).and_then(|of| match of {
        Type::Array(item) => match &**item {
            Type::Object(event) => Some(event.clone()),
            _ => None,
        },
        _ => None,
    });
    let mut say = Say {
        context,
        profile,
        event,
        stream: EVENTS.to_owned(),
        group: None,
        params: vec![],
        variables: 0,
        faults: vec![],
    };
    let Some(text) = say.condition(rule, &Place::Profile { inside: false }, true) else {
        return Err(say.faults);
    };
    // PQL's own checks have the last word: types that SQL converts and PQL does not.
    let checked = parse(&text).and_then(|query| {
        let typed = compile(&text, Language::Pql, context)?;
        lower(&typed, context).map_err(|fault| vec![fault])?;
        Ok(format(&query))
    });
    checked.map_err(|faults| {
        let cannot = |fault: Diagnostic| {
            let message = format!("this rule cannot be said in PQL: {}", fault.message);
            Diagnostic::new(Kind::Unsupported, message).at(rule.span).help(format!("it would be `{text}`"))
        };
        faults.into_iter().take(1).map(cannot).collect()
    })
}

/// What names mean.
#[derive(Clone)]
enum Place {
    /// Fields are the profile's; `inside` of a lambda they have to be called the profile's.
    Profile { inside: bool },
    /// Fields are the event's, called with this prefix, then the profile's.
    Event { prefix: String },
}

/// A value in PQL.
struct Term {
    text: String,
    of: Type,
    /// Where this does not hold, SQL's value is NULL and PQL's is not.
    guards: Vec<String>,
    /// PQL's value there is 0.
    zero: bool,
}

struct Say<'a> {
    context: &'a Context<'a>,
    profile: Object,
    event: Option<Object>,
    /// The events that aggregates range over: all of the profile's, or those of a group.
    stream: String,
    /// The key of the group, as written, and the variable that is its value.
    group: Option<(Expr, Term)>,
    /// The parameters of the lambdas around, with their types.
    params: Vec<(String, Type)>,
    /// How many variables have been made up.
    variables: usize,
    faults: Vec<Diagnostic>,
}

impl Term {
    fn new(text: impl Into<String>, of: Type) -> Self {
        Self { text: text.into(), of, guards: vec![], zero: false }
    }

    fn guarded(mut self, guard: String) -> Self {
        self.guards.push(guard);
        self
    }
}

impl Say<'_> {
    /// Notes what cannot be said.
    fn cannot<T>(&mut self, span: Span, what: impl AsRef<str>) -> Option<T> {
        let message = format!("{} cannot be said in PQL", what.as_ref());
        self.faults.push(Diagnostic::new(Kind::Unsupported, message).at(span));
        None
    }

    fn variable(&mut self) -> String {
        self.variables += 1;
        format!("V{}", self.variables)
    }

    /// A column: a parameter of a lambda, a field of the event, a field of the profile.
    fn column(&mut self, path: &[Name], place: &Place, span: Span) -> Option<Term> {
        let names: Vec<&str> = path.iter().map(|name| name.value.as_str()).collect();
        if let Some((_, of)) = self.params.iter().rev().find(|(name, _)| name == names[0]) {
            let of = of.clone();
            return self.fields(names[0].to_owned(), of, &names[1..], span);
        }
        let store = &self.context.store.store;
        let events = store.events.first().map(|events| alias(&events.table));
        let own = |table: Option<&str>| names.len() > 1 && table == Some(names[0]);
        let (of_events, of_profiles) = (own(events.as_deref()), own(Some(&alias(&store.profiles.table))));
        let names = if of_events || of_profiles { &names[1..] } else { &names[..] };
        if let Place::Event { prefix } = place
            && !of_profiles
            && let Some(of) = self.event.as_ref().and_then(|event| event.field(names[0])).cloned()
        {
            // Nothing but a prefix makes a name of a reserved word.
            if prefix.is_empty() && ast::is_reserved(names[0]) {
                return self.cannot(span, format!("the field `{}`, whose name is a word of PQL,", names[0]));
            }
            return self.fields(format!("{prefix}{}", names[0]), of, &names[1..], span);
        }
        let of = self.profile.field(names[0]).filter(|_| !of_events && names[0] != EVENTS).cloned();
        let Some(of) = of else {
            return self
                .cannot(span, format!("`{}`, no field of the profile or its events,", path_text(path)));
        };
        let is_bare = matches!(place, Place::Profile { inside: false }) && !ast::is_reserved(names[0]);
        let prefix = if is_bare { "" } else { "$1." };
        self.fields(format!("{prefix}{}", names[0]), of, &names[1..], span)
    }

    /// The fields below a value; of a map, the values of keys.
    fn fields(&mut self, mut text: String, mut of: Type, names: &[&str], span: Span) -> Option<Term> {
        if !is_name(text.trim_start_matches(['$', '1', '^', '.'])) && !text.contains(['.', '(']) {
            return self.cannot(span, format!("the name `{text}`"));
        }
        for name in names {
            of = match &of {
                Type::Object(object) => match object.field(name) {
                    Some(field) if is_name(name) => {
                        text = format!("{text}.{name}");
                        field.clone()
                    }
                    _ => return self.cannot(span, format!("the field `{name}`")),
                },
                Type::Map(_, value) => {
                    text = format!("{text}.get({})", quote(name));
                    (**value).clone()
                }
                _ => return self.cannot(span, format!("the field `{name}`")),
            };
        }
        Some(Term::new(text, of))
    }

    /// A value below a lambda: its parameter is in context, so that other fields have to be called by their owner.
    fn within(place: &Place) -> Place {
        match place {
            Place::Profile { .. } => Place::Profile { inside: true },
            Place::Event { prefix } if prefix.is_empty() || prefix.starts_with('^') => {
                let carets = prefix.trim_end_matches('.');
                Place::Event { prefix: format!("^{carets}.") }
            }
            variable => variable.clone(),
        }
    }
}

/// Whether a text is a name of PQL.
fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

fn path_text(path: &[Name]) -> String {
    path.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
}

/// A string in PQL.
fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Conditions that must hold together.
fn all(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().map(|part| format!("({part})")).collect();
    parts.join(" and ")
}

/// Whether an expression is the literal `true`.
fn is_true(expr: &Expr) -> bool {
    matches!(expr.node, Node::Literal(crate::segment::Value::Boolean(true)))
}
