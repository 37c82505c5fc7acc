//! Rules in PQL inside statements: faults are shown in the SQL that was typed, and segments ask for each other.

use crate::common::{fails, first_column, run, session, shop};

/// What is wrong stands in the statement as it was typed, whichever way the rule is written into it.
#[tokio::test]
async fn faults_are_shown_in_the_statement() {
    let session = shop().await;
    let mut shown = vec![];
    for sql in [
        "CREATE SEGMENT x USING PQL AS $$ country == \"DE\" $$",
        "CREATE SEGMENT x USING PQL AS 'country <> \"DE\"'",
        "CREATE SEGMENT x USING PQL AS $$ country = 'DE' $$",
        "SELECT count(*)\nFROM matching('shop', $$\n  points > 1\n  and countri = \"DE\"\n$$, 'pql')",
        "SELECT * FROM matching('shop', 'xEvent.exists(timestamp occurs within 7 days)', 'pql')",
        "CREATE SEGMENT x USING PQL AS $$ interests[0] = \"cycling\" $$",
        "CREATE SEGMENT x USING PQL AS $$ xEvent.exists(country = \"DE\" and points > 1) $$",
        "CREATE SEGMENT x USING PQL AS $$ xEvent.summ(price) > 1 $$",
        "CREATE SEGMENT x USING PQL AS $$ points > \"many\" $$",
        "CREATE SEGMENT x USING PQL AS $$ points > 1 and and country = \"é\" or countri = \"DE\" $$",
        "CREATE SEGMENT x USING PQL AS $$ inSegment(\"nobody\") $$",
        "CREATE SEGMENT x USING PQL AS 'country = ''é'' or countri = ''DE'''",
        "SELECT * FROM matching('shop', 'country = ''DE''', 'pql')",
        // Where the rule stands in the statement in no such way, it is shown by itself.
        "CREATE SEGMENT x USING PQL AS E'country =\\n \\'DE\\''",
    ] {
        shown.push(format!("{}\n", fails(&session, sql).await));
    }
    insta::assert_snapshot!(shown.join("\n"));
}

/// A profile has two roads into a segment: its own record, and the segment of that name or id at this instant.
#[tokio::test]
async fn segments_are_found_by_name_and_id_beside_the_record() {
    let session = session().await;
    let shop = "
        CREATE TABLE profiles AS SELECT * FROM (VALUES
          ('p1', 10, MAP {'ups': MAP {'crm-1': {'status': 'realized'}}}),
          ('p2', 90, MAP {'ups': MAP {'crm-1': {'status': 'exited'}}}),
          ('p3', 10, MAP {'ups': MAP {'crm-1': {'status': 'exited'}}}),
          ('p4', 90, MAP {'other': MAP {'crm-1': {'status': 'realized'}}}),
          ('p5', 10, MAP {'ups': MAP {'gold': {'status': 'existing'}}})
        ) AS t (profile_id, points, \"segmentMembership\");
        CREATE TABLE events AS SELECT * FROM (VALUES
          ('p1', TIMESTAMP '2026-06-10 10:00:00'), ('p4', TIMESTAMP '2026-06-10 10:00:00')
        ) AS t (profile_id, \"timestamp\");
        CREATE PROFILE STORE shop PROFILES profiles KEY (profile_id)
          EVENTS events KEY (profile_id) TIMESTAMP (\"timestamp\");
        CREATE SEGMENT gold ID 'crm-1' AS points > 50";
    run(&session, shop).await.unwrap();
    for (rule, members) in [
        ("inSegment(\"crm-1\")", vec!["p1", "p2", "p4"]),
        ("inSegment(\"gold\")", vec!["p2", "p4", "p5"]),
        ("not inSegment(\"crm-1\")", vec!["p3", "p5"]),
        ("inSegment(\"nothing\")", vec![]),
        ("xEvent.exists(inSegment(\"crm-1\"))", vec!["p1", "p4"]),
    ] {
        let sql = format!("SELECT * FROM matching('shop', $$ {rule} $$, 'pql')");
        assert_eq!(first_column(&run(&session, &sql).await.unwrap()), members, "{rule}");
    }
}

/// Segments evaluated together agree: one that asks for another is never a run behind it.
#[tokio::test]
async fn a_segment_that_asks_for_another_sees_it_as_it_is_then() {
    let session = shop().await;
    let recent = "CREATE SEGMENT recent ID 'r' USING PQL AS $$
          xEvent.exists(event_type = \"purchase\" and timestamp occurs <= 10 days before now) $$;
        CREATE SEGMENT recent_de USING PQL AS $$ inSegment(\"r\") and country = \"DE\" $$;
        CREATE SEGMENT recent_others USING PQL AS $$ inSegment(\"recent\") and not inSegment(\"recent_de\") $$";
    run(&session, recent).await.unwrap();
    let kept = |name: &str| format!("SELECT profile_id FROM audience.{name} WHERE status = 'realized'");
    let live = |name: &str| format!("SELECT profile_id FROM segment.{name}");
    run(&session, "EVALUATE ALL SEGMENTS").await.unwrap();
    for name in ["recent", "recent_others"] {
        for query in [kept(name), live(name)] {
            assert_eq!(first_column(&run(&session, &query).await.unwrap()), ["p2"], "{query}");
        }
    }
    // Two weeks later: what is kept of the other one is of another time and does not matter.
    run(&session, "SET coterie.now = '2026-06-30T12:00:00Z'; EVALUATE SEGMENT recent_others").await.unwrap();
    assert_eq!(first_column(&run(&session, &kept("recent")).await.unwrap()), ["p2"]);
    for query in [live("recent"), live("recent_others"), kept("recent_others")] {
        assert_eq!(first_column(&run(&session, &query).await.unwrap()), Vec::<String>::new(), "{query}");
    }
}

/// `xEvent` is the first event table; what only another one has is said to be there.
#[tokio::test]
async fn stores_of_no_and_of_several_event_tables() {
    let session = shop().await;
    run(
        &session,
        "CREATE TABLE tickets AS SELECT 'p3' AS profile_id, now() AS opened, 'late' AS topic;
         CREATE PROFILE STORE desk PROFILES profiles KEY (profile_id)
           EVENTS events KEY (profile_id) TIMESTAMP (\"timestamp\")
           EVENTS tickets KEY (profile_id) TIMESTAMP (opened);
         CREATE PROFILE STORE plain PROFILES profiles KEY (profile_id)",
    )
    .await
    .unwrap();
    let members = "SELECT * FROM matching('desk', $$ xEvent.exists(event_type = \"add_to_cart\") $$, 'pql')";
    assert_eq!(first_column(&run(&session, members).await.unwrap()), ["p3", "p5"]);
    let topic = "SELECT * FROM matching('desk', $$ xEvent.exists(topic = \"late\") $$, 'pql')";
    insta::assert_snapshot!(fails(&session, topic).await, @r#"
    error[unknown_field]: an event has no field `topic`
     --> 1:49
      |
    1 | SELECT * FROM matching('desk', $$ xEvent.exists(topic = "late") $$, 'pql')
      |                                                 ^^^^^
      = help: the event table `tickets` has it; `xEvent` is the first one of the store, `events`
    "#);
    let events = "SELECT * FROM matching('plain', $$ xEvent.count() > 0 $$, 'pql')";
    insta::assert_snapshot!(fails(&session, events).await, @r#"
    error[unknown_field]: the profile has no field `xEvent`
     --> 1:36
      |
    1 | SELECT * FROM matching('plain', $$ xEvent.count() > 0 $$, 'pql')
      |                                    ^^^^^^
      = help: `plain` has no event table
    "#);
}
