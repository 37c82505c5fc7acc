//! Audiences as their users see them: what queries return after runs, on each kind of object store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray, UInt64Array};
use arrow::datatypes::{DataType, Field, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use coterie::audience::{Audiences, Change, Outcome, Run};
use coterie::diagnostic::Kind;
use datafusion::prelude::SessionContext;
use futures::stream::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;
use roaring::RoaringBitmap;
use serde_json::json;
use url::Url;

use crate::common::mortal::Mortal;

/// A warehouse in memory, which several handles can share.
#[derive(Clone)]
struct Warehouse {
    store: Arc<dyn ObjectStore>,
    root: Url,
}

impl Warehouse {
    fn in_memory() -> Self {
        Self { store: Arc::new(InMemory::new()), root: Url::parse("memory:///warehouse").unwrap() }
    }

    fn local(folder: &std::path::Path) -> Self {
        Self { store: Arc::new(LocalFileSystem::new()), root: Url::from_directory_path(folder).unwrap() }
    }

    fn open(&self, key: DataType) -> Audiences {
        let key = Field::new("profile_id", key, true);
        Audiences::open(Arc::clone(&self.store), &self.root, "shop", &key).unwrap()
    }
}

fn day(day: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap() + TimeDelta::days(day)
}

/// A run over the keys named by any segment.
fn run(id: &str, as_of: DateTime<Utc>, segments: &[(&str, &[&str])]) -> Run {
    // The order of the profile table is that of the first segment that names a profile.
    let mut keys: Vec<&str> = vec![];
    for key in segments.iter().flat_map(|(_, members)| *members) {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    let at = |key: &&str| u32::try_from(keys.iter().position(|k| k == key).unwrap()).unwrap();
    let members = segments
        .iter()
        .map(|(segment, members)| ((*segment).to_owned(), members.iter().map(at).collect()))
        .collect();
    Run {
        id: id.to_owned(),
        as_of,
        members,
        figures: json!({"profiles": keys.len()}),
        keys: Arc::new(StringViewArray::from(keys)),
    }
}

fn change(members: u64, entered: u64, exited: u64) -> Change {
    Change { members, entered, exited }
}

fn changes(outcomes: Vec<Outcome>) -> Vec<Change> {
    outcomes.into_iter().map(|outcome| outcome.change.unwrap()).collect()
}

async fn query(audiences: &Audiences, sql: &str) -> Vec<RecordBatch> {
    let session = SessionContext::new();
    for stored in audiences.segments().await.unwrap() {
        let table = audiences.table(&stored.segment).await.unwrap();
        session.register_table(format!("\"{}\"", stored.segment), table).unwrap();
    }
    session.register_table("memberships", audiences.memberships().await.unwrap()).unwrap();
    session.sql(sql).await.unwrap().collect().await.unwrap()
}

async fn show(audiences: &Audiences, sql: &str) -> String {
    arrow::util::pretty::pretty_format_batches(&query(audiences, sql).await).unwrap().to_string()
}

/// Key, status and days since `day(0)` of the rest.
async fn rows(audiences: &Audiences, segment: &str) -> Vec<String> {
    let sql = format!("SELECT * FROM \"{segment}\" ORDER BY profile_id");
    let mut rows = vec![];
    for batch in query(audiences, &sql).await {
        for at in 0..batch.num_rows() {
            let key = arrow::util::display::array_value_to_string(batch.column(0), at).unwrap();
            let status = arrow::util::display::array_value_to_string(batch.column(1), at).unwrap();
            let days: Vec<String> = (2..5)
                .map(|column| {
                    let column = batch.column(column).as_primitive::<TimestampMicrosecondType>();
                    match column.is_valid(at) {
                        true => ((column.value(at) - day(0).timestamp_micros()) / 86_400_000_000).to_string(),
                        false => "-".to_owned(),
                    }
                })
                .collect();
            rows.push(format!("{key} {status} {}", days.join(" ")));
        }
    }
    rows
}

async fn files(warehouse: &Warehouse) -> BTreeSet<String> {
    let folder = Path::from_url_path(warehouse.root.path()).unwrap();
    let files: Vec<_> = warehouse.store.list(Some(&folder)).try_collect().await.unwrap();
    files.into_iter().map(|file| file.location.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_member() {
    let warehouse = Warehouse::in_memory();
    let audiences = warehouse.open(DataType::Utf8View);
    assert_eq!(audiences.segments().await.unwrap(), []);
    assert_eq!(audiences.table("a").await.unwrap_err().kind(), Kind::NotFound);
    assert!(files(&warehouse).await.is_empty());

    let first = run("e1", day(1), &[("a", &["bob", "ann"])]);
    assert_eq!(changes(audiences.compare(&first).await.unwrap()), [change(2, 2, 0)]);
    assert!(files(&warehouse).await.is_empty());
    assert_eq!(changes(audiences.commit(&first).await.unwrap()), [change(2, 2, 0)]);
    assert_eq!(rows(&audiences, "a").await, ["ann realized 1 1 -", "bob realized 1 1 -"]);

    let second = run("e2", day(2), &[("a", &["cat", "ann"])]);
    assert_eq!(changes(audiences.compare(&second).await.unwrap()), [change(2, 1, 1)]);
    assert_eq!(changes(audiences.commit(&second).await.unwrap()), [change(2, 1, 1)]);
    assert_eq!(rows(&audiences, "a").await, ["ann realized 1 2 -", "bob exited 1 1 2", "cat realized 2 2 -"]);

    // Ann's profile has vanished, and nobody else's is known either.
    let third = run("e3", day(3), &[("a", &[])]);
    assert_eq!(changes(audiences.commit(&third).await.unwrap()), [change(0, 0, 2)]);
    assert_eq!(rows(&audiences, "a").await, ["ann exited 1 2 3", "bob exited 1 1 2", "cat exited 2 2 3"]);

    let fourth = run("e4", day(4), &[("a", &["zoe", "bob"])]);
    assert_eq!(changes(audiences.commit(&fourth).await.unwrap()), [change(2, 2, 0)]);
    assert_eq!(
        rows(&audiences, "a").await,
        ["ann exited 1 2 3", "bob realized 4 4 -", "cat exited 2 2 3", "zoe realized 4 4 -"]
    );

    let again = warehouse.open(DataType::Utf8View);
    let stored = again.segments().await.unwrap().remove(0);
    assert_eq!((stored.members, stored.exited, stored.as_of), (2, 2, day(4)));
    assert_eq!(stored.evaluation.as_deref(), Some("e4"));
    let evaluations = again.evaluations().await.unwrap();
    let ids: Vec<_> = evaluations.iter().map(|e| e.report.evaluation.as_str()).collect();
    assert_eq!(ids, ["e4", "e3", "e2", "e1"]);
    assert_eq!(evaluations[2].report.segments["a"], change(2, 1, 1));
    assert_eq!(evaluations[0].report.figures, json!({"profiles": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_instant_again_changes_nothing() {
    let warehouse = Warehouse::in_memory();
    let audiences = warehouse.open(DataType::Utf8);
    let segments: &[(&str, &[&str])] = &[("a", &["ann", "bob"]), ("empty", &[])];
    audiences.commit(&run("e1", day(1), segments)).await.unwrap();
    let before = files(&warehouse).await;
    let again = audiences.commit(&run("e2", day(1), segments)).await.unwrap();
    assert_eq!(changes(again), [change(2, 0, 0), change(0, 0, 0)]);
    assert_eq!(files(&warehouse).await, before);

    // Other members at the same instant: the rule was mended, or events came late.
    let mended = run("e3", day(1), &[("a", &["bob", "cat"]), ("empty", &[])]);
    assert_eq!(changes(audiences.commit(&mended).await.unwrap()), [change(2, 1, 1), change(0, 0, 0)]);
    assert_eq!(rows(&audiences, "a").await, ["ann exited 1 1 1", "bob realized 1 1 -", "cat realized 1 1 -"]);
    let report = &audiences.evaluations().await.unwrap()[0].report;
    assert_eq!(report.segments.keys().collect::<Vec<_>>(), ["a", "empty"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_instant_is_refused_for_its_segment_only() {
    let audiences = Warehouse::in_memory().open(DataType::Utf8);
    audiences.commit(&run("e1", day(5), &[("a", &["ann"]), ("empty", &[])])).await.unwrap();
    let older = run("e2", day(4), &[("a", &["bob"]), ("b", &["bob"]), ("empty", &[])]);
    for outcomes in [audiences.compare(&older).await.unwrap(), audiences.commit(&older).await.unwrap()] {
        let kinds: Vec<_> = outcomes.iter().map(|o| o.change.as_ref().err().map(|e| e.kind())).collect();
        assert_eq!(kinds, [Some(Kind::Conflict), None, Some(Kind::Conflict)]);
    }
    assert_eq!(rows(&audiences, "a").await, ["ann realized 5 5 -"]);
    assert_eq!(rows(&audiences, "b").await, ["bob realized 4 4 -"]);

    // A segment that stays empty grows older too.
    audiences.commit(&run("e3", day(6), &[("empty", &[])])).await.unwrap();
    let stored = audiences.segments().await.unwrap();
    let empty = stored.iter().find(|stored| stored.segment == "empty").unwrap();
    assert_eq!((empty.as_of, empty.evaluation.as_deref()), (day(6), Some("e3")));
    let older = audiences.commit(&run("e4", day(5), &[("empty", &[])])).await.unwrap();
    assert_eq!(older[0].change.as_ref().unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_evaluations_all_land() {
    let folder = tempfile::tempdir().unwrap();
    for warehouse in [Warehouse::in_memory(), Warehouse::local(folder.path())] {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let warehouse = warehouse.clone();
                tokio::spawn(async move {
                    let audiences = warehouse.open(DataType::Utf8);
                    let own = format!("own {writer}");
                    let member = format!("m{writer}");
                    for round in 1..4 {
                        let id = format!("{writer}/{round}");
                        let segments: &[(&str, &[&str])] = &[(&own, &["x", &member]), ("all", &[&member])];
                        let outcomes = audiences.commit(&run(&id, day(round), segments)).await.unwrap();
                        assert!(outcomes[0].change.is_ok());
                        if let Err(late) = &outcomes[1].change {
                            assert_eq!(late.kind(), Kind::Conflict);
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let audiences = warehouse.open(DataType::Utf8);
        for writer in 0..8 {
            let member = format!("m{writer} realized 1 3 -");
            assert_eq!(
                rows(&audiences, &format!("own {writer}")).await,
                [member.as_str(), "x realized 1 3 -"]
            );
        }
        // Everyone who evaluated the shared segment was in it, and all but the last are out again.
        let shared = rows(&audiences, "all").await;
        assert_eq!(shared.iter().filter(|row| row.contains("realized")).count(), 1, "{shared:?}");
        let landed = audiences.evaluations().await.unwrap();
        assert_eq!(landed.len(), 24);
        let entered: u64 =
            landed.iter().filter_map(|e| e.report.segments.get("all")).map(|c| c.entered).sum();
        let exited: u64 = landed.iter().filter_map(|e| e.report.segments.get("all")).map(|c| c.exited).sum();
        assert_eq!(entered, exited + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_crash_are_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::local(folder.path());
    let audiences = warehouse.open(DataType::Utf8);
    audiences.commit(&run("e1", day(1), &[("a", &["ann"])])).await.unwrap();
    let table = folder.path().join("audiences/shop");
    let leftovers = [
        // A commit that was being written, as the object store and as delta-rs name it.
        "_delta_log/00000000000000000001.json#1",
        "_delta_log/_commit_3b0c.json.tmp",
        // A checkpoint and a data file that nobody finished, or named.
        "_delta_log/00000000000000000000.checkpoint.parquet#1",
        "segment=a/0d5c.zstd.parquet",
        "segment=a/0d5c.zstd.parquet#7",
    ];
    for leftover in leftovers {
        std::fs::write(table.join(leftover), b"{\"add\":{\"path\":").unwrap();
    }
    for audiences in [audiences, warehouse.open(DataType::Utf8)] {
        assert_eq!(rows(&audiences, "a").await, ["ann realized 1 1 -"]);
    }
    let audiences = warehouse.open(DataType::Utf8);
    audiences.commit(&run("e2", day(2), &[("a", &["bob"])])).await.unwrap();
    assert_eq!(rows(&audiences, "a").await, ["ann exited 1 1 2", "bob realized 2 2 -"]);
    assert_eq!(audiences.evaluations().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_cannot_be_read_fails_alone() {
    let warehouse = Warehouse::in_memory();
    let audiences = warehouse.open(DataType::Utf8);
    audiences.commit(&run("e1", day(1), &[("a", &["ann"]), ("b", &["bob"])])).await.unwrap();
    let broken = files(&warehouse).await.into_iter().find(|file| file.contains("segment=a/")).unwrap();
    warehouse.store.put(&broken.as_str().into(), "no parquet".into()).await.unwrap();
    let second = run("e2", day(2), &[("a", &["ann"]), ("b", &["bob"])]);
    let outcomes = audiences.commit(&second).await.unwrap();
    let error = outcomes[0].change.as_ref().unwrap_err();
    assert_eq!(error.kind(), Kind::Storage);
    assert!(error.message().contains("memory:///warehouse/audiences/shop/"), "{error}");
    assert_eq!(*outcomes[1].change.as_ref().unwrap(), change(1, 0, 0));
    assert_eq!(rows(&audiences, "b").await, ["bob realized 1 2 -"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_segment_leaves_no_rows() {
    let audiences = Warehouse::in_memory().open(DataType::Utf8);
    audiences.remove("a").await.unwrap();
    audiences.commit(&run("e1", day(9), &[("a", &["ann"]), ("b", &["bob"])])).await.unwrap();
    audiences.remove("a").await.unwrap();
    audiences.remove("a").await.unwrap();
    let error = audiences.table("a").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(audiences.segments().await.unwrap().len(), 1);
    // A new segment of that name starts anew.
    audiences.commit(&run("e2", day(1), &[("a", &["cat"])])).await.unwrap();
    assert_eq!(rows(&audiences, "a").await, ["cat realized 1 1 -"]);
    assert_eq!(audiences.evaluations().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_name_and_key_can_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    for warehouse in [Warehouse::in_memory(), Warehouse::local(folder.path())] {
        let names =
            ["50% off?", "a/b", "_x", "..", "größe 😀", "it's", "a+b=c%20", "A", "a", &"long".repeat(80)];
        let key = Field::new("Customer ID", DataType::Utf8, false);
        let open = || {
            let store = Arc::clone(&warehouse.store);
            Audiences::open(store, &warehouse.root, "my/shop 100%", &key).unwrap()
        };
        let segments: Vec<(&str, &[&str])> = names.iter().map(|name| (*name, &["ä b/%20", ""][..])).collect();
        for round in 1..3 {
            let outcomes = open().commit(&run("e", day(round), &segments)).await.unwrap();
            assert!(outcomes.iter().all(|outcome| outcome.change.is_ok()), "{outcomes:?}");
        }
        let session = SessionContext::new();
        session.register_table("memberships", open().memberships().await.unwrap()).unwrap();
        let sql = "SELECT segment, count(*), min(\"Customer ID\"), max(\"Customer ID\"),
                          max(last_qualified_at) > min(entered_at)
                   FROM memberships GROUP BY 1";
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        let mut found = BTreeSet::new();
        for batch in batches {
            for at in 0..batch.num_rows() {
                let cell =
                    |column| arrow::util::display::array_value_to_string(batch.column(column), at).unwrap();
                assert_eq!([cell(1), cell(2), cell(3), cell(4)], ["2", "", "ä b/%20", "true"]);
                found.insert(cell(0));
            }
        }
        assert_eq!(found, names.iter().map(|name| (*name).to_owned()).collect());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_profile_key_is_refused() {
    let warehouse = Warehouse::in_memory();
    warehouse.open(DataType::Utf8).commit(&run("e1", day(1), &[("a", &["ann"])])).await.unwrap();
    // Other types of text are the same to the table.
    assert!(warehouse.open(DataType::LargeUtf8).segments().await.is_ok());
    let error = warehouse.open(DataType::Int64).segments().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.message().contains("`profile_id` of type Int64"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_the_type_of_the_profile_table() {
    let members = [RoaringBitmap::from([0, 2])];
    let check = async |keys: ArrayRef, expected: &[&str]| {
        let audiences = Warehouse::in_memory().open(keys.data_type().clone());
        for round in 1..3 {
            let members = vec![("a".to_owned(), members[0].clone())];
            let keys = Arc::clone(&keys);
            let run = Run { id: round.to_string(), as_of: day(round), keys, members, figures: json!(null) };
            assert!(audiences.commit(&run).await.unwrap()[0].change.is_ok());
        }
        let batches = query(&audiences, "SELECT profile_id FROM a ORDER BY profile_id").await;
        assert_eq!(batches[0].column(0).data_type(), keys.data_type());
        let shown: Vec<String> = batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(|at| (batch.column(0).clone(), at)))
            .map(|(keys, at)| arrow::util::display::array_value_to_string(&keys, at).unwrap())
            .collect();
        assert_eq!(shown, expected, "{}", keys.data_type());
    };
    check(Arc::new(Int64Array::from(vec![5, 7, -3])), &["-3", "5"]).await;
    check(Arc::new(UInt64Array::from(vec![u64::MAX, 7, 3])), &["3", "18446744073709551615"]).await;
    check(Arc::new(StringViewArray::from(vec!["z", "m", "b"])), &["b", "z"]).await;
    let words: ArrayRef = Arc::new(StringViewArray::from(vec!["z", "m", "b"]));
    for data_type in
        [DataType::LargeUtf8, DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))]
    {
        check(arrow::compute::cast(&words, &data_type).unwrap(), &["b", "z"]).await;
    }
    let uuids =
        arrow::array::FixedSizeBinaryArray::try_from_iter([[9_u8; 16], [5; 16], [1; 16]].iter()).unwrap();
    check(Arc::new(uuids), &["01".repeat(16).as_str(), "09".repeat(16).as_str()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_read_no_more_than_they_need() {
    let audiences = Warehouse::in_memory().open(DataType::Utf8View);
    let segments: &[(&str, &[&str])] =
        &[("a", &["ann", "bob"]), ("b", &["bob"]), ("c", &["cat", "ann", "zoe"])];
    audiences.commit(&run("e1", day(1), segments)).await.unwrap();
    audiences.commit(&run("e2", day(2), &[("a", &["bob"])])).await.unwrap();

    let by_status = "SELECT segment, status, count(*) AS n FROM memberships GROUP BY 1, 2 ORDER BY 1, 2";
    insta::assert_snapshot!(show(&audiences, by_status).await, @r"
    +---------+----------+---+
    | segment | status   | n |
    +---------+----------+---+
    | a       | exited   | 1 |
    | a       | realized | 1 |
    | b       | realized | 1 |
    | c       | realized | 3 |
    +---------+----------+---+
    ");
    let both = "SELECT c.profile_id FROM a JOIN c USING (profile_id) WHERE a.status = 'exited'";
    insta::assert_snapshot!(show(&audiences, both).await, @r"
    +------------+
    | profile_id |
    +------------+
    | ann        |
    +------------+
    ");
    let plan = show(
        &audiences,
        "EXPLAIN FORMAT INDENT SELECT status FROM memberships WHERE segment IN ('a', 'b') AND profile_id = 'ann'",
    )
    .await;
    assert!(
        plan.contains("segment=a/") && plan.contains("segment=b/") && !plan.contains("segment=c/"),
        "{plan}"
    );
    assert!(plan.contains("pruning_predicate") && plan.contains("profile_id_min"), "{plan}");
    assert!(plan.contains("projection=[segment, profile_id, status], file_type"), "{plan}");
    // What the log knows needs no file.
    let plan = show(&audiences, "EXPLAIN FORMAT INDENT SELECT count(*) FROM memberships").await;
    assert!(!plan.contains("DataSourceExec"), "{plan}");
    let ends = "SELECT segment, count(*) AS n FROM memberships WHERE segment > 'b' GROUP BY 1";
    insta::assert_snapshot!(show(&audiences, ends).await, @r"
    +---------+---+
    | segment | n |
    +---------+---+
    | c       | 3 |
    +---------+---+
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_stays_as_it_was() {
    let audiences = Warehouse::in_memory().open(DataType::Utf8);
    audiences.commit(&run("e1", day(1), &[("a", &["ann"])])).await.unwrap();
    let before = audiences.table("a").await.unwrap();
    audiences.commit(&run("e2", day(2), &[("a", &["bob"])])).await.unwrap();
    let session = SessionContext::new();
    session.register_table("a", before).unwrap();
    let batches = session.sql("SELECT profile_id FROM a").await.unwrap().collect().await.unwrap();
    assert_eq!(batches[0].column(0).as_string::<i32>().value(0), "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_segments_are_one_commit() {
    let warehouse = Warehouse::in_memory();
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values((0..2_000).rev()));
    let members = |round: u32| {
        let segment = |n: u32| {
            (format!("s{n:04}"), (0..2_000).filter(|at| (at + n + round).is_multiple_of(50)).collect())
        };
        (0..1_000).map(segment).collect()
    };
    let audiences = warehouse.open(DataType::Int64);
    for round in 1..3_u32 {
        let run = Run {
            id: format!("e{round}"),
            as_of: day(round.into()),
            keys: Arc::clone(&keys),
            members: members(round),
            figures: json!({}),
        };
        let entered = if round == 1 { change(40, 40, 0) } else { change(40, 40, 40) };
        assert_eq!(changes(audiences.commit(&run).await.unwrap()), vec![entered; 1_000]);
    }
    let commits = files(&warehouse).await.iter().filter(|file| file.ends_with(".json")).count();
    assert_eq!(commits, 2);
    let count = query(&audiences, "SELECT count(*) AS n FROM memberships WHERE status = 'realized'").await;
    assert_eq!(count[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 40_000);
    assert_eq!(audiences.evaluations().await.unwrap()[0].report.segments.len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_listed_and_checkpointed() {
    let folder = tempfile::tempdir().unwrap();
    for warehouse in [Warehouse::in_memory(), Warehouse::local(folder.path())] {
        let audiences = warehouse.open(DataType::Utf8);
        for round in 1..=25_i64 {
            let odd: &[&str] = if round % 2 == 1 { &["odd"] } else { &[] };
            let outcomes = audiences
                .commit(&run(&format!("e{round}"), day(round), &[("a", odd), ("b", &["x"]), ("never", &[])]))
                .await
                .unwrap();
            assert!(outcomes.iter().all(|outcome| outcome.change.is_ok()), "{outcomes:?}");
        }
        // The snapshot of a handle that starts from the checkpoint is that of the one that wrote all versions.
        let anew = warehouse.open(DataType::Utf8);
        assert_eq!(anew.segments().await.unwrap(), audiences.segments().await.unwrap());
        assert_eq!(rows(&anew, "a").await, ["odd realized 25 25 -"]);
        assert_eq!(rows(&anew, "b").await, ["x realized 1 25 -"]);
        let evaluations = anew.evaluations().await.unwrap();
        assert_eq!(evaluations.len(), 25);
        assert_eq!(evaluations[24].report.evaluation, "e1");
        assert!(files(&warehouse).await.iter().any(|file| file.contains("checkpoint")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_another_program_rewrote_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::local(folder.path());
    let audiences = warehouse.open(DataType::Utf8);
    audiences.commit(&run("e1", day(1), &[("a", &["dan", "bob"]), ("b", &["x"])])).await.unwrap();

    let url = Url::from_directory_path(folder.path().join("audiences/shop")).unwrap();
    let table = deltalake_core::open_table(url).await.unwrap();
    let (table, _) = table
        .update()
        .with_predicate("profile_id = 'bob'")
        .with_update("entered_at", "entered_at - INTERVAL '1 day'")
        .await
        .unwrap();
    assert_eq!(table.version(), Some(1));

    let stored = audiences.segments().await.unwrap();
    assert_eq!((stored[0].members, stored[0].as_of, &stored[0].evaluation), (2, day(1), &None));
    let older = audiences.commit(&run("e2", day(0), &[("a", &["ann"])])).await.unwrap();
    assert_eq!(older[0].change.as_ref().unwrap_err().kind(), Kind::Conflict);
    let outcomes = audiences.commit(&run("e3", day(2), &[("a", &["ann", "bob"])])).await.unwrap();
    assert_eq!(changes(outcomes), [change(2, 1, 1)]);
    assert_eq!(rows(&audiences, "a").await, ["ann realized 2 2 -", "bob realized 0 2 -", "dan exited 1 1 2"]);
    assert_eq!(audiences.evaluations().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_version_needs_is_vacuumed() {
    let folder = tempfile::tempdir().unwrap();
    for warehouse in [Warehouse::in_memory(), Warehouse::local(folder.path())] {
        let audiences = warehouse.open(DataType::Utf8);
        assert_eq!(audiences.vacuum(TimeDelta::zero()).await.unwrap(), 0);
        let segments: &[(&str, &[&str])] = &[("50% ü", &["ann"]), ("a", &["bob"])];
        for round in 1..4 {
            audiences.commit(&run("e", day(round), segments)).await.unwrap();
        }
        let data = async || files(&warehouse).await.iter().filter(|file| file.contains("segment=")).count();
        assert_eq!(audiences.vacuum(TimeDelta::days(1)).await.unwrap(), 0);
        assert_eq!(data().await, 6);
        assert_eq!(audiences.vacuum(TimeDelta::zero()).await.unwrap(), 4);
        assert_eq!(data().await, 2);
        // The vacuum's own commits are no evaluations, and what was kept is what counts.
        assert_eq!(audiences.evaluations().await.unwrap().len(), 3);
        let outcomes = warehouse.open(DataType::Utf8).commit(&run("e", day(4), segments)).await.unwrap();
        assert_eq!(changes(outcomes), [change(1, 0, 0); 2]);
        assert_eq!(rows(&audiences, "50% ü").await, ["ann realized 1 4 -"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_leaves_all_or_nothing() {
    let segments: &[(&str, &[&str])] = &[("a", &["ann"]), ("b", &["bob", "ann"]), ("c", &[])];
    let later: &[(&str, &[&str])] = &[("a", &["bob"]), ("b", &["cat"]), ("c", &["cat"])];
    let mut landed = 0;
    for writes in 0..8 {
        let warehouse = Warehouse::in_memory();
        warehouse.open(DataType::Utf8).commit(&run("e1", day(1), segments)).await.unwrap();
        let store = Mortal::of(&warehouse.store, writes);
        let dying = Warehouse { store: Arc::new(store), root: warehouse.root.clone() };
        let ended = dying.open(DataType::Utf8).commit(&run("e2", day(2), later)).await;

        let audiences = warehouse.open(DataType::Utf8);
        let found = show(&audiences, "SELECT * FROM memberships ORDER BY 1, 2").await;
        let evaluations = audiences.evaluations().await.unwrap();
        if evaluations.len() == 2 {
            landed += 1;
            let whole = ended.unwrap();
            assert_eq!(changes(whole), [change(1, 1, 1), change(1, 1, 2), change(1, 1, 0)]);
            assert_eq!(rows(&audiences, "c").await, ["cat realized 2 2 -"]);
        } else {
            assert!(!found.contains("cat"), "{found}");
            assert_eq!(ended.unwrap_err().kind(), Kind::Storage);
        }
        // The next run succeeds, whatever was left behind.
        let outcomes = audiences.commit(&run("e3", day(3), later)).await.unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.change.is_ok()), "{outcomes:?}");
        assert!(rows(&audiences, "c").await[0].starts_with("cat realized"));
    }
    assert!(landed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_taken_but_not_acknowledged_counts_once() {
    let warehouse = Warehouse::in_memory();
    let store = Mortal::late(&warehouse.store);
    let slow = Warehouse { store: Arc::new(store), root: warehouse.root.clone() };
    let outcomes = slow.open(DataType::Utf8).commit(&run("e1", day(1), &[("a", &["ann"])])).await.unwrap();
    assert_eq!(changes(outcomes), [change(1, 1, 0)]);
    assert_eq!(warehouse.open(DataType::Utf8).evaluations().await.unwrap().len(), 1);
}

/// What one audience should hold: for each key entered, last qualified and exited.
type Model = BTreeMap<String, (i64, i64, Option<i64>)>;

fn step(model: &mut Model, members: &BTreeSet<String>, now: i64) -> Change {
    let mut change = Change { members: members.len() as u64, ..Change::default() };
    for key in members {
        match model.get_mut(key) {
            Some((_, last, None)) => *last = now,
            _ => {
                change.entered += 1;
                model.insert(key.clone(), (now, now, None));
            }
        }
    }
    for (key, (_, _, exited)) in model.iter_mut() {
        if exited.is_none() && !members.contains(key) {
            change.exited += 1;
            *exited = Some(now);
        }
    }
    change
}

/// Runs: how much later each is, the profiles that exist in some order, and for each segment who is a member.
type Runs = Vec<(i64, Vec<u8>, Vec<Option<Vec<bool>>>)>;

fn runs() -> impl Strategy<Value = Runs> {
    let profiles = Just((0..40_u8).collect::<Vec<_>>())
        .prop_shuffle()
        .prop_flat_map(|order| (0..=order.len()).prop_map(move |n| order[..n].to_vec()));
    let segment = proptest::option::weighted(0.7, proptest::collection::vec(any::<bool>(), 40));
    let segments = proptest::collection::vec(segment, 3);
    proptest::collection::vec((0..3_i64, profiles, segments), 1..8)
}

async fn agree(key_type: DataType, name: impl Fn(u8) -> String, runs: Runs) {
    let audiences = Warehouse::in_memory().open(key_type.clone());
    let mut models: Vec<Option<Model>> = vec![None; 3];
    let mut now = 0;
    for (round, (later, profiles, segments)) in runs.into_iter().enumerate() {
        now += later;
        let names: Vec<String> = profiles.iter().map(|&profile| name(profile)).collect();
        let keys: ArrayRef = Arc::new(StringViewArray::from_iter_values(&names));
        let mut members = vec![];
        let mut expected = vec![];
        for (segment, wanted) in segments.iter().enumerate() {
            let Some(wanted) = wanted else { continue };
            let found: RoaringBitmap =
                (0..profiles.len() as u32).filter(|&at| wanted[usize::from(profiles[at as usize])]).collect();
            let keys = found.iter().map(|at| names[at as usize].clone()).collect();
            expected.push(step(models[segment].get_or_insert_default(), &keys, now));
            members.push((format!("s{segment}"), found));
        }
        let run = Run {
            id: format!("e{round}"),
            as_of: day(now),
            keys: arrow::compute::cast(&keys, &key_type).unwrap(),
            members,
            figures: json!({}),
        };
        assert_eq!(changes(audiences.compare(&run).await.unwrap()), expected);
        assert_eq!(changes(audiences.commit(&run).await.unwrap()), expected);
    }
    for (segment, model) in models.iter().enumerate() {
        let segment = format!("s{segment}");
        let Some(model) = model else {
            assert!(audiences.table(&segment).await.is_err());
            continue;
        };
        let expected: BTreeSet<String> = model
            .iter()
            .map(|(key, (entered, last, exited))| {
                let status = if exited.is_none() { "realized" } else { "exited" };
                let exited = exited.map_or("-".to_owned(), |at| at.to_string());
                format!("{key} {status} {entered} {last} {exited}")
            })
            .collect();
        let found = rows(&audiences, &segment).await;
        assert_eq!(found.len(), expected.len());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn runs_agree_with_the_model(runs in runs()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            agree(DataType::Int32, |n| (i32::from(n) - 20).to_string(), runs.clone()).await;
            agree(DataType::Utf8, |n| format!("{}{n}", "profile-".repeat(usize::from(n % 3))), runs).await;
        });
    }
}
