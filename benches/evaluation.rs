//! What the parts of an evaluation cost: each is measured by rules that ask for little else, as dry runs over two million
//! events in Parquet files; and a trivial rule beside decoding the same columns alone, where 1.3 times is what is wanted.
//!
//! `cargo bench --bench evaluation`; with `COTERIE_BENCH_DATA=peers/data/L` the trivial rule reads those files.

#![expect(clippy::panic, reason = "a benchmark that cannot go on fails")]

mod session;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use coterie::engine::{Engine, Options, Session};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use session::run;

const N_EVENTS: u64 = 2_000_000;
const THREADS: usize = 2;

const PROFILES: &str = "SELECT 'p' || lpad(CAST(value AS VARCHAR), 35, '0') AS id, value % 1000 AS points,
    CASE value % 5 WHEN 0 THEN 'gold' WHEN 1 THEN 'silver' WHEN 2 THEN 'bronze' END AS tier
    FROM generate_series(1, 100000)";

/// In the order of time, twenty events a profile in two years.
const EVENTS: &str = "SELECT 'p' || lpad(CAST(1 + value * 7919 % 100000 AS VARCHAR), 35, '0') AS who,
    to_timestamp_micros((1781521200 - (2000000 - value) * 32) * 1000000) AS at,
    CASE value * 31 % 16 WHEN 0 THEN 'buy' WHEN 1 THEN 'cart' WHEN 2 THEN 'cart' WHEN 3 THEN 'search' ELSE 'view' END AS kind,
    'term ' || CAST(value * 17 % 1009 AS VARCHAR) AS term,
    CASE value % 4 WHEN 0 THEN 'phone' WHEN 1 THEN 'tablet' ELSE 'desktop' END AS device,
    CAST(value * 37 % 9000 AS DOUBLE) / 100 AS amount
    FROM generate_series(1, 2000000)";

/// A part of an evaluation, and rules that are mostly about it.
fn parts() -> Vec<(&'static str, Vec<String>)> {
    let many = |n: usize, rule: &dyn Fn(usize) -> String| (0..n).map(rule).collect::<Vec<_>>();
    let kinds = ["buy", "cart", "search", "view"];
    let kind = |at: usize| kinds[at % kinds.len()];
    vec![
        ("match", many(200, &|at| format!("did(term LIKE '%{at}%' AND device = 'none')"))),
        (
            "first and last",
            many(40, &|at| format!("last_time(kind = '{}') < now() - INTERVAL '{at} days'", kind(at))),
        ),
        (
            "count",
            many(200, &|at| format!("times(kind = '{}', INTERVAL '{} days') > {}", kind(at), at * 3, at % 9)),
        ),
        (
            "distinct days",
            many(20, &|at| format!("count(DISTINCT CAST(at AS DATE)) FILTER (WHERE kind = 'view') > {at}")),
        ),
        ("sum", many(40, &|at| format!("sum(amount) FILTER (WHERE kind = '{}') > {}", kind(at), at * 50))),
        (
            "followed by",
            many(20, &|at| format!("did_then(kind = 'view', kind = 'buy', INTERVAL '{} days')", at + 1)),
        ),
        ("groups", vec!["any_per(term, times(kind = 'view') >= 2 AND NOT did(kind = 'buy'))".into()]),
        (
            "funnel",
            vec![
                "window_funnel(INTERVAL '20 days', at, kind = 'view', kind = 'cart', kind = 'buy') = 3"
                    .into(),
            ],
        ),
        ("rank", vec!["top_percent(sum(amount) FILTER (WHERE kind = 'buy'), 5)".into()]),
        (
            "attributes",
            many(1000, &|at| format!("points > {at} AND (tier = 'gold' OR points % 7 = {})", at % 7)),
        ),
    ]
}

async fn open() -> Session {
    let now = "2026-06-15T12:00:00Z".parse().ok();
    let options = Options { now, threads: Some(THREADS), ..Options::default() };
    Engine::open(options).await.unwrap_or_else(|error| panic!("{error}")).session()
}

/// A session over the files of a folder.
async fn over(folder: &Path, key: &str, who: &str, at: &str) -> Session {
    let session = open().await;
    for table in ["profiles", "events"] {
        let files = folder.join(table);
        let declare =
            format!("CREATE EXTERNAL TABLE {table} STORED AS PARQUET LOCATION '{}/'", files.display());
        run(&session, &declare).await;
    }
    let store = format!(
        "CREATE PROFILE STORE shop PROFILES profiles KEY ({key}) EVENTS events KEY ({who}) TIMESTAMP (\"{at}\")"
    );
    run(&session, &store).await;
    session
}

fn evaluation(bench: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async {
        let made = open().await;
        for (table, query) in [("profiles", PROFILES), ("events", EVENTS)] {
            let to = folder.path().join(table);
            let options = "'format.max_row_group_size' '131072'";
            let copy = format!("COPY ({query}) TO '{}/' STORED AS PARQUET OPTIONS ({options})", to.display());
            run(&made, &copy).await;
        }
    });
    let mut group = bench.benchmark_group("evaluation");
    group.sample_size(10).measurement_time(Duration::from_secs(4)).throughput(Throughput::Elements(N_EVENTS));
    for (name, rules) in parts() {
        let session = runtime.block_on(over(folder.path(), "id", "who", "at"));
        runtime.block_on(async {
            for (at, rule) in rules.iter().enumerate() {
                run(&session, &format!("CREATE SEGMENT s{at} AS {rule}")).await;
            }
        });
        let evaluate = "EVALUATE ALL SEGMENTS DRY RUN";
        group.bench_function(name, |b| b.iter(|| runtime.block_on(run(&session, evaluate))));
    }
    group.finish();
    match std::env::var_os("COTERIE_BENCH_DATA") {
        Some(data) => {
            let columns = ["profile_id", "timestamp", "event_type"];
            scan(bench, &runtime, Path::new(&data), "profile_id", columns, "event_type = 'purchase'");
        }
        None => scan(bench, &runtime, folder.path(), "id", ["who", "at", "kind"], "kind = 'buy'"),
    }
}

/// A trivial rule about all events, and decoding its columns alone: the profiles' key, and of events key, time, and what the
/// condition is about.
fn scan(
    bench: &mut Criterion,
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
    key: &str,
    columns: [&str; 3],
    condition: &str,
) {
    let [who, at, _] = columns;
    let session = runtime.block_on(over(folder, key, who, at));
    runtime.block_on(run(&session, &format!("CREATE SEGMENT asked AS did({condition})")));
    let mut group = bench.benchmark_group("scan");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    let evaluate = "EVALUATE ALL SEGMENTS DRY RUN";
    group.bench_function("a trivial rule", |b| b.iter(|| runtime.block_on(run(&session, evaluate))));
    group.bench_function("decoding its columns", |b| {
        b.iter(|| decode(&folder.join("events"), &columns) + decode(&folder.join("profiles"), &[key]));
    });
    // What the rule reads if it reads times only where they tell, and keys only of rows that matter.
    group.bench_function("decoding the condition's column", |b| {
        b.iter(|| decode(&folder.join("events"), &columns[2..]));
    });
    group.finish();
}

/// Decodes columns of all files in a folder, row group by row group, strings as codes; says how many rows there are.
fn decode(folder: &Path, columns: &[&str]) -> usize {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{error}"));
    let files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let (next, rows) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Relaxed)) {
                    let read = decode_file(file, columns).unwrap_or_else(|error| panic!("{error}"));
                    rows.fetch_add(read, Relaxed);
                }
            });
        }
    });
    rows.into_inner()
}

fn decode_file(file: &Path, columns: &[&str]) -> Result<usize, Box<dyn std::error::Error>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?;
    let coded = |field: &Field| match field.data_type() {
        DataType::Utf8 | DataType::Utf8View => {
            let codes = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            field.clone().with_data_type(codes)
        }
        _ => field.clone(),
    };
    let schema = Schema::new(builder.schema().fields().iter().map(|field| coded(field)).collect::<Vec<_>>());
    let options = ArrowReaderOptions::new().with_schema(std::sync::Arc::new(schema));
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(file)?, options)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let mut rows = 0;
    for batch in builder.with_projection(mask).with_batch_size(8192).build()? {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

criterion_group!(benches, evaluation);
criterion_main!(benches);
