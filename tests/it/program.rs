//! The evaluation program against the general plan, over tables large enough for several partitions, row groups and
//! threads: the same members whatever the files, the threads and the memory.

use std::collections::BTreeMap;

use coterie::engine::{Engine, Options, Session};

use crate::common::{NOW, first_column, run, show};

/// Rules of every kind that the program has, and one that it leaves to the general plan.
const RULES: &[&str] = &[
    "did(kind = 'buy', INTERVAL '20 days')",
    "NOT did(kind = 'buy' AND device = 'phone')",
    "times(kind IN ('view', 'cart'), INTERVAL '60 days') BETWEEN 3 AND 6",
    "times(term LIKE '%red%') >= 2 AND NOT did(lower(term) LIKE '%shoe%', INTERVAL '30 days')",
    "sum(amount) FILTER (WHERE kind = 'buy') > 120.005",
    "avg(amount) FILTER (WHERE kind <> 'view' AND at >= now() - INTERVAL '90 days') <= 40.005",
    "last_time(kind = 'buy') < now() - INTERVAL '10 days'",
    "first_time(true) = first_time(kind = 'view')",
    "first_time(kind = 'cart') >= now() - INTERVAL '40 days'",
    "count(DISTINCT device) FILTER (WHERE kind = 'view') >= 3",
    "did_then(kind = 'view' AND at >= now() - INTERVAL '80 days', kind = 'buy', INTERVAL '3 days')",
    "did_without(kind = 'cart', kind = 'buy', INTERVAL '5 days')",
    "window_funnel(INTERVAL '20 days', at, kind = 'view', kind = 'cart', kind = 'buy') = 3",
    "session_count(at, INTERVAL '2 days') > 4",
    "any_per(term, times(kind = 'view') >= 2 AND NOT did(kind = 'buy'))",
    "count_per(device, NOT did(kind = 'buy', INTERVAL '30 days')) >= 3",
    "did(events.country <> profiles.country, INTERVAL '50 days')",
    "points >= 50 AND (tier IN ('gold', 'silver') OR tier IS NULL) AND times(true) > 10",
    "points < 20",
    "nth_time(kind = 'view', 2) < now() - INTERVAL '100 days'",
    "min(amount) FILTER (WHERE kind = 'buy') IS NULL AND max(amount) > 30",
    "sum(amount) > points * 10",
    "top_n(times(kind = 'buy'), 25)",
];

const PROFILES: &str = "SELECT 'p' || value AS id, value % 97 AS points,
    CASE value % 5 WHEN 0 THEN 'gold' WHEN 1 THEN 'silver' WHEN 2 THEN 'bronze' END AS tier,
    CASE value % 3 WHEN 0 THEN 'DE' WHEN 1 THEN 'FR' ELSE 'US' END AS country
    FROM generate_series(1, 9500)";

/// About twelve events a profile, one profile with a sixth of them all, and some of nobody.
const EVENTS: &str = "SELECT CASE WHEN value % 6 = 0 THEN 'p77' ELSE 'p' || (value * 7919 % 9700) END AS who,
    to_timestamp_micros((1781521200 - value * 120) * 1000000) AS at,
    CASE value * 31 % 7 WHEN 0 THEN 'buy' WHEN 1 THEN 'cart' WHEN 2 THEN 'cart' WHEN 3 THEN NULL ELSE 'view' END AS kind,
    CASE value * 17 % 11 WHEN 0 THEN 'Red Shoes' WHEN 1 THEN 'red hat' WHEN 2 THEN 'tent' END AS term,
    CASE value % 4 WHEN 0 THEN 'phone' WHEN 1 THEN 'tablet' WHEN 2 THEN 'desktop' END AS device,
    CASE value * 13 % 3 WHEN 0 THEN 'DE' WHEN 1 THEN 'FR' ELSE 'US' END AS country,
    CASE WHEN value * 31 % 7 < 2 THEN CAST(value * 37 % 9000 AS DOUBLE) / 100 END AS amount
    FROM generate_series(1, 120000)";

async fn open(options: Options) -> Session {
    Engine::open(Options { now: Some(NOW.parse().unwrap()), ..options }).await.unwrap().session()
}

/// The members of every rule by the program, in one evaluation.
async fn counts(session: &Session) -> BTreeMap<String, String> {
    let batches = run(session, "EVALUATE ALL SEGMENTS DRY RUN").await.unwrap();
    let mut counts = BTreeMap::new();
    for batch in batches {
        let text = |column: &str, row: usize| {
            let column = batch.column_by_name(column).unwrap();
            arrow::util::display::array_value_to_string(column, row).unwrap()
        };
        for row in 0..batch.num_rows() {
            assert_eq!(text("status", row), "counted", "{}", text("message", row));
            counts.insert(text("segment", row), text("members", row));
        }
    }
    counts
}

async fn declare(session: &Session, tables: &str) {
    run(session, tables).await.unwrap();
    let store =
        "CREATE PROFILE STORE world PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at)";
    run(session, store).await.unwrap();
    for (at, rule) in RULES.iter().enumerate() {
        run(session, &format!("CREATE SEGMENT s{at} AS {rule}")).await.unwrap();
    }
}

#[tokio::test]
async fn the_program_agrees_with_the_general_plan() {
    let folder = tempfile::tempdir().unwrap();
    let made = open(Options::default()).await;
    let at = folder.path().display();
    for (name, query) in [("profiles", PROFILES), ("events", EVENTS)] {
        for (format, options) in [
            ("parquet", "'format.max_row_group_size' '20000'"),
            ("plain", "'format.max_row_group_size' '7000', 'format.dictionary_enabled' 'false'"),
            ("csv", "'format.has_header' 'true'"),
        ] {
            let stored = if format == "csv" { "CSV" } else { "PARQUET" };
            let sql =
                format!("COPY ({query}) TO '{at}/{format}/{name}/' STORED AS {stored} OPTIONS ({options})");
            run(&made, &sql).await.unwrap();
        }
    }
    let tables = |format: &str| {
        let stored = if format == "csv" { "CSV" } else { "PARQUET" };
        ["profiles", "events"]
            .map(|name| {
                format!("CREATE EXTERNAL TABLE {name} STORED AS {stored} LOCATION '{at}/{format}/{name}/'")
            })
            .join("; ")
    };
    let session = open(Options { threads: Some(2), ..Options::default() }).await;
    declare(&session, &tables("parquet")).await;
    let plan = show(&session, "EXPLAIN EVALUATE ALL SEGMENTS").await;
    assert!(plan.contains(&format!("rules in the program: {}", RULES.len() - 1)), "{plan}");
    let mut expected = BTreeMap::new();
    for (at, rule) in RULES.iter().enumerate() {
        let general =
            run(&session, &format!("SELECT id FROM matching('world', $r${rule}$r$)")).await.unwrap();
        let general = first_column(&general);
        let live = first_column(&run(&session, &format!("SELECT id FROM segment.s{at}")).await.unwrap());
        assert!(general == live, "{rule}: {} by the general plan, {} live", general.len(), live.len());
        expected.insert(format!("s{at}"), general.len().to_string());
    }
    assert_eq!(counts(&session).await, expected);
    for (format, threads, memory_limit) in
        [("plain", 1, None), ("plain", 3, None), ("csv", 2, None), ("parquet", 2, Some(300_000))]
    {
        let session = open(Options { threads: Some(threads), ..Options::default() }).await;
        declare(&session, &tables(format)).await;
        let session = match memory_limit {
            None => session,
            Some(_) => {
                let session =
                    open(Options { threads: Some(threads), memory_limit, ..Options::default() }).await;
                declare(&session, &tables(format)).await;
                // What needs more memory than there is, whatever the plan, is not the program's.
                run(&session, &format!("DROP SEGMENT s{}", RULES.len() - 1)).await.unwrap();
                expected.remove(&format!("s{}", RULES.len() - 1));
                session
            }
        };
        assert_eq!(counts(&session).await, expected, "{format}, {threads} threads, {memory_limit:?}");
    }
}
