//! Parser and checker against every error case.

use coterie::pql;
use coterie::segment::Language;

use crate::cases::cases;
use crate::fixture::{context, store};

#[test]
fn cases_compile_or_fail_with_their_kind() {
    let store = store();
    let context = context(&store);
    let mut wrong = vec![];
    for case in cases() {
        let language = if case.json { Language::PqlJson } else { Language::Pql };
        let found = match pql::compile(&case.pql, language, &context) {
            Ok(_) => None,
            Err(faults) if faults.len() == 1 && faults[0].span.is_some() => Some(faults[0].kind.to_string()),
            Err(faults) => Some(format!("{faults:?}")),
        };
        if found != case.error {
            wrong.push(format!("{}: {}\n  found {found:?}, expected {:?}", case.id, case.pql, case.error));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
