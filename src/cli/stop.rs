//! Why a run ends early, and what is said about it.

use crate::diagnostic::{Source, Span, render};
use crate::error::Error;

/// The end of a run before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Whoever reads the output has gone: there is nothing left to do.
    Closed,
    /// An error, and where it belongs in a text, if anywhere.
    Failed { error: Error, place: Option<(Source, Span)> },
    /// All was done and said, with this exit status.
    Status(u8),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed { error, place: None }
    }
}

impl Stop {
    /// Says which part of which text an error is about, unless that is known.
    #[must_use]
    pub(crate) fn at(self, source: &Source, span: Span) -> Self {
        match self {
            Self::Failed { error, place: None } => {
                Self::Failed { error, place: Some((source.clone(), span)) }
            }
            other => other,
        }
    }

    /// Says on stderr what went wrong, and returns the exit status.
    pub(crate) fn report(&self, verbose: bool) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Status(status) => *status,
            Self::Failed { error, place } => {
                match place {
                    Some((source, span)) => {
                        for fault in error.diagnostics(source, *span) {
                            note(&render(&fault));
                        }
                    }
                    None => note(&error.to_string()),
                }
                let mut cause = std::error::Error::source(error);
                while let Some(inner) = cause.filter(|_| verbose) {
                    note(&format!("caused by: {inner}"));
                    cause = inner.source();
                }
                error.kind().exit_status()
            }
        }
    }
}

/// Says something on stderr.
#[expect(clippy::print_stderr, reason = "the one place where the command line talks beside its results")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
