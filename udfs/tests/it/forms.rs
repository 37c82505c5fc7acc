//! Every aggregate in every form a query may give it: grouped, for one group, filtered, with `OVER`, with a frame that
//! grows and one that moves, and from rows in another order. The answers are always those of `GROUP BY`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampSecondArray,
};
use coterie_udfs::registry;
use datafusion::prelude::SessionContext;

use crate::query::{ctx, rows, run};

/// How each aggregate is called over the table `t`, and what of its answer is compared: bytes of one set may differ,
/// and so may the last digits of sums.
const CALLS: &[(&str, &str, &str)] = &[
    ("did_then", "ts, c1, c2, 4", "{}"),
    ("did_without", "ts, c1, c2, 4, arrow_cast(30, 'Timestamp(Second, None)')", "{}"),
    ("window_funnel", "9, ts, c1, c2, c3", "{}"),
    ("window_funnel", "9, ts, c1, c2, c3, 'strict_order', 'allow_reentry', 'step <= 5 seconds'", "{}"),
    ("window_funnel", "9, ts, c1, c2, c3, 'strict_once', 'strict_increase', 'strict_deduplication'", "{}"),
    ("sequence_match", "'(?1)(?t<=4)(?2)', ts, c1, c2, c3", "{}"),
    ("sequence_count", "'(?1).*(?2)', ts, c1, c2, c3", "{}"),
    ("sequence_match_events", "'(?1)(?t>1)(?3)', ts, c1, c2, c3", "{}"),
    ("sequence_next_node", "'backward', 'last_match', ts, v, true, c1", "{}"),
    ("sequence_steps", "[2, 1, 1], ts, c1, c2, c3", "{}"),
    ("sequence_linked", "[1, 1, 2], '2.v = 1.v AND NOT 3.ts < 2.ts', ts, {v: v, ts: ts}, c1, c2, c3", "{}"),
    ("retention", "c1, c2, c3", "{}"),
    ("cohort_retention", "ts, arrow_cast(0, 'Timestamp(Second, None)'), 'hour', 3", "{}"),
    ("session_count", "ts, 3", "{}"),
    ("session_durations", "ts, 3", "{}"),
    ("nth_time", "ts, -2", "{}"),
    ("top_k_latest", "ts, 3", "{}"),
    ("inter_event_time", "ts", "{}"),
    ("trend", "ts, x", "round({}, 6)"),
    ("first_touch", "v, ts", "{}"),
    ("last_touch", "v, ts", "{}"),
    ("most_frequent", "v", "{}"),
    ("attribute", "ts, v, c3, 'time_decay 5 seconds'", "{}"),
    ("bitmap_build", "id", "bitmap_to_array({})"),
    ("bitmap_union_agg", "bitmap", "bitmap_to_array({})"),
    ("bitmap_intersect_agg", "bitmap", "bitmap_to_array({})"),
    ("theta_sketch", "id, 5", "{}"),
    ("theta_union_agg", "theta, 5", "{}"),
    ("theta_intersect_agg", "theta", "theta_estimate({})"),
    ("hll_sketch", "v", "{}"),
    ("hll_union_agg", "hll", "{}"),
    ("kll_sketch", "x", "kll_quantile({}, 0.5)"),
    ("kll_union_agg", "kll", "kll_quantile({}, 0.5)"),
];

/// What is NULL for a frame without rows, and all false for a group without.
const LISTS_OF_FLAGS: [&str; 2] = ["retention", "cohort_retention"];

const N_ROWS: i64 = 60;

/// Three groups of 20 rows numbered by `n`, with ties of time and NULLs in every column that is looked at.
async fn with_rows() -> SessionContext {
    let ctx = ctx();
    let mut seed = 88_172_645_463_325_252_u64;
    let mut numbers = std::iter::repeat_with(move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        i64::try_from(seed >> 8).unwrap()
    });
    let mut below = |n: i64| numbers.by_ref().take(60).map(move |number| number % n).collect::<Vec<_>>();
    let some = |number: i64, least: i64| (number >= least).then_some(number - least);
    let condition = |numbers: Vec<i64>| -> ArrayRef {
        Arc::new(numbers.into_iter().map(|n| (n > 0).then_some(n > 5)).collect::<BooleanArray>())
    };
    let v = below(6)
        .into_iter()
        .map(|n| [None, Some("a"), Some("b"), Some("c"), Some(""), Some("a")][n as usize]);
    let batch = RecordBatch::try_from_iter([
        ("g", Arc::new((0..N_ROWS).map(|row| row % 3).collect::<Int64Array>()) as ArrayRef),
        ("n", Arc::new((0..N_ROWS).map(|row| row / 3).collect::<Int64Array>())),
        ("ts", Arc::new(below(40).into_iter().map(|n| some(n, 2)).collect::<TimestampSecondArray>())),
        ("v", Arc::new(v.collect::<StringArray>())),
        (
            "x",
            Arc::new(
                below(50).into_iter().map(|n| some(n, 3).map(|n| n as f64 / 4.0)).collect::<Float64Array>(),
            ),
        ),
        ("id", Arc::new(below(20).into_iter().map(|n| some(n, 2)).collect::<Int64Array>())),
        ("c1", condition(below(10))),
        ("c2", condition(below(10))),
        ("c3", condition(below(10))),
    ]);
    ctx.register_batch("plain", batch.unwrap()).unwrap();
    let frame = "OVER (PARTITION BY g ORDER BY n ROWS 2 PRECEDING)";
    run(
        &ctx,
        &format!(
            "CREATE TABLE t AS SELECT *, CASE WHEN x > 1 THEN bitmap_build(id) {frame} END AS bitmap,
                    CASE WHEN x > 1 THEN theta_sketch(id) {frame} END AS theta,
                    CASE WHEN x > 1 THEN hll_sketch(id, 6) {frame} END AS hll,
                    CASE WHEN x > 1 THEN kll_sketch(x) {frame} END AS kll
             FROM plain"
        ),
    )
    .await;
    ctx
}

#[test]
fn every_aggregate_is_called() {
    let called = CALLS.iter().map(|(name, _, _)| (*name).to_string()).collect::<BTreeSet<_>>();
    let all = registry::all_aggregate().iter().map(|function| function.name().to_string()).collect();
    assert_eq!(called, all);
}

#[tokio::test]
async fn answers_are_those_of_group_by() {
    let ctx = with_rows().await;
    for (name, args, shown) in CALLS {
        let call = |clause: &str| shown.replace("{}", &format!("{name}({args}){clause}"));
        let plain = call("");
        let grouped = rows(&ctx, &format!("SELECT g, {plain} FROM t GROUP BY g ORDER BY g")).await;
        let different = grouped.iter().map(|row| row.split_once(" | ").unwrap().1).collect::<BTreeSet<_>>();
        assert_eq!(grouped.len(), 3, "{plain}");
        assert!(different.iter().any(|answer| !answer.is_empty()), "{plain} answers nothing");

        for (group, answer) in grouped.iter().enumerate() {
            let one = rows(&ctx, &format!("SELECT {group} AS g, {plain} FROM t WHERE g = {group}")).await;
            assert_eq!(&one, std::slice::from_ref(answer), "{plain}, one group");
        }

        let over = call(" OVER (PARTITION BY g)");
        let window = rows(&ctx, &format!("SELECT DISTINCT g, {over} AS a FROM t ORDER BY g")).await;
        assert_eq!(window, grouped, "{over}");

        // As many rows in each group as before: rows that a filter drops leave the group where it is.
        let chosen =
            rows(&ctx, &format!("SELECT g, {plain} FROM t WHERE n % 3 > 0 GROUP BY g ORDER BY g")).await;
        let filtered = call(" FILTER (WHERE n % 3 > 0)");
        let filter = rows(&ctx, &format!("SELECT g, {filtered} FROM t GROUP BY g ORDER BY g")).await;
        assert_eq!(filter, chosen, "{filtered}");
        let none = rows(&ctx, &format!("SELECT {plain} FROM t WHERE false")).await;
        let filtered = call(" FILTER (WHERE n < 0)");
        let filter = rows(&ctx, &format!("SELECT {filtered} FROM t GROUP BY g")).await;
        assert_eq!(filter, [none[0].as_str(); 3], "{filtered}, without rows");

        for order in ["ts DESC, v", "c1, x"] {
            let ordered =
                format!("SELECT g, {plain} FROM (SELECT * FROM t ORDER BY {order}) GROUP BY g ORDER BY g");
            assert_eq!(rows(&ctx, &ordered).await, grouped, "{plain}, by {order}");
        }

        for (frame, within) in [
            ("ROWS 2 PRECEDING", "n BETWEEN at - 2 AND at"),
            ("ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "n <= at"),
            ("ROWS BETWEEN CURRENT ROW AND 3 FOLLOWING", "n BETWEEN at AND at + 3"),
            ("RANGE BETWEEN 4 PRECEDING AND 1 PRECEDING", "n BETWEEN at - 4 AND at - 1"),
        ] {
            let over = call(&format!(" OVER (PARTITION BY g ORDER BY n {frame})"));
            let windows = rows(&ctx, &format!("SELECT g, n, {over} FROM t ORDER BY g, n")).await;
            // A frame without rows is a group that has none.
            let of_frame = call(&format!(" FILTER (WHERE {within})"));
            let joined = format!(
                "SELECT g, at, {of_frame} FROM t JOIN (SELECT g AS h, n AS at FROM t) ON g = h GROUP BY g, at ORDER BY g, at"
            );
            let mut wanted = rows(&ctx, &joined).await;
            if LISTS_OF_FLAGS.contains(name) && frame.starts_with("RANGE") {
                // How many flags there are is not known where there is no row.
                wanted
                    .iter_mut()
                    .step_by(20)
                    .for_each(|first| *first = first.replace("[false, false, false]", ""));
            }
            assert_eq!(windows, wanted, "{over}");
        }
    }
}
