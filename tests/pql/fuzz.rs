//! Texts that are nearly PQL: whatever they are, reading them ends with a tree or with faults that have a place.

use coterie::diagnostic::Source;
use coterie::pql;
use coterie::segment::Language;

use crate::cases::cases;
use crate::fixture::{context, store};
use crate::generator::Random;

const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "=>",
    "=",
    "!=",
    "^",
    "$1",
    "\"",
    "'",
    "\\",
    "é",
    "𝄞",
    "1",
    "1.5",
    "9223372036854775807",
    " and ",
    " or ",
    " not ",
    " in ",
    " occurs ",
    " from ",
    " where ",
    " over ",
    "exists ",
    "let x = ",
    "chain(",
    " ago ",
    "xEvent",
    "orders",
    ".count()",
    ".map(",
    "[0]",
    "last month",
    "<= 7 days before ",
    " ignoreYear",
    "/*",
    "-",
    "{",
    "null",
];

#[test]
fn damaged_cases_are_read_to_an_end() {
    let store = store();
    let context = context(&store);
    let mut random = Random::new(7);
    for case in cases() {
        let language = if case.json { Language::PqlJson } else { Language::Pql };
        for _ in 0..12 {
            let mut text = case.pql.clone();
            for _ in 0..=random.below(3) {
                damage(&mut text, &mut random);
            }
            let faults = match pql::compile(&text, language, &context) {
                Ok(query) => {
                    pql::lower(&query, &context).unwrap_or_else(|fault| panic!("{text}\n{fault}"));
                    continue;
                }
                Err(faults) => faults,
            };
            assert!(!faults.is_empty(), "{text}");
            for fault in faults {
                let (start, end) = fault.span.unwrap_or_else(|| panic!("{text}\n{fault:?}")).range();
                assert!(start <= end && end <= text.len() + 1, "{text}\n{fault:?}");
                let _ = fault.in_source(&Source::typed(text.as_str())).to_string();
            }
        }
    }
}

/// Takes out, repeats or puts in a piece of a text.
fn damage(text: &mut String, random: &mut Random) {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let at = places[random.below(places.len())];
    let to = places[random.below(places.len())].clamp(at, at.saturating_add(12).min(text.len()));
    let to = places.iter().rev().find(|place| **place <= to).copied().unwrap_or(at).max(at);
    match random.below(3) {
        0 => text.replace_range(at..to, ""),
        1 => {
            let piece = text[at..to].to_owned();
            text.insert_str(at, &piece);
        }
        _ => text.insert_str(at, PIECES[random.below(PIECES.len())]),
    }
}
