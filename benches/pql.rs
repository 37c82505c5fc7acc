//! What rules in PQL cost beside the same by hand in SQL, over a million events: within 1.2 times is what is wanted. Each
//! is measured as a segment, as the SQL that it is translated to, and by hand.
//!
//! `cargo bench --bench pql`

#![expect(clippy::panic, reason = "a benchmark that cannot go on fails")]

mod fixture;
mod session;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::json::ReaderBuilder;
use coterie::diagnostic::Source;
use coterie::engine::{Engine, Options, Session};
use coterie::segment::Language;
use criterion::{Criterion, criterion_group, criterion_main};
use datafusion::parquet::arrow::ArrowWriter;

use fixture::{read, schema};
use session::run;

/// How often each event is there: a million in all.
const COPIES: usize = 5300;

/// A rule, and what a person would write in SQL for the events that it is about.
const PAIRS: &[(&str, &str, &str)] = &[
    (
        "count",
        "xEvent[eventType = \"commerce.purchases\"].count() >= 2",
        "SELECT p.profile_id FROM profiles p JOIN (SELECT profile_id, count(*) AS n FROM events
           WHERE \"eventType\" = 'commerce.purchases' GROUP BY profile_id) e USING (profile_id) WHERE n >= 2",
    ),
    (
        "window",
        "xEvent.exists(channel = \"web\" and timestamp occurs <= 30 days before now)",
        "SELECT p.profile_id FROM profiles p JOIN (SELECT DISTINCT profile_id FROM events WHERE channel = 'web'
           AND \"timestamp\" BETWEEN now() - INTERVAL '30 days' AND now()) e USING (profile_id)",
    ),
    (
        "sum",
        "xEvent[channel = \"web\"].sum(commerce.order.priceTotal) > 500",
        "SELECT p.profile_id FROM profiles p JOIN (SELECT profile_id, sum(events.commerce['order']['priceTotal']) AS total
           FROM events WHERE channel = 'web' GROUP BY profile_id) e USING (profile_id) WHERE total > 500",
    ),
    (
        "absence",
        "not (xEvent.exists(eventType = \"commerce.purchases\"))",
        "SELECT p.profile_id FROM profiles p LEFT JOIN events e
           ON e.profile_id = p.profile_id AND e.\"eventType\" = 'commerce.purchases' WHERE e.profile_id IS NULL",
    ),
    (
        "absence, NOT IN",
        "not (xEvent.exists(eventType = \"commerce.purchases\"))",
        "SELECT profile_id FROM profiles WHERE profile_id NOT IN
           (SELECT profile_id FROM events WHERE \"eventType\" = 'commerce.purchases')",
    ),
    (
        "chain",
        "CHAIN(xEvent, timestamp, [A: WHAT(channel = \"web\"), \
                                  B: WHAT(eventType = \"commerce.purchases\") WHEN(<= 7 days after A)])",
        "SELECT DISTINCT p.profile_id FROM profiles p JOIN events a USING (profile_id) JOIN events b USING (profile_id)
           WHERE a.channel = 'web' AND b.\"eventType\" = 'commerce.purchases'
             AND b.\"timestamp\" > a.\"timestamp\" AND b.\"timestamp\" <= a.\"timestamp\" + INTERVAL '7 days'",
    ),
    (
        "three steps",
        "CHAIN(xEvent, timestamp, [A: WHAT(channel = \"web\"), B: WHAT(eventType = \"commerce.purchases\"), \
                                  C: WHAT(channel = \"web\")])",
        "SELECT p.profile_id FROM profiles p JOIN (SELECT profile_id, sequence_steps([1, 1, 1], \"timestamp\",
             channel = 'web', \"eventType\" = 'commerce.purchases', channel = 'web') AS found
           FROM events GROUP BY profile_id) e USING (profile_id) WHERE found",
    ),
];

/// The rows of a table, each with its key as often as there are profiles of it.
fn copies(name: &str) -> impl Iterator<Item = RecordBatch> {
    let text = read(&format!("fixture/{name}.ndjson"));
    let mut reader = ReaderBuilder::new(schema(name)).with_batch_size(1 << 16).build(text.as_bytes());
    let batch = match reader.as_mut().map(Iterator::next) {
        Ok(Some(Ok(batch))) => batch,
        other => panic!("{name}: {other:?}"),
    };
    (0..COPIES).map(move |copy| {
        let keys = arrow::array::AsArray::as_string::<i32>(batch.column(0));
        let keys: StringArray = keys.iter().map(|key| key.map(|key| format!("{key}-{copy}"))).collect();
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns[0] = Arc::new(keys);
        RecordBatch::try_new(batch.schema(), columns).unwrap_or_else(|error| panic!("{error}"))
    })
}

async fn open(folder: &std::path::Path) -> Session {
    let options = Options { now: "2026-06-15T12:00:00Z".parse().ok(), ..Options::default() };
    let engine = Engine::open(options).await.unwrap_or_else(|error| panic!("{error}"));
    let session = engine.session();
    for name in ["profiles", "events"] {
        let path = folder.join(format!("{name}.parquet"));
        let written = std::fs::File::create(&path).map_err(Into::into).and_then(|file| {
            let mut writer = ArrowWriter::try_new(file, schema(name), None)?;
            copies(name).try_for_each(|batch| writer.write(&batch))?;
            writer.close()
        });
        written.unwrap_or_else(|error| panic!("{error}"));
        let declare = format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{}'", path.display());
        run(&session, &declare).await;
    }
    let store = "CREATE PROFILE STORE fixture PROFILES profiles KEY (profile_id)
        EVENTS events KEY (profile_id) TIMESTAMP (\"timestamp\")";
    run(&session, store).await;
    session
}

fn pairs(bench: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let session = runtime.block_on(open(folder.path()));
    for (name, rule, by_hand) in PAIRS {
        let translated = runtime.block_on(session.translate(&Source::typed(*rule), Language::Pql, None));
        let translated = translated.unwrap_or_else(|error| panic!("{rule}\n{error}")).sql;
        let create = format!("CREATE OR REPLACE SEGMENT asked USING PQL AS $rule${rule}$rule$");
        runtime.block_on(run(&session, &create));
        let ways = [
            ("segment", "SELECT profile_id FROM segment.asked"),
            ("translated", translated.as_str()),
            ("by hand", *by_hand),
        ];
        let members = ways.map(|(_, sql)| runtime.block_on(run(&session, sql)));
        assert!(members.iter().all(|found| *found == members[0]), "{rule}: {members:?}");
        let mut group = bench.benchmark_group(*name);
        group.sample_size(20);
        for (way, sql) in ways {
            group.bench_function(way, |b| b.iter(|| runtime.block_on(run(&session, sql))));
        }
        group.finish();
    }
}

criterion_group!(benches, pairs);
criterion_main!(benches);
