//! What users see when something is wrong: every kind of mistake, with its place and its help.

use crate::common::{fails, run, shop, show};

/// Mistakes in rules.
#[tokio::test]
async fn mistakes_in_rules() {
    let session = shop().await;
    let mut shown = vec![];
    for rule in [
        "did(evnt_type = 'purchase')",
        "event_type = 'purchase'",
        "countri = 'DE'",
        "tims(event_type = 'purchase') > 1",
        "points",
        "times(event_type = 'purchase')",
        "sum(count(*)) > 1",
        "sum(row_number() OVER (ORDER BY price)) > 1",
        "country IN (SELECT country FROM profiles)",
        "did(country = 'DE' AND did(true))",
        "row_number() = 1",
        "points > 'many' + 1",
        "did(event_type = 'purchase', 30)",
        "did(event_type = 'purchase', INTERVAL '-3 days')",
        "did()",
        "did(price > 3) FILTER (WHERE true)",
        "nth_time(true, 0) IS NULL",
        "top_percent(points, 150)",
        "in_segment(nobody)",
        "in_segment('nobody')",
        "any_per(sku, any_per(sku, true))",
        "any_per(profile_id, did(true))",
        "country = $1",
        "country = ",
        "country = 'DE' country",
        "(country = 'DE'",
        "did(event_type = 'purchase') AND sum(search_term) > 1",
        "interests.name = 'x'",
        "array_has(country, 'x')",
    ] {
        let error = fails(&session, &format!("CREATE SEGMENT x AS {rule}")).await;
        shown.push(format!("{error}\n"));
    }
    insta::assert_snapshot!(shown.join("\n"));
    assert!(!show(&session, "SHOW SEGMENTS").await.contains("| x "), "nothing is left behind");
}

/// Mistakes in statements.
#[tokio::test]
async fn mistakes_in_statements() {
    let session = shop().await;
    run(&session, "CREATE SEGMENT a AS points > 1; CREATE SEGMENT b AS in_segment('a'); EVALUATE SEGMENT a")
        .await
        .unwrap();
    let mut shown = vec![];
    for statement in [
        "CRAETE SEGMENT x AS true",
        "SELEC 1",
        "CREATE SEGMENT",
        "CREATE SEGMENT x",
        "CREATE SEGMENT x IN nowhere AS true",
        "CREATE SEGMENT x USING cobol AS 'true'",
        "CREATE SEGMENT a AS true",
        "CREATE OR REPLACE SEGMENT a AS in_segment('b')",
        "DROP SEGMENT a",
        "DROP SEGMENT aa",
        "DROP PROFILE STORE shop",
        "DROP PROFILE STORE shopp",
        "DROP TABLE events",
        "DROP TABLE nothing",
        "SHOW CREATE SEGMENT c",
        "DESCRIBE SEGMENT c",
        "EXPLAIN SEGMENT c",
        "EVALUATE SEGMENT a, c",
        "EVALUATE EVERYTHING",
        "EXPLAIN EVALUTE ALL SEGMENTS",
        "EXPLAIN SEGMNT a",
        "EVALUATE ALL SEGMENTS AS OF 'yesterday'",
        "EVALUATE ALL SEGMENTS DRY",
        "EVALUATE ALL SEGMENTS DRY RUNN",
        "SELECT * FROM segment.c",
        "SELECT * FROM audience.b",
        "SELECT * FROM evnts",
        "SELECT evnt_type FROM events",
        "SELECT tims(1)",
        "SELECT * FROM matching('shop', 'evnt = 1')",
        "SELECT * FROM matching('shopp', 'true')",
        "SELECT * FROM matching('shop')",
        "SET coterie.now = 'soon'",
        "SET coterie.nwo = '2026-01-01'",
        "RESET time_zon",
        "CREATE PROFILE STORE shop PROFILES profiles KEY (profile_id)",
        "CREATE PROFILE STORE s PROFILES profile KEY (profile_id)",
        "CREATE PROFILE STORE s PROFILES profiles KEY (profil_id)",
        "CREATE PROFILE STORE s PROFILES profiles KEY (profile_id) EVENTS events KEY (profile_id) TIMESTAMP (event_type)",
        "CREATE PROFILE STORE s PROFILES profiles KEY (profile_id) EVENTS events KEY (price) TIMESTAMP (\"timestamp\")",
        "CREATE PROFILE STORE s PROFILES profiles KEY (profile_id) EVENTS events KEY (profile_id) TIMESTAMP (\"timestamp\") LOOKUP events KEY (sku) ON events (sku)",
        "CREATE PROFILE STORE s PROFILES profiles KEY (profile_id) EVENTS",
        "CREATE PROFILE STORE s PROFILES profiles KEY (profile_id, country)",
        "CREATE SCHEMA x",
        "BEGIN",
        "EXECUTE nothing",
        "SELECT 1 +",
        "SELECT 'open",
    ] {
        let error = fails(&session, statement).await;
        shown.push(format!("{error}\n"));
    }
    insta::assert_snapshot!(shown.join("\n"));
}

/// Deep nesting is an error, not a crash.
#[tokio::test]
async fn deep_nesting_is_an_error() {
    let session = shop().await;
    let deep = format!("{}true{}", "(".repeat(30_000), ")".repeat(30_000));
    for statement in [format!("SELECT {deep}"), format!("CREATE SEGMENT x AS {deep}")] {
        let error = fails(&session, &statement).await;
        assert!(error.starts_with("error[syntax]"), "{}", &error[..200.min(error.len())]);
    }
}
