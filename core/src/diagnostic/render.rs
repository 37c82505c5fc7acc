//! Diagnostics as text: the header, the line with a caret, the help.

use std::fmt::Write;

use super::{Diagnostic, Span};

/// The longest part of a line that is shown; longer lines are cut around the place.
const WIDTH: usize = 120;

/// The diagnostic as several lines of plain text, without a line break at the end.
///
/// ```text
/// error[name]: unknown column `evnt_type`
///  --> rules.sql:1:29
///   |
/// 1 | CREATE SEGMENT x AS did(evnt_type = 'search')
///   |                         ^^^^^^^^^
///   = help: did you mean `event_type`?
/// ```
pub fn render(diagnostic: &Diagnostic) -> String {
    let mut out = format!("error[{}]: {}", diagnostic.kind, diagnostic.message);
    let mut margin = String::from(" ");
    if let (Some(source), Some(span)) = (&diagnostic.source, diagnostic.span) {
        let place = Place::find(&source.text, span);
        margin = " ".repeat(place.line.to_string().len());
        let name = source.name.as_ref().map_or(String::new(), |name| format!("{name}:"));
        // Writing to a String cannot fail.
        let _ = write!(out, "\n{margin}--> {name}{}:{}", place.line, place.column);
        let _ = write!(out, "\n{margin} |\n{} | {}", place.line, place.text);
        let _ = write!(out, "\n{margin} | {}{}", " ".repeat(place.indent), "^".repeat(place.width));
    }
    for line in &diagnostic.help {
        let _ = write!(out, "\n{margin} = help: {line}");
    }
    out
}

/// A span as a person sees it.
struct Place {
    line: usize,
    column: usize,
    text: String,
    indent: usize,
    width: usize,
}

impl Place {
    fn find(text: &str, span: Span) -> Self {
        let start = floor_char(text, span.start);
        let end = floor_char(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let before = text[line_start..start].chars().count();
        let marked = text[start..end.min(line_end)].chars().count().max(1);
        // Tabs would move the caret; a line longer than the screen would hide it.
        let chars: Vec<char> =
            text[line_start..line_end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let cut = if chars.len() > WIDTH { before.saturating_sub(WIDTH / 3) } else { 0 };
        let shown: String = chars.iter().skip(cut).take(WIDTH).collect();
        let (prefix, suffix) =
            (if cut > 0 { "…" } else { "" }, if chars.len() > cut + WIDTH { "…" } else { "" });
        let indent = before - cut + prefix.chars().count();
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: before + 1,
            text: format!("{prefix}{}{suffix}", shown.trim_end()),
            indent,
            width: marked.min(WIDTH.saturating_sub(before - cut).max(1)),
        }
    }
}

/// The nearest character boundary at or before `at`.
fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Source};
    use super::*;

    fn check(text: &str, start: usize, end: usize) -> String {
        let source = Source::named("rules.sql", text);
        let fault = Diagnostic::new(Kind::Name, "unknown column `b`").at(Span::new(start, end));
        render(&fault.help("did you mean `a`?").in_source(&source))
    }

    #[test]
    fn shows_the_line_and_marks_the_place() {
        assert_eq!(
            check("SELECT a,\n\té b FROM t", 14, 15),
            "error[name]: unknown column `b`\n --> rules.sql:2:4\n  |\n2 |  é b FROM t\n  |    ^\n  = help: did you mean `a`?"
        );
    }

    #[test]
    fn survives_any_span() {
        for (start, end) in [(0, 0), (3, 1), (100, 200), (1, 2)] {
            assert!(check("é", start, end).contains('^'));
            assert!(check("", start, end).contains('^'));
        }
        let long = "x".repeat(1000);
        assert!(check(&long, 500, 900).lines().all(|line| line.chars().count() < 140));
    }
}
