//! The evaluation program against the general plan, over tables large enough for several partitions, row groups and
//! threads: the same members whatever the files, the threads and the memory.

use std::collections::BTreeMap;
use std::path::Path;

use coterie::diagnostic::Kind;
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
    "CASE WHEN did_then(country = 'US', CASE WHEN kind = 'view' THEN device = 'phone' END, INTERVAL '20 days') THEN points < 50 END",
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
    "coalesce(sum(amount) FILTER (WHERE kind = 'buy'), 0) < 45.005",
    "NOT (20 < coalesce(avg(amount) FILTER (WHERE kind = 'cart'), 60.5))",
    "top_n(times(kind = 'buy'), 25)",
    "top_percent(sum(amount) FILTER (WHERE kind = 'buy'), 12.5) AND tier = 'gold'",
    "NOT top_n(points, 3000) AND (did(kind = 'buy') OR top_percent(max(amount), 7))",
    "row_number() OVER (ORDER BY min(amount) DESC NULLS LAST, id) <= 9000 AND tier IS NULL",
    "ntile(5) OVER (ORDER BY points, id) = 1",
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

/// Tables of what queries yield, in Parquet files below a folder.
async fn files(session: &Session, folder: &Path, tables: [(&str, &str); 2]) {
    for (name, query) in tables {
        let at = folder.join(name);
        let at = at.display();
        run(session, &format!("COPY ({query}) TO '{at}/' STORED AS PARQUET")).await.unwrap();
        let declare = format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{at}/'");
        run(session, &declare).await.unwrap();
    }
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
        [("plain", 1, None), ("plain", 3, None), ("csv", 2, None), ("parquet", 2, Some(700_000))]
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
    // Less than the profiles' keys take.
    let session = open(Options { memory_limit: Some(100_000), ..Options::default() }).await;
    declare(&session, &tables("parquet")).await;
    let error = run(&session, "EVALUATE ALL SEGMENTS DRY RUN").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Resource, "{error}");
    assert!(error.message().ends_with("for profiles of an evaluation"), "{error}");
    assert!(error.to_string().contains("raise --memory-limit"), "{error}");
}

#[tokio::test]
async fn the_program_finds_the_same_bucket_by_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let made = open(Options::default()).await;
    for (name, query) in [("profiles", PROFILES), ("events", EVENTS)] {
        let options = "'format.max_row_group_size' '20000'";
        let sql = format!("COPY ({query}) TO '{at}/{name}/' STORED AS PARQUET OPTIONS ({options})");
        run(&made, &sql).await.unwrap();
    }
    let tables = ["profiles", "events"]
        .map(|name| format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{at}/{name}/'"));
    let report =
        "SELECT profiles, events, orphan_events FROM coterie.evaluations ORDER BY committed_at DESC LIMIT 1";
    let (mut members, mut reports) = (vec![], vec![]);
    // A bucket is larger than a partition but for the last.
    for buckets in [None, Some(2), Some(7)] {
        let warehouse = Some(format!("{at}/warehouse{}", buckets.unwrap_or_default()));
        let session = open(Options { threads: Some(3), warehouse, ..Options::default() }).await;
        declare(&session, &tables.join("; ")).await;
        if let Some(buckets) = buckets {
            run(&session, &format!("OPTIMIZE EVENTS OF world INTO {buckets} BUCKETS")).await.unwrap();
            let plan = show(&session, "EXPLAIN EVALUATE ALL SEGMENTS").await;
            assert!(plan.contains("read from its laid-out copy, whose profiles are registered"), "{plan}");
        }
        run(&session, "EVALUATE ALL SEGMENTS").await.unwrap();
        reports.push(show(&session, report).await);
        let mut of_rules = vec![];
        for (at, rule) in RULES.iter().enumerate() {
            let stored = format!("SELECT id FROM audience.s{at} WHERE status = 'realized'");
            let stored = first_column(&run(&session, &stored).await.unwrap());
            if buckets == Some(7) {
                let live = format!("SELECT id FROM segment.s{at}");
                let all = first_column(&run(&session, &live).await.unwrap());
                assert!(all == stored, "{rule}: {} live, {} stored", all.len(), stored.len());
                let few = first_column(&run(&session, &format!("{live} LIMIT 3")).await.unwrap());
                assert!(few.len() == all.len().min(3) && few.iter().all(|id| all.contains(id)), "{few:?}");
                for (condition, ids) in [ASKED[at % ASKED.len()], ASKED[3]] {
                    let asked = format!("{live} WHERE {condition}");
                    let found = first_column(&run(&session, &asked).await.unwrap());
                    let own = all.iter().filter(|id| ids.contains(&id.as_str()));
                    assert!(found.iter().eq(own), "{rule}, {condition}: {found:?}");
                }
            }
            of_rules.push(stored);
        }
        members.push(of_rules);
    }
    assert!(members.iter().all(|found| *found == members[0]));
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:?}");
}

/// Conditions on a member's key, and the keys of profiles for which they hold.
const ASKED: &[(&str, &[&str])] = &[
    ("id = 'p77'", &["p77"]),
    ("id = 'nobody'", &[]),
    ("'p4' = id AND id = 'p5'", &[]),
    ("id IN ('p1', 'p77', 'p77', 'p9001', 'p9600', 'p9001 ')", &["p1", "p77", "p9001"]),
    ("(id = 'p8' OR id = 'p77') AND length(id) > 2", &["p77"]),
];

#[tokio::test]
async fn some_keys_are_looked_for_in_their_buckets_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let session =
        open(Options { threads: Some(2), warehouse: Some(format!("{at}/w")), ..Options::default() }).await;
    files(&session, folder.path(), [("profiles", PROFILES), ("events", EVENTS)]).await;
    let store =
        "CREATE PROFILE STORE world PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at)";
    run(&session, store).await.unwrap();
    let plan = async |rule: &str, condition: &str| {
        run(&session, &format!("CREATE OR REPLACE SEGMENT asked AS {rule}")).await.unwrap();
        show(&session, &format!("EXPLAIN SELECT count(*) FROM segment.asked WHERE {condition}")).await
    };
    let rule = "times(kind = 'view') >= 2 AND points < 80";
    assert!(!plan(rule, "id = 'p77'").await.contains("MembersExec"), "there is no copy");
    run(&session, "OPTIMIZE EVENTS OF world INTO 5 BUCKETS").await.unwrap();
    for (condition, n) in [("id = 'p77'", 1), ("id IN ('p1', 'p2', 'p3', 'p4') AND id < 'p3'", 4)] {
        let plan = plan(rule, condition).await;
        assert!(plan.contains("FilterExec") && plan.contains(&format!("keys={n}")), "{plan}");
    }
    let found = async |sql: String| first_column(&run(&session, &sql).await.unwrap());
    let ids = "id IN ('p49', 'p77', 'p81', 'p9001')";
    let members = found(format!("SELECT id FROM segment.asked WHERE {ids}")).await;
    let general = found(format!("SELECT id FROM matching('world', $r${rule}$r$) WHERE {ids}")).await;
    assert!(members == general && (1..4).contains(&members.len()), "{members:?} {general:?}");
    let count = found(format!("SELECT count(*) FROM segment.asked WHERE {ids}")).await;
    assert_eq!(count, [members.len().to_string()]);
    let one = found(format!("SELECT id FROM segment.asked WHERE {ids} LIMIT 1")).await;
    assert!(one.len() == 1 && members.contains(&one[0]), "{one:?}");
    // What says nothing about single keys, or asks who comes before whom, is about all profiles.
    for (rule, condition) in [(rule, "id > 'p9'"), (rule, "id <> 'p77'"), ("top_n(points, 9)", "id = 'p77'")]
    {
        let plan = plan(rule, condition).await;
        assert!(!plan.contains("keys="), "{plan}");
    }
}

#[tokio::test]
async fn rules_of_the_general_plan_have_their_members_beside_a_program_with_few() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let options = Options { threads: Some(2), warehouse: Some(format!("{at}/w")), ..Options::default() };
    let session = open(options).await;
    files(&session, folder.path(), [("profiles", PROFILES), ("events", EVENTS)]).await;
    // Of a program's profiles only the keys of members are read where these are registered.
    let others = ["ntile(5) OVER (ORDER BY points, id) = 1", "ntile(5) OVER (ORDER BY points, id) = 3"];
    let sql = format!(
        "CREATE PROFILE STORE world PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at);
         OPTIMIZE EVENTS OF world INTO 3 BUCKETS;
         CREATE SEGMENT few AS times(true) > 1000;
         CREATE SEGMENT first AS {}; CREATE SEGMENT third AS {};
         EVALUATE ALL SEGMENTS",
        others[0], others[1]
    );
    run(&session, &sql).await.unwrap();
    let found = async |sql: String| first_column(&run(&session, &sql).await.unwrap());
    assert_eq!(found("SELECT id FROM audience.few".to_owned()).await, ["p77"]);
    for (segment, rule) in [("first", others[0]), ("third", others[1])] {
        let stored = found(format!("SELECT id FROM audience.{segment}")).await;
        let general = found(format!("SELECT id FROM matching('world', $r${rule}$r$)")).await;
        assert!(stored == general && stored.len() == 1_900, "{} of {}", stored.len(), general.len());
    }
}

/// A segment's members by the program, and by the general plan.
async fn both(session: &Session, rule: &str) -> (Vec<String>, Vec<String>) {
    run(session, &format!("CREATE OR REPLACE SEGMENT asked AS {rule}")).await.unwrap();
    let live = first_column(&run(session, "SELECT id FROM segment.asked").await.unwrap());
    let general = format!("SELECT id FROM matching('world', $r${rule}$r$)");
    (live, first_column(&run(session, &general).await.unwrap()))
}

#[tokio::test]
async fn a_register_that_profiles_have_outgrown_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let warehouse = Some(format!("{at}/warehouse"));
    let session = open(Options { threads: Some(2), warehouse, ..Options::default() }).await;
    let write = async |name: &str, query: &str| {
        let sql = format!("COPY ({query}) TO '{at}/{name}' STORED AS PARQUET");
        run(&session, &sql).await.unwrap();
    };
    // Numbers as keys, wider ones in events; of some profiles there are no events, of some events no profile.
    let profiles = |from: u32| {
        format!(
            "SELECT CAST(value AS INT) AS id, value % 7 AS points, 'c' || (value % 3) AS country
             FROM generate_series({from}, {from} + 2999)"
        )
    };
    let events = "SELECT CASE WHEN value % 50 = 0 THEN NULL ELSE value * 7919 % 4001 END AS who,
        to_timestamp_micros((1781521200 - value * 300) * 1000000) AS at, 'k' || (value % 5) AS kind,
        CAST(value % 13 AS DOUBLE) AS amount, 'c' || (value % 4) AS country FROM generate_series(1, 20000)";
    write("profiles/a.parquet", &profiles(500)).await;
    write("events/a.parquet", events).await;
    write("calls/a.parquet", &format!("SELECT * FROM ({events}) WHERE who % 3 = 0 AND amount > 4")).await;
    let tables = ["profiles", "events", "calls"]
        .map(|name| format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{at}/{name}/'"));
    let store = "CREATE PROFILE STORE world PROFILES profiles KEY (id)
        EVENTS events KEY (who) TIMESTAMP (at) EVENTS calls KEY (who) TIMESTAMP (at)";
    let kept = "CREATE SEGMENT kept AS did(events.kind = 'k1')";
    run(&session, &format!("{}; {store}; {kept}", tables.join("; "))).await.unwrap();
    let rules = [
        "did(events.kind = 'k1', INTERVAL '20 days')",
        "NOT did(events.kind = 'k2', INTERVAL '30 days')",
        "points = 3 AND times(events.kind = 'k1', INTERVAL '50 days') >= 1",
        "points IN (1, 2) AND did(calls.kind = 'k3') AND NOT did(events.kind = 'k4', INTERVAL '9 days')",
        "sum(calls.amount) > 20 OR country = 'c1' AND last_time(events.kind = 'k0') < now() - INTERVAL '40 days'",
        "did(events.country <> profiles.country, INTERVAL '30 days')",
        "top_n(sum(events.amount), 40)",
        "id < 700",
    ];
    let check = async || {
        let mut found = vec![];
        for rule in rules {
            let (live, general) = both(&session, rule).await;
            let (n_live, n_general) = (live.len(), general.len());
            assert!(live == general && n_live > 0, "{rule}: {n_live} live, {n_general} by the general plan");
            let one = format!("SELECT id FROM segment.asked WHERE id = {}", live[0]);
            assert_eq!(first_column(&run(&session, &one).await.unwrap()), live[..1]);
            found.push(live);
        }
        found
    };
    let registered = async || {
        show(&session, "SELECT events, is_current, is_registered FROM coterie.layouts ORDER BY events").await
    };
    let optimized = async |statement: &str| show(&session, statement).await;
    let before = check().await;
    let optimize = "OPTIMIZE EVENTS OF world INTO 3 BUCKETS";
    assert!(optimized(optimize).await.contains("written"));
    insta::assert_snapshot!(registered().await);
    let plan = show(&session, "EXPLAIN EVALUATE ALL SEGMENTS").await;
    assert!(plan.contains("whose profiles are registered"), "{plan}");
    assert!(check().await == before);
    // The rows of other profiles, and one more file before them.
    write("profiles/a.parquet", &profiles(900)).await;
    write("profiles/0.parquet", &format!("{} LIMIT 100", profiles(40))).await;
    insta::assert_snapshot!(registered().await);
    let plan = show(&session, "EXPLAIN EVALUATE ALL SEGMENTS").await;
    assert!(!plan.contains("registered"), "{plan}");
    let changed = check().await;
    assert!(changed != before);
    assert!(optimized(optimize).await.contains("registered"));
    assert!(optimized(optimize).await.contains("current"));
    assert!(check().await == changed);
    // Without the register, too, and the next run makes another one.
    let register = format!("{at}/warehouse/layout/world/events/_coterie/profiles");
    for file in std::fs::read_dir(&register).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert!(check().await == changed);
    assert!(optimized(optimize).await.contains("registered"));
    assert!(check().await == changed);
    // Keys that are new to the copy, of profiles that were there before and of others.
    write("events/b.parquet", &events.replace("4001", "4003").replace("20000", "3000")).await;
    let more = check().await;
    assert!(more != changed);
    assert!(optimized(optimize).await.contains("extended"));
    assert!(check().await == more);
    // Nobody is there.
    for name in ["a", "0"] {
        write(&format!("profiles/{name}.parquet"), &format!("{} LIMIT 0", profiles(1))).await;
    }
    assert!(optimized(optimize).await.contains("registered"));
    run(&session, "CREATE OR REPLACE SEGMENT asked AS NOT did(events.kind = 'k1')").await.unwrap();
    assert_eq!(first_column(&run(&session, "SELECT id FROM segment.asked").await.unwrap()).len(), 0);
    write("profiles/a.parquet", &profiles(900)).await;
    write("profiles/0.parquet", &format!("{} LIMIT 100", profiles(40))).await;
    assert!(optimized(optimize).await.contains("registered"));
    assert!(check().await == more);
    // A key that is missing or stands twice is for the evaluation to say.
    write("profiles/b.parquet", "SELECT CAST(NULL AS INT) AS id, 1 AS points, 'c1' AS country").await;
    assert!(optimized(optimize).await.contains("current"));
    assert!(check().await == more);
    write("profiles/b.parquet", "SELECT CAST(1000 AS INT) AS id, 1 AS points, 'c1' AS country").await;
    assert!(optimized(optimize).await.contains("current"));
    let error = run(&session, "EVALUATE SEGMENT asked").await.unwrap_err();
    assert!(error.message().contains("the profile key `1000` stands in more than one row"), "{error}");
}

#[tokio::test]
async fn conditions_may_combine_in_any_number_of_ways() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(Options { threads: Some(2), ..Options::default() }).await;
    // Three columns of forty values: more combinations than are looked at together.
    let events = "SELECT 'p' || (value * 7919 % 701) AS who, to_timestamp_micros(value * 1000000) AS at,
        'v' || (value % 40) AS a, 'v' || (value / 40 % 40) AS b, 'v' || (value / 1600 % 40) AS c
        FROM generate_series(1, 60000)";
    let profiles = "SELECT 'p' || value AS id FROM generate_series(0, 700)";
    files(&session, folder.path(), [("profiles", profiles), ("events", events)]).await;
    let store = "CREATE PROFILE STORE many PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at)";
    run(&session, store).await.unwrap();
    let mut expected = BTreeMap::new();
    for column in ["a", "b", "c"] {
        for at in 0..40 {
            let rule = format!("CREATE SEGMENT {column}_v{at} AS times({column} = 'v{at}') >= 3");
            run(&session, &rule).await.unwrap();
            expected.insert(format!("{column}_v{at}"), "0".to_owned());
        }
        let by_hand = format!(
            "SELECT '{column}_' || {column} || '=' || count(*) FROM (SELECT who, {column} FROM events
             GROUP BY who, {column} HAVING count(*) >= 3) GROUP BY {column}"
        );
        for counted in first_column(&run(&session, &by_hand).await.unwrap()) {
            let (segment, n) = counted.split_once('=').unwrap();
            expected.insert(segment.to_owned(), n.to_owned());
        }
    }
    assert!(expected.values().filter(|n| *n != "0").count() > 100, "{expected:?}");
    assert_eq!(counts(&session).await, expected);
}

#[tokio::test]
async fn views_are_read_as_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(Options::default()).await;
    files(&session, folder.path(), [("profiles", PROFILES), ("files", EVENTS)]).await;
    // Each leaves something with the scan of the files that is not in them.
    let views = [
        ("SELECT who, at, device AS kind, kind AS device FROM files", "kind = 'phone'", "device = 'phone'"),
        (
            "SELECT who, at, kind FROM files WHERE device = 'phone'",
            "kind = 'buy'",
            "kind = 'buy' AND device = 'phone'",
        ),
        (
            "SELECT who, at, kind FROM files WHERE at < '2026-03-01'",
            "kind = 'buy'",
            "kind = 'buy' AND at < '2026-03-01'",
        ),
    ];
    for (pushes, (view, rule, of_files)) in
        [false, true].into_iter().flat_map(|pushes| views.map(|of| (pushes, of)))
    {
        let set = format!("SET datafusion.execution.parquet.pushdown_filters = {pushes}");
        run(&session, &set).await.unwrap();
        let store =
            "CREATE PROFILE STORE seen PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at)";
        run(&session, &format!("CREATE OR REPLACE VIEW events AS {view}; {store}")).await.unwrap();
        run(&session, &format!("CREATE SEGMENT asked AS times({rule}, INTERVAL '900 days') >= 2"))
            .await
            .unwrap();
        let by_hand = format!(
            "SELECT id FROM profiles WHERE (SELECT count(*) FROM files WHERE who = id AND {of_files}
             AND at BETWEEN now() - INTERVAL '900 days' AND now()) >= 2"
        );
        let expected = first_column(&run(&session, &by_hand).await.unwrap()).len();
        let live = first_column(&run(&session, "SELECT id FROM segment.asked").await.unwrap()).len();
        assert!(expected > 0 && live == expected, "{view}: {live} of {expected}");
        assert_eq!(counts(&session).await["asked"], expected.to_string(), "{view}");
        run(&session, "DROP SEGMENT asked; DROP PROFILE STORE seen; DROP VIEW events").await.unwrap();
    }
    // The first hundred events, and no others.
    let store = "CREATE PROFILE STORE seen PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at)";
    run(&session, &format!("CREATE VIEW events AS SELECT * FROM files LIMIT 100; {store}")).await.unwrap();
    run(&session, "CREATE SEGMENT asked AS did(true)").await.unwrap();
    let members: usize = counts(&session).await["asked"].parse().unwrap();
    assert!((1..=100).contains(&members), "{members} of 100 events");
}

#[tokio::test]
async fn profiles_are_read_when_too_many_events_wait_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let session = open(Options { threads: Some(2), ..Options::default() }).await;
    // Events of the first rule wait until they are more than the profiles; those of the second all wait, and some are of
    // nobody. There is one row group, of which each thread reads half.
    let events = "SELECT 'p' || (value * 7919 % 9700) AS who, to_timestamp_micros(value * 1000000) AS at,
        value % 1000 AS kind FROM generate_series(1, 200000)";
    let options = "STORED AS PARQUET";
    run(
        &session,
        &format!(
            "COPY ({PROFILES}) TO '{at}/profiles/' {options}; COPY ({events}) TO '{at}/events/' {options};
             CREATE EXTERNAL TABLE profiles STORED AS PARQUET LOCATION '{at}/profiles/';
             CREATE EXTERNAL TABLE events STORED AS PARQUET LOCATION '{at}/events/';
             CREATE PROFILE STORE world PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at);
             CREATE SEGMENT many AS times(true) >= 21;
             CREATE SEGMENT few AS did(kind = 7) AND points < 50;
             CREATE SEGMENT none AS NOT did(kind < 50)"
        ),
    )
    .await
    .unwrap();
    for (segment, query) in [
        ("many", "SELECT who FROM events GROUP BY who HAVING count(*) >= 21"),
        ("few", "SELECT who FROM events WHERE kind = 7"),
        ("none", "SELECT who FROM events GROUP BY who HAVING min(kind) >= 50"),
    ] {
        let points = if segment == "few" { "AND points < 50" } else { "" };
        let expected = format!("SELECT id FROM profiles WHERE id IN ({query}) {points}");
        let expected = first_column(&run(&session, &expected).await.unwrap());
        let found = first_column(&run(&session, &format!("SELECT id FROM segment.{segment}")).await.unwrap());
        assert!(found == expected && !found.is_empty(), "{segment}: {} {}", found.len(), expected.len());
        assert_eq!(counts(&session).await[segment], found.len().to_string());
        run(&session, &format!("EVALUATE SEGMENT {segment}")).await.unwrap();
    }
    let report =
        "SELECT max(events), max(orphan_events), max(members) FROM coterie.evaluations WHERE segment = 'few'";
    let orphans = "SELECT count(*) FROM events WHERE who NOT IN (SELECT id FROM profiles)";
    let orphans = first_column(&run(&session, orphans).await.unwrap()).remove(0);
    let report = show(&session, report).await;
    assert!(report.contains("| 200000") && report.contains(&format!(" {orphans} ")), "{report} {orphans}");
}

#[tokio::test]
async fn profiles_that_cannot_be_members_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let session = open(Options { threads: Some(2), ..Options::default() }).await;
    // Row groups of which all, some, few or no profiles are left, with keys that are NULL and attributes of many values.
    let profiles = format!(
        "SELECT CASE WHEN id LIKE '%99' THEN NULL ELSE id END AS id, points, tier, country,
             'city ' || (points * 7 % 300) AS city, CAST(substr(id, 2) AS BIGINT) AS n FROM ({PROFILES})"
    );
    run(
        &session,
        &format!(
            "COPY ({profiles}) TO '{at}/profiles.parquet' OPTIONS ('format.max_row_group_size' '1500');
             COPY (SELECT * FROM ({profiles}) WHERE id IS NOT NULL) TO '{at}/whole.parquet'
                 OPTIONS ('format.max_row_group_size' '1500');
             COPY ({EVENTS}) TO '{at}/events.parquet';
             CREATE EXTERNAL TABLE files STORED AS PARQUET LOCATION '{at}/profiles.parquet';
             CREATE EXTERNAL TABLE whole STORED AS PARQUET LOCATION '{at}/whole.parquet';
             CREATE EXTERNAL TABLE events STORED AS PARQUET LOCATION '{at}/events.parquet';
             CREATE VIEW profiles AS SELECT id, points + 0 AS points, tier, country, city, n FROM files"
        ),
    )
    .await
    .unwrap();
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for table in ["whole", "files", "profiles"] {
        run(
            &session,
            &format!(
                "CREATE OR REPLACE VIEW people AS SELECT * FROM {table};
                 CREATE PROFILE STORE world PROFILES people KEY (id) EVENTS events KEY (who) TIMESTAMP (at)"
            ),
        )
        .await
        .unwrap();
        for rule in [
            "n < 20",
            "n BETWEEN 1480 AND 3100 AND points < 30",
            "n % 131 = 0 AND tier IS NULL",
            "city IN ('city 14', 'city 21') OR n = 5",
            "n > 20000",
            "(n + points) % 48 = 1 AND tier = 'gold'",
            "n < 30 AND NOT did(kind = 'buy', INTERVAL '9 days')",
            "n < 2000 AND did(kind = 'buy', INTERVAL '30 days')",
            "(n < 40 OR did(term = 'tent', INTERVAL '9 days')) AND points > 50",
            "n < 1600 AND did(events.country <> people.country)",
            "tier = 'gold' AND sum(amount) > points AND NOT (country = 'DE' AND did(kind = 'cart'))",
            "top_n(points, 300) AND n < 400",
        ] {
            run(&session, &format!("CREATE OR REPLACE SEGMENT asked AS {rule}")).await.unwrap();
            let found = first_column(&run(&session, "SELECT id FROM segment.asked").await.unwrap());
            if !expected.contains_key(rule) {
                let general = format!("SELECT id FROM matching('world', $r${rule}$r$)");
                expected.insert(rule, first_column(&run(&session, &general).await.unwrap()));
                assert_eq!(counts(&session).await["asked"], found.len().to_string(), "{rule}");
            }
            assert_eq!(found, expected[rule], "{rule} over {table}");
            assert_eq!(found.is_empty(), rule == "n > 20000", "{rule}");
            let some = run(&session, "SELECT id FROM segment.asked LIMIT 3").await.unwrap();
            assert_eq!(first_column(&some).len(), found.len().min(3), "{rule}");
        }
        run(&session, "DROP SEGMENT asked; DROP PROFILE STORE world").await.unwrap();
    }
}

/// Events with columns of many values that have little to do with each other.
const WIDE: &str = "SELECT 'p' || (value * 7919 % 2100) AS who,
    to_timestamp_micros((1781521200 - value * 300) * 1000000) AS at,
    CASE value * 31 % 5 WHEN 0 THEN 'buy' WHEN 1 THEN 'cart' ELSE 'view' END AS kind,
    'page ' || (value * 17 % 701) AS page,
    CASE WHEN value % 3 > 0 THEN 'sku ' || (value * 13 % 503) END AS sku,
    CAST(value * 37 % 9000 AS DOUBLE) / 100 AS amount
    FROM generate_series(1, 40000)";

/// Hundreds of conditions on each of these columns, some on two of them at once.
fn wide_rules() -> Vec<String> {
    let rule = |at: usize| match at % 8 {
        0 => format!("did(kind = 'view' AND page = 'page {at}')"),
        1 => format!("times(sku IN ('sku {}', 'sku {at}'), INTERVAL '90 days') >= 2", at / 2),
        2 => format!("did(kind = 'buy' AND amount >= {}.255, INTERVAL '40 days')", at % 89),
        3 => format!("did(page = 'page {}' AND amount < {}.5)", at % 701, at % 90),
        4 => format!("did(sku = 'sku {}' AND page LIKE 'page {}%')", at % 503, at % 70),
        5 => format!("sum(amount) FILTER (WHERE page LIKE '%{}%') > {at}.005", at % 100),
        6 => {
            format!("did_then(page = 'page {}', amount BETWEEN {} AND {}.5)", at % 701, at % 80, at % 80 + 3)
        }
        _ => format!(
            "window_funnel(INTERVAL '60 days', at, page LIKE 'page {}%', sku LIKE 'sku {}%', kind = 'buy') >= 2",
            at % 60,
            at % 50
        ),
    };
    (0..1_600).map(rule).collect()
}

#[tokio::test]
async fn conditions_on_columns_that_have_little_in_common_agree_with_the_general_plan() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let session = open(Options { threads: Some(2), ..Options::default() }).await;
    let profiles = "SELECT 'p' || value AS id FROM generate_series(1, 2000)";
    run(
        &session,
        &format!("COPY ({profiles}) TO '{at}/profiles.parquet'; COPY ({WIDE}) TO '{at}/events.parquet'"),
    )
    .await
    .unwrap();
    run(
        &session,
        &format!(
            "CREATE EXTERNAL TABLE profiles STORED AS PARQUET LOCATION '{at}/profiles.parquet';
             CREATE EXTERNAL TABLE events STORED AS PARQUET LOCATION '{at}/events.parquet';
             CREATE PROFILE STORE world PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at)"
        ),
    )
    .await
    .unwrap();
    let rules = wide_rules();
    let create = |(at, rule): (usize, &String)| format!("CREATE SEGMENT s{at} AS {rule};");
    run(&session, &rules.iter().enumerate().map(create).collect::<String>()).await.unwrap();
    let counts = counts(&session).await;
    assert_eq!(counts.len(), rules.len());
    for (at, rule) in rules.iter().enumerate().skip(3).step_by(37) {
        let general =
            run(&session, &format!("SELECT id FROM matching('world', $r${rule}$r$)")).await.unwrap();
        assert_eq!(counts[&format!("s{at}")], first_column(&general).len().to_string(), "{rule}");
    }
    let met = counts.values().filter(|count| *count != "0").count();
    assert!(met > 1_000, "only {met} rules have members");
}

/// The bytes that an evaluation fetched, of a table of declared files.
async fn fetched(session: &Session, rule: &str) -> i64 {
    let evaluate = format!("CREATE OR REPLACE SEGMENT asked AS {rule}; EVALUATE SEGMENT asked");
    run(session, &evaluate).await.unwrap();
    let bytes = "SELECT bytes_scanned FROM coterie.evaluations ORDER BY committed_at DESC LIMIT 1";
    first_column(&run(session, bytes).await.unwrap())[0].parse().unwrap()
}

#[tokio::test]
async fn what_cannot_matter_of_a_file_is_not_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let warehouse = Some(folder.path().join("warehouse").display().to_string());
    let session = open(Options { warehouse, threads: Some(2), ..Options::default() }).await;
    for (name, query) in [("profiles", PROFILES), ("events", EVENTS)] {
        let copy = format!(
            "COPY ({query}) TO '{at}/{name}.parquet' OPTIONS ('format.max_row_group_size' '10000');
             CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{at}/{name}.parquet'"
        );
        run(&session, &copy).await.unwrap();
    }
    let store =
        "CREATE PROFILE STORE world PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at)";
    run(&session, store).await.unwrap();
    // Keys are always read, of all row groups or of those within the window.
    let all = fetched(&session, "times(kind = 'buy' AND device = 'phone') >= 2").await;
    let one_column_less = fetched(&session, "times(kind = 'buy') >= 2").await;
    let recent = fetched(&session, "times(kind = 'buy', INTERVAL '20 days') >= 2").await;
    let file = std::fs::metadata(folder.path().join("events.parquet")).unwrap().len();
    assert!(0 < recent && recent * 2 < one_column_less, "{recent} {one_column_less}");
    assert!(one_column_less < all && all < i64::try_from(file).unwrap(), "{one_column_less} {all} {file}");
}

#[tokio::test]
async fn of_structs_only_the_fields_that_matter_are_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let warehouse = Some(folder.path().join("warehouse").display().to_string());
    let session = open(Options { warehouse, threads: Some(2), ..Options::default() }).await;
    // Structs around a field are NULL now and then, as are fields.
    let events = "SELECT who, at, CASE WHEN amount < 2 THEN NULL ELSE named_struct('page',
            CASE WHEN amount > 90 THEN NULL ELSE named_struct('name', kind, 'price', amount) END,
            'note', 'a note of ' || who || ' at ' || at) END AS web FROM (SELECT * FROM flat)";
    run(
        &session,
        &format!(
            "COPY ({EVENTS}) TO '{at}/flat.parquet';
             CREATE EXTERNAL TABLE flat STORED AS PARQUET LOCATION '{at}/flat.parquet';
             COPY ({PROFILES}) TO '{at}/profiles.parquet';
             COPY ({events}) TO '{at}/events.parquet' OPTIONS ('format.max_row_group_size' '20000');
             CREATE EXTERNAL TABLE profiles STORED AS PARQUET LOCATION '{at}/profiles.parquet';
             CREATE EXTERNAL TABLE events STORED AS PARQUET LOCATION '{at}/events.parquet';
             CREATE PROFILE STORE world PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at)"
        ),
    )
    .await
    .unwrap();
    for rule in [
        "times(web['page']['name'] = 'buy') >= 2",
        "did(web['page']['name'] IS NULL)",
        "NOT did(web['page'] IS NULL)",
        "sum(web['page']['price']) FILTER (WHERE web['page']['name'] = 'buy') > 100",
        "count(DISTINCT web['page']['name']) >= 3",
        "did(web['page']['price'] > 50 AND web['page']['price'] * 2 < 150, INTERVAL '90 days')",
    ] {
        let general = format!("SELECT id FROM matching('world', $r${rule}$r$)");
        let general = first_column(&run(&session, &general).await.unwrap());
        run(&session, &format!("CREATE OR REPLACE SEGMENT asked AS {rule}")).await.unwrap();
        let plan = show(&session, "EXPLAIN EVALUATE ALL SEGMENTS").await;
        assert!(plan.contains("rules in the program: 1"), "{rule}: {plan}");
        let found = first_column(&run(&session, "SELECT id FROM segment.asked").await.unwrap());
        assert!(found == general && !found.is_empty(), "{rule}: {} {}", found.len(), general.len());
    }
    let note = fetched(&session, "times(web['note'] LIKE '%7%') >= 1").await;
    let name = fetched(&session, "times(web['page']['name'] = 'buy') >= 1").await;
    assert!(name * 3 < note * 2, "{name} {note}");
}

#[tokio::test]
async fn events_without_a_key_are_nobodys() {
    let session = open(Options::default()).await;
    run(
        &session,
        "CREATE TABLE profiles AS VALUES ('', 1), ('a', 2), ('b', 3);
         CREATE TABLE events AS VALUES (NULL, TIMESTAMP '2026-06-01T00:00:00Z', 'buy'),
             ('a', TIMESTAMP '2026-06-01T00:00:00Z', 'buy'), (NULL, TIMESTAMP '2026-06-02T00:00:00Z', 'buy'),
             ('a', TIMESTAMP '2026-06-02T00:00:00Z', 'buy'), ('c', TIMESTAMP '2026-06-02T00:00:00Z', 'buy');
         CREATE PROFILE STORE world PROFILES profiles KEY (column1) EVENTS events KEY (column1) TIMESTAMP (column2);
         CREATE SEGMENT buyers AS times(column3 = 'buy') >= 2",
    )
    .await
    .unwrap();
    let members = async || first_column(&run(&session, "SELECT column1 FROM segment.buyers").await.unwrap());
    assert_eq!(members().await, ["a"]);
    let own = "INSERT INTO events VALUES ('', TIMESTAMP '2026-06-03T00:00:00Z', 'buy'),
         ('', TIMESTAMP '2026-06-04T00:00:00Z', 'buy')";
    run(&session, own).await.unwrap();
    assert_eq!(members().await, ["", "a"]);
}

#[tokio::test]
async fn whoever_did_what_a_rule_asks_is_a_member_only_with_a_profile() {
    for key in ["TEXT", "BIGINT"] {
        let session = open(Options::default()).await;
        let rows = |events: &[(&str, &str)]| {
            let row =
                |(key, what): &(&str, &str)| format!("('{key}', TIMESTAMP '2026-06-01T00:00:00Z', '{what}')");
            events.iter().map(row).collect::<Vec<_>>().join(", ")
        };
        let web =
            rows(&[("1", "buy"), ("2", "buy"), ("7", "buy"), ("2", "buy"), ("7", "buy"), ("3", "view")]);
        let app = rows(&[("3", "open"), ("8", "open"), ("1", "open")]);
        run(
            &session,
            &format!(
                "CREATE TABLE profiles AS SELECT CAST(column1 AS {key}) AS id FROM (VALUES ('4'), ('3'), ('2'), ('1'), ('9'));
                 CREATE TABLE web AS SELECT CAST(column1 AS {key}) AS id, column2 AS at, column3 AS what FROM (VALUES {web});
                 CREATE TABLE app AS SELECT CAST(column1 AS {key}) AS id, column2 AS at, column3 AS screen FROM (VALUES {app});
                 CREATE PROFILE STORE world PROFILES profiles KEY (id)
                     EVENTS web KEY (id) TIMESTAMP (at) EVENTS app KEY (id) TIMESTAMP (at)"
            ),
        )
        .await
        .unwrap();
        for (rule, expected) in [
            ("times(what = 'buy') >= 2", &["2"][..]),
            ("did(what = 'buy')", &["1", "2"]),
            ("did(what = 'buy') OR did(screen = 'open')", &["1", "2", "3"]),
            ("did(what = 'buy') AND did(screen = 'open')", &["1"]),
            ("times(what = 'buy') >= 3", &[]),
            ("did(what = 'nothing')", &[]),
        ] {
            run(&session, &format!("CREATE OR REPLACE SEGMENT asked AS {rule}")).await.unwrap();
            let plan = show(&session, "EXPLAIN SELECT id FROM segment.asked").await;
            assert!(plan.contains("MembersExec"), "{key}: {rule}: {plan}");
            let members = async |sql: &str| first_column(&run(&session, sql).await.unwrap());
            assert_eq!(members("SELECT id FROM segment.asked ORDER BY id").await, expected, "{key}: {rule}");
            let n = members("SELECT count(*) FROM segment.asked").await;
            assert_eq!(n, [expected.len().to_string()], "{key}: {rule}");
        }
        run(&session, &format!("INSERT INTO profiles VALUES (CAST('2' AS {key}))")).await.unwrap();
        run(&session, "CREATE OR REPLACE SEGMENT asked AS did(what = 'buy')").await.unwrap();
        let refused = run(&session, "SELECT id FROM segment.asked").await.unwrap_err().to_string();
        assert!(refused.contains("the profile key `2` stands in more than one row"), "{key}: {refused}");
    }
}

/// More questions about the elements of a list than a word has bits.
#[tokio::test]
async fn lists_are_asked_about_any_number_of_elements() {
    let session = open(Options::default()).await;
    run(
        &session,
        "CREATE TABLE profiles AS SELECT value AS id, CASE WHEN value % 11 = 0 THEN NULL WHEN value % 13 = 0 THEN arrow_cast([], 'List(Utf8)')
                 ELSE ['t' || (value % 140), NULL, 't' || (value * 7 % 140), 't' || (value * value % 140)] END AS tags
             FROM generate_series(1, 2000);
         CREATE PROFILE STORE world PROFILES profiles KEY (id)",
    )
    .await
    .unwrap();
    let mut rules: Vec<String> = (0..135).map(|tag| format!("array_has(tags, 't{tag}')")).collect();
    rules.push("array_has(tags, 't3') AND NOT array_has(tags, 't129')".to_owned());
    rules.push("array_has(tags, 't64') OR array_has(tags, 't63') OR tags IS NULL".to_owned());
    for (at, rule) in rules.iter().enumerate() {
        run(&session, &format!("CREATE SEGMENT s{at:03} AS {rule}")).await.unwrap();
    }
    let plan = show(&session, "EXPLAIN EVALUATE ALL SEGMENTS").await;
    assert!(plan.contains(&format!("rules in the program: {}", rules.len())), "{plan}");
    let found = counts(&session).await.into_values();
    for (rule, found) in rules.iter().zip(found) {
        let sql = format!("SELECT count(*) FROM profiles WHERE {rule}");
        assert_eq!([found], *first_column(&run(&session, &sql).await.unwrap()), "{rule}");
    }
}

/// A file that is no Parquet any more, or in which a page is not what it was.
#[tokio::test]
async fn broken_files_are_named() {
    for (table, cut) in [("profiles", 0), ("events", 0), ("events", 100)] {
        let folder = tempfile::tempdir().unwrap();
        let session = open(Options::default()).await;
        let profiles = "SELECT 'p' || value AS id FROM generate_series(1, 500)";
        let events = "SELECT 'p' || value AS who, to_timestamp_micros(value) AS at, 'k' || value AS kind FROM generate_series(1, 500)";
        files(&session, folder.path(), [("profiles", profiles), ("events", events)]).await;
        let store =
            "CREATE PROFILE STORE world PROFILES profiles KEY (id) EVENTS events KEY (who) TIMESTAMP (at);
            CREATE SEGMENT asked AS did(kind = 'k7')";
        run(&session, store).await.unwrap();
        let file = std::fs::read_dir(folder.path().join(table)).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        match cut {
            0 => bytes.truncate(40),
            n => bytes[4..4 + n].fill(0xff),
        }
        std::fs::write(&file, bytes).unwrap();
        let error = run(&session, "SELECT id FROM segment.asked").await.unwrap_err();
        let expected = format!("cannot read `{}`: ", file.display());
        assert_eq!(error.kind(), Kind::Storage, "{error}");
        assert!(error.message().starts_with(&expected), "{error}");
    }
}
