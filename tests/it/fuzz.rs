//! Texts that are nearly SQL: whatever they are, reading them ends with statements or with a fault that has a place.
//! A reading that takes exponential time would not end.

use coterie::diagnostic::{Source, Span};
use coterie::statement;

use crate::random_rules::bytes::{Bytes, text};

const PIECES: &[&str] = &[
    "CREATE ",
    "SEGMENT ",
    "OR REPLACE ",
    "PROFILE STORE ",
    "IF NOT EXISTS ",
    "IN shop ",
    "AS ",
    "USING PQL ",
    "COMMENT ",
    "ID ",
    "EVENTS ",
    "PROFILES ",
    "LOOKUP ",
    "KEY (id) ",
    "TIMESTAMP ",
    "ON ",
    "EVALUATE ",
    "ALL SEGMENTS ",
    "AS OF ",
    "DRY RUN ",
    "EXPLAIN ",
    "SHOW ",
    "DESCRIBE ",
    "DROP ",
    "SELECT ",
    "FROM ",
    "matching(",
    "did(",
    "any_per(",
    "count(*) ",
    "FILTER (WHERE ",
    "OVER (",
    "ORDER BY ",
    "PARTITION BY ",
    "INTERVAL '1 day' ",
    "CASE WHEN ",
    "THEN ",
    "END ",
    "NOT ",
    "AND ",
    "x ",
    "a.b ",
    "'text' ",
    "$$ ",
    "$tag$ ",
    "\"q\" ",
    "( ",
    ") ",
    "[ ",
    "] ",
    "{",
    "}",
    ", ",
    "; ",
    "-> ",
    "= ",
    "- ",
    "-- ",
    "/* ",
    "*/ ",
    "\n",
    "1 ",
    "1e9 ",
    "$1 ",
    "'",
    "\"",
    "é",
    "𝄞",
    "\\",
    "IS NULL ",
    "IN (",
    "BETWEEN ",
    "LIKE ",
];

fn read(text: &str) {
    let source = Source::typed(text);
    for piece in statement::split(text) {
        assert!(text.get(piece.range.clone()).is_some(), "{text:?}: {:?}", piece.range);
        match statement::parse(&source, piece.range) {
            // What was understood can be said, and means the same.
            Ok(statement) => drop(statement.command.to_string()),
            Err(fault) => {
                // What is nested too deep is the whole statement's fault.
                let is_deep = fault.message.contains("deeper");
                let span = fault.span.or(is_deep.then_some(Span::new(0, 0)));
                let (start, end) = span.unwrap_or_else(|| panic!("{text:?}\n{fault:?}")).range();
                assert!(start <= end && end <= text.len() + 1, "{text:?}\n{fault:?}");
                drop(fault.in_source(&source).to_string());
            }
        }
    }
    if let Err(fault) = statement::parse_rule(text) {
        drop(fault.in_source(&source).to_string());
    }
}

#[test]
fn any_text_is_read_to_an_end() {
    bolero::check!().with_generator(Bytes::default()).with_iterations(4000).for_each(|bytes: &Vec<u8>| {
        read(&text(bytes, PIECES));
        read(&String::from_utf8_lossy(bytes));
    });
}

/// The stack of coterie's own threads; those of tests have less.
#[test]
fn depth_is_an_error() {
    std::thread::Builder::new().stack_size(8 << 20).spawn(deep).unwrap().join().unwrap();
}

fn deep() {
    for (open, close) in [
        ("(", ")"),
        ("NOT ", ""),
        ("-", ""),
        ("[", "]"),
        ("did(", ")"),
        ("CASE WHEN ", ""),
        ("a[", "]"),
        ("x -> ", ""),
    ] {
        let deep = format!("{}true{}", open.repeat(30_000), close.repeat(30_000));
        let fault = statement::parse_rule(&deep).unwrap_err();
        assert!(fault.to_string().len() < 400_000, "{open}");
        read(&deep);
        read(&format!("CREATE SEGMENT s AS {deep}"));
        read(&format!("SELECT {deep}"));
    }
    // As deep as is allowed, which exponential time would not survive.
    for (open, close) in [("(", ")"), ("NOT ", ""), ("[", "]"), ("did(", ")"), ("f(x -> ", ")"), ("a[", "]")]
    {
        for depth in [20, 40, 60] {
            let deep = format!("{}true{}", open.repeat(depth), close.repeat(depth));
            read(&deep);
            read(&deep[..deep.len() - 1]);
        }
    }
    // Many operands are not deep.
    let wide = vec!["did(a = 1)"; 5000].join(" OR ");
    assert!(statement::parse_rule(&wide).is_ok());
    read(&format!("CREATE SEGMENT s AS {wide}"));
    assert!(statement::parse_rule(&vec!["a"; 5000].join(" + ")).is_err());
}
