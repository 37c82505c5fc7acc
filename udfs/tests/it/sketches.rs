//! Sketches against the sets and the numbers they stand for.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, LargeBinaryArray};
use coterie_udfs::aggregate::hll_sketch::hll_sketch_udaf;
use coterie_udfs::aggregate::hll_union_agg::hll_union_agg_udaf;
use coterie_udfs::aggregate::kll_sketch::kll_sketch_udaf;
use coterie_udfs::aggregate::kll_union_agg::kll_union_agg_udaf;
use coterie_udfs::aggregate::theta_intersect_agg::theta_intersect_agg_udaf;
use coterie_udfs::aggregate::theta_sketch::theta_sketch_udaf;
use coterie_udfs::aggregate::theta_union_agg::theta_union_agg_udaf;
use coterie_udfs::kernel::{hll, kll, theta};
use coterie_udfs::testing::Arg;
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use crate::query::{ctx, plan_error, rows, run, run_error, value};
use crate::roads::{N_GROUPS, check_groups};

fn lg_k(lg_k: i64) -> Arg {
    Arg::Literal(ScalarValue::Int64(Some(lg_k)))
}

fn bytes(bytes: Vec<u8>) -> ScalarValue {
    ScalarValue::LargeBinary(Some(bytes))
}

fn theta_of<'a>(values: impl IntoIterator<Item = &'a i64>) -> Vec<u8> {
    let mut sketch = theta::Theta::new(5);
    values.into_iter().for_each(|value| sketch.update(*value).unwrap());
    sketch.write().unwrap()
}

fn hll_of<'a>(values: impl IntoIterator<Item = &'a i64>) -> Vec<u8> {
    let mut sketch = hll::Hll::new(6).unwrap();
    values.into_iter().for_each(|value| sketch.update(*value));
    sketch.write()
}

type Rows = Vec<(usize, Option<i64>)>;

fn value_rows() -> impl Strategy<Value = Rows> {
    let values = prop_oneof![0..12_i64, 0..5_000_i64];
    prop::collection::vec((0..N_GROUPS, prop::option::weighted(0.9, values)), 0..500)
}

fn of_group(rows: &Rows, group: usize) -> Vec<i64> {
    rows.iter().filter(|row| row.0 == group).filter_map(|row| row.1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Byte for byte: what is written depends on the set of values alone.
    #[test]
    fn sketches_of_values(rows in value_rows()) {
        let groups = rows.iter().map(|row| row.0).collect::<Vec<_>>();
        let args = |option: i64| {
            let rows = &rows;
            move |picked: &[usize]| {
                let column = picked.iter().map(|row| rows[*row].1).collect::<Int64Array>();
                vec![Arg::Column(Arc::new(column)), lg_k(option)]
            }
        };
        let each = |of: fn(Vec<i64>) -> Vec<u8>| {
            (0..N_GROUPS).map(|group| bytes(of(of_group(&rows, group)))).collect::<Vec<_>>()
        };
        check_groups(theta_sketch_udaf(), &groups, args(5), &each(|values| theta_of(&values)), |answer| answer);
        check_groups(hll_sketch_udaf(), &groups, args(6), &each(|values| hll_of(&values)), |answer| answer);
    }

    #[test]
    fn sketches_of_sketches(
        rows in prop::collection::vec(
            (0..N_GROUPS, prop::option::weighted(0.9, prop::collection::btree_set(0..100_i64, 0..60))),
            0..24,
        ),
    ) {
        let groups = rows.iter().map(|row| row.0).collect::<Vec<_>>();
        let of_group = |group| rows.iter().filter(move |row| row.0 == group).filter_map(|row| row.1.as_ref());
        let union = |group| of_group(group).flatten().copied().collect::<BTreeSet<i64>>();
        let args = |of: fn(&BTreeSet<i64>) -> Vec<u8>, option: Option<i64>| {
            let rows = &rows;
            move |picked: &[usize]| {
                let sketches = picked.iter().map(|row| rows[*row].1.as_ref().map(of)).collect::<Vec<_>>();
                let column: ArrayRef =
                    Arc::new(sketches.iter().map(Option::as_deref).collect::<LargeBinaryArray>());
                std::iter::once(Arg::Column(column)).chain(option.map(lg_k)).collect()
            }
        };
        let thetas = (0..N_GROUPS).map(|group| bytes(theta_of(&union(group)))).collect::<Vec<_>>();
        check_groups(theta_union_agg_udaf(), &groups, args(|ids| theta_of(ids), Some(5)), &thetas, |answer| answer);
        let hlls = (0..N_GROUPS).map(|group| bytes(hll_of(&union(group)))).collect::<Vec<_>>();
        check_groups(hll_union_agg_udaf(), &groups, args(|ids| hll_of(ids), Some(6)), &hlls, |answer| answer);
        // Exact where nothing was sampled: 100 values in sketches of 4096 hashes.
        let whole = |ids: &BTreeSet<i64>| {
            let mut sketch = theta::Theta::new(12);
            ids.iter().for_each(|id| sketch.update(*id).unwrap());
            sketch.write().unwrap()
        };
        let common = (0..N_GROUPS).map(|group| {
            let common = of_group(group).cloned().reduce(|a, b| &a & &b);
            common.map_or(ScalarValue::Float64(None), |ids| ScalarValue::from(ids.len() as f64))
        });
        let estimate = |answer| match answer {
            ScalarValue::LargeBinary(Some(bytes)) => ScalarValue::from(theta::read(&bytes).unwrap().estimate()),
            _ => ScalarValue::Float64(None),
        };
        check_groups(theta_intersect_agg_udaf(), &groups, args(whole, None), &common.collect::<Vec<_>>(), estimate);
    }

    /// Which numbers are kept is drawn by lot: what is checked is that the error is kept.
    #[test]
    fn quantiles_are_within_the_error(rows in value_rows()) {
        let groups = rows.iter().map(|row| row.0).collect::<Vec<_>>();
        let args = |picked: &[usize]| {
            let column = picked.iter().map(|row| rows[*row].1).collect::<Int64Array>();
            vec![Arg::Column(Arc::new(column)), Arg::Literal(ScalarValue::Int64(Some(64)))]
        };
        let expected = (0..N_GROUPS).map(|group| ScalarValue::UInt64(Some(of_group(&rows, group).len() as u64)));
        let sorted = (0..N_GROUPS).map(|group| {
            let mut values = of_group(&rows, group);
            values.sort_unstable();
            values
        });
        let sorted = sorted.collect::<Vec<_>>();
        let check = |answer: ScalarValue| {
            let ScalarValue::LargeBinary(Some(bytes)) = answer else { panic!("no sketch: {answer:?}") };
            let sketch = kll::read(&bytes).unwrap();
            let n = sketch.n();
            // The groups have different numbers, so that the count tells which it is, mostly. A
            // moving frame has at most 5 rows, and they are of several groups.
            if let Some(values) = sorted.iter().find(|values| values.len() as u64 == n && n > 5) {
                let same = values.first().map(|v| *v as f64) == kll::quantile(&sketch, 0.0).unwrap()
                    && values.last().map(|v| *v as f64) == kll::quantile(&sketch, 1.0).unwrap();
                for place in [n / 4, n / 2, n * 3 / 4].into_iter().filter(|_| same) {
                    let value = values[usize::try_from(place).unwrap()];
                    let true_rank = values.iter().filter(|other| **other <= value).count() as f64 / n as f64;
                    let rank = kll::rank(&sketch, value as f64).unwrap();
                    // 4.2 % is the error of k = 64 with 99 % confidence; no lot in this test is that bad.
                    assert!((rank - true_rank).abs() < 0.13, "{rank} for {true_rank} of {n}");
                }
            }
            ScalarValue::UInt64(Some(n))
        };
        check_groups(kll_sketch_udaf(), &groups, args, &expected.collect::<Vec<_>>(), check);
    }
}

fn kll_of<'a>(values: impl IntoIterator<Item = &'a i64>) -> Vec<u8> {
    let mut sketch = kll::new(200).unwrap();
    values.into_iter().for_each(|value| kll::update(&mut sketch, *value as f64));
    sketch.serialize()
}

/// The numbers of a sketch that has kept all of them.
fn numbers_of(answer: ScalarValue) -> ScalarValue {
    let ScalarValue::LargeBinary(Some(bytes)) = answer else { panic!("no sketch: {answer:?}") };
    let sketch = kll::read(&bytes).unwrap();
    let n = sketch.n();
    let numbers =
        (1..=n).map(|place| kll::quantile(&sketch, (place as f64 - 0.5) / n as f64).unwrap().unwrap());
    ScalarValue::from(format!("{:?}", numbers.collect::<Vec<_>>()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Of less than 200 numbers none is left out, so that the answers are exact.
    #[test]
    fn quantiles_of_sketches(
        rows in prop::collection::vec(
            (0..N_GROUPS, prop::option::weighted(0.9, prop::collection::vec(0..40_i64, 0..6))),
            0..24,
        ),
    ) {
        let groups = rows.iter().map(|row| row.0).collect::<Vec<_>>();
        let args = |picked: &[usize]| {
            let sketches = picked.iter().map(|row| rows[*row].1.as_ref().map(kll_of)).collect::<Vec<_>>();
            let column: ArrayRef = Arc::new(sketches.iter().map(Option::as_deref).collect::<LargeBinaryArray>());
            vec![Arg::Column(column)]
        };
        let expected = (0..N_GROUPS).map(|group| {
            let mut all = rows.iter().filter(|row| row.0 == group).filter_map(|row| row.1.as_ref()).flatten().map(|x| *x as f64).collect::<Vec<_>>();
            all.sort_by(f64::total_cmp);
            ScalarValue::from(format!("{all:?}"))
        });
        check_groups(kll_union_agg_udaf(), &groups, args, &expected.collect::<Vec<_>>(), numbers_of);
    }

    /// Sets of fewer values than a sketch keeps: what is estimated is exact.
    #[test]
    fn operations_are_those_of_sets(
        a in prop::collection::btree_set(0..100_i64, 0..60),
        b in prop::collection::btree_set(0..100_i64, 0..60),
        rank in 0..=10_i32,
        number in 0..100_i64,
    ) {
        let hex = |bytes: Vec<u8>| format!("X'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let whole = |ids: &BTreeSet<i64>| {
            let mut sketch = theta::Theta::new(12);
            ids.iter().for_each(|id| sketch.update(*id).unwrap());
            hex(sketch.write().unwrap())
        };
        let exact = |ids: &BTreeSet<i64>| {
            let mut sketch = hll::Hll::new(12).unwrap();
            ids.iter().for_each(|id| sketch.update(*id));
            hex(sketch.write())
        };
        let both = &a | &b;
        let mut sorted = a.iter().chain(&b).copied().collect::<Vec<_>>();
        sorted.sort_unstable();
        let query = format!(
            "SELECT theta_estimate(theta_union(t, u)), theta_estimate(theta_intersect(t, u)), theta_estimate(theta_a_not_b(t, u)),
                    theta_lower_bound(t), theta_upper_bound(t, 3), hll_union(h, i) = {},
                    hll_lower_bound(e) <= {n} AND hll_upper_bound(e) >= {n} AND round(hll_estimate(e)) = {n},
                    kll_count(kll_union(k, l)), kll_quantile(kll_union(k, l), {rank} / 10.0), kll_rank(kll_union(k, l), {number})
             FROM (VALUES ({}, {}, {}, {}, {}, {}, {})) AS v(t, u, h, i, k, l, e)",
            hex(hll_of(&both)), whole(&a), whole(&b), hex(hll_of(&a)), hex(hll_of(&b)), hex(kll_of(&a)), hex(kll_of(&b)), exact(&a),
            n = a.len(),
        );
        // The least number that so many are at most.
        let place = (f64::from(rank) / 10.0 * sorted.len() as f64).ceil().max(1.0) as usize;
        let float = |number: usize| format!("{:?}", number as f64);
        let wanted = [
            float(both.len()),
            float((&a & &b).len()),
            float((&a - &b).len()),
            float(a.len()),
            float(a.len()),
            "true".into(),
            "true".into(),
            sorted.len().to_string(),
            sorted.get(place - 1).map(|number| format!("{:?}", *number as f64)).unwrap_or_default(),
            if sorted.is_empty() {
                String::new()
            } else {
                format!("{:?}", sorted.iter().filter(|other| **other <= number).count() as f64 / sorted.len() as f64)
            },
        ];
        let answer = tokio::runtime::Runtime::new().unwrap().block_on(rows(&ctx(), &query));
        prop_assert_eq!(answer, vec![wanted.join(" | ")]);
    }
}

/// Answers of the C++ library (`datasketches` 5.2.0 for Python) to the same values.
#[tokio::test]
async fn bytes_are_those_of_the_cpp_library() {
    for (call, wanted) in [
        (
            "encode(theta_sketch(x), 'hex') FROM (VALUES (3), (1), (2)) AS t(x)",
            "02030300001acc93030000000000000015f97dcbbd86a105c397fc1281709d1eba40b3c1da06695d",
        ),
        (
            "encode(theta_sketch(x), 'hex') FROM (VALUES ('a'), ('b'), ('ä')) AS t(x)",
            "02030300001acc930300000000000000857f40b689c7e53417c11d528507017bcfea97d298d26b7d",
        ),
        (
            "encode(theta_sketch(x), 'hex') FROM (VALUES (0.5), (-2.25)) AS t(x)",
            "02030300001acc93020000000000000085a61f5019da0765390e80e18fe71e75",
        ),
        ("md5(theta_sketch(value, 5)) FROM generate_series(1, 1000)", "1d4473781a97df2f2e1ad8ca6dbe2494"),
        ("theta_estimate(theta_sketch(value, 5)) FROM generate_series(1, 1000)", "841.7736718846904"),
        ("hll_estimate(hll_sketch(value, 4)) FROM generate_series(1, 100)", "102.11400524819224"),
        (
            "encode(kll_sketch(x), 'hex') FROM (VALUES (3), (1), (2)) AS t(x)",
            "05010f00c80008000300000000000000c8000100c5000000000000000000f03f\
             00000000000008400000000000000040000000000000f03f0000000000000840",
        ),
        // Its union of the values 1 to 100 with themselves, in 16 registers.
        (
            "hll_estimate(X'0a0107040018000a0000000000000000000000000000fb3f\
             0000000000000000000000000000000004020307030403060304050202030704')",
            "102.11400524819224",
        ),
        // Its set {1, 2, 3}, in the order of insertion; ours is the same, sorted.
        (
            "hll_union_agg(x) = (SELECT hll_sketch(v) FROM (VALUES (2), (3), (1)) AS u(v)) \
             FROM (VALUES (X'0201070c030803082bf2fb06862ff90d75816607')) AS t(x)",
            "true",
        ),
    ] {
        assert_eq!(rows(&ctx(), &format!("SELECT {call}")).await, [wanted], "{call}");
    }
}

#[tokio::test]
async fn large_sets_are_estimated_within_their_bounds() {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE s AS SELECT theta_sketch(concat('u', value)) AS t, hll_sketch(concat('u', value)) AS h,
                theta_sketch(concat('u', value)) FILTER (WHERE value <= 30000) AS a,
                theta_sketch(concat('u', value)) FILTER (WHERE value > 20000) AS b,
                kll_sketch(value) AS k
         FROM generate_series(1, 50000)",
    )
    .await;
    let within = |call: &str, truth: u32, off: f64| format!("abs({call} - {truth}) < {truth} * {off}");
    let checks = [
        within("theta_estimate(t)", 50_000, 0.05),
        within("hll_estimate(h)", 50_000, 0.05),
        within("theta_estimate(theta_union(a, b))", 50_000, 0.05),
        within("theta_estimate(theta_intersect(a, b))", 10_000, 0.12),
        within("theta_estimate(theta_a_not_b(a, b))", 20_000, 0.08),
        within("kll_quantile(k, 0.9)", 45_000, 0.04),
        "abs(kll_rank(k, 12500) - 0.25) < 0.02".into(),
        "kll_count(k) = 50000 AND kll_quantile(k, 0) = 1 AND kll_quantile(k, 1) = 50000".into(),
        "theta_lower_bound(t, 3) < 50000 AND theta_upper_bound(t, 3) > 50000".into(),
        "hll_lower_bound(h, 3) < 50000 AND hll_upper_bound(h, 3) > 50000".into(),
        "theta_lower_bound(t) > theta_lower_bound(t, 3) AND theta_upper_bound(t) < theta_upper_bound(t, 3)"
            .into(),
        "theta_union(a, b) = t".into(),
        "length(encode(h, 'hex')) = 2 * (4096 + 40) AND length(encode(t, 'hex')) = 2 * (4096 * 8 + 24)"
            .into(),
    ];
    for check in checks {
        assert_eq!(rows(&ctx, &format!("SELECT {check} FROM s")).await, ["true"], "{check}");
    }
}

#[tokio::test]
async fn grouped_ungrouped_and_window_forms_agree() {
    let ctx = ctx();
    run(&ctx, "CREATE TABLE t AS SELECT value % 3 AS g, value * value % 11 AS x FROM generate_series(1, 40)")
        .await;
    let distinct =
        rows(&ctx, "SELECT g, CAST(count(DISTINCT x) AS DOUBLE) FROM t GROUP BY g ORDER BY g").await;
    for call in ["theta_estimate(theta_sketch(x)", "hll_estimate(hll_sketch(x)"] {
        let grouped = format!("SELECT g, round({call}), 3) FROM t GROUP BY g ORDER BY g");
        let window = format!("SELECT DISTINCT g, round({call} OVER (PARTITION BY g)), 3) FROM t ORDER BY g");
        assert_eq!(rows(&ctx, &grouped).await, distinct, "{call}");
        assert_eq!(rows(&ctx, &window).await, distinct, "{call}");
    }
    let median = "SELECT g, kll_quantile(kll_sketch(x), 0.5) FROM t GROUP BY g ORDER BY g";
    let exact = "SELECT g, CAST(percentile_disc AS DOUBLE) FROM (
                   SELECT g, x AS percentile_disc, row_number() OVER (PARTITION BY g ORDER BY x) AS n,
                          count(*) OVER (PARTITION BY g) AS total FROM t)
                 WHERE n = ceil(total * 0.5) ORDER BY g";
    assert_eq!(rows(&ctx, median).await, rows(&ctx, exact).await);
}

#[tokio::test]
async fn values_are_hashed_by_what_they_are() {
    let one = "theta_sketch(arrow_cast(1, 'Int64'))";
    for same in [
        "theta_sketch(arrow_cast(1, 'Int8'))",
        "theta_sketch(arrow_cast(1, 'UInt64'))",
        "theta_sketch(true)",
        "theta_sketch(DATE '1970-01-02')",
        "theta_sketch(arrow_cast('1970-01-01T00:00:00.000001', 'Timestamp(Nanosecond, None)'))",
    ] {
        assert_eq!(value(&format!("{one} = {same}")).await, "true", "{same}");
    }
    let text = "hll_sketch('ä')";
    for same in [
        "hll_sketch(arrow_cast('ä', 'LargeUtf8'))",
        "hll_sketch(arrow_cast('ä', 'Utf8View'))",
        "hll_sketch(arrow_cast('ä', 'Dictionary(Int8, Utf8)'))",
        "hll_sketch(X'c3a4')",
    ] {
        assert_eq!(value(&format!("{text} = {same}")).await, "true", "{same}");
    }
    assert_eq!(value("theta_sketch(0.0::DOUBLE) = theta_sketch(-0.0::DOUBLE)").await, "true");
    assert_eq!(value("theta_estimate(theta_sketch(''))").await, "0.0");
    assert_eq!(value("hll_estimate(hll_sketch(NULL))").await, "0.0");
    assert_eq!(value("kll_quantile(kll_sketch(NULL), 0.5)").await, "");
    assert_eq!(value("kll_rank(kll_sketch(1), NULL)").await, "");
    assert_eq!(value("theta_intersect_agg(NULL)").await, "");
    assert_eq!(value("theta_estimate(NULL)").await, "");
    assert_eq!(value("theta_union(theta_sketch(1), NULL)").await, "");
    assert_eq!(value("theta_lower_bound(theta_sketch(1), NULL)").await, "");
}

#[tokio::test]
async fn refusals() {
    for (call, wanted) in [
        ("theta_sketch()", "theta_sketch"),
        ("theta_sketch(1, 2, 3)", "theta_sketch takes (value [, lg_k]), found 3 arguments"),
        ("theta_sketch([1])", "`value` must be a string, number"),
        ("theta_sketch(1, 4)", "`lg_k` must be from 5 to 26, found 4"),
        ("theta_sketch(1, 'a')", "`lg_k` must be a whole number, found Utf8"),
        ("hll_sketch(1, 22)", "`lg_k` must be from 4 to 21, found 22"),
        ("hll_sketch(1, v) FROM (VALUES (5)) AS t(v)", "`lg_k` must be a constant"),
        ("kll_sketch('a')", "`value` must be a number, found Utf8"),
        ("kll_sketch(1, 7)", "`k` must be from 8 to 65535, found 7"),
        ("kll_quantile(X'00', 1.5)", "`rank` must be from 0 to 1, found 1.5"),
        (
            "theta_estimate('a')",
            "`sketch` must be a theta sketch (binary, as theta_sketch makes it), found Utf8",
        ),
        ("theta_lower_bound(X'00', 4)", "`deviations` must be 1, 2 or 3, found 4"),
        ("hll_union(X'00')", "hll_union takes (a, b), found 1 argument"),
        ("theta_union_agg(1)", "`sketch` must be a theta sketch"),
    ] {
        let error = plan_error(call).await;
        assert!(error.contains(wanted), "{call}: {error}");
    }
    for (call, wanted) in [
        ("theta_estimate(X'0011')", "not a theta sketch: "),
        ("theta_union_agg(X'00')", "not a theta sketch: "),
        ("hll_estimate(X'')", "not an HLL sketch: "),
        ("hll_union_agg(theta_sketch)  FROM (SELECT theta_sketch(1) AS theta_sketch)", "not an HLL sketch: "),
        ("kll_quantile(X'0011', 0.5)", "not a KLL sketch: "),
        (
            "kll_quantile(kll_sketch(1), v) FROM (VALUES (2.0)) AS t(v) GROUP BY v",
            "must be in [0.0, 1.0], got 2",
        ),
    ] {
        let error = run_error(call).await;
        assert!(error.contains(wanted), "{call}: {error}");
    }
}
