//! The same values in columns and constants of every type a function takes: its answers stay what they are.
//!
//! In a call, `{x}` is `x` of the type that is tried, and `«x»` is `x`, a time, as seconds again.

use std::collections::BTreeSet;

use coterie_udfs::registry;
use datafusion::prelude::SessionContext;

use crate::query::{ctx, rows, run};

/// Functions of times; `s` is one in seconds.
const OF_TIMES: &[&str] = &[
    "did_then({s}, c1, c2, INTERVAL '3 days')",
    "did_without({s}, c1, c2, INTERVAL '3 days', {86400 * 20})",
    "window_funnel(INTERVAL '9 days', {s}, c1, c2, c3, 'strict_increase', 'step <= 4 days')",
    "sequence_match('(?1).*(?2)', {s}, c1, c2, c3)",
    "sequence_count('(?1).*(?2)', {s}, c1, c2, c3)",
    "«sequence_match_events('(?1).*(?3)', {s}, c1, c2, c3)[2]»",
    "sequence_next_node('forward', 'first_match', {s}, v, true, c1)",
    "sequence_steps([1, 2], {s}, c1, c2)",
    "sequence_linked([1, 1], '2.v = 1.v', {s}, named_struct('v', v), c1, c2)",
    "cohort_retention({s}, {86400 * 3}, 'week', 5)",
    "session_count({s}, INTERVAL '2 days')",
    "session_durations({s}, INTERVAL '2 days')",
    "max(visit) FROM (SELECT g, sessionize({s}, INTERVAL '2 days') OVER (PARTITION BY g) AS visit FROM t)",
    "«nth_time({s}, 2)»",
    "«top_k_latest({s}, 3)[3]»",
    "round(inter_event_time({s})['sd'], 6)",
    "inter_event_time({s})['median']",
    "round(trend({s}, x), 6)",
    "first_touch(v, {s})",
    "last_touch(v, {s})",
    "attribute({s}, v, c3, 'time_decay 2 days')",
    "days_since(max({s}), {86400 * 50})",
];

/// Functions of dates and timestamps alone.
const OF_DAYS: &[&str] = &[
    "count(*) FILTER (WHERE anniversary_in({s}, {86400 * 3}, {86400 * 9}))",
    "«min(period_start('week', {s}))»",
    "«max(period_end('month', {s}))»",
    "«min(with_year({s}, 1971))»",
    "steps_in_order(array_agg(named_struct('t', {s}, 'a', c1, 'b', c2)), [2, 3])",
];

/// Functions that take or give strings, or are told something by one.
const OF_STRINGS: &[&str] = &[
    "sequence_next_node({'forward'}, {'first_match'}, ts, {v}, true, c1)",
    "first_touch({v}, ts)",
    "last_touch({v}, ts)",
    "most_frequent({v})",
    "attribute(ts, {v}, c3, {'linear'})",
    "window_funnel(9, ts, c1, c2, c3, {'strict_increase'})",
    "sequence_match({'(?1).*(?2)'}, ts, c1, c2, c3)",
    "sequence_count({'(?1).*(?2)'}, ts, c1, c2, c3)",
    "sequence_match_events({'(?1).*(?2)'}, ts, c1, c2, c3)",
    "cohort_retention(ts, arrow_cast(0, 'Timestamp(Second, None)'), {'day'}, 5)",
    "theta_sketch({v})",
    "hll_sketch({v}, 6)",
    "min(period_start({'week'}, ts))",
    "sequence_linked([1, 1], {'2.v = 1.v'}, ts, named_struct('v', {v}), c1, c2)",
    "max(period_end({'week'}, ts))",
    "sum(split_bucket({v}, {'spring'}, 50, 50))",
    "max(regexp_group({v}, {'^(w)(e)'}, 2))",
    "array_top_n(array_agg({v} ORDER BY n), 2)",
    "array_bottom_n(array_agg({v} ORDER BY n), 2)",
    "array_group_by(array_agg({v} ORDER BY n), x -> x)",
    "array_exists(array_agg({v}), x -> x = 'web')",
];

/// Functions of whole numbers, and of numbers that may be whole.
const OF_INTEGERS: &[&str] = &[
    "bitmap_to_array(bitmap_build({id}))",
    "bitmap_to_array(bitmap_from_array(array_agg({id})))",
    "bitmap_contains(bitmap_build(id), min({id}))",
    "theta_sketch({id}, {5})",
    "hll_sketch({id}, {6})",
    "kll_quantile(kll_sketch({id}, {100}), 0.5)",
    "kll_quantile(kll_sketch(id), {1})",
    "kll_rank(kll_sketch(id), {5})",
    "theta_lower_bound(theta_sketch(id, 5), {1})",
    "theta_upper_bound(theta_sketch(id, 5), {1})",
    "hll_lower_bound(hll_sketch(id, 6), {1})",
    "hll_upper_bound(hll_sketch(id, 6), {1})",
    "first_touch({id}, ts)",
    "most_frequent({id % 3})",
    "round(trend(ts, {id}), 6)",
    "sum(split_bucket({id}, 'spring', {50}, {50}))",
    "nth_time(ts, {2})",
    "top_k_latest(ts, {2})",
    "cohort_retention(ts, arrow_cast(0, 'Timestamp(Second, None)'), 'day', {5})",
    "did_then(ts, c1, c2, {86400})",
    "window_funnel({99}, ts, c1, c2)",
    "session_count(ts, {99})",
    "max(regexp_group(v, '^(w)(e)', {2}))",
    "max(with_year(ts, {99}))",
    "array_top_n(array_agg({id} ORDER BY n), {2})",
    "array_bottom_n(array_agg({id} ORDER BY n), {2})",
    "array_group_by(array_agg({id} ORDER BY n), x -> x % 2)",
    "array_reduce(array_agg({id} ORDER BY n), {0}, (a, x) -> (a + x) % 7)",
    "steps_in_order(array_agg(named_struct('t', ts, 'a', c1, 'b', c2)), [{2}, {3}])",
    "sequence_steps([{2}, {3}], ts, c1, c2)",
    "sequence_linked([{1}, {2}], '2.id > 1.id', ts, named_struct('id', {id}), c1, c2)",
    "array_agg(score ORDER BY n) FROM (SELECT g, n, rfm_score({id}, {id}, {id}, {3}) OVER (PARTITION BY g) AS score FROM t)",
    "max(score['f']) FROM (SELECT g, rfm_score({id}, {id}, {id}, [{1}], [{5}, {9}], [{3}]) OVER () AS score FROM t)",
];

/// Functions of lists.
const OF_LISTS: &[&str] = &[
    "array_all_match({ids}, x -> x > 3)",
    "array_none_match({ids}, x -> x > 30)",
    "array_exists({ids}, x -> x > 30)",
    "array_forall({ids}, x -> x > 3)",
    "array_reduce({ids}, 0, (a, x) -> a + x)",
    "array_top_n({ids}, 2)",
    "array_bottom_n({ids}, 2)",
    "array_group_by({ids}, x -> x % 3)",
    "bitmap_to_array(bitmap_from_array({ids}))",
];

/// Functions of what others wrote.
const OF_BYTES: &[&str] = &[
    "bitmap_count({bitmap})",
    "bitmap_to_array({bitmap})",
    "bitmap_contains({bitmap}, 4)",
    "bitmap_and({bitmap}, {bitmap})",
    "bitmap_or({bitmap}, {bitmap})",
    "bitmap_xor({bitmap}, {bitmap})",
    "bitmap_and_not({bitmap}, {bitmap})",
    "bitmap_union_agg({bitmap}) OVER (PARTITION BY g)",
    "bitmap_intersect_agg({bitmap}) OVER (PARTITION BY g)",
    "theta_estimate({theta})",
    "theta_lower_bound({theta})",
    "theta_upper_bound({theta})",
    "theta_union({theta}, {theta})",
    "theta_intersect({theta}, {theta})",
    "theta_a_not_b({theta}, {theta})",
    "theta_union_agg({theta}) OVER (PARTITION BY g)",
    "theta_intersect_agg({theta}) OVER (PARTITION BY g)",
    "theta_sketch({bitmap}) OVER (PARTITION BY g)",
    "hll_sketch({bitmap}, 6) OVER (PARTITION BY g)",
    "hll_estimate({hll})",
    "hll_lower_bound({hll})",
    "hll_upper_bound({hll})",
    "hll_union({hll}, {hll})",
    "hll_union_agg({hll}) OVER (PARTITION BY g)",
    "kll_count({kll})",
    "kll_quantile({kll}, 0.5)",
    "kll_rank({kll}, 3)",
    "kll_count(kll_union({kll}, {kll}))",
    "kll_quantile(kll_union_agg({kll}) OVER (PARTITION BY g), 0.5)",
];

/// Functions whose arguments have no choice of types: conditions, and maps of anything.
const OF_ONE_TYPE: &[&str] = &["retention", "map_filter", "map_any_match", "map_to_entries"];

/// Every type of a time, as what is made of a number of seconds.
fn times(zones: &[&str]) -> Vec<String> {
    let mut times = vec![];
    for zone in zones {
        for unit in ["Second", "Millisecond", "Microsecond", "Nanosecond"] {
            let (base, zone) = if zone.is_empty() {
                ("None".to_string(), "None".to_string())
            } else {
                ("Some(\"UTC\")".to_string(), format!("Some(\"{zone}\")"))
            };
            times.push(format!(
                "arrow_cast(arrow_cast($, 'Timestamp(Second, {base})'), 'Timestamp({unit}, {zone})')"
            ));
        }
    }
    let date = "arrow_cast(arrow_cast(($) / 86400, 'Int32'), 'Date32')";
    times.push(date.into());
    times.push(format!("arrow_cast({date}, 'Date64')"));
    times.push(format!("arrow_cast({date}, 'Dictionary(Int16, Date32)')"));
    times
}

fn casts(types: &[&str]) -> Vec<String> {
    types.iter().map(|of| format!("arrow_cast($, '{of}')")).collect()
}

async fn with_rows() -> SessionContext {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE t AS
         SELECT *, arrow_cast(s, 'Timestamp(Second, None)') AS ts,
                bitmap_from_array(ids) AS bitmap, theta_sketch(id) OVER w AS theta,
                hll_sketch(id) OVER w AS hll, kll_sketch(id) OVER w AS kll
         FROM (SELECT value AS n, value % 3 AS g, value * 5 % 23 AS id, value / 4.0 AS x,
                      CASE WHEN value % 7 > 0 THEN value * value * 7 % 41 * 86400 END AS s,
                      CASE value % 7 WHEN 0 THEN 'web' WHEN 1 THEN 'app' WHEN 2 THEN 'app' WHEN 3 THEN 'mail' END AS v,
                      value % 4 = 1 AS c1, value % 4 = 2 AS c2, value % 4 = 3 AS c3,
                      arrow_cast([value, value + 1, value * 5 % 23], 'List(Int64)') AS ids
               FROM generate_series(1, 60))
         WINDOW w AS (PARTITION BY g ORDER BY n ROWS 2 PRECEDING)",
    )
    .await;
    ctx
}

/// What stands between the marks, replaced.
fn replace(call: &str, marks: [char; 2], with: impl Fn(&str) -> String) -> String {
    let mut parts = call.split(marks[0]);
    let mut replaced = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (inside, rest) = part.split_once(marks[1]).unwrap();
        replaced += &with(inside);
        replaced += rest;
    }
    replaced
}

/// The call for one type, as a query.
fn query(call: &str, cast: &str, grouped: bool) -> String {
    let call = replace(call, ['{', '}'], |value| cast.replace('$', value));
    let call = replace(&call, ['«', '»'], |time| {
        let instant = "'Timestamp(Second, Some(\"UTC\"))'";
        let through =
            if cast.contains("Date") { format!("arrow_cast({time}, 'Date64')") } else { time.to_string() };
        format!("arrow_cast(arrow_cast({through}, {instant}), 'Int64')")
    });
    match (grouped, call.contains(" FROM ")) {
        (true, true) => format!("SELECT g, {call} GROUP BY g ORDER BY g"),
        (true, false) => format!("SELECT g, {call} FROM t GROUP BY g ORDER BY g"),
        (false, _) => format!("SELECT n, {call} FROM t ORDER BY n"),
    }
}

/// Compares the answers for each type with those for the first.
async fn alike(calls: &[&str], casts: &[String], grouped: bool) {
    let ctx = with_rows().await;
    for call in calls {
        let wanted = rows(&ctx, &query(call, &casts[0], grouped)).await;
        let answers =
            wanted.iter().map(|row| row.split_once(" | ").map(|(_, answer)| answer)).collect::<BTreeSet<_>>();
        assert!(answers.len() > 1 || !answers.contains(&Some("")), "{call} answers nothing");
        for cast in casts {
            let query = query(call, cast, grouped);
            assert_eq!(rows(&ctx, &query).await, wanted, "{query}");
        }
    }
}

#[tokio::test]
async fn times_of_every_unit_and_zone() {
    let mut types = times(&["", "UTC", "Europe/Berlin", "+05:30"]);
    types.extend(casts(&["Int64", "Int32", "UInt32", "UInt64", "Dictionary(Int8, Int64)"]));
    alike(OF_TIMES, &types, true).await;
    // A period begins at midnight, which is another instant in another zone.
    alike(OF_DAYS, &times(&["", "UTC", "+00:00"]), true).await;
}

#[tokio::test]
async fn strings_of_every_kind() {
    let types = ["Utf8", "LargeUtf8", "Utf8View", "Dictionary(Int32, Utf8)", "Dictionary(UInt8, LargeUtf8)"];
    alike(OF_STRINGS, &casts(&types), true).await;
}

#[tokio::test]
async fn integers_of_every_size() {
    let types = ["Int64", "Int32", "UInt32", "UInt64", "Dictionary(Int8, Int64)"];
    alike(OF_INTEGERS, &casts(&types), true).await;
}

#[tokio::test]
async fn lists_of_every_kind() {
    let types =
        ["List(Int64)", "LargeList(Int64)", "FixedSizeList(3, Int64)", "List(Int32)", "LargeList(UInt8)"];
    alike(OF_LISTS, &casts(&types), false).await;
}

#[tokio::test]
async fn bytes_of_every_kind() {
    let types = ["LargeBinary", "Binary", "BinaryView", "Dictionary(Int32, Binary)"];
    alike(OF_BYTES, &casts(&types), false).await;
}

#[test]
fn every_function_is_tried() {
    let families = [OF_TIMES, OF_DAYS, OF_STRINGS, OF_INTEGERS, OF_LISTS, OF_BYTES, OF_ONE_TYPE];
    let mut names = registry::all_scalar().iter().map(|f| f.name().to_string()).collect::<Vec<_>>();
    names.extend(registry::all_aggregate().iter().map(|f| f.name().to_string()));
    names.extend(registry::all_window().iter().map(|f| f.name().to_string()));
    names.extend(registry::all_higher_order().iter().map(|f| f.name().to_string()));
    for name in names {
        let tried = |call: &&&str| **call == name || call.contains(&format!("{name}("));
        assert!(families.iter().any(|calls| calls.iter().any(|call| tried(&call))), "{name} is not tried");
    }
}
