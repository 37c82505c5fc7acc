//! Sequences against definitions that can be read off the documentation.

use coterie_udfs::aggregate::did_then::did_then_udaf;
use coterie_udfs::aggregate::did_without::did_without_udaf;
use coterie_udfs::aggregate::window_funnel::window_funnel_udaf;
use coterie_udfs::testing::{AggregateTester, Arg};
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use crate::roads::{N_GROUPS, Row, check, check_sliding, condition, each_group, rows, seconds, ts};

proptest! {
    #[test]
    fn did_then_is_some_pair(rows in rows(2), within in prop::option::of(0_i64..20)) {
        let expected = each_group(&rows, |events| {
            let pair = |a: &(i64, u32), b: &(i64, u32)| {
                a.1 & 1 != 0 && b.1 & 2 != 0 && b.0 > a.0 && within.is_none_or(|within| b.0 - a.0 <= within)
            };
            ScalarValue::from(events.iter().any(|a| events.iter().any(|b| pair(a, b))))
        });
        let args = |rows: &[Row]| {
            let mut args = vec![ts(rows), condition(rows, 0), condition(rows, 1)];
            args.extend(within.map(seconds));
            args
        };
        check(did_then_udaf(), &rows, args, &expected);
        check_sliding(did_then_udaf(), &rows, args);
    }

    #[test]
    fn did_without_is_some_a_alone(rows in rows(2), within in 0_i64..20, as_of in 0_i64..60) {
        let expected = each_group(&rows, |events| {
            let alone = |a: &(i64, u32)| {
                a.1 & 1 != 0
                    && a.0 + within <= as_of
                    && !events.iter().any(|b| b.1 & 2 != 0 && b.0 > a.0 && b.0 - a.0 <= within)
            };
            ScalarValue::from(events.iter().any(alone))
        });
        let args = |rows: &[Row]| {
            let as_of = Arg::Literal(ScalarValue::TimestampSecond(Some(as_of), None));
            vec![ts(rows), condition(rows, 0), condition(rows, 1), seconds(within), as_of]
        };
        check(did_without_udaf(), &rows, args, &expected);
        check_sliding(did_without_udaf(), &rows, args);
    }

    #[test]
    fn window_funnel_is_the_longest_chain(rows in rows(3), window in 0_i64..20, limit in prop::option::of(0_i64..9)) {
        // A chain is a way through the events, in the order of time and condition.
        fn longest(events: &[(i64, u32)], step: u32, from: (i64, u32), start: i64, window: i64, limit: i64) -> i64 {
            let best = events.iter().filter_map(|(tick, event)| {
                let next = *event == step && (*tick, *event) > from;
                (next && tick - start <= window && tick - from.0 <= limit)
                    .then(|| 1 + longest(events, step + 1, (*tick, *event), start, window, limit))
            });
            best.max().unwrap_or(0)
        }
        let expected = each_group(&rows, |rows| {
            let mut events = rows
                .iter()
                .flat_map(|(tick, mask)| (0..3).filter(move |c| mask >> c & 1 == 1).map(move |c| (*tick, c)))
                .collect::<Vec<_>>();
            events.sort_unstable();
            events.dedup();
            let firsts = events.iter().filter(|event| event.1 == 0);
            let limit = limit.unwrap_or(i64::MAX);
            let levels = firsts.map(|first| 1 + longest(&events, 1, *first, first.0, window, limit));
            ScalarValue::from(levels.max().unwrap_or(0))
        });
        let args = |rows: &[Row]| {
            let mut args = vec![seconds(window), ts(rows)];
            args.extend((0..3).map(|bit| condition(rows, bit)));
            args.extend(limit.map(|limit| Arg::Literal(ScalarValue::from(format!("step <= {limit} seconds")))));
            args
        };
        check(window_funnel_udaf(), &rows, args, &expected);
        check_sliding(window_funnel_udaf(), &rows, args);
    }

    #[test]
    fn window_funnel_modes_do_not_depend_on_order(rows in rows(3), window in 0_i64..20, modes in 0..32_u32) {
        let args = |rows: &[Row]| {
            let mut args = vec![seconds(window), ts(rows)];
            args.extend((0..3).map(|bit| condition(rows, bit)));
            let names = ["strict_order", "strict_deduplication", "strict_increase", "strict_once", "allow_reentry"];
            let chosen = names.iter().enumerate().filter(|(i, name)| {
                modes >> i & 1 == 1 && (**name != "allow_reentry" || modes & 1 == 1)
            });
            args.extend(chosen.map(|(_, name)| Arg::Literal(ScalarValue::from(*name))));
            args
        };
        let mut sorted = rows.clone();
        sorted.sort_unstable_by_key(|row| (row.group, row.ts, row.mask));
        let expected = (0..N_GROUPS)
            .map(|group| {
                let of_group = sorted.iter().filter(|row| row.group == group).copied().collect::<Vec<_>>();
                AggregateTester::new(window_funnel_udaf(), &args(&of_group)).unwrap().evaluate().unwrap()
            })
            .collect::<Vec<_>>();
        check(window_funnel_udaf(), &rows, args, &expected);
    }
}
