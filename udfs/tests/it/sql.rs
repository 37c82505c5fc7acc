//! Functions in SQL: planning, errors, grouped, ungrouped and window forms.

use coterie_udfs::registry;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};

fn ctx() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(4);
    let ctx = SessionContext::new_with_config(config);
    coterie_udfs::register_all(&ctx).unwrap();
    ctx
}

async fn with_events() -> SessionContext {
    let ctx = ctx();
    ctx.sql(
        "CREATE TABLE events AS SELECT arrow_cast(who, 'Dictionary(Int32, Utf8)') AS who, ts, kind, n FROM (VALUES
            ('ada', TIMESTAMP '2026-01-01T10:00:00', 'view', 1),
            ('ada', TIMESTAMP '2026-01-01T10:05:00', 'cart', 2),
            ('ada', TIMESTAMP '2026-01-03T10:00:00', 'order', 3),
            ('bob', TIMESTAMP '2026-01-31T08:00:00', 'view', 1),
            ('bob', TIMESTAMP '2026-02-28T08:00:00', 'order', 2),
            ('eve', TIMESTAMP '2026-01-02T00:00:00', 'view', 1),
            ('eve', NULL, 'order', 2)
         ) AS t(who, ts, kind, n)",
    )
    .await
    .unwrap()
    .collect()
    .await
    .unwrap();
    ctx
}

/// The answers of a query, a line each.
async fn answers(ctx: &SessionContext, query: &str) -> Vec<String> {
    let printed = ctx.sql(query).await.unwrap().to_string().await.unwrap();
    let rows = printed.lines().filter(|line| line.starts_with('|')).skip(1);
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}

/// Grouped (one row per key), ungrouped (filtered to each key) and window form of one call.
async fn check(ctx: &SessionContext, call: &str, expected: &[(&str, &str)]) {
    let grouped = answers(ctx, &format!("SELECT who, {call} FROM events GROUP BY who ORDER BY who")).await;
    let wanted = expected.iter().map(|(who, answer)| format!("{who} {answer}")).collect::<Vec<_>>();
    assert_eq!(grouped, wanted, "{call}, grouped");
    for (who, answer) in expected {
        let one = answers(ctx, &format!("SELECT {call} FROM events WHERE who = '{who}'")).await;
        assert_eq!(one, [answer.to_string()], "{call}, ungrouped");
    }
    let window = format!("SELECT DISTINCT who, {call} OVER (PARTITION BY who) AS a FROM events ORDER BY who");
    assert_eq!(answers(ctx, &window).await, wanted, "{call}, window");
    let filtered = format!("SELECT who, {call} FILTER (WHERE n > 0) FROM events GROUP BY who ORDER BY who");
    assert_eq!(answers(ctx, &filtered).await, wanted, "{call}, filtered");
}

/// A call that must not plan; the error is one of planning and says `wanted`. An aggregate must not
/// plan with `OVER` either, with a frame that only grows and with one that moves.
async fn wrong(ctx: &SessionContext, call: &str, wanted: &str) {
    must_not_plan(ctx, &format!("SELECT {call} FROM events GROUP BY who"), wanted).await;
    if registry::all_aggregate().iter().any(|function| call.starts_with(&format!("{}(", function.name()))) {
        let over = |window: &str| format!("SELECT {call} OVER (PARTITION BY who {window}) FROM events");
        must_not_plan(ctx, &over("ORDER BY ts"), wanted).await;
        must_not_plan(ctx, &over("ORDER BY ts ROWS 2 PRECEDING"), wanted).await;
        let within =
            format!("SELECT who FROM events WHERE n > (SELECT count(a) FROM ({}) AS t(a))", over(""));
        must_not_plan(ctx, &within, wanted).await;
    }
}

async fn must_not_plan(ctx: &SessionContext, query: &str, wanted: &str) {
    let error = match ctx.sql(query).await {
        Ok(frame) => frame.create_physical_plan().await.expect_err(query),
        Err(error) => error,
    };
    assert!(matches!(error.find_root(), DataFusionError::Plan(_)), "{query}: {error}");
    assert!(error.to_string().contains(wanted), "{query}: {error}");
}

#[tokio::test]
async fn did_then() {
    let ctx = with_events().await;
    let hour = "did_then(ts, kind = 'view', kind = 'order', INTERVAL '1' HOUR)";
    check(&ctx, hour, &[("ada", "false"), ("bob", "false"), ("eve", "false")]).await;
    // From 31 January, a month is 28 days.
    let month = "did_then(ts, kind = 'view', kind = 'order', INTERVAL '1' MONTH)";
    check(&ctx, month, &[("ada", "true"), ("bob", "true"), ("eve", "false")]).await;
    let number = "did_then(ts, kind = 'view', kind = 'cart', 300)";
    check(&ctx, number, &[("ada", "true"), ("bob", "false"), ("eve", "false")]).await;
    let ever = "did_then(CAST(ts AS DATE), kind = 'view', kind = 'order')";
    check(&ctx, ever, &[("ada", "true"), ("bob", "true"), ("eve", "false")]).await;
    let none = "SELECT did_then(ts, true, true) FROM events WHERE who = 'nobody'";
    assert_eq!(answers(&ctx, none).await, ["false"]);
    wrong(&ctx, "did_then(ts, true)", "did_then takes (ts, a, b [, within]), found 2 arguments").await;
    wrong(&ctx, "did_then(kind, true, true)", "`ts` must be a timestamp").await;
    wrong(&ctx, "did_then(ts, kind, true)", "`a` must be a condition, found Utf8").await;
    wrong(&ctx, "did_then(ts, true, true, 'soon')", "`within` must be an INTERVAL").await;
    wrong(&ctx, "did_then(ts, true, true, n)", "`within` must be a constant").await;
    wrong(&ctx, "did_then(ts, true, true, -1)", "`within` must not be negative").await;
    wrong(&ctx, "did_then(ts, true, true, NULL)", "`within` must not be NULL").await;
}

#[tokio::test]
async fn did_without() {
    let ctx = with_events().await;
    let call = |as_of: &str| {
        format!("did_without(ts, kind = 'view', kind = 'order', INTERVAL '2' DAY, TIMESTAMP '{as_of}')")
    };
    check(&ctx, &call("2026-02-02T08:00:00"), &[("ada", "false"), ("bob", "true"), ("eve", "true")]).await;
    check(&ctx, &call("2026-02-02T07:59:59"), &[("ada", "false"), ("bob", "false"), ("eve", "true")]).await;
    let now = "did_without(ts, kind = 'view', kind = 'order', INTERVAL '2' DAY, now())";
    check(&ctx, now, &[("ada", "false"), ("bob", "true"), ("eve", "true")]).await;
    wrong(&ctx, "did_without(ts, true, true, 1)", "found 4 arguments").await;
    wrong(&ctx, "did_without(ts, true, true, 1, ts)", "`as_of` must be a constant").await;
    wrong(&ctx, "did_without(ts, true, true, INTERVAL '-1' DAY, now())", "`within` must not be negative")
        .await;
}

#[tokio::test]
async fn window_funnel() {
    let ctx = with_events().await;
    let call = |window: &str, modes: &str| {
        format!("window_funnel({window}, ts, kind = 'view', kind = 'cart', kind = 'order'{modes})")
    };
    check(&ctx, &call("3 * 86400", ""), &[("ada", "3"), ("bob", "1"), ("eve", "1")]).await;
    check(&ctx, &call("INTERVAL '1' HOUR", ""), &[("ada", "2"), ("bob", "1"), ("eve", "1")]).await;
    let modes = ", 'strict_order', 'step <= 3 days', 'step 2 <= 4 minutes'";
    check(&ctx, &call("INTERVAL '1' YEAR", modes), &[("ada", "1"), ("bob", "1"), ("eve", "1")]).await;
    let none = "SELECT window_funnel(1, ts, true) FROM events WHERE who = 'nobody'";
    assert_eq!(answers(&ctx, none).await, ["0"]);
    wrong(&ctx, "window_funnel(1, ts)", "found no condition").await;
    wrong(&ctx, "window_funnel(1)", "window_funnel takes (window, ts, c1, … cn [, mode…]), found 1 argument")
        .await;
    wrong(&ctx, "window_funnel(1, ts, n)", "`c1` must be a condition, found Int64").await;
    wrong(&ctx, "window_funnel(-1, ts, true)", "`window` must not be negative, found -1").await;
    wrong(&ctx, "window_funnel(1, ts, true, 'strict')", "called `strict_deduplication`").await;
    wrong(&ctx, "window_funnel(1, ts, true, 'fast')", "unknown mode `fast`").await;
    wrong(&ctx, "window_funnel(1, ts, true, kind)", "`mode` must be a constant").await;
    wrong(&ctx, "window_funnel(1, ts, true, 'strict_once', true)", "modes come after").await;
    wrong(&ctx, "window_funnel(1, ts, true, 'allow_reentry')", "needs mode `strict_order`").await;
    wrong(&ctx, "window_funnel(1, ts, true, 'step 2 <= 1 day')", "`2` is not a step between 2 and 1").await;
    wrong(&ctx, "window_funnel(1, ts, true, true, 'step <= soon')", "`soon` is not a length of time").await;
    wrong(&ctx, "window_funnel(1, ts, true, true, 'step = 1 day')", "expected `<=`").await;
}

#[tokio::test]
async fn times_and_values() {
    let ctx = with_events().await;
    let second = "nth_time(CAST(ts AS DATE), 2)";
    check(&ctx, second, &[("ada", "2026-01-01"), ("bob", "2026-02-28"), ("eve", "")]).await;
    check(&ctx, "nth_time(n, -1)", &[("ada", "3"), ("bob", "2"), ("eve", "2")]).await;
    wrong(&ctx, "nth_time(DISTINCT ts, 1)", "nth_time does not take DISTINCT").await;
    wrong(&ctx, "nth_time(ts, 0)", "`n` must not be 0").await;
    wrong(&ctx, "nth_time(ts, 1.5)", "`n` must be a whole number").await;
    let visits = "session_count(ts, INTERVAL '5' MINUTE)";
    check(&ctx, visits, &[("ada", "2"), ("bob", "2"), ("eve", "1")]).await;
    wrong(&ctx, "session_count(ts, INTERVAL '-5' MINUTE)", "`gap` must not be negative").await;
    check(&ctx, "most_frequent(who)", &[("ada", "ada"), ("bob", "bob"), ("eve", "eve")]).await;
    check(&ctx, "most_frequent(n)", &[("ada", ""), ("bob", ""), ("eve", "")]).await;
    wrong(&ctx, "most_frequent(n, ts)", "most_frequent takes (value), found 2 arguments").await;
}

#[tokio::test]
async fn patterns() {
    let ctx = with_events().await;
    let conditions = "ts, kind = 'view', kind = 'cart', kind = 'order'";
    let call = |function: &str, pattern: &str| format!("{function}('{pattern}', {conditions})");
    let bought = call("sequence_match", "(?1).*(?3)");
    check(&ctx, &bought, &[("ada", "true"), ("bob", "true"), ("eve", "false")]).await;
    let soon = call("sequence_match", "(?1)(?t<=300)(?2)");
    check(&ctx, &soon, &[("ada", "true"), ("bob", "false"), ("eve", "false")]).await;
    check(&ctx, &call("sequence_count", "."), &[("ada", "3"), ("bob", "2"), ("eve", "1")]).await;
    let times = call("array_length(sequence_match_events", "(?1).*(?3)") + ")";
    let grouped = format!("SELECT {times} FROM events GROUP BY who ORDER BY who");
    assert_eq!(answers(&ctx, &grouped).await, ["2", "2", "1"]);
    let next = "sequence_next_node('forward', 'head', ts, kind, true, kind = 'view')";
    check(&ctx, next, &[("ada", "cart"), ("bob", "order"), ("eve", "")]).await;
    wrong(&ctx, "sequence_match('(?1)x', ts, true)", "'(?1)x' at character 5: expected `(?N)`").await;
    wrong(
        &ctx,
        "sequence_count('(?2)', ts, true)",
        "sequence_count: `pattern` '(?2)' at character 3: no condition 2",
    )
    .await;
    wrong(&ctx, "sequence_match(kind, ts, true)", "`pattern` must be a constant").await;
    wrong(&ctx, "sequence_match_events('.', ts)", "found no condition").await;
    wrong(&ctx, "sequence_next_node('back', 'head', ts, kind, true)", "`direction` must be").await;
    wrong(&ctx, "sequence_next_node('backward', 'head', ts, kind, true)", "nothing comes before 'head'")
        .await;
    wrong(&ctx, "sequence_next_node('forward', 'first_match', ts, kind, true)", "found no event").await;
}

#[tokio::test]
async fn retention_and_touches() {
    let ctx = with_events().await;
    let kept = "retention(kind = 'view', kind = 'cart', kind = 'order')";
    let expected =
        [("ada", "[true, true, true]"), ("bob", "[true, false, true]"), ("eve", "[true, false, true]")];
    check(&ctx, kept, &expected).await;
    let months = "cohort_retention(ts, DATE '2026-01-15', 'month', 2)";
    let expected = [("ada", "[true, false]"), ("bob", "[true, true]"), ("eve", "[true, false]")];
    check(&ctx, months, &expected).await;
    check(&ctx, "first_touch(kind, ts)", &[("ada", "view"), ("bob", "view"), ("eve", "view")]).await;
    check(&ctx, "last_touch(kind, ts)", &[("ada", "order"), ("bob", "order"), ("eve", "view")]).await;
    let shares = "attribute(ts, kind, kind = 'order', 'last')";
    let one = "[{channel: order, credit: 1.0}]";
    check(&ctx, shares, &[("ada", one), ("bob", one), ("eve", "[]")]).await;
    check(&ctx, "top_k_latest(n, 1)", &[("ada", "[3]"), ("bob", "[2]"), ("eve", "[2]")]).await;
    check(&ctx, "session_durations(n, 1)", &[("ada", "[2.0]"), ("bob", "[1.0]"), ("eve", "[1.0]")]).await;
    let slopes = "SELECT round(trend(n, n)) FROM events GROUP BY who ORDER BY who";
    assert_eq!(answers(&ctx, slopes).await, ["86400.0", "86400.0", "86400.0"]);
    wrong(&ctx, "retention()", "retention takes 1 to 32 conditions, found 0").await;
    wrong(&ctx, "retention(n)", "`c1` must be a condition, found Int64").await;
    wrong(&ctx, "cohort_retention(ts, ts, 'moon', 2)", "`unit` must be 'hour', 'day'").await;
    wrong(&ctx, "cohort_retention(ts, ts, 'day', 65)", "`n` must be 1 to 64, found 65").await;
    wrong(&ctx, "attribute(ts, kind, true, 'best')", "`model` must be 'first'").await;
    wrong(&ctx, "attribute(ts, kind, true, 'time_decay 0 days')", "must be above 0").await;
    wrong(&ctx, "attribute(ts, kind, true, 'time_decay 1 month')", "not months").await;
    wrong(&ctx, "top_k_latest(ts, 0)", "`k` must be above 0").await;
    wrong(&ctx, "trend(ts, kind)", "`value` must be a number").await;
    wrong(&ctx, "first_touch(kind, kind)", "`ts` must be a timestamp").await;
}

#[tokio::test]
async fn windows_and_scalars() {
    let ctx = with_events().await;
    let visits = "SELECT who, max(visit) FROM (SELECT who, sessionize(ts, INTERVAL '5' MINUTE) OVER (PARTITION BY who) \
                  AS visit FROM events) GROUP BY who ORDER BY who";
    assert_eq!(answers(&ctx, visits).await, ["ada 2", "bob 2", "eve 1"]);
    let frame = "SELECT session_count(n, 0) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM events \
                 WHERE who = 'ada' ORDER BY n";
    assert_eq!(answers(&ctx, frame).await, ["1", "2", "2"]);
    let since =
        "SELECT days_since(max(ts), TIMESTAMP '2026-03-01T00:00:00') FROM events GROUP BY who ORDER BY who";
    assert_eq!(answers(&ctx, since).await, ["57", "1", "58"]);
    assert_eq!(
        answers(&ctx, "SELECT days_since(current_date()), days_since(NULL), days_since(now())").await,
        ["0  0"]
    );
    wrong(&ctx, "days_since(kind)", "`ts` must be a timestamp").await;
    for (call, error) in [
        ("sessionize(ts, -1) OVER ()", "`gap` must not be negative"),
        ("sessionize(ts, n) OVER ()", "`gap` must be a constant"),
        ("rfm_score(n, n) OVER ()", "rfm_score takes (recency, frequency, monetary"),
        ("rfm_score(kind, n, n) OVER ()", "`recency` must be a number"),
        ("rfm_score(n, n, n, 1) OVER ()", "`classes` must be 2 to 9, found 1"),
        (
            "rfm_score(n, n, n, [2, 1], [1], [1]) OVER ()",
            "`recency_cuts` must be up to 8 numbers from low to high",
        ),
    ] {
        must_not_plan(&ctx, &format!("SELECT {call} FROM events"), error).await;
    }
}
