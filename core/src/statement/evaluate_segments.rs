//! `EVALUATE SEGMENT a, b | ALL SEGMENTS [AS OF TIMESTAMP '…'] [DRY RUN]`.

use std::fmt;

use crate::diagnostic::{Diagnostic, Kind, Result, Span};
use crate::segment::Name;

use super::parser::Parser;
use super::{quote, quote_string};

/// One pass over the data for some segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EvaluateSegments {
    /// Which segments; all of them if none is named.
    pub names: Vec<Name>,
    /// The instant, as written.
    pub as_of: Option<(String, Span)>,
    /// Count, store nothing.
    pub dry_run: bool,
}

pub(super) fn parse(parser: &mut Parser<'_>) -> Result<EvaluateSegments> {
    let mut names = vec![];
    if parser.eat(&["ALL"]) {
        parser.expect(&["SEGMENTS"])?;
    } else if parser.eat(&["SEGMENT"]) || parser.eat(&["SEGMENTS"]) {
        loop {
            names.push(parser.name("a segment")?);
            if !parser.peek_symbol(",") {
                break;
            }
            parser.expect_symbol(",")?;
        }
    } else {
        let fault = parser.unexpected("`SEGMENT` or `ALL SEGMENTS`");
        return Err(fault.help("write `EVALUATE SEGMENT name` or `EVALUATE ALL SEGMENTS`"));
    }
    let mut run = EvaluateSegments { names, as_of: None, dry_run: false };
    loop {
        if parser.eat(&["AS", "OF"]) {
            if !parser.eat(&["TIMESTAMP"]) {
                parser.eat(&["DATE"]);
            }
            run.as_of = Some(parser.string("an instant such as `TIMESTAMP '2026-06-15T12:00:00Z'`")?);
        } else if parser.eat(&["DRY"]) {
            parser.expect(&["RUN"])?;
            run.dry_run = true;
        } else if parser.at_end() {
            return Ok(run);
        } else if parser.peek_word("IN") {
            let fault = Diagnostic::new(Kind::Unsupported, "an evaluation names segments, not a store");
            return Err(fault.at(parser.here()).help("a segment knows its store; leave `IN …` out"));
        } else {
            return Err(parser.unexpected("`AS OF`, `DRY RUN` or the end of the statement"));
        }
    }
}

impl fmt::Display for EvaluateSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EVALUATE ")?;
        if self.names.is_empty() {
            f.write_str("ALL SEGMENTS")?;
        } else {
            let names: Vec<String> = self.names.iter().map(|name| quote(&name.value)).collect();
            write!(f, "SEGMENT {}", names.join(", "))?;
        }
        if let Some((instant, _)) = &self.as_of {
            write!(f, " AS OF TIMESTAMP {}", quote_string(instant))?;
        }
        if self.dry_run {
            f.write_str(" DRY RUN")?;
        }
        Ok(())
    }
}
