//! Sequences against definitions that can be read off the documentation.

use arrow::datatypes::{DataType, TimeUnit};
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

use crate::roads::{N_GROUPS, Row, check, condition, each_group, rows, seconds, text, ts, value};

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
    }

    #[test]
    fn window_funnel_in_modes_follows_every_chain(
        rows in rows(3),
        window in 0_i64..20,
        modes in 0..32_u32,
        every in prop::option::of(0_i64..9),
        third in prop::option::of(0_i64..9),
    ) {
        let names = ["strict_order", "strict_deduplication", "strict_increase", "strict_once", "allow_reentry"];
        // `allow_reentry` by itself is refused.
        let modes = if modes & 1 == 1 { modes } else { modes & 15 };
        let limits = [None, every, third.or(every)];
        let funnel = Chains {
            window,
            limits,
            order: modes & 1 != 0,
            deduplication: modes & 2 != 0,
            increase: modes & 4 != 0,
            once: modes & 8 != 0,
            reentry: modes & 16 != 0,
        };
        let expected = each_group(&rows, |rows| ScalarValue::from(funnel.level(rows)));
        let args = |rows: &[Row]| {
            let mut args = vec![seconds(window), ts(rows)];
            args.extend((0..3).map(|bit| condition(rows, bit)));
            args.extend(names.iter().enumerate().filter(|(i, _)| modes >> i & 1 == 1).map(|(_, name)| text(name)));
            args.extend(every.map(|limit| text(&format!("step <= {limit} seconds"))));
            args.extend(third.map(|limit| text(&format!("step 3 <= {limit} seconds"))));
            args
        };
        check(window_funnel_udaf(), &rows, args, &expected);
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
    }

    #[test]
    fn patterns_with_times_are_walked(rows in rows(3), pattern in pattern(true)) {
        let parts = pattern.iter().map(String::as_str).collect::<Vec<_>>();
        let args = |rows: &[Row]| {
            let mut args = vec![text(&pattern.concat()), ts(rows)];
            args.extend((0..3).map(|bit| condition(rows, bit)));
            args
        };
        let of_group = |events: &[(i64, u32)]| {
            let events = events.iter().copied().filter(|event| event.1 != 0).collect::<Vec<_>>();
            walks(&parts, &events)
        };
        let occurs = each_group(&rows, |events| ScalarValue::from(of_group(events).0 > 0 || may_be_empty(&parts)));
        check(sequence_match_udaf(), &rows, args, &occurs);
        let counts = each_group(&rows, |events| ScalarValue::from(of_group(events).0));
        check(sequence_count_udaf(), &rows, args, &counts);
        let times = each_group(&rows, |events| {
            let times = of_group(events).1.into_iter().map(|tick| ScalarValue::TimestampSecond(Some(tick), None));
            let second = DataType::Timestamp(TimeUnit::Second, None);
            ScalarValue::List(ScalarValue::new_list(&times.collect::<Vec<_>>(), &second, false))
        });
        check(sequence_match_events_udaf(), &rows, args, &times);
    }

    #[test]
    fn sequence_next_node_is_after_the_run(rows in rows(5), forward: bool, base in 0..3_usize) {
        let base = [if forward { "head" } else { "tail" }, "first_match", "last_match"][base];
        let expected = (0..N_GROUPS).map(|group| {
            let node = |row: &Row| [Some("b"), Some("a"), None, Some("")][(row.mask >> 3) as usize];
            let of_group = rows.iter().filter(|row| row.group == group);
            let mut nodes = of_group.filter_map(|row| Some((row.ts?, node(row)?, row.mask & 7))).collect::<Vec<_>>();
            nodes.sort_unstable();
            // The base must meet its own condition and the first of the run.
            let meets = |i: &usize| nodes[*i].2 & 3 == 3;
            let start = match base {
                "head" => Some(0).filter(|_| !nodes.is_empty()).filter(meets),
                "tail" => nodes.len().checked_sub(1).filter(meets),
                "first_match" => (0..nodes.len()).find(meets),
                _ => (0..nodes.len()).rfind(meets),
            };
            let next = start.and_then(|start| {
                let at = |n: usize| if forward { start.checked_add(n) } else { start.checked_sub(n) };
                let second = nodes.get(at(1)?)?;
                (second.2 & 4 == 4).then(|| nodes.get(at(2)?))?
            });
            ScalarValue::Utf8(next.map(|(_, node, _)| node.to_string()))
        });
        let expected = expected.collect::<Vec<_>>();
        let args = |rows: &[Row]| {
            let direction = text(if forward { "forward" } else { "backward" });
            let mut args = vec![direction, text(base), ts(rows), value(rows, 3)];
            args.extend((0..3).map(|bit| condition(rows, bit)));
            args
        };
        check(sequence_next_node_udaf(), &rows, args, &expected);
    }
}

/// A funnel of three steps as its documentation tells it, one event after the other.
struct Chains {
    window: i64,
    limits: [Option<i64>; 3],
    order: bool,
    deduplication: bool,
    increase: bool,
    once: bool,
    reentry: bool,
}

/// When a chain began, when it was last continued, and by which rows.
type Chain = (i64, i64, Vec<usize>);

impl Chains {
    /// The number of steps of the longest chain when the rows, or the sequence, end.
    fn level(&self, rows: &[(i64, u32)]) -> i64 {
        let mut events = vec![];
        for (row, (tick, mask)) in rows.iter().enumerate() {
            if *mask == 0 {
                events.push((*tick, None, row));
            }
            events.extend((0..3).filter(|step| mask >> step & 1 == 1).map(|step| (*tick, Some(step), row)));
        }
        events.sort_unstable();
        // By the step they have reached. Only where a row may not be used twice does it matter which
        // chain it is: otherwise the one that began last can do what any other can.
        let mut chains: [Vec<Chain>; 3] = Default::default();
        for (tick, step, row) in events {
            let begun = !chains[0].is_empty();
            let Some(step) = step else {
                if self.order && begun {
                    break;
                }
                continue;
            };
            let longer = if step == 0 {
                vec![(tick, tick, vec![row])]
            } else {
                if self.deduplication && !chains[step].is_empty() {
                    break;
                }
                if self.order && begun && chains[step - 1].is_empty() {
                    if self.reentry {
                        continue;
                    }
                    break;
                }
                self.continued(&chains[step - 1], tick, step, row)
            };
            if !self.once && !longer.is_empty() {
                chains[step].clear();
            }
            chains[step].extend(longer);
        }
        chains.iter().take_while(|of_step| !of_step.is_empty()).map(|_| 1).sum()
    }

    fn continued(&self, chains: &[Chain], tick: i64, step: usize, row: usize) -> Vec<Chain> {
        let may = |(start, last, rows): &&Chain| {
            tick - start <= self.window
                && (!self.increase || *last < tick)
                && self.limits[step].is_none_or(|limit| tick - last <= limit)
                && !(self.once && rows.contains(&row))
        };
        let with = |rows: &[usize]| rows.iter().copied().chain([row]).collect();
        chains.iter().filter(may).map(|(start, _, rows)| (*start, tick, with(rows))).collect()
    }
}

/// How often the parts match one after the other, and the times of the events that met the
/// conditions of the first way through, or of the one that met most. Ways are tried in the order
/// of ClickHouse, one row and one part at a time: the shortest first, the last choice taken back first.
fn walks(parts: &[&str], events: &[(i64, u32)]) -> (i64, Vec<i64>) {
    let (mut count, mut at, mut longest) = (0, 0, vec![]);
    loop {
        let mut met = vec![];
        let (found, end) = walk(parts, events, at, &mut met);
        if at == 0 {
            longest = met;
        }
        if !found || at >= events.len() {
            return (count, longest);
        }
        count += 1;
        at = end.max(at + 1);
    }
}

fn may_be_empty(parts: &[&str]) -> bool {
    parts.iter().all(|part| *part == ".*" || part.starts_with("(?t<") || *part == "(?t>=0)")
}

/// Whether the parts match from the event `at` on, and the event after.
fn walk(parts: &[&str], events: &[(i64, u32)], at: usize, longest: &mut Vec<i64>) -> (bool, usize) {
    // A pattern may begin anywhere.
    let parts = [&[".*"], parts].concat();
    let mut choices: Vec<(usize, usize, usize, Vec<i64>)> = vec![];
    let (mut part, mut row, mut base, mut met) = (0, at, at, vec![]);
    while part < parts.len() && row < events.len() {
        let (tick, mask) = events[row];
        let lets_pass = |holds: bool| if holds { Some(true) } else { None };
        // Whether the part holds, and then whether rows may pass before the next part.
        let held = match parts[part] {
            ".*" => lets_pass(true),
            "." => Some(false),
            time if time.starts_with("(?t") => {
                let digits = time.find(|c: char| c.is_ascii_digit()).unwrap();
                let limit = events[base].0 + time[digits..time.len() - 1].parse::<i64>().unwrap();
                let (holds, later) = match &time[3..digits] {
                    "<=" => (tick <= limit, false),
                    "<" => (tick < limit, false),
                    ">=" => (tick >= limit, true),
                    ">" => (tick > limit, true),
                    _ => (tick == limit, true),
                };
                if !holds && later && row + 1 < events.len() {
                    row += 1;
                    continue;
                }
                lets_pass(holds)
            }
            condition => {
                let holds = mask >> (condition[2..3].parse::<u32>().unwrap() - 1) & 1 == 1;
                if holds {
                    met.push(tick);
                    if met.len() > longest.len() {
                        longest.clone_from(&met);
                    }
                }
                holds.then_some(false)
            }
        };
        match held {
            Some(true) => {
                choices.push((part, row, base, met.clone()));
                base = row;
                part += 1;
            }
            Some(false) => {
                base = row;
                row += 1;
                part += 1;
            }
            None => loop {
                let Some(choice) = choices.pop() else { return (may_be_empty(&parts[part..]), row) };
                (part, row, base, met) = (choice.0, choice.1 + 1, choice.2, choice.3);
                if row < events.len() {
                    break;
                }
            },
        }
    }
    (may_be_empty(&parts[part..]), row)
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
