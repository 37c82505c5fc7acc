//! Kernels on sorted input, and whole aggregates over 10 million rows in 1 million groups.
//!
//! `cargo bench -p coterie-udfs --bench functions`; `ROWS=1000000` for a short run.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray, TimestampSecondArray};
use coterie_udfs::kernel::did::{did_then, did_without};
use coterie_udfs::kernel::events::Grouped;
use coterie_udfs::kernel::funnel::Funnel;
use coterie_udfs::kernel::pattern::Pattern;
use coterie_udfs::kernel::session::session_count;
use coterie_udfs::kernel::span::{Scale, Span};
use coterie_udfs::registry::all_aggregate;
use coterie_udfs::testing::{AggregateTester, Arg};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::common::ScalarValue;

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

fn kernels(criterion: &mut Criterion) {
    let n_rows = n_rows();
    let (ticks, masks) = sorted(n_rows);
    let offsets = (0..=n_rows / ROWS_PER_GROUP).map(|group| group * ROWS_PER_GROUP).collect();
    let groups = Grouped::new(offsets, ticks, masks);
    let window = Span::Fixed { ticks: 3600, more: false };
    let funnel = Funnel::new(CONDITIONS as usize, window.clone());
    let increasing = Funnel { strict_increase: true, ..funnel.clone() };
    let mut group = criterion.benchmark_group("kernels, sorted");
    group.throughput(Throughput::Elements(n_rows as u64)).sample_size(10);
    let mut bench = |name: &str, of: &dyn Fn(&[i64], &[u32]) -> i64| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| groups.iter().map(|(ticks, masks)| of(black_box(ticks), masks)).sum::<i64>());
        });
    };
    bench("window_funnel", &|ticks, masks| funnel.level(ticks, masks) as i64);
    bench("window_funnel, strict_increase", &|ticks, masks| increasing.level(ticks, masks) as i64);
    for text in ["(?1).*(?2).*(?3)", "(?1)(?t<=3600)(?2)"] {
        if let Ok(pattern) = Pattern::parse(text, CONDITIONS as usize, &Scale::Second) {
            bench(&format!("sequence_match {text}"), &|ticks, masks| {
                i64::from(pattern.occurs(ticks, masks).unwrap_or_default())
            });
            bench(&format!("sequence_count {text}"), &|ticks, masks| {
                pattern.count(ticks, masks).unwrap_or_default()
            });
        }
    }
    bench("did_then", &|ticks, masks| i64::from(did_then(ticks, masks, Some(&window))));
    bench("did_without", &|ticks, masks| i64::from(did_without(ticks, masks, &window, i64::MAX)));
    bench("session_count", &|ticks, _| session_count(ticks, &window));
    group.finish();
}

/// The arguments each function is measured with.
fn arguments(name: &str, n_rows: usize) -> Option<Vec<Arg>> {
    let (ticks, masks) = sorted(n_rows);
    let column = |array: ArrayRef| Arg::Column(array);
    let ts = column(Arc::new(TimestampSecondArray::from(ticks)));
    let condition = |bit: u32| {
        column(Arc::new(masks.iter().map(|mask| Some(mask >> bit & 1 == 1)).collect::<BooleanArray>()))
    };
    let conditions = || (0..CONDITIONS).map(condition);
    let names = ["mail", "app", "web", "shop"];
    let value = column(Arc::new(
        masks.iter().map(|mask| Some(names[mask.trailing_zeros() as usize % 4])).collect::<StringArray>(),
    ));
    let numbers = masks.iter().map(|mask| Some(f64::from(*mask))).collect::<Float64Array>();
    let number = |number: i64| Arg::Literal(ScalarValue::from(number));
    let text = |text: &str| Arg::Literal(ScalarValue::from(text));
    let moment = || Arg::Literal(ScalarValue::TimestampSecond(Some(0), None));
    Some(match name {
        "window_funnel" => [number(3600), ts].into_iter().chain(conditions()).collect(),
        "sequence_match" | "sequence_count" | "sequence_match_events" => {
            [text("(?1).*(?2)"), ts].into_iter().chain(conditions()).collect()
        }
        "sequence_next_node" => {
            let constants = [text("forward"), text("first_match"), ts, value];
            constants.into_iter().chain(conditions()).collect()
        }
        "did_then" => vec![ts, condition(0), condition(1), number(3600)],
        "did_without" => vec![ts, condition(0), condition(1), number(3600), moment()],
        "retention" => conditions().collect(),
        "cohort_retention" => vec![ts, moment(), text("day"), number(30)],
        "session_count" | "session_durations" => vec![ts, number(600)],
        "nth_time" | "top_k_latest" => vec![ts, number(2)],
        "inter_event_time" => vec![ts],
        "trend" => vec![ts, column(Arc::new(numbers))],
        "first_touch" | "last_touch" => vec![value, ts],
        "most_frequent" => vec![value],
        "attribute" => vec![ts, value, condition(0), text("linear")],
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
        let mut group = criterion.benchmark_group(format!("aggregates, {order}"));
        group.throughput(Throughput::Elements(n_rows as u64)).sample_size(10);
        for function in all_aggregate() {
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

criterion_group!(benches, kernels, aggregates);
criterion_main!(benches);
