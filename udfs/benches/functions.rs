//! Every function over 10 million rows in 1 million groups, in one thread.
//!
//! Three parts: the kernels of sequences on sorted rows; the aggregates, fed as DataFusion feeds them;
//! all others as a query over tables in memory, which includes the scan.
//!
//! `cargo bench -p coterie-udfs --bench functions`; `ROWS=1000000` for a short run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampSecondArray,
};
use arrow::datatypes::{DataType, Field};
use coterie_udfs::kernel::did::{did_then, did_without};
use coterie_udfs::kernel::events::Grouped;
use coterie_udfs::kernel::funnel::Funnel;
use coterie_udfs::kernel::pattern::Pattern;
use coterie_udfs::kernel::session::session_count;
use coterie_udfs::kernel::span::{Scale, Span};
use coterie_udfs::registry;
use coterie_udfs::testing::{AggregateTester, Arg};
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use datafusion::catalog::MemTable;
use datafusion::common::{Result, ScalarValue};
use datafusion::prelude::{SessionConfig, SessionContext, col};
use tokio::runtime::Runtime;

const ROWS_PER_GROUP: usize = 10;
const CONDITIONS: u32 = 4;

fn n_rows() -> usize {
    std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(10_000_000)
}

/// A fixed sequence of numbers without pattern: xorshift.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0)
    }
}

/// Rows of every group in the order of time: seconds, and for each row one condition, now and then none.
fn sorted(n_rows: usize) -> (Vec<i64>, Vec<u32>) {
    let mut tick = 0;
    let mut numbers = Numbers(88_172_645_463_325_252);
    (0..n_rows)
        .map(|row| {
            let number = numbers.next().unwrap_or_default();
            tick = if row % ROWS_PER_GROUP == 0 { 0 } else { tick + (number >> 32 & 1023) as i64 };
            (tick, if number & 7 == 0 { 0 } else { 1 << (number >> 8 & 3) })
        })
        .unzip()
}

/// Few samples: one takes a second or so, and all together should take minutes.
fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
) -> BenchmarkGroup<'a, criterion::measurement::WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1))
        .throughput(Throughput::Elements(n_rows() as u64));
    group
}

/// The names of channels and pages.
const NAMES: [&str; 4] = ["mail", "app", "web", "shop"];

fn values(masks: &[u32]) -> StringArray {
    masks.iter().map(|mask| Some(NAMES[mask.trailing_zeros() as usize % NAMES.len()])).collect()
}

fn ids(n_rows: usize) -> Int64Array {
    Numbers(88_172_645_463_325_252).take(n_rows).map(|number| Some((number >> 40) as i64)).collect()
}

fn kernels(criterion: &mut Criterion) {
    let n_rows = n_rows();
    let (ticks, masks) = sorted(n_rows);
    let offsets = (0..=n_rows / ROWS_PER_GROUP).map(|group| group * ROWS_PER_GROUP).collect();
    let groups = Grouped::new(offsets, ticks, masks);
    let window = Span::Fixed { ticks: 3600, more: false };
    let funnel = Funnel::new(CONDITIONS as usize, window.clone());
    let modes = [
        ("window_funnel, strict_increase", Funnel { strict_increase: true, ..funnel.clone() }),
        ("window_funnel, strict_order", Funnel { strict_order: true, ..funnel.clone() }),
        (
            "window_funnel, strict_order, allow_reentry",
            Funnel { strict_order: true, allow_reentry: true, ..funnel.clone() },
        ),
        ("window_funnel, strict_deduplication", Funnel { strict_deduplication: true, ..funnel.clone() }),
        ("window_funnel, strict_once", Funnel { strict_once: true, ..funnel.clone() }),
        (
            "window_funnel, step <= 30 minutes",
            Funnel { limits: vec![Some(Span::Fixed { ticks: 1800, more: false }); 4], ..funnel.clone() },
        ),
    ];
    // As the aggregate has it: one list for all groups.
    let found = RefCell::new(vec![]);
    let mut group = group(criterion, "kernels, sorted");
    let mut bench = |name: &str, of: &dyn Fn(&[i64], &[u32]) -> i64| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| groups.iter().map(|(ticks, masks)| of(black_box(ticks), masks)).sum::<i64>());
        });
    };
    bench("window_funnel", &|ticks, masks| funnel.level(ticks, masks) as i64);
    for (name, funnel) in &modes {
        bench(name, &|ticks, masks| funnel.level(ticks, masks) as i64);
    }
    for text in ["(?1).*(?2).*(?3)", "(?1)(?t<=3600)(?2)", "(?1)(?t<=600)(?2).*(?t>=10)(?3)"] {
        if let Ok(pattern) = Pattern::parse(text, CONDITIONS as usize, &Scale::Second) {
            bench(&format!("sequence_match {text}"), &|ticks, masks| i64::from(pattern.occurs(ticks, masks)));
            bench(&format!("sequence_count {text}"), &|ticks, masks| pattern.count(ticks, masks));
            bench(&format!("sequence_match_events {text}"), &|ticks, masks| {
                let found = &mut *found.borrow_mut();
                found.clear();
                pattern.events(ticks, masks, found);
                found.len() as i64
            });
        }
    }
    bench("did_then", &|ticks, masks| i64::from(did_then(ticks, masks, Some(&window))));
    // Nothing has had its time yet, so that all rows are looked at.
    bench("did_without", &|ticks, masks| i64::from(did_without(ticks, masks, &window, 0)));
    bench("session_count", &|ticks, _| session_count(ticks, &window));
    group.finish();
}

/// The arguments each aggregate is measured with; none for those whose rows are made by others.
fn arguments(name: &str, n_rows: usize) -> Option<Vec<Arg>> {
    let (ticks, masks) = sorted(n_rows);
    let column = |array: ArrayRef| Arg::Column(array);
    let ts = || column(Arc::new(TimestampSecondArray::from(ticks.clone())));
    let condition = |bit: u32| {
        column(Arc::new(masks.iter().map(|mask| Some(mask >> bit & 1 == 1)).collect::<BooleanArray>()))
    };
    let conditions = || (0..CONDITIONS).map(condition);
    let value = || column(Arc::new(values(&masks)));
    let numbers =
        || column(Arc::new(masks.iter().map(|mask| Some(f64::from(*mask))).collect::<Float64Array>()));
    let number = |number: i64| Arg::Literal(ScalarValue::from(number));
    let text = |text: &str| Arg::Literal(ScalarValue::from(text));
    let ones = || {
        let ones = vec![ScalarValue::from(1_i64); CONDITIONS as usize];
        Arg::Literal(ScalarValue::List(ScalarValue::new_list(&ones, &DataType::Int64, true)))
    };
    let fields = || {
        let value: ArrayRef = Arc::new(values(&masks));
        let field = Arc::new(Field::new("value", value.data_type().clone(), true));
        column(Arc::new(StructArray::from(vec![(field, value)])))
    };
    let moment = || Arg::Literal(ScalarValue::TimestampSecond(Some(0), None));
    Some(match name {
        "window_funnel" => [number(3600), ts()].into_iter().chain(conditions()).collect(),
        "sequence_match" | "sequence_count" | "sequence_match_events" => {
            [text("(?1).*(?2)"), ts()].into_iter().chain(conditions()).collect()
        }
        "sequence_next_node" => {
            let constants = [text("forward"), text("first_match"), ts(), value()];
            constants.into_iter().chain(conditions()).collect()
        }
        "sequence_steps" => [ones(), ts()].into_iter().chain(conditions()).collect(),
        "sequence_linked" => {
            let constants = [ones(), text("2.value = 1.value AND 3.value = 2.value"), ts(), fields()];
            constants.into_iter().chain(conditions()).collect()
        }
        "did_then" => vec![ts(), condition(0), condition(1), number(3600)],
        "did_without" => vec![ts(), condition(0), condition(1), number(3600), moment()],
        "retention" => conditions().collect(),
        "cohort_retention" => vec![ts(), moment(), text("day"), number(30)],
        "session_count" | "session_durations" => vec![ts(), number(600)],
        "nth_time" | "top_k_latest" => vec![ts(), number(2)],
        "inter_event_time" => vec![ts()],
        "trend" => vec![ts(), numbers()],
        "first_touch" | "last_touch" => vec![value(), ts()],
        "most_frequent" => vec![value()],
        "attribute" => vec![ts(), value(), condition(0), text("linear")],
        "bitmap_build" | "theta_sketch" | "hll_sketch" => vec![column(Arc::new(ids(n_rows)))],
        "kll_sketch" => vec![numbers()],
        _ => return None,
    })
}

fn aggregates(criterion: &mut Criterion) {
    let n_rows = n_rows();
    let n_groups = n_rows.div_ceil(ROWS_PER_GROUP);
    let in_order = (0..n_rows).map(|row| row / ROWS_PER_GROUP).collect::<Vec<_>>();
    // The worst case for a hash aggregation: every row of another group than the one before.
    let scattered = (0..n_rows).map(|row| row % n_groups).collect::<Vec<_>>();
    for (order, groups) in [("by key", &in_order), ("scattered", &scattered)] {
        let mut group = group(criterion, &format!("aggregates, {order}"));
        for function in registry::all_aggregate() {
            let name = function.name().to_string();
            let Some(arguments) = arguments(&name, n_rows) else { continue };
            let Ok(tester) = AggregateTester::new(function, &arguments) else { continue };
            group.bench_function(name, |bencher| {
                bencher.iter(|| tester.grouped(black_box(groups), n_groups, 8192, None));
            });
        }
        group.finish();
    }
}

/// What is measured as a query: over `rows`, or over `groups` of ten rows, each with what others make of them.
const QUERIES: [(&str, &str); 43] = [
    ("bitmap_union_agg", "bitmap_union_agg(bitmap) FROM groups GROUP BY g / 10"),
    ("bitmap_intersect_agg", "bitmap_intersect_agg(bitmap) FROM groups GROUP BY g / 10"),
    ("theta_union_agg", "theta_union_agg(theta) FROM groups GROUP BY g / 10"),
    ("theta_intersect_agg", "theta_intersect_agg(theta) FROM groups GROUP BY g / 10"),
    ("hll_union_agg", "hll_union_agg(hll) FROM groups GROUP BY g / 10"),
    ("kll_union_agg", "kll_union_agg(kll) FROM groups GROUP BY g / 10"),
    ("sessionize", "sessionize(ts, 600) OVER (PARTITION BY g) FROM rows"),
    ("rfm_score", "rfm_score(g, n, x) OVER () FROM groups"),
    ("days_since", "days_since(ts, TIMESTAMP '2026-06-15T12:00:00') FROM rows"),
    ("anniversary_in", "anniversary_in(CAST(ts AS DATE), DATE '2026-06-15', DATE '2026-06-22') FROM rows"),
    ("period_start", "period_start('week', ts) FROM rows"),
    ("period_end", "period_end('week', ts) FROM rows"),
    ("with_year", "with_year(CAST(ts AS DATE), 2026) FROM rows"),
    ("split_bucket", "split_bucket(id, 'spring', 50, 50) FROM rows"),
    ("regexp_group", "regexp_group(value, '^(w)', 1) FROM rows"),
    ("steps_in_order", "steps_in_order(events, [1, 1]) FROM groups"),
    ("bitmap_from_array", "bitmap_from_array(ids) FROM groups"),
    ("bitmap_to_array", "bitmap_to_array(bitmap) FROM groups"),
    ("bitmap_count", "bitmap_count(bitmap) FROM groups"),
    ("bitmap_contains", "bitmap_contains(bitmap, g) FROM groups"),
    ("bitmap_and", "bitmap_and(bitmap, bitmap) FROM groups"),
    ("bitmap_or", "bitmap_or(bitmap, bitmap) FROM groups"),
    ("bitmap_xor", "bitmap_xor(bitmap, bitmap) FROM groups"),
    ("bitmap_and_not", "bitmap_and_not(bitmap, bitmap) FROM groups"),
    ("theta_union", "theta_union(theta, theta) FROM groups"),
    ("theta_intersect", "theta_intersect(theta, theta) FROM groups"),
    ("theta_a_not_b", "theta_a_not_b(theta, theta) FROM groups"),
    ("theta_estimate", "theta_estimate(theta) FROM groups"),
    ("theta_lower_bound", "theta_lower_bound(theta) FROM groups"),
    ("theta_upper_bound", "theta_upper_bound(theta) FROM groups"),
    ("hll_union", "hll_union(hll, hll) FROM groups"),
    ("hll_estimate", "hll_estimate(hll) FROM groups"),
    ("hll_lower_bound", "hll_lower_bound(hll) FROM groups"),
    ("hll_upper_bound", "hll_upper_bound(hll) FROM groups"),
    ("kll_union", "kll_union(kll, kll) FROM groups"),
    ("kll_quantile", "kll_quantile(kll, 0.5) FROM groups"),
    ("kll_rank", "kll_rank(kll, 2.0) FROM groups"),
    ("kll_count", "kll_count(kll) FROM groups"),
    ("array_top_n", "array_top_n(list, 3) FROM groups"),
    ("array_bottom_n", "array_bottom_n(list, 3) FROM groups"),
    ("map_to_entries", "map_to_entries(pairs) FROM groups"),
    ("map_filter", "map_filter(pairs, (k, v) -> v > 1) FROM groups"),
    ("map_any_match", "map_any_match(pairs, (k, v) -> v > 1) FROM groups"),
];

/// The same for functions of a lambda over a list.
const OVER_LISTS: [(&str, &str); 6] = [
    ("array_all_match", "x -> x < 9.0"),
    ("array_none_match", "x -> x > 9.0"),
    ("array_exists", "x -> x > 9.0"),
    ("array_forall", "x -> x < 9.0"),
    ("array_group_by", "x -> x"),
    ("array_reduce", "0.0, (sum, x) -> sum + x"),
];

async fn tables() -> Result<SessionContext> {
    let (ticks, masks) = sorted(n_rows());
    let config =
        SessionConfig::new().with_target_partitions(1).set_str("datafusion.sql_parser.dialect", "duckdb");
    let ctx = SessionContext::new_with_config(config);
    coterie_udfs::register_all(&ctx)?;
    let groups = (0..ticks.len()).map(|row| Some((row / ROWS_PER_GROUP) as i64));
    let rows = RecordBatch::try_from_iter([
        ("g", Arc::new(groups.collect::<Int64Array>()) as ArrayRef),
        ("ts", Arc::new(TimestampSecondArray::from(ticks))),
        ("value", Arc::new(values(&masks))),
        ("x", Arc::new(masks.iter().map(|mask| Some(f64::from(*mask))).collect::<Float64Array>())),
        ("id", Arc::new(ids(masks.len()))),
    ])?;
    let batches =
        (0..rows.num_rows()).step_by(8192).map(|start| rows.slice(start, 8192.min(rows.num_rows() - start)));
    let table = MemTable::try_new(rows.schema(), vec![batches.collect()])?;
    let order = vec![vec![col("g").sort(true, true), col("ts").sort(true, true)]];
    ctx.register_table("rows", Arc::new(table.with_sort_order(order)))?;
    let groups = "CREATE TABLE groups AS SELECT g, count(*) AS n, sum(x) AS x, array_agg(x) AS list, array_agg(id) AS ids, \
                  array_agg({'t': ts, 'view': x < 2, 'buy': x > 2}) AS events, \
                  bitmap_build(id) AS bitmap, theta_sketch(id) AS theta, hll_sketch(id) AS hll, kll_sketch(x) AS kll, \
                  MAP {'web': count(*), 'app': 1} AS pairs FROM rows GROUP BY g";
    ctx.sql(groups).await?.collect().await?;
    Ok(ctx)
}

async fn answer(ctx: &SessionContext, query: &str) -> Result<usize> {
    Ok(ctx.sql(query).await?.collect().await?.iter().map(RecordBatch::num_rows).sum())
}

fn queries(criterion: &mut Criterion) {
    let Ok(runtime) = Runtime::new() else { return };
    let Ok(ctx) = runtime.block_on(tables()) else { return };
    let over_lists = OVER_LISTS.map(|(name, rest)| (name, format!("{name}(list, {rest}) FROM groups")));
    let queries = QUERIES.map(|(name, query)| (name, query.to_string())).into_iter().chain(over_lists);
    let mut measured = BTreeSet::new();
    for (name, query) in queries {
        measured.insert(name.to_string());
        let query = format!("SELECT {query}");
        // Of `groups` there is one for ten rows.
        let mut group = group(criterion, "queries");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                runtime
                    .block_on(answer(&ctx, &query))
                    .map_or_else(|error| assert_eq!(error.to_string(), ""), drop)
            });
        });
        group.finish();
    }
    let all_aggregate = registry::all_aggregate();
    let aggregates = all_aggregate.iter().map(|f| f.name()).filter(|name| arguments(name, 10).is_some());
    measured.extend(aggregates.map(str::to_string));
    let mut all = all_aggregate.iter().map(|f| f.name().to_string()).collect::<BTreeSet<_>>();
    all.extend(registry::all_scalar().iter().map(|f| f.name().to_string()));
    all.extend(registry::all_window().iter().map(|f| f.name().to_string()));
    all.extend(registry::all_higher_order().iter().map(|f| f.name().to_string()));
    assert_eq!(all, measured, "every function is measured");
}

criterion_group!(benches, kernels, aggregates, queries);
criterion_main!(benches);
