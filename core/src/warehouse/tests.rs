use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::diagnostic::Kind as ErrorKind;

async fn open(folder: &TempDir) -> Warehouse {
    Warehouse::open(folder.path().to_str(), &Stores::new()).await.unwrap()
}

fn segment(name: &str, after: Option<u64>) -> Change {
    let created_at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let body = json!({ "sql": format!("rule of {name}") });
    Change { kind: Kind::Segment, name: name.into(), after, body, created_at, deleted: false }
}

#[tokio::test]
async fn keeps_versions_and_drops() {
    let folder = tempfile::tempdir().unwrap();
    for warehouse in [open(&folder).await, Warehouse::open(None, &Stores::new()).await.unwrap()] {
        assert_eq!(warehouse.put(segment("a", None)).await.unwrap(), 1);
        assert_eq!(warehouse.put(segment("a", Some(1))).await.unwrap(), 2);
        assert_eq!(warehouse.put(segment("a", Some(1))).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(warehouse.put(segment("a", None)).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(warehouse.put(segment("b", Some(1))).await.unwrap_err().kind(), ErrorKind::Conflict);
        let dropped = Change { deleted: true, ..segment("a", Some(2)) };
        assert_eq!(warehouse.put(dropped).await.unwrap(), 3);
        let snapshot = warehouse.snapshot().await.unwrap();
        assert!(snapshot.get(Kind::Segment, "a").is_none());
        assert_eq!(snapshot.newest(Kind::Segment, "a").unwrap().version, 3);
        assert_eq!(warehouse.put(segment("a", None)).await.unwrap(), 4);
        let history = warehouse.history(Kind::Segment, "a").await.unwrap();
        let drops: Vec<bool> = history.iter().map(|entry| entry.deleted).collect();
        assert_eq!(drops, [false, false, true, false]);
        // A snapshot is of its moment.
        assert!(snapshot.get(Kind::Segment, "a").is_none());
        assert!(warehouse.snapshot().await.unwrap().get(Kind::Table, "a").is_none());
    }
}

#[tokio::test]
async fn any_name_is_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["..", ".", "a/b", "ü ber", "100%", "%2e", "a\nb", "CON", "#1", "'", "🙂"];
    let warehouse = open(&folder).await;
    for name in names {
        warehouse.put(segment(name, None)).await.unwrap();
    }
    let again = open(&folder).await.snapshot().await.unwrap();
    for name in names {
        assert_eq!(again.get(Kind::Segment, name).unwrap().body["sql"], format!("rule of {name}"));
    }
    assert_eq!(again.all(Kind::Segment).len(), names.len());
    for name in [String::new(), "x".repeat(1000)] {
        assert_eq!(warehouse.put(segment(&name, None)).await.unwrap_err().kind(), ErrorKind::Name);
    }
}

#[tokio::test]
async fn looking_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("new");
    let warehouse = Warehouse::open(below.to_str(), &Stores::new()).await.unwrap();
    assert!(warehouse.snapshot().await.unwrap().all(Kind::Segment).is_empty());
    assert!(!below.exists());
    warehouse.put(segment("a", None)).await.unwrap();
    assert!(below.join("coterie.json").is_file());
    assert!(below.join("catalog/segment/a/1.json").is_file());
}

#[tokio::test]
async fn sees_what_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (open(&folder).await, open(&folder).await);
    for round in 0..5 {
        let name = format!("s{round}");
        theirs.put(segment(&name, None)).await.unwrap();
        assert!(ours.snapshot().await.unwrap().get(Kind::Segment, &name).is_some());
        ours.put(segment(&name, Some(1))).await.unwrap();
        assert_eq!(theirs.snapshot().await.unwrap().newest(Kind::Segment, &name).unwrap().version, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_writers_of_one_name_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let name = format!("s{round}");
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (path, name) = (folder.path().to_owned(), name.clone());
                tokio::spawn(async move {
                    let warehouse = Warehouse::open(path.to_str(), &Stores::new()).await.unwrap();
                    warehouse.put(segment(&name, None)).await
                })
            })
            .collect();
        let results: Vec<_> =
            futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        for error in results.into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), ErrorKind::Conflict);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writers_of_different_names_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|writer| {
            let path = folder.path().to_owned();
            tokio::spawn(async move {
                let warehouse = Warehouse::open(path.to_str(), &Stores::new()).await.unwrap();
                for at in 0..25 {
                    warehouse.put(segment(&format!("w{writer}_{at}"), None)).await.unwrap();
                }
                warehouse
            })
        })
        .collect();
    let writers = futures::future::join_all(tasks).await;
    assert_eq!(open(&folder).await.snapshot().await.unwrap().all(Kind::Segment).len(), 100);
    // Those whose markers crossed see all after the next listing at the latest.
    for writer in writers {
        let writer = writer.unwrap();
        writer.cache.lock().await.set_stale();
        assert_eq!(writer.snapshot().await.unwrap().all(Kind::Segment).len(), 100);
    }
}

#[tokio::test]
async fn a_newer_warehouse_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("coterie.json");
    let newer = r#"{ "format": 2, "shards": [1] }"#;
    std::fs::write(&file, newer).unwrap();
    let error = Warehouse::open(folder.path().to_str(), &Stores::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("made by a newer version of coterie"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), newer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn damage_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).await.put(segment("a b", None)).await.unwrap();
    let file = folder.path().join("catalog/segment/a%20b/1.json");
    let whole = std::fs::read_to_string(&file).unwrap();
    for damaged in
        ["", "{", "[]", &whole[..whole.len() / 2], &whole.replace("\"version\": 1", "\"version\": 7")]
    {
        std::fs::write(&file, damaged).unwrap();
        let error = open(&folder).await.snapshot().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("catalog/segment/a%20b/1.json"), "{error}");
    }
    std::fs::write(&file, whole).unwrap();
    // What others leave in the folders is none of our business.
    std::fs::write(folder.path().join("catalog/segment/.DS_Store"), "x").unwrap();
    std::fs::write(folder.path().join("catalog/segment/a%20b/2.json.bak"), "x").unwrap();
    assert_eq!(open(&folder).await.snapshot().await.unwrap().all(Kind::Segment).len(), 1);
    std::fs::write(folder.path().join("coterie.json"), "{").unwrap();
    let error = Warehouse::open(folder.path().to_str(), &Stores::new()).await.unwrap_err();
    assert!(error.to_string().contains("coterie.json"), "{error}");
}

#[tokio::test]
async fn a_file_is_no_warehouse() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Warehouse::open(file.path().to_str(), &Stores::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[tokio::test]
async fn many_entries_take_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(&folder).await;
    let started = Instant::now();
    // Each statement looks, then writes.
    for at in 0..500 {
        let snapshot = warehouse.snapshot().await.unwrap();
        assert!(snapshot.get(Kind::Segment, "s").is_none());
        warehouse.put(segment(&format!("s{at}"), None)).await.unwrap();
    }
    let wrote = started.elapsed();
    let started = Instant::now();
    for _ in 0..500 {
        warehouse.snapshot().await.unwrap();
    }
    println!("500 entries: {wrote:?}, 500 looks: {:?}", started.elapsed());
    assert!(wrote.as_secs() < 30);
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_warehouse_is_read_and_not_written() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    open(&folder).await.put(segment("a", None)).await.unwrap();
    let segments = folder.path().join("catalog/segment");
    std::fs::set_permissions(&segments, std::fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write anywhere.
    if std::fs::write(segments.join("probe"), "").is_err() {
        let warehouse = open(&folder).await;
        let error = warehouse.put(segment("b", None)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("catalog/segment/b"), "{error}");
        assert!(warehouse.snapshot().await.unwrap().get(Kind::Segment, "a").is_some());
    }
    std::fs::set_permissions(&segments, std::fs::Permissions::from_mode(0o755)).unwrap();
}
