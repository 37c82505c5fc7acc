//! The examples of the pages run: on the shop that `coterie demo` makes, in a folder that has what they name.
//!
//! A block of `sql` is a script, once with what stands in brackets and once, parsed only, without; `sql rules` is a rule a
//! line; `sh` are commands; `json` is JSON. A block of `text` that follows `sql show` or `sh show` is what it prints:
//! `UPDATE=1` rewrites it.

use std::path::Path;
use std::process::{Command, Stdio};

use coterie::diagnostic::Source;
use coterie::statement;

const NOW: &str = "2026-06-15T12:00:00Z";
const WAREHOUSE: &str = "coterie-demo/warehouse";

/// A fenced block: what stands after the fence, its first line, its text.
struct Block {
    info: String,
    line: usize,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = vec![];
    let mut open = false;
    for (at, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(info) if !open => {
                blocks.push(Block { info: info.trim().to_owned(), line: at + 1, text: String::new() });
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// Runs a command line in a folder: its exit status, and what it printed.
fn shell(folder: &Path, line: &str) -> (Option<i32>, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_coterie"));
    let path =
        format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).stdin(Stdio::null());
    command.env("PATH", path).env_remove("COTERIE_WAREHOUSE").env("COTERIE_HISTORY", "");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), text)
}

/// Runs statements on the shop.
fn sql(folder: &Path, script: &str) -> (Option<i32>, String) {
    std::fs::write(folder.join("example.sql"), script).unwrap();
    shell(folder, &format!("coterie sql --warehouse {WAREHOUSE} --now {NOW} -f example.sql"))
}

/// A synopsis with what stands in brackets, or without it. Brackets after a word's end are an index or a PQL filter.
fn variant(text: &str, with: bool) -> String {
    let (mut out, mut depth) = (String::new(), 0_usize);
    let mut before = ' ';
    let mut stack = vec![];
    for c in text.chars() {
        let is_optional = c == '[' && (before == ' ' || before == '\n') && !in_dollars(&out);
        match c {
            '[' => {
                stack.push(is_optional);
                if is_optional {
                    depth += usize::from(!with);
                } else if depth == 0 {
                    out.push(c);
                }
            }
            ']' => match stack.pop() {
                Some(true) => depth -= usize::from(!with),
                _ if depth == 0 => out.push(c),
                _ => {}
            },
            c if depth == 0 => out.push(c),
            _ => {}
        }
        before = c;
    }
    out
}

fn in_dollars(text: &str) -> bool {
    text.matches("$$").count() % 2 == 1
}

struct Page<'a> {
    name: &'a str,
    folder: &'a Path,
    wrong: Vec<String>,
}

impl Page<'_> {
    fn check(&mut self, block: &Block, (status, said): (Option<i32>, String)) -> String {
        if status != Some(0) {
            self.wrong.push(format!("{}:{}: {}\n{said}", self.name, block.line, block.text));
        }
        said
    }

    /// Runs a block; returns what it printed.
    fn run(&mut self, block: &Block) -> String {
        let mut words = block.info.split_whitespace();
        match (words.next(), words.next()) {
            (Some("sql"), Some("rules")) => {
                let rules = block.text.lines().filter(|line| !line.trim().is_empty());
                let select =
                    |rule: &str| format!("SELECT count(*) FROM matching('shop', $rule$ {rule} $rule$);\n");
                let script: String = rules.map(select).collect();
                self.check(block, sql(self.folder, &script))
            }
            (Some("sql"), _) => {
                let short = variant(&block.text, false);
                for piece in statement::split(&short) {
                    if let Err(fault) = statement::parse(&Source::typed(short.as_str()), piece.range) {
                        self.wrong.push(format!("{}:{}: {fault}", self.name, block.line));
                    }
                }
                self.check(block, sql(self.folder, &variant(&block.text, true)))
            }
            (Some("sh"), what) => {
                let mut said = String::new();
                for line in block.text.lines().map(|line| line.split(" # ").next().unwrap_or_default()) {
                    let line = line.replace("s3://lake/coterie", WAREHOUSE).replace("target/release/", "");
                    if line.contains("cargo ") {
                        continue;
                    }
                    let done = shell(self.folder, &line);
                    // An example of an error is one.
                    said += &if what == Some("fails") { done.1 } else { self.check(block, done) };
                }
                said
            }
            (Some("json"), _) => {
                if let Err(error) = serde_json::from_str::<serde_json::Value>(&block.text) {
                    self.wrong.push(format!("{}:{}: {error}", self.name, block.line));
                }
                String::new()
            }
            _ => String::new(),
        }
    }
}

/// Runs the blocks of a page; returns what is wrong, and the page as it should be.
fn page(name: &str, folder: &Path) -> (Vec<String>, String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut wanted = text.clone();
    let mut page = Page { name, folder, wrong: vec![] };
    let blocks = blocks(&text);
    for (at, block) in blocks.iter().enumerate() {
        let said = page.run(block);
        let shows = block.info.contains("show") || block.info.contains("fails");
        if let Some(next) = blocks.get(at + 1).filter(|next| shows && next.info == "text") {
            let said = format!("{}\n", said.trim_end());
            wanted =
                wanted.replacen(&format!("```text\n{}```", next.text), &format!("```text\n{said}```"), 1);
        }
    }
    (page.wrong, text, wanted)
}

#[test]
fn examples_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = vec![];
    for name in ["README.md", "docs/sql.md", "docs/pql.md", "docs/shell.md"] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let made = shell(folder, "coterie demo --profiles 2000");
        assert_eq!(made.0, Some(0), "{}", made.1);
        // What the examples name.
        for file in ["queries/segments", "queries/demo"] {
            std::fs::create_dir_all(folder.join(file)).unwrap();
            for entry in std::fs::read_dir(root.join(file)).unwrap() {
                let from = entry.unwrap().path();
                std::fs::copy(&from, folder.join(file).join(from.file_name().unwrap())).unwrap();
            }
        }
        std::fs::copy(root.join("queries/demo/store.sql"), folder.join("tables.sql")).unwrap();
        std::fs::write(folder.join("segments.sql"), "CREATE SEGMENT buyers AS did(event_type = 'purchase');")
            .unwrap();
        std::fs::write(folder.join("rules.sql"), "CREATE SEGMENT buyers AS did(event_typ = 'purchase')")
            .unwrap();
        std::fs::write(folder.join("definitions.json"), ADOBE).unwrap();
        let (faults, text, wanted) = page(name, folder);
        wrong.extend(faults);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(root.join(name), wanted).unwrap();
        } else if text != wanted {
            let first = text.lines().zip(wanted.lines()).find(|(a, b)| a != b);
            wrong.push(format!("{name} shows what is not printed (UPDATE=1 rewrites it): {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An export as Adobe's segment API writes it: one definition that can be made, one that asks for it, one that cannot.
const ADOBE: &str = r#"{"segments": [
    {"id": "5c1b-runners", "name": "Runners", "schema": {"name": "_xdm.context.profile"},
     "expression": {"type": "PQL", "format": "pql/text", "value": "interests.includes(\"running\")"}},
    {"id": "77aa-buyers", "name": "Running buyers", "description": "bought and run",
     "expression": {"type": "PQL", "format": "pql/text",
                    "value": "inSegment(\"5c1b-runners\") and xEvent.exists(event_type = \"purchase\")"}},
    {"name": "Old", "expression": {"type": "PQL", "format": "pql/text", "value": "loyalty_teir = \"gold\""}}
]}"#;
