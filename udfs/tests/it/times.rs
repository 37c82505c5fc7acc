//! Times, sessions and values against definitions that can be read off the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray, TimestampSecondArray};
use arrow::datatypes::DataType;
use coterie_udfs::aggregate::attribute::attribute_udaf;
use coterie_udfs::aggregate::cohort_retention::cohort_retention_udaf;
use coterie_udfs::aggregate::inter_event_time::inter_event_time_udaf;
use coterie_udfs::aggregate::most_frequent::most_frequent_udaf;
use coterie_udfs::aggregate::nth_time::nth_time_udaf;
use coterie_udfs::aggregate::retention::retention_udaf;
use coterie_udfs::aggregate::session_count::session_count_udaf;
use coterie_udfs::aggregate::session_durations::session_durations_udaf;
use coterie_udfs::aggregate::top_k_latest::top_k_latest_udaf;
use coterie_udfs::aggregate::touch::{first_touch_udaf, last_touch_udaf};
use coterie_udfs::aggregate::trend::trend_udaf;
use coterie_udfs::testing::{AggregateTester, Arg};
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use crate::roads::{N_GROUPS, Row, check, check_self, condition, each_group, rows, seconds, text, ts, value};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nth_time(rows in rows(0), n in prop_oneof![1_i64..5, -5_i64..-1]) {
        let expected = each_group(&rows, |events| {
            let mut times = events.iter().map(|event| event.0).collect::<Vec<_>>();
            if n < 0 {
                times.reverse();
            }
            let found = times.into_iter().nth(usize::try_from(n.abs() - 1).unwrap());
            ScalarValue::TimestampSecond(found, None)
        });
        let args = |rows: &[Row]| vec![ts(rows), seconds(n)];
        check(nth_time_udaf(), &rows, args, &expected);
    }

    #[test]
    fn session_count(rows in rows(0), gap in 0_i64..6) {
        let expected = each_group(&rows, |events| {
            let mut count = i64::from(!events.is_empty());
            for pair in events.windows(2) {
                count += i64::from(pair[1].0 - pair[0].0 > gap);
            }
            ScalarValue::from(count)
        });
        let args = |rows: &[Row]| vec![ts(rows), seconds(gap)];
        check(session_count_udaf(), &rows, args, &expected);
    }

    #[test]
    fn most_frequent(rows in rows(2)) {
        let name = |row: &Row| row.ts.map(|_| ["mail", "app", "web", ""][row.mask as usize]);
        let expected = (0..N_GROUPS).map(|group| {
            let mut counts = BTreeMap::new();
            for value in rows.iter().filter(|row| row.group == group).filter_map(name) {
                *counts.entry(value).or_insert(0) += 1;
            }
            let most = counts.values().max().copied();
            let best = counts.iter().filter(|(_, count)| Some(**count) == most).map(|(value, _)| *value);
            let best = best.collect::<Vec<_>>();
            ScalarValue::Utf8(if let [one] = best[..] { Some(one.to_string()) } else { None })
        }).collect::<Vec<_>>();
        let args = |rows: &[Row]| vec![Arg::Column(Arc::new(rows.iter().map(name).collect::<StringArray>()))];
        check(most_frequent_udaf(), &rows, args, &expected);
    }

    #[test]
    fn sessions_spacing_and_latest(rows in rows(0), gap in 0_i64..6, k in 1_i64..4) {
        check_self(session_durations_udaf(), &rows, |rows| vec![ts(rows), seconds(gap)]);
        check_self(inter_event_time_udaf(), &rows, |rows| vec![ts(rows)]);
        check_self(top_k_latest_udaf(), &rows, |rows| vec![ts(rows), seconds(k)]);
    }

    #[test]
    fn retention(rows in rows(3)) {
        let expected = each_group_of_all(&rows, |rows| {
            let ever = |bit: u32| rows.iter().any(|row| row.mask >> bit & 1 == 1);
            flags((0..3).map(|bit| ever(0) && ever(bit)))
        });
        let args = |rows: &[Row]| (0..3).map(|bit| condition(rows, bit)).collect::<Vec<_>>();
        check(retention_udaf(), &rows, args, &expected);
    }

    #[test]
    fn cohort_retention(rows in rows(0), cohort in 0_i64..20, n in 1..6_i64) {
        // Days and hours from 1 January 1970; an hour is one second here, to have several a day.
        let expected = each_group(&rows, |events| {
            flags((0..n).map(|hour| events.iter().any(|event| event.0 - cohort == hour)))
        });
        let hours = |rows: &[Row]| {
            let hours = rows.iter().map(|row| row.ts.map(|ts| ts * 3600)).collect::<TimestampSecondArray>();
            let cohort = ScalarValue::TimestampSecond(Some(cohort * 3600), None);
            vec![Arg::Column(Arc::new(hours)), Arg::Literal(cohort), text("hour"), seconds(n)]
        };
        check(cohort_retention_udaf(), &rows, hours, &expected);
    }

    #[test]
    fn touches(rows in rows(2)) {
        let name = |row: &Row| [Some("b"), Some("a"), None, Some("")][row.mask as usize];
        for (function, sign) in [(first_touch_udaf(), 1), (last_touch_udaf(), -1)] {
            let expected = each_group_of_all(&rows, |rows| {
                let touches = rows.iter().filter_map(|row| Some((row.ts? * sign, name(row)?)));
                ScalarValue::Utf8(touches.min().map(|(_, value)| value.to_string()))
            });
            let args = |rows: &[Row]| vec![value(rows, 0), ts(rows)];
            check(Arc::clone(&function), &rows, args, &expected);
        }
    }

    #[test]
    fn attribute(rows in rows(3), model in prop::sample::select(vec!["first", "last", "linear", "position", "time_decay 5 seconds"])) {
        check_self(attribute_udaf(), &rows, |rows| vec![ts(rows), value(rows, 1), condition(rows, 0), text(model)]);
    }

    #[test]
    fn trend(rows in rows(3)) {
        let of_time = rows.iter().filter_map(|row| row.ts.map(|ts| (ts as f64 / 86_400.0, f64::from(row.mask))));
        let points = of_time.collect::<Vec<_>>();
        let n = points.len() as f64;
        let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
        let xx = points.iter().map(|point| (point.0 - mean_x).powi(2)).sum::<f64>();
        let xy = points.iter().map(|point| (point.0 - mean_x) * (point.1 - mean_y)).sum::<f64>();
        let several = rows.iter().filter_map(|row| row.ts).collect::<BTreeSet<_>>().len() > 1;
        let numbers = rows.iter().map(|row| Some(f64::from(row.mask))).collect::<Float64Array>();
        let tester = AggregateTester::new(trend_udaf(), &[ts(&rows), Arg::Column(Arc::new(numbers))]).unwrap();
        let order = (0..rows.len()).rev().collect::<Vec<_>>();
        for slope in [tester.evaluate().unwrap(), tester.merged(&order, &[rows.len() / 3, rows.len() / 2]).unwrap()] {
            match slope {
                ScalarValue::Float64(Some(slope)) => {
                    prop_assert!(several && (slope - xy / xx).abs() <= 1e-6 * (xy / xx).abs().max(1.0));
                }
                slope => prop_assert!(slope.is_null() && !several),
            }
        }
    }
}

fn flags(flags: impl Iterator<Item = bool>) -> ScalarValue {
    let flags = flags.map(ScalarValue::from).collect::<Vec<_>>();
    ScalarValue::List(ScalarValue::new_list(&flags, &DataType::Boolean, false))
}

fn each_group_of_all(rows: &[Row], answer: impl Fn(&[Row]) -> ScalarValue) -> Vec<ScalarValue> {
    let of_group = |group| rows.iter().filter(|row| row.group == group).copied().collect::<Vec<_>>();
    (0..N_GROUPS).map(|group| answer(&of_group(group))).collect()
}
