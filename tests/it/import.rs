//! `coterie import adobe`: definitions in, segments and reasons out.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::NOW;

struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shop = Self { folder };
        assert_eq!(shop.run(&["demo", "shop", "--profiles", "500"]).0, Some(0));
        shop
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Exit status, stdout, stderr.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coterie"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        let output = command.env("COTERIE_WAREHOUSE", "shop/warehouse").output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn import(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.run(&[&["import", "adobe", "--format", "csv"], arguments].concat())
    }

    fn members(&self, segment: &str) -> String {
        let sql = format!("SELECT count(*) FROM segment.\"{segment}\"");
        let (status, out, err) = self.run(&["sql", "--now", NOW, "--format", "csv", "-c", &sql]);
        assert_eq!(status, Some(0), "{err}");
        out.lines().nth(1).unwrap().to_owned()
    }
}

fn definition(id: &str, name: &str, pql: &str) -> String {
    let expression = serde_json::json!({ "type": "PQL", "format": "pql/text", "value": pql });
    serde_json::json!({ "id": id, "name": name, "expression": expression }).to_string()
}

#[test]
fn definitions_become_segments() {
    let shop = Shop::new();
    shop.write(
        "buyers.json",
        &definition("id-1", "Big buyers", "inSegment(\"id-2\") and xEvent.count() > 30"),
    );
    shop.write("both.json", &definition("id-2", "Buyers", "xEvent.exists(event_type = \"purchase\")"));
    let both = ["buyers.json", "both.json"];
    let (status, out, err) = shop.import(&[&["--dry-run"], &both[..]].concat());
    let created = "segment,status,reason\nBuyers,created,\nBig buyers,created,\n";
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), created, ""));
    assert_eq!(shop.import(&both).1, created);
    let (buyers, big) = (shop.members("Buyers"), shop.members("Big buyers"));
    assert!(big != "0" && buyers != big, "{big} of {buyers}");

    // Again, changed, replaced.
    let unchanged = "segment,status,reason\nBuyers,unchanged,\nBig buyers,unchanged,\n";
    assert_eq!(shop.import(&both), (Some(0), unchanged.to_owned(), String::new()));
    shop.write("both.json", &definition("id-2", "Buyers", "xEvent.count() > 0"));
    let (status, out, err) = shop.import(&both);
    assert_eq!(status, Some(1));
    assert!(out.contains("Buyers,refused,error[conflict]: another segment is called `Buyers`"), "{out}");
    assert!(err.contains("`--replace`"), "{err}");
    let (status, out, _) = shop.import(&[&["--replace"], &both[..]].concat());
    assert_eq!((status, out.lines().nth(1)), (Some(0), Some("Buyers,replaced,")));
    assert_ne!(shop.members("Buyers"), buyers);

    // A segment that is asked for by its id stays.
    let (status, _, err) = shop.run(&["sql", "-c", "DROP SEGMENT \"Buyers\""]);
    assert!(status == Some(2) && err.contains("used by the segments `Big buyers`"), "{err}");
    // An id says one thing.
    shop.write("other.json", &definition("id-2", "Others", "true"));
    assert!(shop.import(&["other.json"]).1.contains("Others,refused,error[conflict]"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let shop = Shop::new();
    let wrong = definition("id-3", "Wrong", "country = \"DE\" and loyalty_teir = \"gold\"");
    let needs = definition("id-4", "Needs it", "inSegment(\"id-3\")");
    let right = definition("id-5", "Right", "country = \"DE\"");
    shop.write(
        "some.json",
        &format!("{{\"segments\": [{wrong}, {needs}, {right}, {{\"name\": \"Nothing\"}}, 7]}}"),
    );
    let (status, out, err) = shop.import(&["some.json"]);
    assert_eq!(status, Some(1));
    let expected = "segment,status,reason
Right,created,
Nothing,refused,error[parse]: the definition has no `expression`
definition 5,refused,error[parse]: a segment definition must be a JSON object
Wrong,refused,error[unknown_field]: the profile has no field `loyalty_teir`
Needs it,refused,\"error[not_found]: it asks for `Wrong`, which cannot be made\"
";
    assert_eq!(out, expected);
    assert!(err.contains("--> segment Wrong:1:20") && err.contains("did you mean `loyalty_tier`?"), "{err}");

    // What cannot be read at all changes nothing.
    shop.write("broken.json", "[{\"name\": \"a\",\n }]");
    let (status, out, err) = shop.import(&["some.json", "broken.json"]);
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert!(err.starts_with("error[parse]: this is not JSON") && err.contains("--> broken.json:2:"), "{err}");
    for arguments in [&["missing.json"][..], &["--store", "shpo", "some.json"], &[], &["--nope", "some.json"]]
    {
        assert_eq!(shop.import(arguments).0, Some(2), "{arguments:?}");
    }
}
