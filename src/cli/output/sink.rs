//! Where results go.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::Path;

use crate::cli::Stop;
use crate::diagnostic::Kind;
use crate::error::Error;

/// Standard output, or a file.
pub(crate) struct Sink {
    to: Box<dyn Write + Send>,
    /// Whether a person looks at it.
    terminal: bool,
}

impl Sink {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self { to: Box::new(io::stdout()), terminal: io::stdout().is_terminal() }
    }

    /// A file, made anew.
    pub(crate) fn file(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|cause| {
            Error::caused(Kind::Storage, format!("cannot write `{}`: {cause}", path.display()), cause)
        })?;
        Ok(Self { to: Box::new(BufWriter::new(file)), terminal: false })
    }

    /// Nowhere: for statements that are run for what they do.
    pub(crate) fn nowhere() -> Self {
        Self { to: Box::new(io::sink()), terminal: false }
    }

    /// Any writer, for tests.
    #[cfg(test)]
    pub(crate) fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to, terminal: false }
    }

    /// Writes the text and passes it on at once, so that a reader sees rows as they come.
    pub(crate) fn write(&mut self, text: &str) -> Result<(), Stop> {
        self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()).map_err(|cause| {
            match cause.kind() {
                // `| head` has seen enough: that is how pipes end, not a failure.
                ErrorKind::BrokenPipe => Stop::Closed,
                _ => Error::caused(Kind::Storage, format!("cannot write the output: {cause}"), cause).into(),
            }
        })
    }

    /// The width of the terminal, if it is one.
    pub(crate) fn width(&self) -> Option<usize> {
        let width = if self.terminal { comfy_table::Table::new().width() } else { None };
        width.map(usize::from)
    }

    /// Whether a person looks at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }
}
