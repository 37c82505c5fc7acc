//! Functions in SQL: planning, errors, grouped, ungrouped and window forms.

use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};

fn ctx() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(4);
    let ctx = SessionContext::new_with_config(config);
    coterie_udfs::register_all_in(&ctx).unwrap();
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

/// A call that must not plan; the error is one of planning and says `wanted`.
async fn wrong(ctx: &SessionContext, call: &str, wanted: &str) {
    let error = match ctx.sql(&format!("SELECT {call} FROM events GROUP BY who")).await {
        Ok(frame) => frame.create_physical_plan().await.expect_err(call),
        Err(error) => error,
    };
    assert!(matches!(error.find_root(), DataFusionError::Plan(_)), "{call}: {error}");
    assert!(error.to_string().contains(wanted), "{call}: {error}");
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
    wrong(&ctx, "nth_time(ts, 0)", "`n` must not be 0").await;
    wrong(&ctx, "nth_time(ts, 1.5)", "`n` must be a whole number").await;
    let visits = "session_count(ts, INTERVAL '5' MINUTE)";
    check(&ctx, visits, &[("ada", "2"), ("bob", "2"), ("eve", "1")]).await;
    wrong(&ctx, "session_count(ts, INTERVAL '-5' MINUTE)", "`gap` must not be negative").await;
    check(&ctx, "most_frequent(who)", &[("ada", "ada"), ("bob", "bob"), ("eve", "eve")]).await;
    check(&ctx, "most_frequent(n)", &[("ada", ""), ("bob", ""), ("eve", "")]).await;
    wrong(&ctx, "most_frequent(n, ts)", "most_frequent takes (value), found 2 arguments").await;
}
