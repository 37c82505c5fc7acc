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
