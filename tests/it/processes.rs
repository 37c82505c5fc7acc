//! Processes that are killed, that run at the same time, that find the disk full.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use coterie::engine::{Engine, Options, Session};

use crate::common::{first_column, run};
use crate::random_rules::random::Random;

fn coterie(warehouse: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coterie"));
    command.args(arguments).arg("--warehouse").arg(warehouse).stdin(Stdio::null());
    command
}

fn spawn(warehouse: &Path, arguments: &[&str]) -> Child {
    coterie(warehouse, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The demo's shop with its ten audiences; returns the warehouse.
fn demo(folder: &Path, n_profiles: &str) -> std::path::PathBuf {
    let shop = folder.join("shop");
    let mut command = Command::new(env!("CARGO_BIN_EXE_coterie"));
    let output = command.args(["demo", shop.to_str().unwrap(), "--profiles", n_profiles]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    shop.join("warehouse")
}

async fn open(warehouse: &Path) -> Session {
    let warehouse = Some(warehouse.to_str().unwrap().to_owned());
    Engine::open(Options { warehouse, ..Options::default() }).await.unwrap().session()
}

fn numbers(batches: &[RecordBatch], column: usize) -> Vec<i64> {
    batches
        .iter()
        .flat_map(|batch| batch.column(column).as_primitive::<Int64Type>().values().to_vec())
        .collect()
}

/// The audiences are those of one evaluation, whole: as many members as its report says, all of one instant. Returns
/// the instant.
async fn whole(warehouse: &Path) -> String {
    let session = open(warehouse).await;
    let sql = "SELECT segment, members FROM coterie.segments WHERE members > 0 ORDER BY segment";
    let said = run(&session, sql).await.unwrap();
    let sql = "SELECT segment, count(*) FROM coterie.memberships WHERE status = 'realized' GROUP BY segment ORDER BY segment";
    let found = run(&session, sql).await.unwrap();
    assert_eq!(first_column(&said), first_column(&found));
    assert_eq!(numbers(&said, 1), numbers(&found, 1));
    let sql = "SELECT DISTINCT CAST(evaluated_as_of AS VARCHAR) FROM coterie.segments";
    let instants = first_column(&run(&session, sql).await.unwrap());
    assert_eq!(instants.len(), 1, "segments of two evaluations: {instants:?}");
    instants.into_iter().next().unwrap()
}

#[tokio::test]
async fn killed_evaluations_leave_the_previous_audiences() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = demo(folder.path(), "300");
    // How long an evaluation takes, so that it is killed somewhere within.
    let started = Instant::now();
    let first = coterie(&warehouse, &["evaluate", "--now", "2026-06-16"]).output().unwrap();
    assert!(first.status.success(), "{}", text(&first));
    let duration = started.elapsed();
    let mut before = whole(&warehouse).await;
    let mut random = Random::new(9);
    let (mut n_killed, mut n_done) = (0, 0);
    for at in 0..20 {
        let now = format!("2026-06-17T00:00:{at:02}Z");
        let mut child = spawn(&warehouse, &["evaluate", "--now", &now]);
        let part = u32::try_from(random.below(110)).unwrap();
        std::thread::sleep(duration * part / 100);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let after = whole(&warehouse).await;
        if status.success() {
            n_done += 1;
        } else {
            n_killed += 1;
        }
        // Killed before the commit or after it; in between there is nothing.
        let is_new = after.replace(' ', "T").starts_with(&now[..19]);
        assert!(is_new || after == before, "{before} became {after} at {now}");
        assert!(is_new || !status.success(), "an evaluation that ended well is not there");
        before = after;
    }
    assert!(n_killed > 0, "{n_done} evaluations ended before they were killed");
    let next = coterie(&warehouse, &["evaluate", "--now", "2026-06-18"]).output().unwrap();
    assert!(next.status.success(), "{}", text(&next));
    assert!(whole(&warehouse).await.starts_with("2026-06-18"));
}

#[tokio::test]
async fn killed_statements_leave_a_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = demo(folder.path(), "300");
    let mut random = Random::new(10);
    for at in 0..8 {
        let sql = format!(
            "CREATE OR REPLACE TABLE made AS SELECT * FROM generate_series(1, 200000); CREATE SEGMENT s{at} AS points > {at}; EVALUATE SEGMENT s{at}"
        );
        let mut child = spawn(&warehouse, &["sql", "-c", &sql, "--now", "2026-06-16"]);
        std::thread::sleep(Duration::from_millis(random.below(900) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        // Every segment that is listed is there, whole, and so is the table if it is.
        let session = open(&warehouse).await;
        for name in first_column(&run(&session, "SELECT segment FROM coterie.segments").await.unwrap()) {
            run(&session, &format!("SELECT * FROM segment.{name}")).await.unwrap();
        }
        let tables =
            run(&session, "SELECT table_name FROM information_schema.tables WHERE table_name = 'made'").await;
        if !first_column(&tables.unwrap()).is_empty() {
            let rows = run(&session, "SELECT count(*) FROM made").await.unwrap();
            assert_eq!(numbers(&rows, 0), [200_000]);
        }
    }
}

#[tokio::test]
async fn processes_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = demo(folder.path(), "300");
    for round in 0..3 {
        let now = format!("2026-06-16T00:00:0{round}Z");
        let evaluations = ["big_spenders", "win_back"]
            .map(|name| spawn(&warehouse, &["evaluate", name, "--now", &now]))
            .map(|child| child.wait_with_output().unwrap());
        for output in &evaluations {
            assert!(output.status.success(), "{}", text(output));
        }
        let session = open(&warehouse).await;
        let sql = format!(
            "SELECT segment FROM coterie.evaluations WHERE as_of = TIMESTAMP '2026-06-16 00:00:0{round}' ORDER BY 1"
        );
        assert_eq!(first_column(&run(&session, &sql).await.unwrap()), ["big_spenders", "win_back"]);

        let create = |name: &str| format!("CREATE SEGMENT {name}_{round} AS points > 10");
        let made = ["one", "two"]
            .map(|name| spawn(&warehouse, &["sql", "-c", &create(name)]))
            .map(|child| child.wait_with_output().unwrap());
        assert!(made.iter().all(|output| output.status.success()), "{}{}", text(&made[0]), text(&made[1]));
        // Of one name, one wins and the other is told.
        let same = [(); 2]
            .map(|()| spawn(&warehouse, &["sql", "-c", &create("same")]))
            .map(|child| child.wait_with_output().unwrap());
        assert_eq!(same.iter().filter(|output| output.status.success()).count(), 1);
        assert!(same.iter().any(|output| text(output).contains("error[conflict]")), "{}", text(&same[0]));
        let session = open(&warehouse).await;
        let sql = format!("SELECT segment FROM coterie.segments WHERE segment LIKE '%\\_{round}'");
        let names = ["one", "same", "two"].map(|name| format!("{name}_{round}"));
        assert_eq!(first_column(&run(&session, &sql).await.unwrap()), names);
    }
}

/// A file system of a few megabytes, if this user may make one.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        let status =
            mount.args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(at).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(&folder.path().join("small")) else {
        eprintln!("notice: a small file system cannot be mounted here, the full disk is not tested");
        return;
    };
    let warehouse = demo(&small.0, "300");
    let before = whole(&warehouse).await;
    // Fill it to the last byte.
    let filler = small.0.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    for size in [1 << 16, 1 << 10, 1] {
        while std::io::Write::write(&mut file, &vec![0; size]).is_ok_and(|written| written > 0) {}
    }
    for arguments in [
        &["evaluate", "--now", "2026-06-20"][..],
        &["sql", "-c", "CREATE SEGMENT more AS points > 1"],
        &["sql", "-c", "CREATE TABLE more AS SELECT * FROM generate_series(1, 1000)"],
    ] {
        let output = coterie(&warehouse, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains("error[storage]"), "{arguments:?}: {}", text(&output));
        assert!(!text(&output).contains("panicked"), "{arguments:?}: {}", text(&output));
    }
    assert_eq!(whole(&warehouse).await, before);
    std::fs::remove_file(&filler).unwrap();
    drop(file);
    let next = coterie(&warehouse, &["evaluate", "--now", "2026-06-20"]).output().unwrap();
    assert!(next.status.success(), "{}", text(&next));
    assert!(whole(&warehouse).await.starts_with("2026-06-20"));
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("notice: there is no /dev/full here, it is not tested");
        return;
    };
    for format in ["table", "csv", "json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coterie"));
        let sql = "SELECT * FROM generate_series(1, 5000)";
        command.args(["sql", "--format", format, "-c", sql]).env_remove("COTERIE_WAREHOUSE");
        let output = command.stdout(full.try_clone().unwrap()).output().unwrap();
        let said = text(&output);
        assert!(said.contains("error[storage]") && !said.contains("panicked"), "{format}: {said}");
        assert_eq!(output.status.code(), Some(2), "{format}");
    }
}
