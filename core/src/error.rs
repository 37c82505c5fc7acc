//! Everything that can go wrong, on two roads: what the user wrote ([`Diagnostic`]), and what befell coterie.

mod datafusion;
mod delta;
mod storage;

use std::fmt;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Kind, Source, Span};

pub use datafusion::kind_of;
pub use datafusion::{from_datafusion, from_datafusion_in};
pub use delta::from_delta;
pub use storage::{from_io, from_object_store};

/// The result of everything that can fail for a reason other than the user's text alone.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Clone, Debug)]
pub enum Error {
    /// Faults in what the user wrote, at least one, in the order of the text.
    Wrong(Vec<Diagnostic>),
    /// Something else failed; the cause is kept.
    Failed(Arc<Failure>),
}

/// A failure that no mend of the user's text would have prevented for certain.
#[derive(Debug)]
pub struct Failure {
    /// The stable class.
    pub kind: Kind,
    /// One line: what failed, naming the thing.
    pub message: String,
    /// What would help, a line each.
    pub help: Vec<String>,
    /// What it came from.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self::Failed(Arc::new(Failure { kind, message: message.into(), help: vec![], cause: None }))
    }

    /// A failure of `kind` with what it came from.
    pub fn caused(
        kind: Kind,
        message: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let failure = Failure { kind, message: message.into(), help: vec![], cause: Some(cause.into()) };
        Self::Failed(Arc::new(failure))
    }

    /// The stable class; of several faults, the first one's.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Wrong(faults) => faults.first().map_or(Kind::Internal, |fault| fault.kind),
            Self::Failed(failure) => failure.kind,
        }
    }

    /// The first line, without kind, place or help.
    pub fn message(&self) -> String {
        match self {
            Self::Wrong(faults) => faults.first().map_or(String::new(), |fault| fault.message.clone()),
            Self::Failed(failure) => failure.message.clone(),
        }
    }

    /// The diagnostics to show: the faults, or the failure as one, placed at `span` of `source` when it has no
    /// place of its own.
    pub fn diagnostics(&self, source: &Source, span: Span) -> Vec<Diagnostic> {
        match self {
            Self::Wrong(faults) => {
                // A fault without a place is about the statement as a whole.
                faults.iter().map(|fault| fault.clone().at(span).in_source(source)).collect()
            }
            Self::Failed(failure) => {
                let mut shown = Diagnostic::new(failure.kind, failure.message.clone()).at(span);
                shown.help.extend(failure.help.iter().cloned());
                vec![shown.in_source(source)]
            }
        }
    }

    /// Adds a line of help.
    #[must_use]
    pub fn help(self, line: impl Into<String>) -> Self {
        match self {
            Self::Wrong(mut faults) => {
                if let Some(fault) = faults.first_mut() {
                    fault.help.push(line.into());
                }
                Self::Wrong(faults)
            }
            Self::Failed(failure) => {
                let mut help = failure.help.clone();
                help.push(line.into());
                let (kind, message) = (failure.kind, failure.message.clone());
                Self::Failed(Arc::new(Failure {
                    kind,
                    message,
                    help,
                    cause: Some(Box::new(Shared(failure))),
                }))
            }
        }
    }

    /// Attaches the text that places point into, where a fault has none yet.
    #[must_use]
    pub fn in_source(self, source: &Source) -> Self {
        match self {
            Self::Wrong(faults) => {
                Self::Wrong(faults.into_iter().map(|fault| fault.in_source(source)).collect())
            }
            failed => failed,
        }
    }
}

impl From<Diagnostic> for Error {
    fn from(fault: Diagnostic) -> Self {
        Self::Wrong(vec![fault])
    }
}

impl From<Vec<Diagnostic>> for Error {
    fn from(faults: Vec<Diagnostic>) -> Self {
        Self::Wrong(faults)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(faults) => {
                for (at, fault) in faults.iter().enumerate() {
                    if at > 0 {
                        f.write_str("\n")?;
                    }
                    write!(f, "{fault}")?;
                }
                Ok(())
            }
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.kind, self.message)?;
        for line in &self.help {
            write!(f, "\n  = help: {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wrong(_) => None,
            Self::Failed(failure) => failure.cause.as_deref().map(|cause| cause as _),
        }
    }
}

/// A failure kept as the cause of the same failure with more help.
#[derive(Debug)]
struct Shared(Arc<Failure>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

/// A broken invariant: coterie's fault, not the user's.
#[macro_export]
macro_rules! bug {
    ($($message:tt)*) => {
        $crate::error::Error::new(
            $crate::diagnostic::Kind::Internal,
            format!("{} (this is a fault of coterie; please report it)", format_args!($($message)*)),
        )
    };
}
