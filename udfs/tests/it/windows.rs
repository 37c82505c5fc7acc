//! Functions that exist only with `OVER`, against their definitions, from rows in any order.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampSecondArray};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::query::{ctx, rows};

/// The answers of a query over the table `t` of these columns, cut into batches, in the order of `n`.
fn answers(columns: Vec<(&str, ArrayRef)>, query: &str) -> Vec<String> {
    let ctx = ctx();
    ctx.register_batch("t", RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    Runtime::new().unwrap().block_on(rows(&ctx, query))
}

fn integers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

fn shown(value: Option<i64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The class among `n` of a value: how many there are, and how many are worse.
fn class(value: f64, all: &[f64], n: i64, is_worse: impl Fn(f64, f64) -> bool) -> i64 {
    let worse = all.iter().filter(|other| is_worse(**other, value)).count() as i64;
    worse * n / all.len() as i64 + 1
}

type Scored = (i64, [Option<f64>; 3]);

fn scored_rows() -> impl Strategy<Value = Vec<Scored>> {
    let number = || prop::option::weighted(0.9, (0..12_i32).prop_map(|n| f64::from(n) / 2.0));
    let row = (0..3_i64, [number(), number(), number()]);
    prop::collection::vec(row, 1..40)
}

/// Three scores and their digits in a row.
fn all_scores(scores: [Option<i64>; 3]) -> String {
    let digits = (|| Some(scores[0]? * 100 + scores[1]? * 10 + scores[2]?))();
    scores.into_iter().chain([digits]).map(shown).collect::<Vec<_>>().join(" | ")
}

fn scored_table(table: &[Scored]) -> Vec<(&'static str, ArrayRef)> {
    let numbers =
        |i: usize| -> ArrayRef { Arc::new(table.iter().map(|(_, row)| row[i]).collect::<Float64Array>()) };
    vec![
        ("n", integers(0..table.len() as i64)),
        ("g", integers(table.iter().map(|(g, _)| *g))),
        ("days", numbers(0)),
        ("orders", numbers(1)),
        ("spent", numbers(2)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sessionize_counts_the_sessions_before(
        table in prop::collection::vec((0..3_i64, prop::option::weighted(0.9, 0_i64..40)), 1..60),
        gap in 0_i64..6,
    ) {
        let begins = |g: i64, ts: i64| {
            let before = |other: &(i64, Option<i64>)| other.0 == g && other.1.is_some_and(|t| t < ts && ts - t <= gap);
            !table.iter().any(before)
        };
        let expected = table.iter().map(|(g, ts)| {
            let ts = (*ts)?;
            let mut starts = table.iter().filter(|other| other.0 == *g).filter_map(|other| other.1).collect::<Vec<_>>();
            starts.retain(|start| *start <= ts && begins(*g, *start));
            starts.sort_unstable();
            starts.dedup();
            Some(starts.len() as i64)
        });
        let columns = vec![
            ("n", integers(0..table.len() as i64)),
            ("g", integers(table.iter().map(|row| row.0))),
            ("ts", Arc::new(table.iter().map(|row| row.1).collect::<TimestampSecondArray>()) as ArrayRef),
        ];
        let query = format!(
            "SELECT sessionize(ts, {gap}) OVER (PARTITION BY g),
                    sessionize(ts, INTERVAL '{gap} seconds') OVER (PARTITION BY g ORDER BY ts DESC)
             FROM t ORDER BY n"
        );
        let expected = expected.map(|number| format!("{0} | {0}", shown(number))).collect::<Vec<_>>();
        prop_assert_eq!(answers(columns, &query), expected);
    }

    #[test]
    fn rfm_score_ranks_within_the_partition(table in scored_rows(), n in 2_i64..=9) {
        let expected = table.iter().map(|(g, row)| {
            let score = |i: usize| {
                let all = table.iter().filter(|other| other.0 == *g).filter_map(|other| other.1[i]).collect::<Vec<_>>();
                // Of days since, more are worse.
                let is_worse = |a: f64, b: f64| if i == 0 { a > b } else { a < b };
                row[i].map(|value| class(value, &all, n, is_worse))
            };
            all_scores([score(0), score(1), score(2)])
        });
        let query = format!(
            "SELECT s['r'], s['f'], s['m'], s['score']
             FROM (SELECT n, rfm_score(days, orders, spent, {n}) OVER (PARTITION BY g) AS s FROM t) ORDER BY n"
        );
        prop_assert_eq!(answers(scored_table(&table), &query), expected.collect::<Vec<_>>());
    }

    #[test]
    fn rfm_score_counts_the_cuts_reached(
        table in scored_rows(),
        mut cuts in prop::collection::vec(prop::collection::vec((0..12_i32).prop_map(|n| f64::from(n) / 2.0), 1..8), 3),
    ) {
        cuts.iter_mut().for_each(|cuts| cuts.sort_by(f64::total_cmp));
        let expected = table.iter().map(|(_, row)| {
            let score = |i: usize| {
                let reached = |value: f64| cuts[i].iter().filter(|cut| **cut <= value).count() as i64;
                let classes = cuts[i].len() as i64 + 1;
                row[i].map(|value| if i == 0 { classes - reached(value) } else { reached(value) + 1 })
            };
            all_scores([score(0), score(1), score(2)])
        });
        let query = format!(
            "SELECT s['r'], s['f'], s['m'], s['score']
             FROM (SELECT n, rfm_score(days, orders, spent, {:?}, {:?}, {:?}) OVER () AS s FROM t) ORDER BY n",
            cuts[0], cuts[1], cuts[2]
        );
        prop_assert_eq!(answers(scored_table(&table), &query), expected.collect::<Vec<_>>());
    }
}
