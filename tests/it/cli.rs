//! The binary as people and schedulers run it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::common::NOW;

fn coterie(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coterie"));
    command.args(arguments).env_remove("COTERIE_WAREHOUSE").stdin(Stdio::null());
    command
}

/// Exit status, stdout and stderr.
fn run(arguments: &[&str]) -> (i32, String, String) {
    done(coterie(arguments).output().unwrap())
}

fn piped(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command = coterie(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    done(child.wait_with_output().unwrap())
}

fn done(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn inputs_run_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("two.sql");
    std::fs::write(&file, "SELECT 2 AS b; SELECT 3 AS c").unwrap();
    let file = file.to_str().unwrap();
    let (status, out, err) =
        run(&["sql", "--format", "csv", "-c", "SELECT 1 AS a", "-f", file, "-c", "SELECT 4 AS d;"]);
    assert_eq!((status, out.as_str(), err.as_str()), (0, "a\n1\nb\n2\nc\n3\nd\n4\n", ""));
}

#[test]
fn standard_input_is_a_script() {
    let script = b"\xef\xbb\xbfSELECT 1 AS a;\r\n-- nothing\r\nSELECT ';' AS b;\r\n";
    for arguments in [&["sql", "--format", "tsv"][..], &["sql", "-f", "-", "--format", "tsv"]] {
        assert_eq!(piped(arguments, script), (0, "a\n1\nb\n;\n".to_owned(), String::new()));
    }
}

#[test]
fn a_mistake_ends_the_run_and_undoes_nothing() {
    let script = b"CREATE TABLE t AS SELECT 1 AS a;\nSELECT a FROM t;\nSELEC a FROM t;\nSELECT 5;";
    let (status, out, err) = piped(&["sql", "--format", "csv"], script);
    assert_eq!((status, out.as_str()), (2, "a\n1\n"));
    assert!(err.starts_with("error[syntax]: "), "{err}");
    assert!(err.contains("--> <stdin>:3:1\n"), "{err}");

    let (status, out, err) = run(&["sql", "--format", "csv", "-c", "SELECT b", "-c", "SELECT 1"]);
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(err.starts_with("error[name]: "), "{err}");
}

#[test]
fn a_failure_at_run_time_is_status_1() {
    let (status, _, err) = run(&["sql", "-c", "SELECT 1 / (column1 - 1) FROM (VALUES (1))"]);
    assert_eq!(status, 1, "{err}");
    assert!(err.starts_with("error[execution]: "), "{err}");
}

#[test]
fn wrong_usage_is_status_2() {
    for wrong in [
        &["sql", "--nope"][..],
        &["sql", "--threads", "0"],
        &["sql", "--memory-limit", "much"],
        &["sql", "--now", "yesterday"],
        &["sql", "--format", "xml"],
        &["sql", "-f", "/no/such/file.sql"],
        &["sql", "-c", "\\nope"],
        &["evaluate"],
        &["demo", "--profiles", "0"],
        &["nope"],
        &[],
    ] {
        let (status, out, _) = run(wrong);
        assert_eq!((status, out.as_str()), (2, ""), "{wrong:?}");
    }
    assert!(run(&["sql", "--nope"]).2.starts_with("error[usage]: "));
    assert_eq!(run(&["sql", "--help"]).0, 0);
}

#[test]
fn statements_without_rows_are_silent_for_programs() {
    let declare = "CREATE TABLE t AS SELECT 1 AS a";
    for format in ["csv", "tsv", "json", "ndjson"] {
        assert_eq!(run(&["sql", "--format", format, "-c", declare]), (0, String::new(), String::new()));
    }
    assert_eq!(run(&["sql", "-c", declare]).1, "CREATE TABLE\n");
}

#[test]
fn now_is_what_is_said() {
    let (_, out, _) =
        run(&["sql", "--now", NOW, "--format", "csv", "-c", "SELECT CAST(now() AS DATE) AS day"]);
    assert_eq!(out, "day\n2026-06-15\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for format in ["csv", "ndjson", "json", "tsv"] {
        let sql = "SELECT * FROM generate_series(1, 5000000)";
        let mut command = coterie(&["sql", "--format", format, "-c", sql]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn the_demo_and_what_comes_after_it() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shop");
    let folder = folder.to_str().unwrap();
    let demo = &["demo", folder, "--profiles", "2000"];
    let (status, first, err) = run(demo);
    assert_eq!(status, 0, "{err}");
    assert!(first.starts_with("A shop with 2,000 customers, "), "{first}");
    assert!(first.contains("10 segments evaluated in one pass over "), "{first}");
    // Members of every segment, and the same ones again.
    let members = |out: &str| -> Vec<String> {
        let cells = out.lines().filter(|line| line.contains(" % │"));
        cells.map(|line| line.split('│').nth(3).unwrap().trim().to_owned()).collect()
    };
    assert_eq!(members(&first).len(), 10);
    assert!(members(&first).iter().all(|count| count != "0"), "{first}");
    let (status, again, err) = run(demo);
    assert_eq!((status, again), (0, first), "{err}");

    let warehouse = format!("{folder}/warehouse");
    let at_noon = ["--warehouse", &warehouse, "--now", NOW];
    let report = run(&[&["evaluate", "win_back", "--format", "json"], &at_noon[..]].concat()).1;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let outcome = &report["segments"][0];
    assert_eq!(outcome["status"], "evaluated");
    // The demo has evaluated at this instant already.
    assert_eq!((&outcome["entered"], &outcome["exited"]), (&0.into(), &0.into()));

    let stored = "SELECT count(*) AS n FROM audience.win_back WHERE status = 'realized'";
    let live = "SELECT count(*) AS n FROM segment.win_back";
    let counts = run(&[&["sql", "--format", "csv", "-c", stored, "-c", live], &at_noon[..]].concat());
    let n = outcome["members"].to_string();
    assert_eq!(counts, (0, format!("n\n{n}\nn\n{n}\n"), String::new()));

    let rule = concat!(env!("CARGO_MANIFEST_DIR"), "/queries/segments/win_back.pql");
    let (_, sql, err) = run(&[&["translate", rule], &at_noon[..]].concat());
    assert!(sql.starts_with("WITH events_features AS ("), "{sql}{err}");
    let rows = run(&[&["sql", "--format", "csv", "-c", &sql], &at_noon[..]].concat()).1;
    assert_eq!(rows.lines().count() - 1, n.parse::<usize>().unwrap());
    for stage in ["segment", "plan", "all"] {
        let (status, out, _) = run(&[&["translate", "--emit", stage, rule], &at_noon[..]].concat());
        assert!(status == 0 && !out.is_empty());
    }
    let wrong = piped(&[&["translate"], &at_noon[..]].concat(), b"did(event_typ = 'x')");
    assert_eq!(wrong.0, 2);
    assert!(wrong.2.contains("--> <stdin>:1:5"), "{}", wrong.2);

    assert!(Path::new(folder).join("events/2026-06.parquet").exists());
    assert_eq!(run(&["demo", root.path().to_str().unwrap()]).0, 2);
}
