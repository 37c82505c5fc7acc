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

/// Mistakes with one obvious mend: where they are, between `«` and `»`, and what would do.
#[test]
fn mistakes_are_found_in_their_place_with_their_mend() {
    let store = store();
    let context = context(&store);
    let mut wrong = String::new();
    for (marked, kind, help) in [
        ("homeAddress.countryCode «==» \"US\"", "parse", "write `=`"),
        ("homeAddress.countryCode «<>» \"US\"", "parse", "write `!=`"),
        ("homeAddress.countryCode = «'US'»", "parse", "write \"US\""),
        ("homeAddress.countryCode = «“US”»", "parse", "write \"US\""),
        ("testProfile «&&» testProfile", "parse", "write `and`"),
        ("loyalty.points > «1e3»", "parse", "write the number without an exponent"),
        ("person.name.firstName.matches(\"«\\w»+\")", "parse", "write `\\\\w` for a backslash and `w`"),
        (
            "xEvent.exists(timestamp occurs «within» 30 days and channel = \"web\")",
            "parse",
            "write `occurs <= 30 days before now`",
        ),
        (
            "loyalty.joinDate occurs «within» the last 2 weeks",
            "parse",
            "write `occurs <= 2 weeks before now`",
        ),
        ("loyalty.joinDate occurs «within» this month", "parse", "write `occurs <= 7 days before now`"),
        ("loyalty.joinDate occurs 3 days «ago»", "parse", "write `occurs <= 3 days before now`"),
        ("loyalty.joinDate occurs <= 3 «dais» before now", "parse", "did you mean `days`?"),
        ("1 < loyalty.points «<» 5", "parse", "join them with `and`, or put the first in parentheses"),
        ("orders[o «=>» o.price > 1]", "parse", "write `.filter(x => …)`, or the condition alone"),
        ("«loyaltee».points > 1", "unknown_field", "did you mean `loyalty`?"),
        ("loyalty.«point» > 1", "unknown_field", "did you mean `points`?"),
        ("xEvent.exists(«eventtype» = \"x\")", "unknown_field", "did you mean `eventType`?"),
        ("xEvent.exists(commerce.order.«priceTotl» > 1)", "unknown_field", "did you mean `priceTotal`?"),
        (
            "xEvent.exists(«homeAddress».city = \"x\")",
            "unknown_field",
            "the profile has it: write `$1.homeAddress`",
        ),
        ("loyalty.points = «null»", "unknown_field", "PQL has no `null`: write `.isNull()`"),
        ("identityMap.«ECID».count() > 0", "unknown_field", "write `.get(\"ECID\")`"),
        ("orders.«avg»(price) > 1", "unknown_function", "did you mean `average`?"),
        ("person.name.firstName.«startWith»(\"A\")", "unknown_function", "did you mean `startsWith`?"),
        ("orders[«0»].price > 1", "type", "write `.head()` for the first element"),
        ("«loyalty.points»", "type", "compare it with something, or ask `.isNotNull()`"),
    ] {
        let text = marked.replace(['«', '»'], "");
        let start = marked.find('«').unwrap();
        let end = marked.find('»').unwrap() - '«'.len_utf8();
        let found = match pql::compile(&text, Language::Pql, &context) {
            Ok(_) => "it compiles".to_owned(),
            Err(faults) => match &faults[..] {
                [fault]
                    if fault.kind.to_string() == kind
                        && fault.span.map(|span| span.range()) == Some((start, end))
                        && fault.help == [help] =>
                {
                    continue;
                }
                faults => format!("{faults:#?}"),
            },
        };
        wrong += &format!("{marked}\n  {found}\n");
    }
    assert!(wrong.is_empty(), "{wrong}");
}
