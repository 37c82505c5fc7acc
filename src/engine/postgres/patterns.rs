//! Patterns of times as PostgreSQL writes them, `YYYY-MM-DD HH24:MI:SS`, in the words of DataFusion's functions, which take
//! `%Y-%m-%d %H:%M:%S`.
//!
//! Tools write them into what they ask about a user's tables: a bound of a range of time, the label of a month. A pattern
//! with a percent sign is one of DataFusion's already, and stays.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, VisitorMut};

use super::tree::{string, string_of};

/// The functions whose second argument is a pattern.
const FUNCTIONS: &[&str] = &["to_char", "to_date", "to_timestamp"];

/// What PostgreSQL writes and what it is called here. Of two that begin alike the longer one is first. Those without a
/// counterpart are named as well, so that a pattern with one of them is left alone as a whole.
const WORDS: &[(&str, Option<&str>)] = &[
    ("HH24", Some("%H")),
    ("HH12", Some("%I")),
    ("HH", Some("%I")),
    ("SSSSS", None),
    ("SSSS", None),
    ("MI", Some("%M")),
    ("SS", Some("%S")),
    ("MS", Some("%3f")),
    ("US", Some("%6f")),
    ("IYYY", Some("%G")),
    ("IW", Some("%V")),
    ("IDDD", None),
    ("ID", Some("%u")),
    ("YYYY", Some("%Y")),
    ("YYY", None),
    ("YY", Some("%y")),
    ("Month", Some("%B")),
    ("month", None),
    ("MONTH", None),
    ("Mon", Some("%b")),
    ("mon", None),
    ("MON", None),
    ("MM", Some("%m")),
    ("Day", Some("%A")),
    ("day", None),
    ("DAY", None),
    ("Dy", Some("%a")),
    ("dy", None),
    ("DY", None),
    ("DDD", Some("%j")),
    ("DD", Some("%d")),
    ("AM", Some("%p")),
    ("PM", Some("%p")),
    ("am", Some("%P")),
    ("pm", Some("%P")),
    ("OF", Some("%:z")),
    ("FM", None),
];

/// Puts the patterns of a statement into DataFusion's words.
pub(super) struct Patterns;

impl VisitorMut for Patterns {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && FUNCTIONS.contains(&function.name.to_string().to_lowercase().as_str())
            && let FunctionArguments::List(list) = &mut function.args
            && let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))] = &mut list.args[..]
            && let Some(translated) = string_of(pattern).and_then(translated)
        {
            *pattern = string(&translated);
        }
        ControlFlow::Continue(())
    }
}

/// A pattern in DataFusion's words; `None` where it is in them already, or they lack one.
fn translated(pattern: &str) -> Option<String> {
    if pattern.contains('%') {
        return None;
    }
    let mut result = String::new();
    let mut left = pattern;
    let mut found = false;
    while let Some(next) = left.chars().next() {
        if next == '"' {
            // What stands between quotes stands for itself.
            let (text, after) = left[1..].split_once('"')?;
            result.push_str(text);
            left = after;
            continue;
        }
        // Names are written as they are to be shown; for all else capitals make no difference.
        let word = WORDS.iter().find(|(word, _)| left.starts_with(word)).or_else(|| {
            WORDS.iter().find(|(word, _)| {
                left.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            })
        });
        if let Some((word, translation)) = word {
            result.push_str((*translation)?);
            left = &left[word.len()..];
            found = true;
        } else if next.is_ascii_alphabetic() && next != 'T' {
            return None;
        } else {
            result.push(next);
            left = &left[next.len_utf8()..];
        }
    }
    found.then_some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_put_into_other_words() {
        let same = |pattern: &str, expected: &str| assert_eq!(translated(pattern).as_deref(), Some(expected));
        same("YYYY-MM-DD HH24:MI:SS.US", "%Y-%m-%d %H:%M:%S.%6f");
        same("YYYY-MM-DDTHH24:MI:SS", "%Y-%m-%dT%H:%M:%S");
        same("yyyy-mm-dd hh:mi am", "%Y-%m-%d %I:%M %P");
        same("Dy, DD Mon YYYY", "%a, %d %b %Y");
        same("IYYY\"-W\"IW", "%G-W%V");
        same("HH12:MI:SS.MS PM", "%I:%M:%S.%3f %p");
    }

    #[test]
    fn what_has_no_other_words_stays() {
        for pattern in ["%Y-%m", "999", "MONTH YYYY", "FMMonth", "Q", "SSSS", "YYYY \"open", ""] {
            assert_eq!(translated(pattern), None, "{pattern}");
        }
    }
}
