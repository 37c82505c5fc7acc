//! Scalar functions against their definitions, over columns of random values.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray,
    StructArray, TimestampSecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::query::{ctx, rows};

/// The answers of a query over the table `t` of these columns.
fn answers(columns: Vec<(&str, ArrayRef)>, query: &str) -> Vec<String> {
    let ctx = ctx();
    let n_rows = columns[0].1.len() as i64;
    let n: ArrayRef = Arc::new((0..n_rows).collect::<Int64Array>());
    ctx.register_batch("t", RecordBatch::try_from_iter(std::iter::once(("n", n)).chain(columns)).unwrap())
        .unwrap();
    Runtime::new().unwrap().block_on(rows(&ctx, query))
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn date(days: i32) -> NaiveDate {
    NaiveDate::from_epoch_days(days).unwrap()
}

/// Days of two centuries, more often those around the end of a February.
fn day() -> impl Strategy<Value = i32> {
    let leap = (1930..2060_i32, -3..4_i32)
        .prop_map(|(year, off)| NaiveDate::from_ymd_opt(year, 3, 1).unwrap().to_epoch_days() + off);
    prop_oneof![-20_000..40_000_i32, leap]
}

/// Seconds of the same time.
fn second() -> impl Strategy<Value = i64> {
    (day(), 0..86_400_i64).prop_map(|(day, second)| i64::from(day) * 86_400 + second)
}

/// A time, and when it is seen from.
type Instants = (Option<i64>, Option<i64>);

/// The day celebrated, the first day looked at, and how many more.
type Looked = (Option<i32>, i32, i32);

/// The day of another year; 28 February where there is no 29th.
fn in_year(day: NaiveDate, year: i32) -> NaiveDate {
    day.with_year(year).unwrap_or_else(|| NaiveDate::from_ymd_opt(year, 2, 28).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn days_since_counts_midnights(
        table in prop::collection::vec((prop::option::weighted(0.9, second()), prop::option::weighted(0.9, second())), 1..20),
        zone in prop::sample::select(vec!["+00:00", "Europe/Berlin", "America/New_York", "+05:30", "Asia/Kathmandu"]),
    ) {
        let tz: Tz = zone.parse().unwrap();
        // As the name says: how often the date changes on the way.
        let day = |second: i64| DateTime::from_timestamp(second, 0).unwrap().with_timezone(&tz).date_naive();
        let expected = table.iter().map(|(ts, as_of)| {
            let days = ts.zip(*as_of).map(|(ts, as_of)| (day(as_of) - day(ts)).num_days());
            format!("{0} | {0}", shown(days))
        });
        let times = |of: fn(&Instants) -> Option<i64>| -> ArrayRef {
            Arc::new(table.iter().map(of).collect::<TimestampSecondArray>().with_timezone(zone))
        };
        let columns = vec![("ts", times(|row| row.0)), ("as_of", times(|row| row.1))];
        let nanos = format!("Timestamp(Nanosecond, Some(\"{zone}\"))");
        let query = format!(
            "SELECT days_since(ts, as_of), days_since(arrow_cast(ts, '{nanos}'), arrow_cast(as_of, '{nanos}')) FROM t ORDER BY n"
        );
        prop_assert_eq!(answers(columns, &query), expected.collect::<Vec<_>>());
    }

    #[test]
    fn anniversary_in_looks_at_every_day(
        table in prop::collection::vec((prop::option::weighted(0.9, day()), day(), -2..800_i32), 1..20),
    ) {
        let expected = table.iter().map(|(celebrated, from, n)| {
            shown(celebrated.map(|celebrated| {
                let celebrated = date(celebrated);
                (*from..=from + n).any(|day| in_year(celebrated, date(day).year()) == date(day))
            }))
        });
        let days = |of: fn(&Looked) -> Option<i32>| -> ArrayRef {
            Arc::new(table.iter().map(of).collect::<Date32Array>())
        };
        let columns = vec![
            ("day", days(|row| row.0)),
            ("first", days(|row| Some(row.1))),
            ("last", days(|row| Some(row.1 + row.2))),
        ];
        let query = "SELECT anniversary_in(day, first, last) FROM t ORDER BY n";
        prop_assert_eq!(answers(columns, query), expected.collect::<Vec<_>>());
    }

    #[test]
    fn with_year_keeps_the_day(
        table in prop::collection::vec((prop::option::weighted(0.9, second()), prop::option::weighted(0.9, 1900..2100_i64)), 1..20),
    ) {
        let moved = |row: &(Option<i64>, Option<i64>)| {
            let (time, year) = row.0.zip(row.1)?;
            let time = DateTime::from_timestamp(time, 0).unwrap().naive_utc();
            Some(in_year(time.date(), i32::try_from(year).unwrap()).and_time(time.time()))
        };
        let expected = table.iter().map(|row| {
            let moved = moved(row);
            format!("{} | {}", shown(moved.map(|moved| moved.date())), shown(moved.map(|moved| moved.format("%FT%T"))))
        });
        let columns = vec![
            ("ts", Arc::new(table.iter().map(|row| row.0).collect::<TimestampSecondArray>()) as ArrayRef),
            ("year", Arc::new(table.iter().map(|row| row.1).collect::<Int64Array>())),
        ];
        let query = "SELECT with_year(CAST(ts AS DATE), year) AS day, with_year(ts, year) AS instant FROM t ORDER BY n";
        prop_assert_eq!(answers(columns, query), expected.collect::<Vec<_>>());
    }

    #[test]
    fn periods_hold_their_days(
        table in prop::collection::vec(prop::option::weighted(0.9, day()), 1..20),
        unit in prop::sample::select(vec!["day", "week", "month", "quarter", "year"]),
    ) {
        // What two days of one period have in common.
        let period = |day: NaiveDate| match unit {
            "day" => (day.year(), day.ordinal0()),
            "week" => (day.iso_week().year(), day.iso_week().week0()),
            "month" => (day.year(), day.month0()),
            "quarter" => (day.year(), day.month0() / 3),
            _ => (day.year(), 0),
        };
        let one = TimeDelta::days(1);
        let expected = table.iter().map(|day| {
            let Some(day) = day.map(date) else { return " | ".to_string() };
            let (mut first, mut after) = (day, day + one);
            while period(first - one) == period(day) {
                first -= one;
            }
            while period(after) == period(day) {
                after += one;
            }
            format!("{first} | {after}")
        });
        let columns = vec![("day", Arc::new(table.iter().copied().collect::<Date32Array>()) as ArrayRef)];
        let query = format!("SELECT period_start('{unit}', day), period_end('{unit}', day) FROM t ORDER BY n");
        prop_assert_eq!(answers(columns, &query), expected.collect::<Vec<_>>());
    }

    #[test]
    fn steps_in_order_is_some_cut_of_time(table in prop::collection::vec(prop::option::weighted(0.9, events()), 1..12), counts in [1..4_i64, 1..3_i64]) {
        /// Whether each step finds its number of events in a stretch of time of its own.
        fn hold(events: &[Event], counts: &[i64], step: usize, after: i64) -> bool {
            let Some(count) = counts.get(step) else { return true };
            let ends = events.iter().filter_map(|event| event.0).filter(|end| *end > after);
            ends.into_iter().any(|end| {
                let within = events.iter().filter(|event| event.0.is_some_and(|t| t > after && t <= end));
                within.filter(|event| event.1[step] == Some(true)).count() as i64 >= *count
                    && hold(events, counts, step + 1, end)
            })
        }
        let expected = table.iter().map(|events| {
            events.as_ref().is_some_and(|events| hold(events, &counts, 0, i64::MIN)).to_string()
        });
        let columns = vec![("events", event_lists(&table))];
        let query = format!("SELECT steps_in_order(events, [{}, {}]) FROM t ORDER BY n", counts[0], counts[1]);
        prop_assert_eq!(answers(columns, &query), expected.collect::<Vec<_>>());
    }

    #[test]
    fn regexp_group_is_of_the_first_match(
        table in prop::collection::vec((prop::option::weighted(0.9, "[abc]{0,8}"), prop::option::weighted(0.9, 0..3_i64)), 1..20),
    ) {
        // `(a+)(b+)?`: the first run of a, and the run of b behind it if there is one.
        let found = |row: &(Option<String>, Option<i64>)| {
            let (text, group) = (row.0.as_deref()?, row.1?);
            let text = &text[text.find('a')?..];
            let a = &text[..text.find(|c| c != 'a').unwrap_or(text.len())];
            let rest = &text[a.len()..];
            let b = &rest[..rest.find(|c| c != 'b').unwrap_or(rest.len())];
            match group {
                0 => Some(format!("{a}{b}")),
                1 => Some(a.to_string()),
                _ => Some(b.to_string()).filter(|b| !b.is_empty()),
            }
        };
        let expected = table.iter().map(|row| shown(found(row))).collect::<Vec<_>>();
        let columns = vec![
            ("s", Arc::new(table.iter().map(|row| row.0.as_deref()).collect::<StringArray>()) as ArrayRef),
            ("i", Arc::new(table.iter().map(|row| row.1).collect::<Int64Array>())),
        ];
        let query = "SELECT regexp_group(s, '(a+)(b+)?', i) FROM t ORDER BY n";
        prop_assert_eq!(answers(columns, query), expected);
    }

    #[test]
    fn map_functions_look_at_every_entry(table in prop::collection::vec((prop::option::weighted(0.9, entries()), prop::option::weighted(0.9, 0..9_i64)), 1..12)) {
        let listed = |entries: Vec<(&str, Option<i64>)>, between: &str, open: &str, close: &str| {
            let entries = entries.into_iter().map(|(k, v)| format!("{open}{k}{between}{}{close}", shown(v)));
            entries.collect::<Vec<_>>().join(", ")
        };
        let expected = table.iter().map(|(map, limit)| {
            let above = |value: Option<i64>| Some(value? > (*limit)?);
            let Some(map) = map else { return " |  | ".to_string() };
            let all = map.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>();
            let kept = all.iter().copied().filter(|(k, v)| above(*v) == Some(true) || *k == "c").collect();
            let tested = all.iter().map(|(_, v)| above(*v)).collect::<Vec<_>>();
            let some = if tested.contains(&Some(true)) { Some(true) } else { (!tested.contains(&None)).then_some(false) };
            format!(
                "{{{}}} | {} | [{}]",
                listed(kept, ": ", "", ""),
                shown(some),
                listed(all, ", value: ", "{key: ", "}")
            )
        });
        let columns = vec![
            ("m", maps(&table.iter().map(|row| row.0.clone()).collect::<Vec<_>>())),
            ("lim", Arc::new(table.iter().map(|row| row.1).collect::<Int64Array>())),
        ];
        let query = "SELECT map_filter(m, (k, v) -> v > lim OR k = 'c'), map_any_match(m, (k, v) -> v > lim), map_to_entries(m)
                     FROM t ORDER BY n";
        prop_assert_eq!(answers(columns, query), expected.collect::<Vec<_>>());
    }
}

/// Its time, and which of two steps it is.
type Event = (Option<i64>, [Option<bool>; 2]);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let step = || prop_oneof![4 => Just(Some(false)), 4 => Just(Some(true)), 1 => Just(None)];
    prop::collection::vec((prop::option::weighted(0.9, 0..8_i64), [step(), step()]), 0..7)
}

fn event_lists(table: &[Option<Vec<Event>>]) -> ArrayRef {
    // What a NULL row hides must not be seen.
    let hidden = vec![(Some(1), [Some(true); 2]), (Some(2), [Some(true); 2])];
    let lists = table.iter().map(|events| events.as_ref().unwrap_or(&hidden)).collect::<Vec<_>>();
    let events = lists.iter().flat_map(|list| list.iter());
    let step =
        |i: usize| -> ArrayRef { Arc::new(events.clone().map(|event| event.1[i]).collect::<BooleanArray>()) };
    let times: ArrayRef = Arc::new(events.clone().map(|event| event.0).collect::<TimestampSecondArray>());
    let columns = vec![times, step(0), step(1)];
    let names = ["t", "view", "buy"];
    let fields =
        names.iter().zip(&columns).map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let elements = StructArray::new(fields.collect::<Fields>(), columns, None);
    let item = Arc::new(Field::new_list_field(elements.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
    let nulls = table.iter().map(Option::is_some).collect::<NullBuffer>();
    Arc::new(ListArray::new(item, offsets, Arc::new(elements), Some(nulls)))
}

fn entries() -> impl Strategy<Value = BTreeMap<String, Option<i64>>> {
    prop::collection::btree_map("[a-d]", prop::option::weighted(0.8, 0..9_i64), 0..4)
}

/// Maps whose entries have names of their own, as files have them.
fn maps(table: &[Option<BTreeMap<String, Option<i64>>>]) -> ArrayRef {
    let hidden = BTreeMap::from([("c".to_string(), Some(100))]);
    let maps = table.iter().map(|map| map.as_ref().unwrap_or(&hidden)).collect::<Vec<_>>();
    let keys: ArrayRef = Arc::new(maps.iter().flat_map(|map| map.keys()).map(Some).collect::<StringArray>());
    let values: ArrayRef =
        Arc::new(maps.iter().flat_map(|map| map.values()).copied().collect::<Int64Array>());
    let fields = Fields::from(vec![
        Field::new("channel", DataType::Utf8, false),
        Field::new("visits", DataType::Int64, true),
    ]);
    let entries = StructArray::new(fields, vec![keys, values], None);
    let field = Arc::new(Field::new("pairs", entries.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths(maps.iter().map(|map| map.len()));
    let nulls = table.iter().map(Option::is_some).collect::<NullBuffer>();
    Arc::new(MapArray::new(field, offsets, entries, Some(nulls), false))
}
