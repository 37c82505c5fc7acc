//! Texts that are nearly PQL: whatever they are, reading them ends with a tree or with faults that have a place.

use coterie::diagnostic::{Kind, Source};
use coterie::pql::{self, Context};
use coterie::segment::Language;

use crate::bytes::{Bytes, text};
use crate::cases::cases;
use crate::fixture::{context, store};
use crate::random::Random;

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
            read(&text, language, &context);
        }
    }
}

#[test]
fn any_text_is_read_to_an_end() {
    let store = store();
    bolero::check!().with_generator(Bytes::default()).with_iterations(4000).for_each(|bytes: &Vec<u8>| {
        let context = context(&store);
        read(&text(bytes, PIECES), Language::Pql, &context);
        read(&String::from_utf8_lossy(bytes), Language::PqlJson, &context);
    });
}

/// As deep as is allowed: a reading that takes exponential time would not end.
#[test]
fn depth_takes_no_time() {
    let store = store();
    let context = context(&store);
    for (open, close) in [
        ("(", ")"),
        ("not ", ""),
        ("[", "]"),
        ("xEvent[", "]"),
        ("xEvent.exists(", ")"),
        ("xEvent.exists(e => ", ")"),
        ("(exists e from xEvent where ", ")"),
        ("(let a = 1 in ", ")"),
        ("if(true, ", ", false)"),
        ("(true or (", "))"),
        ("chain(xEvent, timestamp, [a: what(", ")])"),
    ] {
        for depth in [10, 25, 45] {
            let deep = format!("{}true{}", open.repeat(depth), close.repeat(depth));
            read(&deep, Language::Pql, &context);
            read(&deep[..deep.len() - 1], Language::Pql, &context);
        }
    }
}

fn read(text: &str, language: Language, context: &Context<'_>) {
    match pql::compile(text, language, context) {
        Ok(query) => {
            // Some of what PQL can say coterie cannot run, and says so.
            if let Err(fault) = pql::lower(&query, context) {
                assert!(fault.kind == Kind::Unsupported, "{text}\n{fault}");
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "{text}");
            for fault in faults {
                let (start, end) = fault.span.unwrap_or_else(|| panic!("{text}\n{fault:?}")).range();
                assert!(start <= end && end <= text.len() + 1, "{text}\n{fault:?}");
                drop(fault.in_source(&Source::typed(text)).to_string());
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
