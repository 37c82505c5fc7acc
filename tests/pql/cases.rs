//! The cases of `conformance.yaml`, read without a YAML library: the file has one `key: json` a line.

use std::path::PathBuf;

/// One case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) pql: String,
    pub(crate) json: bool,
    pub(crate) expect: Vec<String>,
    pub(crate) error: Option<String>,
}

/// A file of this suite.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pql").join(name)
}

/// All cases, in the order of the file.
pub(crate) fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(path("conformance.yaml")).unwrap();
    let mut cases: Vec<Case> = vec![];
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("- id: ") {
            cases.push(Case { id: id.trim().to_owned(), ..Case::default() });
        }
        let Some(case) = cases.last_mut() else { continue };
        let Some((key, value)) = line.trim_start().split_once(": ") else { continue };
        match key {
            "pql" => case.pql = serde_json::from_str(value).unwrap(),
            "format" => case.json = value.trim() == "pql/json",
            "expect" => case.expect = serde_json::from_str(value).unwrap(),
            "error" => case.error = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    assert_eq!(cases.len(), 664);
    cases
}
