//! Times, sessions and values against definitions that can be read off the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray, TimestampSecondArray};
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
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

use crate::roads::{
    N_GROUPS, Row, check, check_groups, condition, each_group, rows, seconds, text, ts, value,
};

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
    fn session_durations(rows in rows(0), gap in 0_i64..6) {
        let expected = each_group(&rows, |events| {
            let mut sessions: Vec<(i64, i64)> = vec![];
            for (tick, _) in events {
                match sessions.last_mut() {
                    Some((_, last)) if tick - *last <= gap => *last = *tick,
                    _ => sessions.push((*tick, *tick)),
                }
            }
            let seconds = sessions.iter().map(|(first, last)| ScalarValue::from((last - first) as f64));
            ScalarValue::List(ScalarValue::new_list(&seconds.collect::<Vec<_>>(), &DataType::Float64, false))
        });
        check(session_durations_udaf(), &rows, |rows| vec![ts(rows), seconds(gap)], &expected);
    }

    #[test]
    fn top_k_latest(rows in rows(0), k in 1_usize..4) {
        let expected = each_group(&rows, |events| {
            let latest = events.iter().rev().take(k).map(|event| ScalarValue::TimestampSecond(Some(event.0), None));
            let second = DataType::Timestamp(TimeUnit::Second, None);
            ScalarValue::List(ScalarValue::new_list(&latest.collect::<Vec<_>>(), &second, false))
        });
        let k = i64::try_from(k).unwrap();
        check(top_k_latest_udaf(), &rows, |rows| vec![ts(rows), seconds(k)], &expected);
    }

    #[test]
    fn inter_event_time(rows in rows(0)) {
        let expected = each_group(&rows, |events| {
            let mut apart = events.windows(2).map(|pair| (pair[1].0 - pair[0].0) as f64).collect::<Vec<_>>();
            apart.sort_by(f64::total_cmp);
            let n = apart.len() as f64;
            let mean = apart.iter().sum::<f64>() / n;
            let sd = (apart.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            let quantile = |share: f64| {
                let place = share * (n - 1.0);
                let at = |place: f64| apart[place as usize];
                Some(at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract())
            };
            let mut numbers = vec![None; 8];
            if n > 0.0 {
                numbers = vec![Some(n), Some(mean), (n > 1.0).then_some(sd)];
                numbers.extend([0.0, 0.25, 0.5, 0.75, 1.0].map(quantile));
            }
            rounded(numbers)
        });
        let read = |answer: ScalarValue| {
            let ScalarValue::Struct(fields) = answer else { panic!("no struct: {answer}") };
            rounded(fields.columns().iter().map(|field| number(field, 0)).collect())
        };
        let groups = rows.iter().map(|row| row.group).collect::<Vec<_>>();
        let args = |picked: &[usize]| vec![ts(&picked.iter().map(|row| rows[*row]).collect::<Vec<_>>())];
        check_groups(inter_event_time_udaf(), &groups, args, &expected, read);
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
        let channel = |row: &Row| [Some("b"), Some("a"), None, Some("")][(row.mask >> 1) as usize];
        // What a touch weighs, given how many there are, its place, and how long before the conversion it was.
        let weight = |n: usize, place: usize, before: i64| match model {
            "first" => f64::from(u8::from(place == 0)),
            "last" => f64::from(u8::from(place + 1 == n)),
            "linear" => 1.0,
            "position" if n < 3 => 1.0,
            "position" if place == 0 || place + 1 == n => 2.0,
            "position" => 1.0 / (n - 2) as f64,
            _ => 0.5_f64.powf(before as f64 / 5.0),
        };
        let expected = each_group_of_all(&rows, |rows| {
            let times = rows.iter().filter_map(|row| row.ts).collect::<BTreeSet<_>>();
            let mut shares = BTreeMap::new();
            let mut path: Vec<(i64, &str)> = vec![];
            for time in times {
                let of_time = rows.iter().filter(|row| row.ts == Some(time));
                let mut touches = of_time.clone().filter_map(channel).collect::<Vec<_>>();
                touches.sort_unstable();
                path.extend(touches.into_iter().map(|channel| (time, channel)));
                let conversions = of_time.filter(|row| row.mask & 1 == 1).count() as f64;
                if conversions > 0.0 {
                    let weights = path.iter().enumerate().map(|(place, touch)| weight(path.len(), place, time - touch.0));
                    let weights = weights.collect::<Vec<_>>();
                    let sum = weights.iter().sum::<f64>();
                    for ((_, channel), weight) in path.drain(..).zip(weights) {
                        *shares.entry(channel).or_insert(0.0) += conversions * weight / sum;
                    }
                }
            }
            shares.retain(|_, share| *share > 0.0);
            ScalarValue::from(format!("{:?}", shares.iter().map(|(c, share)| format!("{c}:{share:.6}")).collect::<Vec<_>>()))
        });
        let read = |answer: ScalarValue| {
            let ScalarValue::List(list) = answer else { panic!("no list: {answer}") };
            let shares = list.value(0);
            let shares = shares.as_struct();
            let channels = shares.column(0).as_string::<i32>().iter();
            let shares = channels.enumerate().map(|(i, channel)| format!("{}:{:.6}", channel.unwrap(), number(shares.column(1), i).unwrap()));
            ScalarValue::from(format!("{:?}", shares.collect::<Vec<_>>()))
        };
        let groups = rows.iter().map(|row| row.group).collect::<Vec<_>>();
        let args = |picked: &[usize]| {
            let rows = picked.iter().map(|row| rows[*row]).collect::<Vec<_>>();
            vec![ts(&rows), value(&rows, 1), condition(&rows, 0), text(model)]
        };
        check_groups(attribute_udaf(), &groups, args, &expected, read);
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

/// Numbers as text: the last digits may depend on the order of additions.
fn rounded(numbers: Vec<Option<f64>>) -> ScalarValue {
    ScalarValue::from(format!(
        "{:?}",
        numbers.iter().map(|n| n.map(|n| format!("{n:.6}"))).collect::<Vec<_>>()
    ))
}

fn number(column: &ArrayRef, row: usize) -> Option<f64> {
    let numbers = arrow::compute::cast(column, &DataType::Float64).unwrap();
    let numbers = numbers.as_primitive::<Float64Type>();
    numbers.is_valid(row).then(|| numbers.value(row))
}

fn flags(flags: impl Iterator<Item = bool>) -> ScalarValue {
    let flags = flags.map(ScalarValue::from).collect::<Vec<_>>();
    ScalarValue::List(ScalarValue::new_list(&flags, &DataType::Boolean, false))
}

fn each_group_of_all(rows: &[Row], answer: impl Fn(&[Row]) -> ScalarValue) -> Vec<ScalarValue> {
    let of_group = |group| rows.iter().filter(|row| row.group == group).copied().collect::<Vec<_>>();
    (0..N_GROUPS).map(|group| answer(&of_group(group))).collect()
}
