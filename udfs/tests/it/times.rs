//! Times, sessions and values against definitions that can be read off the documentation.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::StringArray;
use coterie_udfs::aggregate::most_frequent::most_frequent_udaf;
use coterie_udfs::aggregate::nth_time::nth_time_udaf;
use coterie_udfs::aggregate::session_count::session_count_udaf;
use coterie_udfs::testing::Arg;
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use crate::roads::{N_GROUPS, Row, check, check_sliding, each_group, rows, seconds, ts};

proptest! {
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
        check_sliding(nth_time_udaf(), &rows, args);
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
        check_sliding(session_count_udaf(), &rows, args);
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
        check_sliding(most_frequent_udaf(), &rows, args);
    }
}
