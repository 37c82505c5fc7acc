//! What the user wrote wrong, and where.
//!
//! A [`Diagnostic`] has a stable [`Kind`], a message, the place in the user's own text and help. It is decorated
//! on its way up (`.at(span)`, `.help(…)`, `.in_source(…)`) and turned into text only by [`render`].

mod kind;
mod render;
mod span;
mod suggest;

use std::fmt;
use std::sync::Arc;

pub use kind::Kind;
pub use render::render;
pub use span::{Lines, Span, offset_of};
pub use suggest::nearest;

/// A text that a user wrote, with the name to show for it (`rules.sql`, `segment big_spenders`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where the text came from, or `None` for what was typed just now.
    pub name: Option<String>,
    /// The text that spans point into.
    pub text: Arc<str>,
}

impl Source {
    /// A text typed just now.
    pub fn typed(text: impl Into<Arc<str>>) -> Self {
        Self { name: None, text: text.into() }
    }

    /// A text with a name.
    pub fn named(name: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), text: text.into() }
    }
}

/// One fault in what the user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable class of the fault.
    pub kind: Kind,
    /// One line: lower case, present tense, no full stop.
    pub message: String,
    /// The place in the text, where it is known.
    pub span: Option<Span>,
    /// What would mend it, a line each.
    pub help: Vec<String>,
    /// The text that `span` points into; attached by whoever holds the text.
    pub source: Option<Source>,
}

/// The result of a stage that reads what a user wrote.
pub type Result<T, E = Diagnostic> = std::result::Result<T, E>;

impl Diagnostic {
    /// A fault of `kind`, without a place yet.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), span: None, help: vec![], source: None }
    }

    /// Says where, unless a more exact place is known already.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// Adds a line of help.
    #[must_use]
    pub fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }

    /// Adds `did you mean …?` when some candidate is near to what was written.
    #[must_use]
    pub fn suggest<'a>(self, written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(written, candidates) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Attaches the text that the place points into, unless it has one already.
    #[must_use]
    pub fn in_source(mut self, source: &Source) -> Self {
        self.source.get_or_insert_with(|| source.clone());
        self
    }

    /// Moves the place by `offset` bytes: the text was part of a larger one.
    #[must_use]
    pub fn shifted(mut self, offset: usize) -> Self {
        self.span = self.span.map(|span| span.shifted(offset));
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(self))
    }
}

impl std::error::Error for Diagnostic {}
