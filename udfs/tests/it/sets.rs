//! Bitmaps against sorted sets.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array};
use coterie_udfs::aggregate::bitmap_build::bitmap_build_udaf;
use coterie_udfs::aggregate::bitmap_intersect_agg::bitmap_intersect_agg_udaf;
use coterie_udfs::aggregate::bitmap_union_agg::bitmap_union_agg_udaf;
use coterie_udfs::kernel::bitmap;
use coterie_udfs::testing::Arg;
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use crate::query::{ctx, plan_error, rows, run, run_error, value};
use crate::roads::{N_GROUPS, check_groups};

fn bytes(ids: &BTreeSet<i64>) -> Vec<u8> {
    bitmap::write(&ids.iter().map(|id| u64::try_from(*id).unwrap()).collect())
}

/// The ids of an answer: one set can be written in several ways.
fn ids_of(answer: ScalarValue) -> ScalarValue {
    match answer {
        ScalarValue::LargeBinary(Some(bytes)) => {
            ScalarValue::Utf8(Some(format!("{:?}", bitmap::read(&bytes).unwrap().iter().collect::<Vec<_>>())))
        }
        other => other,
    }
}

fn id() -> impl Strategy<Value = i64> {
    prop_oneof![0..12_i64, 0..100_000_i64, 0..i64::MAX]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn build_is_the_set_of_ids(rows in prop::collection::vec((0..N_GROUPS, prop::option::weighted(0.9, id())), 0..60)) {
        let expected = (0..N_GROUPS).map(|group| {
            let ids = rows.iter().filter(|(g, _)| *g == group).filter_map(|(_, id)| *id).collect();
            ids_of(ScalarValue::LargeBinary(Some(bytes(&ids))))
        });
        let groups = rows.iter().map(|(group, _)| *group).collect::<Vec<_>>();
        let args = |picked: &[usize]| {
            vec![Arg::Column(Arc::new(picked.iter().map(|row| rows[*row].1).collect::<Int64Array>()))]
        };
        check_groups(bitmap_build_udaf(), &groups, args, &expected.collect::<Vec<_>>(), ids_of);
    }

    #[test]
    fn aggregates_are_folds_of_sets(
        rows in prop::collection::vec(
            (0..N_GROUPS, prop::option::weighted(0.9, prop::collection::btree_set(0..12_i64, 0..10))),
            0..40,
        ),
    ) {
        let groups = rows.iter().map(|(group, _)| *group).collect::<Vec<_>>();
        let of_group = |group| rows.iter().filter(move |(g, _)| *g == group).filter_map(|(_, ids)| ids.as_ref());
        let union = (0..N_GROUPS).map(|group| {
            let all = of_group(group).flatten().copied().collect();
            ids_of(ScalarValue::LargeBinary(Some(bytes(&all))))
        });
        let intersection = (0..N_GROUPS).map(|group| {
            let common = of_group(group).cloned().reduce(|a, b| &a & &b);
            ids_of(ScalarValue::LargeBinary(common.as_ref().map(bytes)))
        });
        let args = |picked: &[usize]| {
            let encoded = picked.iter().map(|row| rows[*row].1.as_ref().map(bytes)).collect::<Vec<_>>();
            let column: ArrayRef = Arc::new(encoded.iter().map(Option::as_deref).collect::<BinaryArray>());
            vec![Arg::Column(column)]
        };
        check_groups(bitmap_union_agg_udaf(), &groups, args, &union.collect::<Vec<_>>(), ids_of);
        check_groups(bitmap_intersect_agg_udaf(), &groups, args, &intersection.collect::<Vec<_>>(), ids_of);
    }

    #[test]
    fn operations_are_those_of_sets(
        a in prop::collection::btree_set(id(), 0..40),
        b in prop::collection::btree_set(id(), 0..40),
    ) {
        let list = |ids: &BTreeSet<i64>| {
            let ids = ids.iter().map(i64::to_string).collect::<Vec<_>>();
            format!("arrow_cast([{}], 'List(Int64)')", ids.join(", "))
        };
        let query = format!(
            "SELECT bitmap_to_array(bitmap_and(a, b)), bitmap_to_array(bitmap_or(a, b)),
                    bitmap_to_array(bitmap_xor(a, b)), bitmap_to_array(bitmap_and_not(a, b)),
                    bitmap_count(a), bitmap_contains(a, {})
             FROM (SELECT bitmap_from_array({}) AS a, bitmap_from_array({}) AS b)",
            b.first().copied().unwrap_or(5),
            list(&a),
            list(&b),
        );
        let answer = tokio::runtime::Runtime::new().unwrap().block_on(rows(&ctx(), &query));
        let shown = |ids: BTreeSet<i64>| {
            format!("[{}]", ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
        };
        let wanted = [
            shown(&a & &b),
            shown(&a | &b),
            shown(&a ^ &b),
            shown(&a - &b),
            a.len().to_string(),
            a.contains(&b.first().copied().unwrap_or(5)).to_string(),
        ];
        prop_assert_eq!(answer, vec![wanted.join(" | ")]);
    }
}

#[tokio::test]
async fn nulls_and_types() {
    let ab = "bitmap_from_array([1])";
    for (call, wanted) in [
        (format!("bitmap_and({ab}, NULL)"), ""),
        (format!("bitmap_or(NULL, {ab})"), ""),
        ("bitmap_count(NULL)".into(), ""),
        ("bitmap_count(bitmap_build(NULL))".into(), "0"),
        ("bitmap_intersect_agg(NULL)".into(), ""),
        ("bitmap_to_array(bitmap_from_array([]))".into(), "[]"),
        ("bitmap_from_array(NULL)".into(), ""),
        (format!("bitmap_contains({ab}, NULL)"), ""),
        (format!("bitmap_contains({ab}, -1)"), "false"),
        (format!("bitmap_count(arrow_cast({ab}, 'BinaryView'))"), "1"),
        (format!("bitmap_count(arrow_cast({ab}, 'Binary'))"), "1"),
        ("bitmap_count(bitmap_from_array(arrow_cast([1, 2], 'FixedSizeList(2, UInt32)')))".into(), "2"),
        // The 32-bit format of other programs: {1, 2}.
        ("bitmap_to_array(decode('3a30000001000000000001001000000001000200', 'hex'))".into(), "[1, 2]"),
    ] {
        assert_eq!(value(&call).await, wanted, "{call}");
    }
}

#[tokio::test]
async fn grouped_ungrouped_and_window_forms_agree() {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE t AS SELECT value % 3 AS g, value * value % 11 AS id FROM generate_series(1, 40)",
    )
    .await;
    let grouped = "SELECT g, bitmap_to_array(bitmap_build(id)) FROM t GROUP BY g ORDER BY g";
    let window =
        "SELECT DISTINCT g, bitmap_to_array(bitmap_build(id) OVER (PARTITION BY g)) FROM t ORDER BY g";
    let distinct = "SELECT g, array_sort(array_agg(DISTINCT id)) FROM t GROUP BY g ORDER BY g";
    assert_eq!(rows(&ctx, grouped).await, rows(&ctx, distinct).await);
    assert_eq!(rows(&ctx, window).await, rows(&ctx, distinct).await);
    let whole =
        "SELECT bitmap_count(bitmap_build(id)), bitmap_count(bitmap_build(id) FILTER (WHERE id > 3)) FROM t";
    let counts = "SELECT count(DISTINCT id), count(DISTINCT id) FILTER (WHERE id > 3) FROM t";
    assert_eq!(rows(&ctx, whole).await, rows(&ctx, counts).await);
    let running = "SELECT bitmap_count(bitmap_build(id) OVER (ORDER BY id)) FROM t ORDER BY 1 DESC LIMIT 1";
    assert_eq!(rows(&ctx, running).await, rows(&ctx, "SELECT count(DISTINCT id) FROM t").await);
}

#[tokio::test]
async fn refusals() {
    for (call, wanted) in [
        ("bitmap_build('a')", "`id` must be an integer of 0 or more, found Utf8"),
        ("bitmap_build(1, 2)", "bitmap_build takes (id), found 2 arguments"),
        ("bitmap_count(1)", "`bitmap` must be a bitmap (binary, as bitmap_build makes it), found Int64"),
        ("bitmap_and(X'00')", "bitmap_and takes (a, b), found 1 argument"),
        ("bitmap_contains(X'00', 'a')", "`id` must be an integer"),
        ("bitmap_from_array(['a'])", "`array` must be an array of integers"),
    ] {
        let error = plan_error(call).await;
        assert!(error.contains(wanted), "{call}: {error}");
    }
    for (call, wanted) in [
        ("bitmap_build(-1)", "an id must be 0 or more, found -1"),
        ("bitmap_count(X'0011')", "not a roaring bitmap: 2 bytes are too few"),
        ("bitmap_union_agg(X'ffffffffffffffff')", "not a roaring bitmap: 8 bytes cannot hold"),
        ("bitmap_to_array(X'01000000000000000000000001020304')", "not a roaring bitmap"),
    ] {
        let error = run_error(call).await;
        assert!(error.contains(wanted), "{call}: {error}");
    }
}

#[test]
fn empty_group_is_an_empty_set() {
    let tester = coterie_udfs::testing::AggregateTester::new(
        bitmap_build_udaf(),
        &[Arg::Column(Arc::new(Int64Array::new_null(3)))],
    );
    let answers = tester.unwrap().grouped(&[0, 1, 1], 2, 8, None).unwrap();
    assert!(answers.as_binary::<i64>().iter().all(|bytes| bytes == Some(&[0; 8])));
}
