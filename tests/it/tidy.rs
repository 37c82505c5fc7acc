//! The rules that the repository keeps about itself: layers, generated pages, words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use coterie::diagnostic::Kind;
use coterie::segment::Form;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files below a folder that end in one of some ways.
fn files(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "coterie-demo" {
                files(&path, extensions, found);
            }
        } else if extensions.iter().any(|extension| name.ends_with(&format!(".{extension}"))) {
            found.push(path);
        }
    }
}

/// The folders of the crates whose modules have a layer.
const CRATES: [&str; 2] = ["core/src", "src"];

/// The files of both crates.
fn sources() -> Vec<PathBuf> {
    let mut paths = vec![];
    CRATES.iter().for_each(|folder| files(&root().join(folder), &["rs"], &mut paths));
    paths
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The names between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The layer of each module, as ARCHITECTURE.md has it, and its position in it.
fn layers() -> BTreeMap<String, (usize, usize)> {
    let text = read("ARCHITECTURE.md");
    let table = text.split("## Layers").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut layers = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| layer")) {
        let mut cells = line.trim_matches('|').split('|');
        let Ok(layer) = cells.next().unwrap().trim().parse() else { continue };
        for (position, module) in quoted(cells.next().unwrap()).into_iter().enumerate() {
            layers.insert(module.to_owned(), (layer, position));
        }
    }
    layers
}

#[test]
fn modules_use_lower_layers_only() {
    let layers = layers();
    for line in CRATES.map(|folder| read(&format!("{folder}/lib.rs"))).concat().lines() {
        if let Some(module) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            assert!(layers.contains_key(module), "ARCHITECTURE.md gives `{module}` no layer");
        }
    }
    let mut wrong = vec![];
    for path in sources() {
        let name = shown(&path);
        let inside = CRATES.iter().find_map(|folder| name.strip_prefix(&format!("{folder}/"))).unwrap();
        let own = inside.split('/').next().unwrap().trim_end_matches(".rs");
        let Some(layer) = layers.get(own) else {
            assert!(["lib", "main"].contains(&own), "ARCHITECTURE.md gives `{own}` no layer");
            continue;
        };
        let text = std::fs::read_to_string(&path).unwrap();
        // Tests may look at anything.
        let text = text.split("#[cfg(test)]\nmod").next().unwrap();
        for (at, _) in text.match_indices("crate::") {
            let module: String =
                text[at + 7..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            match layers.get(&module) {
                Some(used) if used > layer => {
                    wrong.push(format!("{inside} of layer {} uses {module} of layer {}", layer.0, used.0))
                }
                _ => {}
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What ARCHITECTURE.md says is absent.
#[test]
fn what_is_absent_is_absent() {
    let mut wrong = vec![];
    for path in &sources() {
        let name = shown(path);
        if name.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let mut refuse = |folders: &[&str], words: &[&str]| {
            let inside = folders.iter().any(|folder| name.starts_with(folder));
            let found = words.iter().filter(|word| inside && text.contains(**word));
            wrong.extend(found.map(|word| format!("{name} has `{word}`")));
        };
        let before_planner = ["core/src/segment", "core/src/profile", "core/src/pql", "core/src/resolve"];
        refuse(&before_planner, &["LogicalPlan", "ExecutionPlan", "SessionState", "object_store", "std::fs"]);
        refuse(
            &["core/src/statement", "core/src/planner"],
            &["ExecutionPlan", "object_store", "std::fs", "RecordBatch"],
        );
        let no_clock = [
            "core/src/segment",
            "core/src/profile",
            "core/src/pql",
            "core/src/resolve",
            "core/src/statement",
            "core/src/planner",
        ];
        refuse(&no_clock, &["Utc::now", "SystemTime", "Instant::now"]);
        if !name.starts_with("core/src/session") {
            refuse(&CRATES, &["SessionContext::new", "SessionStateBuilder::new("]);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_form_statement_and_command_is_documented() {
    let sql = read("docs/sql.md");
    let mut missing = vec![];
    for form in Form::ALL {
        if !sql.contains(&format!("`{}(", form.name())) {
            missing.push(format!("docs/sql.md: the form {}", form.name()));
        }
    }
    for statement in [
        "CREATE EXTERNAL TABLE",
        "CREATE [OR REPLACE] PROFILE STORE",
        "DROP PROFILE STORE",
        "SHOW PROFILE STORES",
        "CREATE [OR REPLACE] SEGMENT",
        "DROP SEGMENT",
        "SHOW SEGMENTS",
        "SHOW CREATE SEGMENT",
        "DESCRIBE SEGMENT",
        "EXPLAIN SEGMENT",
        "EXPLAIN EVALUATE",
        "EVALUATE SEGMENT",
        "EVALUATE ALL SEGMENTS",
        "matching('shop'",
    ] {
        if !sql.contains(statement) {
            missing.push(format!("docs/sql.md: {statement}"));
        }
    }
    let shell = read("docs/shell.md");
    let help = Command::new(env!("CARGO_BIN_EXE_coterie")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        if command != "help" && !shell.contains(&format!("## `coterie {command}")) {
            missing.push(format!("docs/shell.md: coterie {command}"));
        }
    }
    for option in help.split_whitespace().filter(|word| word.starts_with("--")) {
        let option = option.trim_end_matches([',', '.']);
        if !["--help", "--version", "--verbose"].contains(&option) && !shell.contains(option) {
            missing.push(format!("docs/shell.md: {option}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The table of the kinds of errors is made from their list.
#[test]
fn the_kinds_of_errors_are_documented() {
    let (begin, end) = ("<!-- kinds -->\n", "<!-- end of kinds -->");
    let text = read("docs/shell.md");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut table = String::from("| kind | meaning | exit status |\n| --- | --- | --- |\n");
    for kind in Kind::ALL {
        table += &format!("| `{}` | {} | {} |\n", kind.as_str(), kind.doc().trim(), kind.exit_status());
    }
    let wanted = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root().join("docs/shell.md"), wanted).unwrap();
    } else {
        assert_eq!(text, wanted, "UPDATE=1 rewrites docs/shell.md");
    }
}

#[test]
fn every_module_has_a_place_in_the_tests_index() {
    let index = read("tests/README.md");
    for line in read("tests/it/main.rs").lines() {
        if let Some(module) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            let known =
                index.contains(&format!("it/{module}")) || ["common", "random_rules"].contains(&module);
            assert!(known, "tests/README.md does not say what it/{module}.rs is");
        }
    }
}

/// Words that say who wrote a text, or where, instead of what it is about.
#[test]
fn texts_speak_about_coterie() {
    let mut paths = vec![];
    files(root(), &["rs", "md", "toml", "sql", "pql", "slt", "py", "txt", "yaml"], &mut paths);
    let wrong_words = ["/work/", "TODO", "FIXME", "issue #", "this session's", "coordinator", "brief.md"];
    let mut wrong = vec![];
    for path in paths.iter().filter(|path| !path.ends_with("tests/it/tidy.rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let found = wrong_words.iter().find(|word| line.contains(**word));
            wrong.extend(found.map(|word| format!("{}:{}: {word}", shown(path), number + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The pages link to what is there.
#[test]
fn links_lead_somewhere() {
    let mut paths = vec![];
    files(root(), &["md"], &mut paths);
    let mut wrong = vec![];
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.contains(' ')) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            if !linked.exists() {
                wrong.push(format!("{}: {target}", shown(&path)));
            } else if !anchor.is_empty() && !anchors(&linked).contains(&anchor.to_owned()) {
                wrong.push(format!("{}: {target} has no such heading", shown(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}
