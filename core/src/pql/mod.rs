//! Profile Query Language, the language of Adobe's segment definitions: text → surface tree → typed tree →
//! [`segment::Expr`](crate::segment::Expr).
//!
//! ```text
//! text ──lex──► tokens ──parse──► ast::Query ──check──► typed::Expr ──lower──► segment::Expr
//! pql/json ────────read────────►             schema of the store    now
//! ```
//!
//! Nothing here reads data. `docs/pql.md` describes the language for those who know Adobe's.

pub mod adobe;
pub mod ast;
mod check;
mod format;
mod json;
mod lexer;
mod lower;
mod parser;
mod say;
pub mod typed;
pub mod types;

use chrono::{DateTime, Utc};

use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::profile::Bound;
use crate::segment::Language;

pub use check::check;
pub use format::format;
pub use json::parse_json;
pub use lower::lower;
pub use parser::parse;
pub use say::say;

/// What a query is checked against and lowered to.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The store: its first event table is `xEvent`.
    pub store: &'a Bound,
    /// The instant of evaluation.
    pub now: DateTime<Utc>,
    /// The name of the segment of the store that has this name or id, for `inSegment`.
    pub segment: &'a dyn Fn(&str) -> Option<String>,
}

impl Context<'_> {
    /// The profile as PQL sees it.
    pub fn profile(&self) -> types::Object {
        let store = &self.store.store;
        let events = store.events.first().zip(self.store.events.first());
        let event = events.map(|(events, schema)| types::row(schema, &events.key, types::Role::Event));
        types::profile(&self.store.profiles, &store.profiles.key, event)
    }

    /// Adds what a store of no or several event tables has to do with an unknown field.
    fn about_events(&self, fault: Diagnostic, text: &str) -> Diagnostic {
        let place = fault.span.filter(|_| fault.kind == Kind::UnknownField).map(Span::range);
        let Some(name) = place.and_then(|(start, end)| text.get(start..end)) else { return fault };
        let store = &self.store.store;
        let Some(first) = store.events.first() else {
            let events = name == types::EVENTS;
            return if events { fault.help(format!("`{}` has no event table", store.name)) } else { fault };
        };
        let mut others = store.events.iter().zip(&self.store.events).skip(1);
        match others.find(|(_, schema)| schema.column_with_name(name).is_some()) {
            Some((other, _)) => fault.help(format!(
                "the event table `{}` has it; `xEvent` is the first one of the store, `{}`",
                other.table, first.table
            )),
            None => fault,
        }
    }
}

/// The surface tree of a rule in either form of PQL.
pub fn parse_rule(text: &str, language: Language) -> Result<ast::Query, Vec<Diagnostic>> {
    match language {
        Language::PqlJson => parse_json(text),
        Language::Pql | Language::Sql => parse(text),
    }
}

/// The typed tree of a rule.
pub fn compile(
    text: &str,
    language: Language,
    context: &Context<'_>,
) -> Result<typed::Expr, Vec<Diagnostic>> {
    let checked = check(&parse_rule(text, language)?, context.profile());
    checked.map_err(|faults| faults.into_iter().map(|fault| context.about_events(fault, text)).collect())
}
