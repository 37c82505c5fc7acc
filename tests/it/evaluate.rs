//! Evaluation: what is counted, what is kept, what fails alone.

use crate::common::{fails, run, session, shop, show};

#[tokio::test]
async fn members_enter_stay_and_leave() {
    let session = shop().await;
    run(&session, "CREATE SEGMENT buyers AS did(event_type = 'purchase', INTERVAL '14 days')").await.unwrap();
    insta::assert_snapshot!(show(&session, "EVALUATE SEGMENT buyers AS OF TIMESTAMP '2026-05-21'").await, @r#"
    +---------+-----------+---------+---------+--------+---------+
    | segment | status    | members | entered | exited | message |
    +---------+-----------+---------+---------+--------+---------+
    | buyers  | evaluated | 1       | 1       | 0      |         |
    +---------+-----------+---------+---------+--------+---------+
    "#);
    insta::assert_snapshot!(show(&session, "EVALUATE SEGMENT buyers AS OF '2026-06-06'").await, @r#"
    +---------+-----------+---------+---------+--------+---------+
    | segment | status    | members | entered | exited | message |
    +---------+-----------+---------+---------+--------+---------+
    | buyers  | evaluated | 1       | 1       | 1      |         |
    +---------+-----------+---------+---------+--------+---------+
    "#);
    insta::assert_snapshot!(show(&session, "EVALUATE SEGMENT buyers AS OF '2026-06-06'").await, @r#"
    +---------+-----------+---------+---------+--------+---------+
    | segment | status    | members | entered | exited | message |
    +---------+-----------+---------+---------+--------+---------+
    | buyers  | evaluated | 1       | 0       | 0      |         |
    +---------+-----------+---------+---------+--------+---------+
    "#);
    insta::assert_snapshot!(show(&session, "SELECT * FROM audience.buyers ORDER BY profile_id").await, @r#"
    +------------+----------+----------------------+----------------------+----------------------+
    | profile_id | status   | entered_at           | last_qualified_at    | exited_at            |
    +------------+----------+----------------------+----------------------+----------------------+
    | p2         | realized | 2026-06-06T00:00:00Z | 2026-06-06T00:00:00Z |                      |
    | p4         | exited   | 2026-05-21T00:00:00Z | 2026-05-21T00:00:00Z | 2026-06-06T00:00:00Z |
    +------------+----------+----------------------+----------------------+----------------------+
    "#);
    let earlier = show(&session, "EVALUATE SEGMENT buyers AS OF '2026-06-01'").await;
    assert!(earlier.contains("failed") && earlier.contains("error[conflict]"), "{earlier}");
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let session = shop().await;
    run(&session, "CREATE SEGMENT germans AS country = 'DE'").await.unwrap();
    insta::assert_snapshot!(show(&session, "EVALUATE ALL SEGMENTS DRY RUN").await, @r#"
    +---------+---------+---------+---------+--------+---------+
    | segment | status  | members | entered | exited | message |
    +---------+---------+---------+---------+--------+---------+
    | germans | counted | 3       | 3       | 0      |         |
    +---------+---------+---------+---------+--------+---------+
    "#);
    let error = fails(&session, "SELECT * FROM audience.germans").await;
    assert!(error.contains("has not been evaluated yet"), "{error}");
    let tables = show(&session, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('segment', 'audience')").await;
    assert!(tables.contains("| segment      | germans") && !tables.contains("| audience"), "{tables}");
    run(&session, "EVALUATE ALL SEGMENTS").await.unwrap();
    let tables = show(&session, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('segment', 'audience')").await;
    assert!(tables.contains("| audience     | germans"), "{tables}");
}

#[tokio::test]
async fn all_rules_share_one_scan_of_the_events() {
    let session = shop().await;
    for at in 0..100 {
        let rule = match at % 4 {
            0 => format!("times(event_type = 'purchase') > {at}"),
            1 => format!("sum(price) FILTER (WHERE sku = 'A') > {at}"),
            2 => format!("any_per(sku, times(event_type = 'product_view') > {at})"),
            _ => format!("did_then(event_type = 'search', price > {at})"),
        };
        run(&session, &format!("CREATE SEGMENT s{at} AS {rule}")).await.unwrap();
    }
    let plan = show(&session, "EXPLAIN EVALUATE ALL SEGMENTS").await;
    assert!(plan.contains("rules in the program: 100"), "{plan}");
    assert_eq!(plan.matches("event table events:").count(), 1, "events are read once:\n{plan}");
    // What a program cannot say shares one scan too.
    for at in 0..10 {
        let rule = format!("ntile(2) OVER (ORDER BY times(price > {at})) = 1");
        run(&session, &format!("CREATE SEGMENT top{at} AS {rule}")).await.unwrap();
    }
    let plan = show(&session, "EXPLAIN EVALUATE ALL SEGMENTS").await;
    let physical = &plan[plan.find("physical_plan").unwrap()..];
    let scans = physical.matches("DataSourceExec").count();
    assert_eq!(scans, 2, "profiles and events once each:\n{physical}");
    let report = show(&session, "EVALUATE ALL SEGMENTS").await;
    assert_eq!(report.matches("| evaluated |").count(), 110, "{report}");
}

#[tokio::test]
async fn live_and_stored_members_agree() {
    let session = shop().await;
    let rules = [
        "times(event_type = 'purchase') > 1",
        "any_per(sku, count(*) >= 3) OR country = 'FR'",
        "top_n(sum(price), 2)",
        "ntile(2) OVER (ORDER BY points) = 1",
        "did(products.brand = 'Acme') AND NOT did(events.country <> profiles.country)",
        "NOT did(true)",
        "count_per(sku, did(event_type = 'purchase')) = 2",
    ];
    for (at, rule) in rules.iter().enumerate() {
        run(&session, &format!("CREATE SEGMENT s{at} AS {rule}")).await.unwrap();
    }
    run(&session, "EVALUATE ALL SEGMENTS").await.unwrap();
    for (at, rule) in rules.iter().enumerate() {
        let live = show(&session, &format!("SELECT profile_id FROM segment.s{at} ORDER BY 1")).await;
        let sql = format!("SELECT profile_id FROM audience.s{at} WHERE status = 'realized' ORDER BY 1");
        assert_eq!(live, show(&session, &sql).await, "{rule}");
    }
}

#[tokio::test]
async fn a_rule_that_fails_fails_alone() {
    let session = shop().await;
    run(&session, "CREATE SEGMENT germans AS country = 'DE'; CREATE SEGMENT ratios AS 1000 / (points - 100) > 1;
        CREATE SEGMENT views AS times(event_type = 'product_view') > 0; CREATE SEGMENT cheap AS min(price) < 50").await.unwrap();
    insta::assert_snapshot!(show(&session, "EVALUATE ALL SEGMENTS").await, @r#"
    +---------+-----------+---------+---------+--------+------------------------------------+
    | segment | status    | members | entered | exited | message                            |
    +---------+-----------+---------+---------+--------+------------------------------------+
    | cheap   | evaluated | 2       | 2       | 0      |                                    |
    | germans | evaluated | 3       | 3       | 0      |                                    |
    | ratios  | failed    |         |         |        | error[execution]: division by zero |
    | views   | evaluated | 1       | 1       | 0      |                                    |
    +---------+-----------+---------+---------+--------+------------------------------------+
    "#);
    // A column that has vanished.
    run(&session, "CREATE OR REPLACE TABLE events AS SELECT profile_id, _id, \"timestamp\", event_type, sku, search_term FROM events").await.unwrap();
    insta::assert_snapshot!(show(&session, "EVALUATE ALL SEGMENTS").await, @r#"
    +---------+-----------+---------+---------+--------+-------------------------------------+
    | segment | status    | members | entered | exited | message                             |
    +---------+-----------+---------+---------+--------+-------------------------------------+
    | cheap   | failed    |         |         |        | error[name]: unknown column `price` |
    | germans | evaluated | 3       | 0       | 0      |                                     |
    | ratios  | failed    |         |         |        | error[execution]: division by zero  |
    | views   | evaluated | 1       | 0       | 0      |                                     |
    +---------+-----------+---------+---------+--------+-------------------------------------+
    "#);
}

#[tokio::test]
async fn duplicate_profile_keys_are_refused() {
    let session = shop().await;
    run(&session, "CREATE OR REPLACE TABLE profiles AS SELECT * FROM profiles UNION ALL SELECT * FROM profiles WHERE profile_id IN ('p1', 'p2')").await.unwrap();
    run(&session, "CREATE SEGMENT germans AS country = 'DE'").await.unwrap();
    let error = fails(&session, "EVALUATE ALL SEGMENTS").await;
    assert!(error.starts_with("error[data]: the profile key `p"), "{error}");
}

#[tokio::test]
async fn null_keys_and_orphans_are_counted() {
    let session = shop().await;
    run(
        &session,
        "CREATE OR REPLACE TABLE profiles AS SELECT * FROM profiles UNION ALL SELECT NULL, 'DE', 1, [], NULL",
    )
    .await
    .unwrap();
    run(&session, "CREATE SEGMENT germans AS country = 'DE' OR did(event_type = 'purchase')").await.unwrap();
    run(&session, "EVALUATE ALL SEGMENTS").await.unwrap();
    insta::assert_snapshot!(
        show(&session, "SELECT segment, members, entered, exited, profiles, null_keys, events, orphan_events FROM coterie.evaluations").await,
        @r#"
    +---------+---------+---------+--------+----------+-----------+--------+---------------+
    | segment | members | entered | exited | profiles | null_keys | events | orphan_events |
    +---------+---------+---------+--------+----------+-----------+--------+---------------+
    | germans | 6       | 6       | 0      | 6        | 1         | 17     | 2             |
    +---------+---------+---------+--------+----------+-----------+--------+---------------+
    "#
    );
}

#[tokio::test]
async fn a_warehouse_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || async {
        let options = coterie::engine::Options {
            warehouse: Some(folder.path().to_str().unwrap().to_owned()),
            now: Some(crate::common::NOW.parse().unwrap()),
            ..Default::default()
        };
        coterie::engine::Engine::open(options).await.unwrap().session()
    };
    let first = open().await;
    run(&first, crate::common::SHOP).await.unwrap();
    run(&first, "CREATE VIEW purchases AS SELECT * FROM events WHERE event_type = 'purchase';
        CREATE SEGMENT buyers COMMENT 'bought ''something''' AS did(event_type = 'purchase'); EVALUATE ALL SEGMENTS").await.unwrap();
    let statements = [
        "SELECT * FROM audience.buyers ORDER BY 1",
        "SELECT * FROM segment.buyers ORDER BY 1",
        "SHOW CREATE SEGMENT buyers",
        "SELECT count(*) FROM purchases",
        "SELECT segment, members FROM coterie.evaluations",
        "SHOW PROFILE STORES",
    ];
    let second = open().await;
    for statement in statements {
        assert_eq!(show(&first, statement).await, show(&second, statement).await, "{statement}");
    }
    // Without a warehouse all is forgotten.
    assert!(fails(&session().await, "SELECT * FROM events").await.contains("error["));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_without_events_has_no_first_time_and_no_least_value() {
    let session = shop().await;
    let rules = [
        "first_time(true) = last_time(true)",
        "first_time(true) <> first_time(event_type = 'purchase')",
        "first_time(true) >= first_time(event_type = 'purchase')",
        "min(price) = max(price)",
        "min(price) FILTER (WHERE event_type = 'purchase') < 1000",
        "avg(price) = max(price)",
        "sum(price) = min(price)",
    ];
    for (at, rule) in rules.iter().enumerate() {
        run(&session, &format!("CREATE SEGMENT s{at} AS {rule}")).await.unwrap();
    }
    run(&session, "EVALUATE ALL SEGMENTS").await.unwrap();
    for (at, rule) in rules.iter().enumerate() {
        let sql = format!("SELECT profile_id FROM audience.s{at} ORDER BY profile_id");
        let kept = show(&session, &sql).await;
        let sql =
            format!("SELECT profile_id FROM matching('shop', $rule$ {rule} $rule$) ORDER BY profile_id");
        assert_eq!(kept, show(&session, &sql).await, "{rule}");
        assert!(!kept.contains("p6"), "{rule}: p6 has no events");
    }
}
