//! Parser and formatter.

use coterie::diagnostic::Kind;
use coterie::pql;

use crate::cases::cases;

#[test]
fn cases_parse_or_do_not() {
    for case in cases() {
        let parsed = if case.json { pql::parse_json(&case.pql) } else { pql::parse(&case.pql) };
        let wrong = case.error.as_deref() == Some("parse");
        match parsed {
            Ok(_) => assert!(!wrong, "{}: {} should not parse", case.id, case.pql),
            Err(faults) => {
                assert!(wrong, "{}: {}\n{faults:#?}", case.id, case.pql);
                assert!(
                    faults.iter().all(|fault| fault.kind == Kind::Parse && fault.span.is_some()),
                    "{}",
                    case.id
                );
                assert_eq!(faults.len(), 1, "{}: one fault each\n{faults:#?}", case.id);
            }
        }
    }
}

#[test]
fn formatting_keeps_the_tree() {
    for case in cases() {
        let Ok(query) = (if case.json { pql::parse_json(&case.pql) } else { pql::parse(&case.pql) }) else {
            continue;
        };
        let text = pql::format(&query);
        let again = pql::parse(&text).unwrap_or_else(|faults| panic!("{}: {text}\n{faults:#?}", case.id));
        if !case.json {
            assert_eq!(again, query, "{}: {text}", case.id);
        }
        assert_eq!(pql::format(&again), text, "{}", case.id);
    }
}

#[test]
fn several_faults_at_once() {
    let faults = pql::parse("a == 'x' and (b = ) and c occurs 3 days ago or d[x => x]").unwrap_err();
    let found: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        found,
        [
            "`==` is not an operator",
            "strings stand in double quotes, not in `'`",
            "expected an expression, found `)`",
            "expected `before`, `after` or `from`, found `ago`",
            "a lambda cannot stand in brackets",
        ]
    );
}

#[test]
fn depth_is_an_error() {
    let deep = |open: &str, middle: &str, close: &str| {
        let n = 30_000;
        pql::parse(&format!("{}{middle}{}", open.repeat(n), close.repeat(n)))
    };
    for (open, close) in
        [("(", ")"), ("not ", ""), ("!", ""), ("-", ""), ("[", "]"), ("a[", "]"), ("if(", ")")]
    {
        let faults = deep(open, "true", close).unwrap_err();
        assert!(faults[0].message.contains("deep"), "{open}: {faults:?}");
    }
    for (open, close) in [("", " + 1"), ("", ".a"), ("", "[true]"), ("", ".f()")] {
        assert!(deep(open, "true", close).is_err(), "{close}");
    }
    assert!(deep("(", "(", "").is_err());
    assert!(deep("exists a from b where ", "true", "").is_err());
    assert!(deep("let a = 1 in ", "true", "").is_err());
    assert!(deep("a => ", "true", "").is_err());
    assert!(deep("t occurs ", "now", "").is_err());
    assert!(deep("", "a = 1", " or a = 1").is_ok());
}
