//! `OPTIMIZE EVENTS OF store [INTO n BUCKETS]`.

use std::fmt;

use crate::diagnostic::{Diagnostic, Kind, Result, Span};
use crate::segment::Name;

use super::parser::Parser;
use super::quote;

/// Lays out the events of a profile store by month and key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OptimizeEvents {
    /// The store.
    pub store: Name,
    /// How many buckets of keys, as written.
    pub buckets: Option<(u32, Span)>,
}

pub(super) fn parse(parser: &mut Parser<'_>) -> Result<OptimizeEvents> {
    let store = parser.name("a profile store")?;
    let mut buckets = None;
    if parser.eat(&["INTO"]) {
        let (text, span) = parser.number("the number of buckets")?;
        let wrong = || {
            let fault = Diagnostic::new(Kind::Type, format!("`{text}` is not a number of buckets")).at(span);
            fault.help("write a whole number such as 16")
        };
        buckets = Some((text.parse().map_err(|_| wrong())?, span));
        parser.expect(&["BUCKETS"])?;
    }
    Ok(OptimizeEvents { store, buckets })
}

impl fmt::Display for OptimizeEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OPTIMIZE EVENTS OF {}", quote(&self.store.value))?;
        match self.buckets {
            Some((buckets, _)) => write!(f, " INTO {buckets} BUCKETS"),
            None => Ok(()),
        }
    }
}
