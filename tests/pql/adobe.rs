//! Whole segment definitions.

use coterie::diagnostic::Source;
use coterie::pql::adobe::import;
use coterie::segment::Language;

use crate::fixture::{context, store};

#[test]
fn reads_definitions_and_says_what_it_refuses() {
    let document = r#"{"segments": [
        {"id": "s-2", "name": "Gold in Canada", "expression": {"type": "PQL", "format": "pql/text",
            "value": "inSegment(\"s-1\") and homeAddress.countryCode = \"CA\""}},
        {"id": "s-1", "name": "Gold", "description": "The best", "schema": {"name": "_xdm.context.profile"},
            "expression": {"type": "PQL", "format": "pql/text", "value": "loyalty.tier = \"gold\""},
            "evaluationInfo": {"batch": {"enabled": true}, "continuous": {"enabled": false}}},
        {"name": "Wrong", "expression": {"type": "PQL", "format": "pql/text", "value": "loyalty.teir = \"gold\""}},
        {"name": "Json", "expression": {"type": "PQL", "format": "pql/json", "value":
            "{\"nodeType\":\"fnApply\",\"fnName\":\"inSegment\",\"params\":[{\"nodeType\":\"literal\",\"literalType\":\"String\",\"value\":\"s-1\"}]}"}},
        {"name": "Gold", "expression": {"type": "PQL", "format": "pql/text", "value": "true"}},
        {"id": "no name"}
    ]}"#;
    let store = store();
    let import = import(&[Source::named("segments.json", document)], &context(&store)).unwrap();
    let made: Vec<_> = import
        .segments
        .iter()
        .map(|s| (s.name.as_str(), s.id.as_deref(), s.language, s.rule.as_str()))
        .collect();
    assert_eq!(
        made,
        [
            ("Gold", Some("s-1"), Language::Pql, "loyalty.tier = \"gold\""),
            (
                "Gold in Canada",
                Some("s-2"),
                Language::Pql,
                "inSegment(\"s-1\") and homeAddress.countryCode = \"CA\""
            ),
            ("Json", None, Language::PqlJson, import.segments[2].rule.as_str()),
        ]
    );
    assert_eq!(import.segments[0].comment.as_deref(), Some("The best"));
    let refused: Vec<_> = import.refused.iter().map(|r| (r.name.as_str(), r.faults[0].to_string())).collect();
    assert_eq!(refused.len(), 3);
    assert_eq!((refused[0].0, refused[1].0), ("Gold", "no name"));
    assert_eq!(
        refused[2],
        (
            "Wrong",
            "error[unknown_field]: there is no field `teir`\n --> segment Wrong:1:9\n  |\n1 | loyalty.teir = \"gold\"\n  |         ^^^^\n  = help: did you mean `tier`?".to_owned()
        )
    );
    assert!(coterie::pql::adobe::import(&[Source::typed("{")], &context(&store)).is_err());
}
