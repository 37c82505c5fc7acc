//! Calendar functions in SQL.

use crate::query::{ctx, plan_error, rows, run, value};

#[tokio::test]
async fn anniversary_in_types_and_nulls() {
    let born = "DATE '1990-01-02'";
    for (call, answer) in [
        (format!("anniversary_in({born}, DATE '2025-12-30', DATE '2025-12-30' + INTERVAL '7 days')"), "true"),
        (format!("anniversary_in({born}, DATE '2026-01-03', DATE '2026-02-03')"), "false"),
        (format!("anniversary_in({born}, DATE '2026-02-03', DATE '2026-01-01')"), "false"),
        (format!("anniversary_in({born}, TIMESTAMP '2026-01-02T23:59:59', TIMESTAMP '2026-01-02T01:00:00')"), "true"),
        (format!("anniversary_in(arrow_cast({born}, 'Date64'), DATE '2026-01-02', DATE '2026-01-02')"), "true"),
        ("anniversary_in(TIMESTAMP '1990-01-02T22:00:00', DATE '2026-01-02', DATE '2026-01-02')".into(), "true"),
        (
            "anniversary_in(arrow_cast('1990-01-01T23:30:00Z', 'Timestamp(Microsecond, Some(\"Europe/Berlin\"))'), \
             DATE '2026-01-02', DATE '2026-01-02')"
                .into(),
            "true",
        ),
        (format!("anniversary_in(NULL, {born}, {born})"), ""),
        (format!("anniversary_in({born}, NULL, {born})"), ""),
        (format!("anniversary_in({born}, {born}, NULL)"), ""),
    ] {
        assert_eq!(value(&call).await, answer, "{call}");
    }
}

#[tokio::test]
async fn anniversary_in_over_rows() {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE people AS SELECT * FROM (VALUES
            ('ada', DATE '1990-03-01', DATE '2026-03-01'), ('bob', DATE '1992-02-29', DATE '2026-02-28'),
            ('eve', DATE '2000-02-28', NULL), ('dan', NULL, DATE '2026-02-28')) AS t(who, born, today)",
    )
    .await;
    let query = "SELECT who, anniversary_in(born, today, today) AS each,
                        anniversary_in(born, DATE '2026-02-28', DATE '2026-02-28') AS same
                 FROM people ORDER BY who";
    assert_eq!(
        rows(&ctx, query).await,
        ["ada | true | false", "bob | true | true", "dan |  | ", "eve |  | true"]
    );
    let today = "SELECT count(*) FILTER (WHERE anniversary_in(born, current_date, current_date + INTERVAL '366 days'))
                 FROM people";
    assert_eq!(rows(&ctx, today).await, ["3"]);
}

#[tokio::test]
async fn anniversary_in_refuses() {
    let error = plan_error("anniversary_in(DATE '2026-01-01')").await;
    assert!(error.contains("anniversary_in takes (date, from, to), found 1 argument"), "{error}");
    let error = plan_error("anniversary_in('1990', DATE '2026-01-01', DATE '2026-01-01')").await;
    assert!(error.contains("`date` must be a date or a timestamp (write DATE '2026-01-31'"), "{error}");
    let error = plan_error("anniversary_in(DATE '2026-01-01', DATE '2026-01-01', 7)").await;
    assert!(error.contains("`to` must be a date"), "{error}");
}

#[tokio::test]
async fn periods_of_dates_and_timestamps() {
    for (call, wanted) in [
        ("period_start('week', DATE '2026-05-17')", "2026-05-11"),
        ("period_end('week', DATE '2026-05-17')", "2026-05-18"),
        ("period_start('week', DATE '1969-12-31')", "1969-12-29"),
        ("period_start('Month', DATE '2024-02-29')", "2024-02-01"),
        ("period_end('month', DATE '2024-12-29')", "2025-01-01"),
        ("period_start('quarter', DATE '2024-06-30')", "2024-04-01"),
        ("period_end('year', DATE '2024-06-30')", "2025-01-01"),
        ("period_end('day', arrow_cast(DATE '2024-06-30', 'Date64'))", "2024-07-01"),
        ("period_start('hour', TIMESTAMP '2026-05-17T10:59:59.9')", "2026-05-17T10:00:00"),
        (
            "period_start('year', arrow_cast('2026-05-17T10:59:59', 'Timestamp(Second, None)'))",
            "2026-01-01T00:00:00",
        ),
        (
            "period_start('month', arrow_cast('2026-03-31T22:30:00Z', 'Timestamp(Millisecond, Some(\"Europe/Berlin\"))'))",
            "2026-04-01T00:00:00+02:00",
        ),
        (
            "period_end('day', arrow_cast('2026-03-29T00:30:00Z', 'Timestamp(Nanosecond, Some(\"Europe/Berlin\"))'))",
            "2026-03-30T00:00:00+02:00",
        ),
        ("period_start('day', CAST(NULL AS DATE))", ""),
        ("period_start('day', NULL)", ""),
    ] {
        assert_eq!(value(call).await, wanted, "{call}");
    }
}

#[tokio::test]
async fn periods_agree_with_date_trunc() {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE times AS SELECT value AS t
         FROM generate_series(TIMESTAMP '1899-12-31T23:00:00', TIMESTAMP '2058-06-01T00:00:00', INTERVAL '1000003 seconds')",
    )
    .await;
    for unit in ["hour", "day", "week", "month", "quarter", "year"] {
        let query = format!(
            "SELECT count(*) FILTER (WHERE period_start('{unit}', t) <> date_trunc('{unit}', t)),
                    count(*) FILTER (WHERE period_start('{unit}', period_end('{unit}', t)) <> period_end('{unit}', t)),
                    count(*) FILTER (WHERE t >= period_start('{unit}', t) AND t < period_end('{unit}', t)) = count(*),
                    count(*) > 4990
             FROM times"
        );
        assert_eq!(rows(&ctx, &query).await, ["0 | 0 | true | true"], "{unit}");
    }
}

#[tokio::test]
async fn periods_refuse() {
    for (call, wanted) in [
        ("period_start('day')", "period_start takes (unit, time), found 1 argument"),
        ("period_start('fortnight', now())", "`unit` must be 'hour', 'day', 'week'"),
        ("period_start(1, now())", "`unit` must be 'hour', 'day'"),
        ("period_end('hour', DATE '2026-01-01')", "`unit` of a date must be 'day' or longer, found 'hour'"),
        ("period_end('day', 'today')", "`time` must be a date or a timestamp, found Utf8"),
        ("period_end(u, now()) FROM (VALUES ('day')) AS t(u)", "`unit` must be a constant"),
    ] {
        let error = plan_error(call).await;
        assert!(error.contains(wanted), "{call}: {error}");
    }
}
