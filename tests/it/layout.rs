//! Laid-out events: the same rows as the source, in order, kept in step with it, whatever happens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices};
use arrow::datatypes::Schema;
use arrow::util::display::array_value_to_string;
use coterie::engine::{Engine, Options, Session};
use coterie::layout::{Change, Layout, Layouts, Source, bucket_of};
use coterie::profile::Events;
use coterie::source::Table;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::SessionState;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use url::Url;

use crate::common::mortal::Mortal;
use crate::common::{NOW, fails, run, show};

async fn open(warehouse: &FilePath, memory_limit: Option<usize>) -> Session {
    let options = Options {
        warehouse: Some(warehouse.display().to_string()),
        now: Some(NOW.parse().unwrap()),
        threads: Some(2),
        memory_limit,
        ..Options::default()
    };
    Engine::open(options).await.unwrap().session()
}

/// A folder with a warehouse and events, `n` of them in two files, some without key or time.
struct Place(tempfile::TempDir);

const COLUMNS: &str = "profile_id, \"timestamp\", kind, price, tags";

impl Place {
    async fn with_events(n: u32) -> (Self, Session) {
        let place = Self(tempfile::tempdir().unwrap());
        let session = open(&place.warehouse(), None).await;
        place.add(&session, "a", 0, n / 2).await;
        place.add(&session, "b", n / 2, n).await;
        let declare = format!(
            "CREATE TABLE profiles AS SELECT 'p' || value AS profile_id FROM generate_series(0, 9);
             CREATE EXTERNAL TABLE events STORED AS PARQUET LOCATION '{}/';
             CREATE PROFILE STORE shop PROFILES profiles KEY (profile_id)
               EVENTS events KEY (profile_id) TIMESTAMP (\"timestamp\");",
            place.events().display()
        );
        run(&session, &declare).await.unwrap();
        (place, session)
    }

    /// Adds a file of events number `from` to `to`.
    async fn add(&self, session: &Session, name: &str, from: u32, to: u32) {
        let sql = format!(
            "COPY (
               SELECT CASE WHEN n % 23 = 0 THEN NULL ELSE 'p' || (n * 7919 % 101) END AS profile_id,
                      CASE WHEN n % 37 <> 0
                           THEN to_timestamp_micros(1767225600000000 + n * 7919 % 150 * 86400000000 + n * 1000000)
                      END AS \"timestamp\",
                      CASE n % 3 WHEN 0 THEN 'view' WHEN 1 THEN 'purchase' END AS kind,
                      n * 0.25 AS price,
                      [n, n + 1] AS tags
               FROM (SELECT value AS n FROM generate_series({from}, {to} - 1))
             ) TO '{}/{name}.parquet' STORED AS PARQUET",
            self.events().display()
        );
        std::fs::create_dir_all(self.events()).unwrap();
        run(session, &sql).await.unwrap();
    }

    fn warehouse(&self) -> PathBuf {
        self.0.path().join("warehouse")
    }

    fn events(&self) -> PathBuf {
        self.0.path().join("events")
    }

    fn copy(&self) -> PathBuf {
        self.warehouse().join("layout/shop/events")
    }

    /// All rows of the copy, read as any other Delta table.
    async fn rows(&self, session: &Session, columns: &str) -> Vec<String> {
        let declare = format!(
            "CREATE OR REPLACE EXTERNAL TABLE copy STORED AS DELTA LOCATION '{}'",
            self.copy().display()
        );
        run(session, &declare).await.unwrap();
        rows(session, &format!("SELECT {columns} FROM copy")).await
    }

    async fn assert_same(&self, session: &Session, columns: &str) {
        let source = rows(session, &format!("SELECT {columns} FROM events")).await;
        assert_eq!(self.rows(session, columns).await, source);
    }

    /// The files of the copy, without those beside it.
    fn data(&self) -> BTreeSet<PathBuf> {
        let mut files = self.files(".parquet");
        files.retain(|path| !path.iter().any(|part| part == "_coterie"));
        files
    }

    /// Which files the folder of the copy holds, by their ending.
    fn files(&self, ending: &str) -> BTreeSet<PathBuf> {
        let (mut files, mut folders) = (BTreeSet::new(), vec![self.copy()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().ends_with(ending) {
                    files.insert(path);
                }
            }
        }
        files
    }
}

/// The rows of a query as sorted lines.
async fn rows(session: &Session, sql: &str) -> Vec<String> {
    lines(&run(session, sql).await.unwrap())
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = vec![];
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
            lines.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    lines.sort();
    lines
}

/// Some columns of an answer of one row.
async fn optimize(session: &Session, statement: &str) -> String {
    let batches = run(session, statement).await.unwrap();
    let cell = |name: &str| {
        let column = batches[0].column_by_name(name).unwrap();
        array_value_to_string(column, 0).unwrap()
    };
    format!("{} {} of {} rows", cell("status"), cell("rows_written"), cell("rows"))
}

const OPTIMIZE: &str = "OPTIMIZE EVENTS OF shop";

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_holds_the_same_rows_in_order() {
    let (place, session) = Place::with_events(3_000).await;
    assert_eq!(
        optimize(&session, "OPTIMIZE EVENTS OF shop INTO 3 BUCKETS").await,
        "written 3000 of 3000 rows"
    );
    place.assert_same(&session, COLUMNS).await;

    let files = place.data();
    let mut months = BTreeSet::new();
    for path in &files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
        let group = reader.metadata().row_group(0).clone();
        let sorting: Vec<_> =
            group.sorting_columns().unwrap().iter().map(|by| (by.column_idx, by.nulls_first)).collect();
        assert_eq!(sorting, [(0, true), (1, true)]);
        assert!(group.columns().iter().all(|column| column.column_index_offset().is_some()), "no page index");
        let schema = reader.schema().clone();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        let rows = concat_batches(&schema, &batches).unwrap();
        assert!(is_sorted(&rows, &["profile_id", "timestamp"]));

        let part = |name: &str| {
            let mut folders = path.iter().map(|part| part.to_str().unwrap());
            folders.find_map(|part| part.strip_prefix(name)).unwrap().to_owned()
        };
        let buckets = bucket_of(rows.column(0), 3).unwrap();
        assert!(buckets.iter().all(|bucket| bucket.to_string() == part("key_bucket=")));
        let month = part("event_month=");
        let times = rows.column(1);
        match month.as_str() {
            "__HIVE_DEFAULT_PARTITION__" => assert_eq!(times.null_count(), times.len()),
            _ => {
                assert_eq!(times.null_count(), 0);
                let text = |row| array_value_to_string(times, row).unwrap();
                assert!((0..times.len()).all(|row| text(row).starts_with(&month)));
            }
        }
        months.insert(month);
    }
    assert_eq!(months.len(), 6);
    assert_eq!(files.len(), 18);
    let described = show(
        &session,
        "SELECT store, events, is_current, buckets, files, rows, source_files FROM coterie.layouts",
    )
    .await;
    insta::assert_snapshot!(described, @r"
    +-------+--------+------------+---------+-------+------+--------------+
    | store | events | is_current | buckets | files | rows | source_files |
    +-------+--------+------------+---------+-------+------+--------------+
    | shop  | events | true       | 3       | 18    | 3000 | 2            |
    +-------+--------+------------+---------+-------+------+--------------+
    ");
}

fn is_sorted(rows: &RecordBatch, by: &[&str]) -> bool {
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let columns: Vec<ArrayRef> = by.iter().map(|name| rows.column_by_name(name).unwrap().clone()).collect();
    let sort = |values: &ArrayRef| SortColumn { values: values.clone(), options };
    let order = lexsort_to_indices(&columns.iter().map(sort).collect::<Vec<_>>(), None).unwrap();
    let sorted: Vec<ArrayRef> =
        columns.iter().map(|column| arrow::compute::take(column, &order, None).unwrap()).collect();
    sorted == columns
}

#[tokio::test(flavor = "multi_thread")]
async fn later_runs_add_what_is_new() {
    let (place, session) = Place::with_events(400).await;
    assert_eq!(optimize(&session, OPTIMIZE).await, "written 400 of 400 rows");
    assert_eq!(optimize(&session, OPTIMIZE).await, "current 0 of 400 rows");
    let before = place.data();

    for (at, name) in ["c", "d", "e", "f", "g"].into_iter().enumerate() {
        let from = 400 + 100 * u32::try_from(at).unwrap();
        place.add(&session, name, from, from + 100).await;
        let is_current = rows(&session, "SELECT is_current FROM coterie.layouts").await;
        assert_eq!(is_current, ["false"]);
        assert_eq!(optimize(&session, OPTIMIZE).await, format!("extended 100 of {} rows", from + 100));
        place.assert_same(&session, COLUMNS).await;
        assert!(place.data().is_superset(&before));
    }
    // Months are joined once they have four files.
    let months = "SELECT count(*) FROM coterie.layouts WHERE files <= 4 * 6 * buckets AND is_current";
    assert_eq!(rows(&session, months).await, ["1"]);

    // A process that knows nothing yet sees the same, and a file that has changed or is gone is never passed over.
    let session = open(&place.warehouse(), None).await;
    assert_eq!(optimize(&session, OPTIMIZE).await, "current 0 of 900 rows");
    std::fs::remove_file(place.events().join("d.parquet")).unwrap();
    assert_eq!(optimize(&session, OPTIMIZE).await, "written 800 of 800 rows");
    place.assert_same(&session, COLUMNS).await;
    place.add(&session, "a", 5_000, 5_010).await;
    assert_eq!(optimize(&session, OPTIMIZE).await, "written 610 of 610 rows");
    place.assert_same(&session, COLUMNS).await;
    assert_eq!(optimize(&session, "OPTIMIZE EVENTS OF shop INTO 2 BUCKETS").await, "written 610 of 610 rows");
    assert_eq!(optimize(&session, "OPTIMIZE EVENTS OF shop INTO 2 BUCKETS").await, "current 0 of 610 rows");
    assert_eq!(optimize(&session, OPTIMIZE).await, "current 0 of 610 rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_declaration_is_another_copy() {
    let (place, session) = Place::with_events(100).await;
    optimize(&session, OPTIMIZE).await;
    let again = |columns: &str| {
        format!(
            "CREATE OR REPLACE EXTERNAL TABLE events {columns} STORED AS PARQUET LOCATION '{}/'",
            place.events().display()
        )
    };
    run(&session, &again("")).await.unwrap();
    assert_eq!(optimize(&session, OPTIMIZE).await, "current 0 of 100 rows");
    run(&session, &again("(profile_id VARCHAR, \"timestamp\" TIMESTAMP, price DOUBLE)")).await.unwrap();
    assert_eq!(rows(&session, "SELECT * FROM coterie.layouts").await, [""; 0]);
    assert_eq!(optimize(&session, OPTIMIZE).await, "written 100 of 100 rows");
    place.assert_same(&session, "profile_id, \"timestamp\", price").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_written_anew() {
    let (place, session) = Place::with_events(200).await;
    optimize(&session, OPTIMIZE).await;
    let file = place.data().pop_first().unwrap();
    std::fs::remove_file(file).unwrap();
    place.add(&session, "c", 200, 300).await;
    assert_eq!(optimize(&session, OPTIMIZE).await, "written 300 of 300 rows");
    place.assert_same(&session, COLUMNS).await;

    for list in place.files(".json").into_iter().filter(|path| path.to_string_lossy().contains("_coterie")) {
        std::fs::write(list, "{").unwrap();
    }
    assert_eq!(optimize(&session, OPTIMIZE).await, "written 300 of 300 rows");
    place.assert_same(&session, COLUMNS).await;

    for entry in place.files("00000.json") {
        std::fs::write(entry, "{").unwrap();
    }
    let damaged = fails(&open(&place.warehouse(), None).await, OPTIMIZE).await;
    assert!(damaged.contains("delete its folder and lay the events out again"), "{damaged}");
    std::fs::remove_dir_all(place.copy()).unwrap();
    assert_eq!(rows(&session, "SELECT * FROM coterie.layouts").await, [""; 0]);
    assert_eq!(optimize(&session, OPTIMIZE).await, "written 300 of 300 rows");
    place.assert_same(&session, COLUMNS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn little_memory_is_enough() {
    let (place, _) = Place::with_events(400).await;
    let session = open(&place.warehouse(), Some(12 << 20)).await;
    place.add(&session, "many", 1_000, 60_000).await;
    assert_eq!(
        optimize(&session, "OPTIMIZE EVENTS OF shop INTO 1 BUCKETS").await,
        "written 59400 of 59400 rows"
    );
    let sums = "count(*), sum(price), count(DISTINCT \"timestamp\"), count(profile_id)";
    assert_eq!(place.rows(&session, sums).await, rows(&session, &format!("SELECT {sums} FROM events")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_may_have_several_event_tables_of_all_sorts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let session = open(&folder.path().join("warehouse"), None).await;
    for name in ["csv", "empty", "hive/day=1", "hive/day=2"] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    std::fs::write(at("csv/a.csv"), "who,at,what\n1,2026-02-01,x\n2,2026-03-01,y\n,2026-03-02,z\n").unwrap();
    std::fs::write(at("hive/day=1/a.json"), "{\"who\": 1, \"at\": \"2026-05-01T10:00:00\"}\n").unwrap();
    std::fs::write(at("hive/day=2/a.json"), "{\"who\": 2, \"at\": \"2026-05-02T10:00:00\"}\n").unwrap();
    let script = format!(
        "CREATE TABLE profiles AS SELECT value AS id FROM generate_series(1, 3);
         CREATE EXTERNAL TABLE one (who INT, at DATE, what VARCHAR) STORED AS CSV LOCATION '{}/' OPTIONS ('format.has_header' 'true');
         CREATE EXTERNAL TABLE none (who BIGINT, at TIMESTAMP WITH TIME ZONE) STORED AS PARQUET LOCATION '{}/';
         CREATE EXTERNAL TABLE days (who BIGINT, at TIMESTAMP, day INT) STORED AS JSON PARTITIONED BY (day) LOCATION '{}/';
         CREATE TABLE kept AS SELECT CAST(value AS INT UNSIGNED) AS who, TIMESTAMP '2026-01-01' AS at, value AS key_bucket
           FROM generate_series(1, 3);
         CREATE PROFILE STORE all PROFILES profiles KEY (id)
           EVENTS one KEY (who) TIMESTAMP (at) EVENTS none KEY (who) TIMESTAMP (at)
           EVENTS days KEY (who) TIMESTAMP (at) EVENTS kept KEY (who) TIMESTAMP (at);",
        at("csv"),
        at("empty"),
        at("hive")
    );
    run(&session, &script.replace("STORE all", "STORE \"all\"")).await.unwrap();
    let optimized = run(&session, "OPTIMIZE EVENTS OF \"all\" INTO 2 BUCKETS").await.unwrap();
    let shape: Vec<_> = optimized.iter().map(|batch| batch.project(&[0, 1, 2, 4, 5]).unwrap()).collect();
    assert_eq!(
        lines(&shape),
        ["days|written|2|2|2", "kept|written|1|3|2", "none|written|0|0|2", "one|written|1|3|2"]
    );
    for (table, columns) in [
        ("one", "who, at, what"),
        ("none", "who, at"),
        ("days", "who, at, day"),
        ("kept", "who, at, key_bucket"),
    ] {
        let declare = format!(
            "CREATE OR REPLACE EXTERNAL TABLE copy STORED AS DELTA LOCATION '{}/layout/all/{table}'",
            at("warehouse")
        );
        run(&session, &declare).await.unwrap();
        let copy = rows(&session, &format!("SELECT {columns} FROM copy")).await;
        assert_eq!(copy, rows(&session, &format!("SELECT {columns} FROM {table}")).await, "{table}");
    }
    let again = show(&session, "OPTIMIZE EVENTS OF \"all\"").await;
    assert_eq!(again.matches("current").count(), 4, "{again}");

    run(&session, "DROP PROFILE STORE \"all\"").await.unwrap();
    let left = walk(&folder.path().join("warehouse/layout"));
    assert!(left.is_empty(), "{left:?}");
}

/// The files below a folder.
fn walk(folder: &FilePath) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_table_is_a_source_like_any_other() {
    let (place, session) = Place::with_events(300).await;
    // A copy is a Delta table: lay it out once more.
    optimize(&session, OPTIMIZE).await;
    let script = format!(
        "CREATE EXTERNAL TABLE again STORED AS DELTA LOCATION '{}';
         CREATE PROFILE STORE second PROFILES profiles KEY (profile_id) EVENTS again KEY (profile_id) TIMESTAMP (\"timestamp\");",
        place.copy().display()
    );
    run(&session, &script).await.unwrap();
    let second = "OPTIMIZE EVENTS OF second INTO 2 BUCKETS";
    assert_eq!(optimize(&session, second).await, "written 300 of 300 rows");
    assert_eq!(optimize(&session, second).await, "current 0 of 300 rows");
    place.add(&session, "c", 300, 350).await;
    optimize(&session, OPTIMIZE).await;
    assert_eq!(optimize(&session, second).await, "extended 50 of 350 rows");
    let folder = place.warehouse().join("layout/second/again");
    run(&session, &format!("CREATE EXTERNAL TABLE twice STORED AS DELTA LOCATION '{}'", folder.display()))
        .await
        .unwrap();
    let all = format!("SELECT {COLUMNS} FROM ");
    assert_eq!(rows(&session, &format!("{all} twice")).await, rows(&session, &format!("{all} events")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_laid_out_says_so() {
    let (place, session) = Place::with_events(10).await;
    let script = "CREATE VIEW seen AS SELECT * FROM events;
        CREATE PROFILE STORE views PROFILES profiles KEY (profile_id) EVENTS seen KEY (profile_id) TIMESTAMP (\"timestamp\");
        CREATE TABLE fine AS SELECT 'p1' AS profile_id, arrow_cast(1780000000000000001, 'Timestamp(Nanosecond, None)') AS at;
        CREATE PROFILE STORE fine PROFILES profiles KEY (profile_id) EVENTS fine KEY (profile_id) TIMESTAMP (at);
        CREATE TABLE clocks AS SELECT 'p1' AS profile_id, TIMESTAMP '2026-01-01' AS at, TIME '10:00:00' AS clock;
        CREATE PROFILE STORE clocks PROFILES profiles KEY (profile_id) EVENTS clocks KEY (profile_id) TIMESTAMP (at);";
    run(&session, script).await.unwrap();
    let statements = [
        "OPTIMIZE EVENTS",
        "OPTIMIZE EVENT OF shop",
        "OPTIMIZE EVENTS OF shop INTO BUCKETS",
        "OPTIMIZE EVENTS OF shop INTO 3",
        "OPTIMIZE EVENTS OF shop INTO 2.5 BUCKETS",
        "OPTIMIZE EVENTS OF shop INTO 0 BUCKETS",
        "OPTIMIZE EVENTS OF shop INTO 100000 BUCKETS",
        "OPTIMIZE EVENTS OF shops",
        "OPTIMISE EVENTS OF shop",
        "OPTIMIZE EVENTS OF views",
        "OPTIMIZE EVENTS OF fine",
        "OPTIMIZE EVENTS OF clocks",
    ];
    let mut shown = vec![];
    for statement in statements {
        shown.push(fails(&session, statement).await);
    }
    insta::assert_snapshot!(shown.join("\n"));
    std::fs::remove_dir_all(place.events()).unwrap();
    let gone = fails(&session, OPTIMIZE).await;
    assert!(gone.contains("error[storage]"), "{gone}");
}

/// The events of a place as a source, with a session to read them.
struct Shop {
    events: Events,
    table: Table,
    state: SessionState,
    root: Url,
}

impl Shop {
    fn new(place: &Place) -> Self {
        let first = std::fs::File::open(place.events().join("a.parquet")).unwrap();
        let schema = ParquetRecordBatchReaderBuilder::try_new(first).unwrap().schema().clone();
        let url = Url::from_directory_path(place.events()).unwrap();
        Self {
            events: Events {
                table: "events".to_owned(),
                key: "profile_id".to_owned(),
                timestamp: "timestamp".to_owned(),
                id: None,
            },
            table: Table::parquet("events", url.as_str(), schema),
            state: SessionContext::new().state(),
            root: Url::from_directory_path(place.warehouse()).unwrap(),
        }
    }

    fn source(&self) -> Source<'_> {
        let schema = Arc::new(Schema::new(self.table.columns.fields().clone()));
        Source { store: "shop", profiles: None, events: &self.events, table: &self.table, schema }
    }

    fn layouts(&self, store: Arc<dyn ObjectStore>) -> Layouts {
        Layouts::new(store, self.root.clone())
    }

    async fn read(&self, layout: &Layout, groups: &[Vec<&coterie::layout::File>]) -> Vec<RecordBatch> {
        let columns: Vec<usize> = (0..layout.schema.fields().len()).collect();
        let plan = DataSourceExec::from_data_source(layout.scan(groups, Some(&columns)).unwrap());
        collect(plan, self.state.task_ctx()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_the_numbers_of_their_keys() {
    let (place, session) = Place::with_events(2_000).await;
    optimize(&session, "OPTIMIZE EVENTS OF shop INTO 3 BUCKETS").await;
    let numbers = "DISTINCT profile_id, key_bucket, key_number";
    let before = place.rows(&session, numbers).await;
    // 101 keys and none.
    assert_eq!(before.len(), 102);
    let dense = "SELECT key_bucket FROM copy WHERE key_number IS NOT NULL GROUP BY key_bucket
        HAVING max(key_number) + 1 = count(DISTINCT key_number) AND min(key_number) = 0";
    assert_eq!(rows(&session, dense).await.len(), 3);
    let twice = "SELECT key_bucket, key_number FROM copy GROUP BY key_bucket, key_number
        HAVING count(DISTINCT profile_id) <> 1 AND key_number IS NOT NULL OR key_number IS NULL AND count(profile_id) > 0";
    assert_eq!(rows(&session, twice).await.len(), 0);
    // Keys keep their numbers when others come, and when files of a month are joined.
    for (name, from) in [("c", 2_000), ("d", 2_050), ("e", 2_100), ("f", 2_150)] {
        place.add(&session, name, from, from + 50).await;
        let sql = format!(
            "COPY (SELECT 'q' || value AS profile_id, to_timestamp_micros(1767225600000000) AS \"timestamp\",
             NULL::varchar AS kind, 0.25 AS price, [value] AS tags FROM generate_series({from}, {from} + 3))
             TO '{}/{name}_new.parquet' STORED AS PARQUET",
            place.events().display()
        );
        run(&session, &sql).await.unwrap();
        optimize(&session, OPTIMIZE).await;
    }
    let after: BTreeSet<String> = place.rows(&session, numbers).await.into_iter().collect();
    assert_eq!(after.len(), 102 + 16);
    assert!(before.iter().all(|key| after.contains(key)));
    assert_eq!(rows(&session, dense).await.len(), 3);
    assert_eq!(rows(&session, twice).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_and_a_window_can_be_read_alone() {
    let (place, session) = Place::with_events(1_000).await;
    let shop = Shop::new(&place);
    let layouts = shop.layouts(Arc::new(LocalFileSystem::new()));
    assert!(layouts.current(&shop.source(), &shop.state).await.is_none());
    let outcome = layouts.optimize(&shop.source(), Some(4), &shop.state).await.unwrap();
    let layout = layouts.current(&shop.source(), &shop.state).await.unwrap();
    assert_eq!((outcome.layout.files.len(), outcome.change), (layout.files.len(), Change::Written));

    let whole = layout.within(None, None);
    let batches = shop.read(&layout, &whole).await;
    assert_eq!(lines(&batches), rows(&session, "SELECT * FROM events").await);
    for (bucket, files) in (0_u32..).zip(&whole) {
        for batch in shop.read(&layout, std::slice::from_ref(files)).await {
            assert!(bucket_of(batch.column(0), 4).unwrap().iter().all(|of| *of == bucket));
        }
    }
    let instant = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros();
    let (first, last) = (instant("2026-03-10T00:00:00Z"), instant("2026-03-20T00:00:00Z"));
    let window = layout.within(Some(first), Some(last));
    assert!(window.iter().flatten().all(|file| file.month.as_deref() == Some("2026-03")));
    let within = "\"timestamp\" BETWEEN '2026-03-10' AND '2026-03-20'";
    let batches = shop.read(&layout, &window).await;
    let read: BTreeSet<String> = lines(&batches).into_iter().collect();
    assert!(
        rows(&session, &format!("SELECT * FROM events WHERE {within}"))
            .await
            .iter()
            .all(|row| read.contains(row))
    );
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(u64::try_from(rows).unwrap(), window.iter().flatten().map(|file| file.rows).sum::<u64>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_leaves_the_copy_as_it_was_and_is_continued() {
    let (place, session) = Place::with_events(600).await;
    let shop = Shop::new(&place);
    let healthy: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
    let first =
        shop.layouts(Arc::clone(&healthy)).optimize(&shop.source(), Some(3), &shop.state).await.unwrap();
    let before = lines(&shop.read(&first.layout, &first.layout.within(None, None)).await);
    place.add(&session, "c", 600, 700).await;

    let mut finished = None;
    let mut died_with_notes = false;
    for writes in 0..100 {
        let dying = Arc::new(Mortal::of(&healthy, writes));
        let ended = shop.layouts(dying).optimize(&shop.source(), None, &shop.state).await;
        let now =
            shop.layouts(Arc::clone(&healthy)).stored(&shop.source(), &shop.state).await.unwrap().unwrap();
        match ended {
            Ok(outcome) => {
                assert!(now.is_current);
                finished = Some((writes, outcome));
                break;
            }
            Err(_) => {
                assert!(!now.is_current);
                let layout = now.layout;
                assert_eq!(lines(&shop.read(&layout, &layout.within(None, None)).await), before);
                died_with_notes |=
                    place.files(".json").iter().any(|path| path.to_string_lossy().contains("unfinished"));
            }
        }
    }
    let (writes, outcome) = finished.unwrap();
    assert!(died_with_notes);
    assert_eq!((outcome.change, outcome.rows_written, outcome.layout.rows()), (Change::Extended, 100, 700));
    place.assert_same(&session, COLUMNS).await;
    // Each bucket takes a note, a list of keys and a file a month; a run that begins anew each time would need all of them
    // at once.
    assert!(writes < 20, "{writes} writes in one go");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_are_one() {
    let (place, session) = Place::with_events(300).await;
    let shop = Shop::new(&place);
    let run = || async {
        shop.layouts(Arc::new(LocalFileSystem::new())).optimize(&shop.source(), Some(2), &shop.state).await
    };
    let (one, other) = tokio::join!(run(), run());
    let kinds: Vec<_> = [&one, &other]
        .iter()
        .filter_map(|ended| ended.as_ref().err().map(|error| error.kind().to_string()))
        .collect();
    assert!(kinds.is_empty() || kinds == ["conflict"], "{kinds:?}");
    place.assert_same(&session, COLUMNS).await;
}
