//! Sequences against definitions that can be read off the documentation.

use coterie_udfs::aggregate::did_then::did_then_udaf;
use coterie_udfs::aggregate::did_without::did_without_udaf;
use coterie_udfs::aggregate::sequence_count::sequence_count_udaf;
use coterie_udfs::aggregate::sequence_match::sequence_match_udaf;
use coterie_udfs::aggregate::sequence_match_events::sequence_match_events_udaf;
use coterie_udfs::aggregate::sequence_next_node::sequence_next_node_udaf;
use coterie_udfs::aggregate::window_funnel::window_funnel_udaf;
use coterie_udfs::testing::Arg;
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use crate::roads::{
    Row, check, check_self, check_sliding, condition, each_group, rows, seconds, text, ts, value,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

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
        check_self(window_funnel_udaf(), &rows, args);
    }

    #[test]
    fn sequence_match_is_some_way_through(rows in rows(3), pattern in pattern(false)) {
        /// Whether the parts match the first of the events and on.
        fn matches(parts: &[&str], events: &[u32]) -> bool {
            match (parts, events) {
                ([], _) => true,
                ([".*", rest @ ..], _) => (0..=events.len()).any(|skipped| matches(rest, &events[skipped..])),
                ([_, ..], []) => false,
                ([".", rest @ ..], [_, events @ ..]) => matches(rest, events),
                ([part, rest @ ..], [event, events @ ..]) => {
                    let condition = part[2..3].parse::<u32>().unwrap() - 1;
                    event >> condition & 1 == 1 && matches(rest, events)
                }
            }
        }
        let parts = pattern.iter().map(String::as_str).collect::<Vec<_>>();
        let expected = each_group(&rows, |events| {
            let events = events.iter().map(|event| event.1).filter(|mask| *mask != 0).collect::<Vec<_>>();
            ScalarValue::from((0..=events.len()).any(|start| matches(&parts, &events[start..])))
        });
        let args = |rows: &[Row]| {
            let mut args = vec![text(&pattern.concat()), ts(rows)];
            args.extend((0..3).map(|bit| condition(rows, bit)));
            args
        };
        check(sequence_match_udaf(), &rows, args, &expected);
        check_sliding(sequence_match_udaf(), &rows, args);
    }

    #[test]
    fn patterns_with_times_do_not_depend_on_order(rows in rows(3), pattern in pattern(true)) {
        let args = |rows: &[Row]| {
            let mut args = vec![text(&pattern.concat()), ts(rows)];
            args.extend((0..3).map(|bit| condition(rows, bit)));
            args
        };
        check_self(sequence_match_udaf(), &rows, args);
        check_self(sequence_count_udaf(), &rows, args);
        check_self(sequence_match_events_udaf(), &rows, args);
    }

    #[test]
    fn sequence_next_node_does_not_depend_on_order(rows in rows(5), forward: bool, last: bool) {
        let args = |rows: &[Row]| {
            let mut args = vec![
                text(if forward { "forward" } else { "backward" }),
                text(if last { "last_match" } else { "first_match" }),
                ts(rows),
                value(rows, 3),
            ];
            args.extend((0..3).map(|bit| condition(rows, bit)));
            args
        };
        check_self(sequence_next_node_udaf(), &rows, args);
    }
}

/// The parts of a pattern over three conditions.
fn pattern(timed: bool) -> impl Strategy<Value = Vec<String>> {
    let event = prop_oneof![
        (1..4).prop_map(|condition| format!("(?{condition})")),
        Just(".".to_string()),
        Just(".*".to_string())
    ];
    let time = (prop::sample::select(vec!["<=", "<", ">=", ">", "=="]), 0..12_i64)
        .prop_map(|(sign, seconds)| format!("(?t{sign}{seconds})"));
    let time = prop::option::of(time).prop_map(move |time| time.filter(|_| timed));
    let part = (event, time);
    prop::collection::vec(part, 1..5)
        .prop_map(|parts| parts.into_iter().flat_map(|(event, time)| [Some(event), time]).flatten().collect())
}
