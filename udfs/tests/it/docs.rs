//! The documentation of every function: its examples run, the reference page is current.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use coterie_udfs::registry;
use datafusion::logical_expr::Documentation;
use datafusion::prelude::{SessionConfig, SessionContext};

/// Name, aliases and documentation of every function.
fn all() -> Vec<(String, Vec<String>, Option<Documentation>)> {
    let mut all = vec![];
    let mut add = |name: &str, aliases: &[String], documentation: Option<&Documentation>| {
        all.push((name.to_string(), aliases.to_vec(), documentation.cloned()));
    };
    registry::all_scalar().iter().for_each(|f| add(f.name(), f.aliases(), f.documentation()));
    registry::all_aggregate().iter().for_each(|f| add(f.name(), f.aliases(), f.documentation()));
    registry::all_window().iter().for_each(|f| add(f.name(), f.aliases(), f.documentation()));
    registry::all_higher_order().iter().for_each(|f| add(f.name(), f.aliases(), f.documentation()));
    all
}

#[test]
fn every_function_is_documented() {
    for (name, _, documentation) in all() {
        let documentation = documentation.unwrap_or_else(|| panic!("{name} has no documentation"));
        assert!(documentation.sql_example.is_some(), "{name} has no example");
        assert!(documentation.syntax_example.starts_with(&name), "syntax of {name}");
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/slt/functions/{name}.slt"));
        assert!(cases.exists(), "{name} has no {}", cases.display());
        for related in documentation.related_udfs.iter().flatten() {
            let known = all().iter().any(|(name, aliases, _)| name == related || aliases.contains(related));
            assert!(known, "{name} is related to the unknown {related}");
        }
    }
}

/// What a group costs is known before a query is run over a billion of them.
#[test]
fn every_aggregate_says_what_a_group_takes() {
    for function in registry::all_aggregate() {
        let said = function.documentation().is_some_and(|d| d.description.contains("A group takes "));
        assert!(said, "{} does not say how much memory a group takes", function.name());
    }
}

/// What a NULL means is said of each argument: with it, for the whole function, or by its being a constant, of which
/// the page says at its head that they are never NULL.
#[test]
fn every_argument_says_what_null_means() {
    let mut silent = vec![];
    for (name, _, documentation) in all() {
        let documentation = documentation.unwrap();
        let of_function = documentation.description.contains("NULL");
        for (argument, description) in documentation.arguments.iter().flatten() {
            let said = of_function || description.contains("NULL") || description.starts_with("Constant");
            if !said {
                silent.push(format!("{name}: {argument}"));
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// An example is one or more of: `> ` and a query over one or more lines, then the table it prints.
#[tokio::test]
async fn every_example_prints_what_it_says() {
    let plain = SessionContext::new();
    coterie_udfs::register_all(&plain).unwrap();
    // Of the dialects DataFusion knows, those that have lambdas read `a = b` in a call as a named argument.
    let lambdas = SessionContext::new_with_config(
        SessionConfig::new().set_str("datafusion.sql_parser.dialect", "DuckDB"),
    );
    coterie_udfs::register_all(&lambdas).unwrap();
    let mut wrong = String::new();
    for (name, _, documentation) in all() {
        let example = documentation.and_then(|d| d.sql_example).unwrap_or_default();
        let example = example.trim().trim_start_matches("```sql").trim_end_matches("```");
        let mut queries: Vec<(String, String)> = vec![];
        for line in example.lines() {
            if let Some(query) = line.strip_prefix("> ") {
                queries.push((query.to_string(), String::new()));
            } else if let Some((query, table)) = queries.last_mut() {
                if line.starts_with(['+', '|']) {
                    writeln!(table, "{line}").unwrap();
                } else {
                    writeln!(query, "\n{line}").unwrap();
                }
            }
        }
        assert!(!queries.is_empty(), "{name} has no query in its example");
        for (query, expected) in queries {
            let ctx = if query.contains("->") { &lambdas } else { &plain };
            let printed = match ctx.sql(&query).await {
                Ok(frame) => frame.to_string().await.map(|table| format!("{table}\n")),
                Err(error) => Err(error),
            };
            match printed {
                Ok(printed) if printed.trim() == expected.trim() => {}
                Ok(printed) => writeln!(wrong, "{name}\n{query}\n{printed}").unwrap(),
                Err(error) => writeln!(wrong, "{name}\n{query}\n{error}").unwrap(),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn page() -> String {
    let mut families: BTreeMap<&'static str, BTreeMap<String, Documentation>> = BTreeMap::new();
    let mut aliases = BTreeMap::new();
    for (name, also, documentation) in all() {
        if let Some(documentation) = documentation {
            aliases.insert(name.clone(), also);
            families.entry(documentation.doc_section.label).or_default().insert(name, documentation);
        }
    }
    let mut page = String::from(
        "# Functions\n\nWritten from the documentation in the code; `UPDATE=1 cargo test -p coterie-udfs` rewrites it.\n\n\
         A constant must be known when a query is planned, a literal or `now()` say, and is never NULL. A timestamp is one \
         of any unit and zone, a date `DATE` or `Date64`, seconds are integers; a string may be a view, large, or a \
         dictionary of strings.\n",
    );
    for (family, functions) in &families {
        write!(page, "\n- **{family}**:").unwrap();
        for (i, name) in functions.keys().enumerate() {
            write!(page, "{} [`{name}`](#{name})", if i == 0 { "" } else { "," }).unwrap();
        }
    }
    page.push_str("\n- [where answers differ from ClickHouse's](#clickhouse)\n");
    for (family, functions) in &families {
        writeln!(page, "\n## {family}").unwrap();
        for (name, d) in functions {
            write!(page, "\n### `{name}`\n\n```text\n{}\n", d.syntax_example).unwrap();
            for syntax in d.alternative_syntax.iter().flatten() {
                writeln!(page, "{syntax}").unwrap();
            }
            write!(page, "```\n\n{}\n", d.description.trim()).unwrap();
            if let Some(arguments) = &d.arguments {
                page.push('\n');
                for (argument, description) in arguments {
                    writeln!(page, "- `{argument}`: {description}").unwrap();
                }
            }
            if let Some(example) = &d.sql_example {
                write!(page, "\n{}\n", example.trim()).unwrap();
            }
            if !aliases[name].is_empty() {
                write!(page, "\nAlso called: `{}`\n", aliases[name].join("`, `")).unwrap();
            }
            if let Some(related) = &d.related_udfs {
                let links = related.iter().map(|name| format!("[`{name}`](#{name})")).collect::<Vec<_>>();
                write!(page, "\nSee also: {}\n", links.join(", ")).unwrap();
            }
        }
    }
    write!(page, "\n{}", include_str!("../../src/clickhouse.md")).unwrap();
    page
}

#[test]
fn the_reference_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/functions.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "docs/functions.md is not current: UPDATE=1 cargo test -p coterie-udfs");
}
