//! Every case by the interpreter.

use coterie::pql;

use crate::cases::cases;
use crate::interpreter::{members, profiles};
use crate::random_data::Data;

#[test]
fn cases_hold_as_interpreted() {
    let profiles = profiles(&Data::fixture());
    let mut wrong = vec![];
    for case in cases() {
        if case.error.is_some() {
            continue;
        }
        let query = if case.json { pql::parse_json(&case.pql) } else { pql::parse(&case.pql) }.unwrap();
        let found = members(&query, &profiles);
        if found != case.expect {
            wrong.push(format!("{}: {}\n  found {found:?}\n  expected {:?}", case.id, case.pql, case.expect));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
