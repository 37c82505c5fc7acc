//! Any split and any order of the same rows gives the same answer, and so does every form of the
//! accumulator.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampSecondArray};
use coterie_udfs::testing::{AggregateTester, Arg};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::AggregateUDF;
use proptest::prelude::*;

/// One row: its group, its time (seconds), its conditions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) group: usize,
    pub(crate) ts: Option<i64>,
    pub(crate) mask: u32,
}

pub(crate) const N_GROUPS: usize = 4;

/// Few times and few groups, so that ties are common.
pub(crate) fn rows(n_conditions: u32) -> impl Strategy<Value = Vec<Row>> {
    let row = (0..N_GROUPS, prop::option::weighted(0.95, 0_i64..40), 0..(1_u32 << n_conditions))
        .prop_map(|(group, ts, mask)| Row { group, ts, mask });
    prop::collection::vec(row, 0..60)
}

/// The rows of one group that have a time, sorted by time, ties by mask.
pub(crate) fn sorted_group(rows: &[Row], group: usize) -> Vec<(i64, u32)> {
    let mut of_group = rows
        .iter()
        .filter(|row| row.group == group)
        .filter_map(|row| row.ts.map(|ts| (ts, row.mask)))
        .collect::<Vec<_>>();
    of_group.sort_unstable();
    of_group
}

/// The answer of each group from its sorted rows.
pub(crate) fn each_group(rows: &[Row], answer: impl Fn(&[(i64, u32)]) -> ScalarValue) -> Vec<ScalarValue> {
    (0..N_GROUPS).map(|group| answer(&sorted_group(rows, group))).collect()
}

pub(crate) fn ts(rows: &[Row]) -> Arg {
    Arg::Column(Arc::new(rows.iter().map(|row| row.ts).collect::<TimestampSecondArray>()))
}

pub(crate) fn condition(rows: &[Row], bit: u32) -> Arg {
    Arg::Column(Arc::new(rows.iter().map(|row| Some(row.mask >> bit & 1 == 1)).collect::<BooleanArray>()))
}

pub(crate) fn seconds(n: i64) -> Arg {
    Arg::Literal(ScalarValue::Int64(Some(n)))
}

fn scalars(array: &ArrayRef) -> Vec<ScalarValue> {
    (0..array.len()).map(|i| ScalarValue::try_from_array(array, i).unwrap()).collect()
}

/// Checks the call over all roads. `expected` has an answer for each group.
pub(crate) fn check(
    function: Arc<AggregateUDF>,
    rows: &[Row],
    args: impl Fn(&[Row]) -> Vec<Arg>,
    expected: &[ScalarValue],
) {
    let groups = rows.iter().map(|row| row.group).collect::<Vec<_>>();
    let args = |picked: &[usize]| args(&picked.iter().map(|row| rows[*row]).collect::<Vec<_>>());
    check_groups(function, &groups, args, expected, |answer| answer);
}

/// Checks the call over all roads, for rows of any kind: `groups` is the group of each row, `args`
/// makes the arguments of some of the rows, `read` what is compared of an answer.
pub(crate) fn check_groups(
    function: Arc<AggregateUDF>,
    groups: &[usize],
    args: impl Fn(&[usize]) -> Vec<Arg>,
    expected: &[ScalarValue],
    read: impl Fn(ScalarValue) -> ScalarValue,
) {
    let scalars = |answers: &ArrayRef| scalars(answers).into_iter().map(&read).collect::<Vec<_>>();
    let all =
        AggregateTester::new(Arc::clone(&function), &args(&(0..groups.len()).collect::<Vec<_>>())).unwrap();
    let same = |road: &str, answers: ArrayRef| {
        assert_eq!(scalars(&answers), expected, "{road}");
    };
    same("grouped", all.grouped(groups, N_GROUPS, 7, None).unwrap());
    same("grouped, in steps", all.grouped_in_steps(groups, N_GROUPS, 100, 1).unwrap());
    same("grouped, merged", all.grouped_merged(groups, N_GROUPS).unwrap());
    same("grouped, converted", all.grouped_converted(groups, N_GROUPS, None).unwrap());
    let odd = groups.iter().map(|group| Some(group % 2 == 1)).collect::<BooleanArray>();
    let filtered = scalars(&all.grouped(groups, N_GROUPS, 5, Some(&odd)).unwrap());
    let converted = scalars(&all.grouped_converted(groups, N_GROUPS, Some(&odd)).unwrap());
    assert_eq!(filtered, converted, "filtered");
    for group in (1..N_GROUPS).step_by(2) {
        assert_eq!(filtered[group], expected[group], "filtered");
    }
    let width = 5;
    for (row, answer) in all.sliding(width).unwrap().into_iter().enumerate() {
        let frame = (row.saturating_sub(width - 1)..=row).collect::<Vec<_>>();
        assert_eq!(read(answer), read(all.frame(&frame).unwrap()), "frame that ends at {row}");
    }
    for (group, expected) in expected.iter().enumerate() {
        let of_group = (0..groups.len()).filter(|row| groups[*row] == group).collect::<Vec<_>>();
        let one = AggregateTester::new(Arc::clone(&function), &args(&of_group)).unwrap();
        assert_eq!(&read(one.evaluate().unwrap()), expected, "one accumulator");
        let n = of_group.len();
        let order = (0..n).rev().collect::<Vec<_>>();
        assert_eq!(&read(one.merged(&order, &[]).unwrap()), expected, "reversed");
        assert_eq!(&read(one.merged(&order, &[n / 3, n / 3, n / 2]).unwrap()), expected, "merged");
        // Odd places first: neither sorted nor reversed.
        let order = (0..n).filter(|i| i % 2 == 1).chain((0..n).filter(|i| i % 2 == 0)).collect::<Vec<_>>();
        assert_eq!(&read(one.merged(&order, &[n / 4]).unwrap()), expected, "shuffled");
    }
}

/// A value to each row, NULL now and then: made from the bits above `n_conditions`.
pub(crate) fn value(rows: &[Row], n_conditions: u32) -> Arg {
    let of = |row: &Row| [Some("b"), Some("a"), None, Some("")][(row.mask >> n_conditions & 3) as usize];
    Arg::Column(Arc::new(rows.iter().map(of).collect::<StringArray>()))
}

pub(crate) fn text(text: &str) -> Arg {
    Arg::Literal(ScalarValue::from(text))
}
