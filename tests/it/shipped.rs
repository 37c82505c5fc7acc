//! What ships in `queries/` compiles and runs on the demo's shop, and is in its index.

use std::path::{Path, PathBuf};

use coterie::diagnostic::Source;
use coterie::engine::{Engine, Options, Session};
use coterie::segment::Language;

use crate::common::{NOW, first_column, run};

fn queries() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("queries")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(queries().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn demo(folder: &Path) -> Session {
    let shop = folder.join("shop");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_coterie"))
        .args(["demo", shop.to_str().unwrap(), "--profiles", "500"])
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    let warehouse = Some(shop.join("warehouse").to_str().unwrap().to_owned());
    let options = Options { warehouse, now: Some(NOW.parse().unwrap()), ..Options::default() };
    Engine::open(options).await.unwrap().session()
}

#[tokio::test]
async fn shipped_queries_run() {
    let folder = tempfile::tempdir().unwrap();
    let session = demo(folder.path()).await;
    let index = std::fs::read_to_string(queries().join("README.md")).unwrap();
    let mut n_run = 0;
    for path in files("segments") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_pql = path.extension().is_some_and(|extension| extension == "pql");
        let language = if is_pql { Language::Pql } else { Language::Sql };
        let source = Source::named(name, text.as_str());
        let stages = session
            .translate(&source, language, None)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let members = first_column(&run(&session, &stages.sql).await.unwrap());
        assert!(members.len() < 500, "{name} has everybody");
        // The demo keeps a segment of that name: the file is its rule.
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let kept = run(&session, &format!("SELECT * FROM segment.{stem}")).await.unwrap();
        assert_eq!(members, first_column(&kept), "{name}");
        assert!(index.contains(&format!("(segments/{name})")), "queries/README.md does not list {name}");
        n_run += 1;
    }
    assert_eq!(n_run, 10);
}

#[test]
fn shipped_scripts_run() {
    let folder = tempfile::tempdir().unwrap();
    let coterie = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_coterie"))
            .args(arguments)
            .env_remove("COTERIE_WAREHOUSE")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // The scripts speak of the demo's own folder.
    coterie(&["demo", "--profiles", "500"]);
    for path in files("demo") {
        let file = path.to_str().unwrap();
        let in_memory = coterie(&["sql", "-f", file, "--format", "csv"]);
        let kept = coterie(&["sql", "--warehouse", "coterie-demo/warehouse", "-f", file, "--format", "csv"]);
        match path.file_name().unwrap().to_str().unwrap() {
            "store.sql" => assert_eq!((in_memory, kept), (String::new(), String::new())),
            "overlap.sql" => assert!(in_memory.lines().count() == 1 && kept.lines().count() > 10, "{kept}"),
            other => panic!("what does {other} print?"),
        }
    }
}
