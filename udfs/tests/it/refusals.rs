//! What every function says about a call it cannot take: an error of planning that names the function, the argument
//! and what would do. Bytes that are no bitmap or sketch are found when they are read.

use coterie_udfs::registry;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Documentation;

use crate::query::{ctx, run, run_error};

/// A function, the arguments of calls that cannot be planned, and what is said of each.
type Refused = (&'static str, &'static [(&'static str, &'static str)]);

/// Over a table `t` of one row: `ts` a timestamp, `n` an integer, `x` a double, `s` a text, `c` a condition, `l` a list,
/// `m` a map, `e` an array of events, `b` bytes.
const REFUSED: &[Refused] = &[
    (
        "did_then",
        &[
            ("ts, c", "takes (ts, a, b [, within]), found 2 arguments"),
            ("ts, c, c, 1, 1", "found 5 arguments"),
            ("s, c, c", "`ts` must be a timestamp, a date or seconds as an integer, found Utf8"),
            ("ts, n, c", "`a` must be a condition, found Int64; compare it with something"),
            ("ts, c, s", "`b` must be a condition, found Utf8"),
            ("ts, c, c, 's'", "`within` must be an INTERVAL or a whole number of seconds, found Utf8"),
            ("ts, c, c, n", "`within` must be a constant, found an expression over columns"),
            ("ts, c, c, NULL", "`within` must not be NULL"),
            ("ts, c, c, -1", "`within` must not be negative, found -1"),
            ("ts, c, c, INTERVAL '-1 day'", "`within` must not be negative, found -1 days"),
        ],
    ),
    (
        "did_without",
        &[
            ("ts, c, c, 1", "takes (ts, a, b, within, as_of), found 4 arguments"),
            ("x, c, c, 1, now()", "`ts` must be a timestamp"),
            ("ts, 1, c, 1, now()", "`a` must be a condition"),
            ("ts, c, 1, 1, now()", "`b` must be a condition"),
            (
                "ts, c, c, 1.5, now()",
                "`within` must be an INTERVAL or a whole number of seconds, found Float64",
            ),
            ("ts, c, c, -1, now()", "`within` must not be negative"),
            ("ts, c, c, 1, 'now'", "`as_of` must be a timestamp"),
            ("ts, c, c, 1, ts", "`as_of` must be a constant"),
            ("ts, c, c, 1, NULL", "`as_of` must not be NULL"),
        ],
    ),
    (
        "window_funnel",
        &[
            ("1", "takes (window, ts, c1, … cn [, mode…]), found 1 argument"),
            ("1, ts", "found no condition"),
            ("s, ts, c", "`window` must be an INTERVAL or a whole number of seconds, found Utf8"),
            ("n, ts, c", "`window` must be a constant"),
            ("-1, ts, c", "`window` must not be negative, found -1"),
            ("NULL, ts, c", "`window` must not be NULL"),
            ("1, x, c", "`ts` must be a timestamp"),
            ("1, ts, c, n", "`c2` must be a condition, found Int64"),
            ("1, ts, c, s", "`mode` must be a constant"),
            ("1, ts, c, 'fast'", "unknown mode `fast`; there are strict_order, strict_deduplication"),
            ("1, ts, c, 'allow_reentry'", "mode `allow_reentry` needs mode `strict_order`"),
            (
                "1, ts, c, c, 'step 3 <= 1 day'",
                "`3` is not a step between 2 and 2; write `step <= 30 minutes`",
            ),
            ("1, ts, c, c, 'step <= -1 day'", "`mode` must not be negative, found -1 days"),
            ("1, ts, c, 'strict_once', c", "modes come after all conditions"),
        ],
    ),
    (
        "sequence_match",
        &[
            ("'(?1)'", "takes (pattern, ts, c1, … cn), found 1 argument"),
            ("'(?1)', ts", "found no condition"),
            ("1, ts, c", "`pattern` must be a text like `(?1).*(?2)`, found Int64"),
            ("s, ts, c", "`pattern` must be a constant"),
            ("'(?1).*(?2)', ts, c", "`pattern` '(?1).*(?2)' at character 9: no condition 2"),
            ("'(?1)(?t<1', ts, c", "`pattern` '(?1)(?t<1' at character "),
            ("'(?0)', ts, c", "`pattern` '(?0)' at character 3"),
            ("'(?1)', s, c", "`ts` must be a timestamp"),
            ("'(?1)', ts, c, x", "`c2` must be a condition, found Float64"),
        ],
    ),
    (
        "sequence_count",
        &[
            ("'(?1)'", "takes (pattern, ts, c1, … cn), found 1 argument"),
            ("c, ts, c", "`pattern` must be a text"),
            ("'(?1)x', ts, c", "`pattern` '(?1)x' at character 5: expected `(?N)`"),
            ("'(?1)', c, c", "`ts` must be a timestamp"),
            ("'(?1)', ts, 1", "`c1` must be a condition"),
        ],
    ),
    (
        "sequence_match_events",
        &[
            ("'(?1)'", "takes (pattern, ts, c1, … cn), found 1 argument"),
            ("c, ts, c", "`pattern` must be a text"),
            ("'é(?1)', ts, c", "`pattern` 'é(?1)' at character 1: expected `(?N)`"),
            ("'(?1)', c, c", "`ts` must be a timestamp"),
            ("'(?1)', ts, 1", "`c1` must be a condition"),
        ],
    ),
    (
        "sequence_next_node",
        &[
            (
                "'forward', 'head', ts, s",
                "takes (direction, base, ts, value, base_condition, e1, … en), found 4 arguments",
            ),
            ("1, 'head', ts, s, c", "`direction` must be a text, found Int64"),
            ("'back', 'head', ts, s, c", "`direction` must be 'forward' or 'backward', found 'back'"),
            ("'forward', 1, ts, s, c", "`base` must be a text, found Int64"),
            (
                "'forward', 'first', ts, s, c",
                "`base` must be 'head', 'tail', 'first_match' or 'last_match', found 'first'",
            ),
            ("'backward', 'head', ts, s, c", "nothing comes before 'head'; use 'forward'"),
            ("'forward', 'first_match', ts, s, c", "found no event for the base to match"),
            ("'forward', 'head', s, s, c", "`ts` must be a timestamp"),
            ("'forward', 'head', ts, s, n", "`base_condition` must be a condition"),
            ("'forward', 'head', ts, s, c, n", "`e1` must be a condition"),
        ],
    ),
    (
        "sequence_steps",
        &[
            ("[1]", "takes (counts, ts, e1, … en), found 1 argument"),
            ("[1], ts", "found no step"),
            ("1, ts, c", "`counts` must be an array of whole numbers, found Int64"),
            ("l, ts, c", "`counts` must be a constant"),
            ("[1, 1], ts, c", "`counts` must be 1 number above 0, one for each step"),
            ("[0], ts, c", "`counts` must be 1 number above 0, one for each step"),
            ("[1, NULL], ts, c", "`counts` must be 1 number above 0, one for each step"),
            ("[1, -1], ts, c, c", "`counts` must be 2 numbers above 0, one for each step"),
            ("NULL, ts, c", "`counts` must not be NULL"),
            ("[1], s, c", "`ts` must be a timestamp"),
            ("[1], ts, n", "`e1` must be a condition, found Int64"),
        ],
    ),
    (
        "sequence_linked",
        &[
            ("[1]", "takes (counts, links, ts, fields, e1, … en), found 1 argument"),
            ("[1], '', ts, {n: n}", "found no step"),
            ("n, '', ts, {n: n}, c", "`counts` must be an array of whole numbers, found Int64"),
            ("[1], n, ts, {n: n}, c", "`links` must be a text like `2.sku = 1.sku`, found Int64"),
            ("[1], s, ts, {n: n}, c", "`links` must be a constant"),
            ("[1], '2.n = 1.n', ts, {n: n}, c", "`links` '2.n = 1.n' at character 1: no step 2, there are 1"),
            ("[1, 1], '2.m = 1.n', ts, {n: n}, c, c", "at character 3: no field `m`, there are `n`"),
            (
                "[1, 1], '2.n = 1.l', ts, {n: n, l: l}, c, c",
                "`2.n` and `1.l` cannot be compared, they are Int64 and List",
            ),
            ("[1, 1], '2.n', ts, {n: n}, c, c", "`2.n` must be a condition, found Int64"),
            ("[2, 1], '2.n = 1.n', ts, {n: n}, c, c", "step 1 needs several rows"),
            ("[1], '', s, {n: n}, c", "`ts` must be a timestamp"),
            ("[1], '', ts, n, c", "`fields` must be a struct like {sku: sku}, found Int64"),
            ("[1], '', ts, {n: n}, n", "`e1` must be a condition, found Int64"),
        ],
    ),
    (
        "retention",
        &[("", "takes 1 to 32 conditions, found 0"), ("c, n", "`c2` must be a condition, found Int64")],
    ),
    (
        "cohort_retention",
        &[
            ("ts, ts, 'day'", "takes (ts, cohort_ts, unit, n), found 3 arguments"),
            ("s, ts, 'day', 2", "`ts` must be a timestamp"),
            ("ts, s, 'day', 2", "`cohort_ts` must be a timestamp"),
            ("ts, ts, 1, 2", "`unit` must be 'hour', 'day'"),
            ("ts, ts, 'moon', 2", "`unit` must be 'hour', 'day'"),
            ("ts, ts, s, 2", "`unit` must be a constant"),
            ("ts, ts, 'day', 'a'", "`n` must be a whole number, found Utf8"),
            ("ts, ts, 'day', 0", "`n` must be 1 to 64, found 0"),
            ("ts, ts, 'day', n", "`n` must be a constant"),
        ],
    ),
    (
        "session_count",
        &[
            ("ts", "takes (ts, gap), found 1 argument"),
            ("s, 1", "`ts` must be a timestamp"),
            ("ts, s", "`gap` must be an INTERVAL"),
            ("ts, n", "`gap` must be a constant"),
            ("ts, -1", "`gap` must not be negative, found -1"),
        ],
    ),
    (
        "session_durations",
        &[
            ("ts, 1, 1", "takes (ts, gap), found 3 arguments"),
            ("x, 1", "`ts` must be a timestamp"),
            ("ts, c", "`gap` must be an INTERVAL"),
            ("ts, INTERVAL '-1 month'", "`gap` must not be negative, found -1 mons"),
        ],
    ),
    (
        "nth_time",
        &[
            ("ts", "takes (ts, n), found 1 argument"),
            ("s, 1", "`ts` must be a timestamp"),
            ("ts, x", "`n` must be a whole number, found Float64"),
            ("ts, 0", "`n` must not be 0"),
            ("ts, n", "`n` must be a constant"),
        ],
    ),
    (
        "top_k_latest",
        &[
            ("ts", "takes (ts, k), found 1 argument"),
            ("s, 1", "`ts` must be a timestamp"),
            ("ts, 'a'", "`k` must be a whole number, found Utf8"),
            ("ts, 0", "`k` must be above 0, found 0"),
        ],
    ),
    ("inter_event_time", &[("ts, 1", "takes (ts), found 2 arguments"), ("s", "`ts` must be a timestamp")]),
    (
        "trend",
        &[
            ("ts", "takes (ts, value), found 1 argument"),
            ("s, 1", "`ts` must be a timestamp"),
            ("ts, s", "`value` must be a number, found Utf8"),
        ],
    ),
    ("first_touch", &[("s", "takes (value, ts), found 1 argument"), ("s, s", "`ts` must be a timestamp")]),
    ("last_touch", &[("s", "takes (value, ts), found 1 argument"), ("s, s", "`ts` must be a timestamp")]),
    ("most_frequent", &[("s, s", "takes (value), found 2 arguments")]),
    (
        "attribute",
        &[
            ("ts, s, c", "takes (ts, channel, converted, model), found 3 arguments"),
            ("s, s, c, 'first'", "`ts` must be a timestamp"),
            ("ts, s, n, 'first'", "`converted` must be a condition"),
            ("ts, s, c, 1", "`model` must be 'first', 'last', 'linear', 'position', 'time_decay'"),
            ("ts, s, c, 'best'", "`model` must be 'first', 'last', 'linear', 'position', 'time_decay'"),
            ("ts, s, c, s", "`model` must be a constant"),
            ("ts, s, c, 'time_decay 0 days'", "the half-life of 'time_decay 0 days' must be above 0"),
            ("ts, s, c, 'time_decay -1 days'", "`model` must not be negative"),
            ("ts, s, c, 'time_decay 1 month'", "must be in days or less, not months"),
        ],
    ),
    (
        "bitmap_build",
        &[
            ("n, n", "takes (id), found 2 arguments"),
            ("s", "`id` must be an integer of 0 or more, found Utf8"),
        ],
    ),
    (
        "bitmap_union_agg",
        &[("b, b", "takes (bitmap), found 2 arguments"), ("n", "`bitmap` must be a bitmap (binary")],
    ),
    (
        "bitmap_intersect_agg",
        &[("b, b", "takes (bitmap), found 2 arguments"), ("n", "`bitmap` must be a bitmap (binary")],
    ),
    (
        "theta_sketch",
        &[
            ("n, 9, 9", "takes (value [, lg_k]), found 3 arguments"),
            ("l", "`value` must be a string, number, boolean, date, timestamp or binary"),
            ("n, 's'", "`lg_k` must be a whole number, found Utf8"),
            ("n, n", "`lg_k` must be a constant"),
            ("n, 27", "`lg_k` must be from 5 to 26, found 27"),
        ],
    ),
    (
        "theta_union_agg",
        &[
            ("b, 9, 9", "takes (sketch [, lg_k]), found 3 arguments"),
            ("n", "`sketch` must be a theta sketch (binary, as theta_sketch makes it), found Int64"),
            ("b, 4", "`lg_k` must be from 5 to 26, found 4"),
        ],
    ),
    (
        "theta_intersect_agg",
        &[("b, 9", "takes (sketch), found 2 arguments"), ("n", "`sketch` must be a theta sketch")],
    ),
    (
        "hll_sketch",
        &[
            ("n, 9, 9", "takes (value [, lg_k]), found 3 arguments"),
            ("m", "`value` must be a string, number"),
            ("n, 3", "`lg_k` must be from 4 to 21, found 3"),
        ],
    ),
    (
        "hll_union_agg",
        &[
            ("b, 9, 9", "takes (sketch [, lg_k]), found 3 arguments"),
            ("s", "`sketch` must be an HLL sketch (binary"),
            ("b, 22", "`lg_k` must be from 4 to 21, found 22"),
        ],
    ),
    (
        "kll_sketch",
        &[
            ("n, 9, 9", "takes (value [, k]), found 3 arguments"),
            ("s", "`value` must be a number, found Utf8"),
            ("n, 's'", "`k` must be a whole number, found Utf8"),
            ("n, 7", "`k` must be from 8 to 65535, found 7"),
        ],
    ),
    (
        "kll_union_agg",
        &[
            ("b, 9, 9", "takes (sketch [, k]), found 3 arguments"),
            ("s", "`sketch` must be a KLL sketch (binary"),
            ("b, 65536", "`k` must be from 8 to 65535, found 65536"),
        ],
    ),
    (
        "sessionize",
        &[
            ("ts", "takes (ts, gap), found 1 argument"),
            ("s, 1", "`ts` must be a timestamp"),
            ("ts, s", "`gap` must be an INTERVAL"),
            ("ts, n", "`gap` must be a constant"),
            ("ts, -1", "`gap` must not be negative"),
        ],
    ),
    (
        "rfm_score",
        &[
            (
                "n, n",
                "takes (recency, frequency, monetary [, classes]) or three lists of cuts instead of `classes`, found 2 arguments",
            ),
            ("s, n, n", "`recency` must be a number, found Utf8"),
            ("n, s, n", "`frequency` must be a number"),
            ("n, n, s", "`monetary` must be a number"),
            ("n, n, n, 's'", "`classes` must be a whole number, found Utf8"),
            ("n, n, n, 10", "`classes` must be 2 to 9, found 10"),
            ("n, n, n, 1, [1], [1]", "`recency_cuts` must be a list of numbers, found Int64"),
            (
                "n, n, n, [1], [2, 1], [1]",
                "`frequency_cuts` must be up to 8 numbers from low to high, without NULL",
            ),
            ("n, n, n, [1], [1], ['a']", "`monetary_cuts` must be a list of numbers"),
        ],
    ),
    (
        "days_since",
        &[
            ("", "takes (ts [, as_of]), found 0 arguments"),
            ("s", "`ts` must be a timestamp"),
            ("ts, s", "`as_of` must be a timestamp"),
        ],
    ),
    (
        "bitmap_and",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("n, b", "`a` must be a bitmap"),
            ("b, n", "`b` must be a bitmap"),
        ],
    ),
    (
        "bitmap_or",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("n, b", "`a` must be a bitmap"),
            ("b, n", "`b` must be a bitmap"),
        ],
    ),
    (
        "bitmap_xor",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("n, b", "`a` must be a bitmap"),
            ("b, n", "`b` must be a bitmap"),
        ],
    ),
    (
        "bitmap_and_not",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("n, b", "`a` must be a bitmap"),
            ("b, n", "`b` must be a bitmap"),
        ],
    ),
    (
        "bitmap_contains",
        &[
            ("b", "takes (bitmap, id), found 1 argument"),
            ("n, 1", "`bitmap` must be a bitmap"),
            ("b, x", "`id` must be an integer, found Float64"),
        ],
    ),
    ("bitmap_count", &[("b, b", "takes (bitmap), found 2 arguments"), ("s", "`bitmap` must be a bitmap")]),
    ("bitmap_to_array", &[("b, b", "takes (bitmap), found 2 arguments"), ("s", "`bitmap` must be a bitmap")]),
    (
        "bitmap_from_array",
        &[
            ("l, l", "takes (array), found 2 arguments"),
            ("n", "`array` must be an array of integers, found Int64"),
            ("['a']", "`array` must be an array of integers, found List(Utf8)"),
        ],
    ),
    (
        "theta_union",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("s, b", "`a` must be a theta sketch"),
            ("b, s", "`b` must be a theta sketch"),
        ],
    ),
    (
        "theta_intersect",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("s, b", "`a` must be a theta sketch"),
            ("b, s", "`b` must be a theta sketch"),
        ],
    ),
    (
        "theta_a_not_b",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("s, b", "`a` must be a theta sketch"),
            ("b, s", "`b` must be a theta sketch"),
        ],
    ),
    (
        "theta_estimate",
        &[("b, b", "takes (sketch), found 2 arguments"), ("s", "`sketch` must be a theta sketch")],
    ),
    (
        "theta_lower_bound",
        &[
            ("b, 1, 1", "takes (sketch [, deviations]), found 3 arguments"),
            ("s", "`sketch` must be a theta sketch"),
            ("b, x", "`deviations` must be 1, 2 or 3, found Float64"),
            ("b, 0", "`deviations` must be 1, 2 or 3, found 0"),
        ],
    ),
    (
        "theta_upper_bound",
        &[
            ("b, 1, 1", "takes (sketch [, deviations]), found 3 arguments"),
            ("s", "`sketch` must be a theta sketch"),
            ("b, 4", "`deviations` must be 1, 2 or 3, found 4"),
        ],
    ),
    (
        "hll_union",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("s, b", "`a` must be an HLL sketch"),
            ("b, s", "`b` must be an HLL sketch"),
        ],
    ),
    (
        "hll_estimate",
        &[("b, b", "takes (sketch), found 2 arguments"), ("s", "`sketch` must be an HLL sketch")],
    ),
    (
        "hll_lower_bound",
        &[
            ("b, 1, 1", "takes (sketch [, deviations]), found 3 arguments"),
            ("s", "`sketch` must be an HLL sketch"),
            ("b, -1", "`deviations` must be 1, 2 or 3, found -1"),
        ],
    ),
    (
        "hll_upper_bound",
        &[
            ("b, 1, 1", "takes (sketch [, deviations]), found 3 arguments"),
            ("s", "`sketch` must be an HLL sketch"),
            ("b, 's'", "`deviations` must be 1, 2 or 3, found Utf8"),
        ],
    ),
    (
        "kll_union",
        &[
            ("b", "takes (a, b), found 1 argument"),
            ("s, b", "`a` must be a KLL sketch"),
            ("b, s", "`b` must be a KLL sketch"),
        ],
    ),
    (
        "kll_quantile",
        &[
            ("b", "takes (sketch, rank), found 1 argument"),
            ("s, 0.5", "`sketch` must be a KLL sketch"),
            ("b, s", "`rank` must be a number"),
            ("b, 1.5", "`rank` must be from 0 to 1, found 1.5"),
        ],
    ),
    (
        "kll_rank",
        &[
            ("b", "takes (sketch, value), found 1 argument"),
            ("s, 1", "`sketch` must be a KLL sketch"),
            ("b, s", "`value` must be a number"),
        ],
    ),
    ("kll_count", &[("b, b", "takes (sketch), found 2 arguments"), ("s", "`sketch` must be a KLL sketch")]),
    (
        "map_to_entries",
        &[("m, m", "takes (map), found 2 arguments"), ("l", "`map` must be a map, found List(Int64)")],
    ),
    (
        "regexp_group",
        &[
            ("s", "takes (text, regex, group), found 1 argument"),
            ("n, 'a', 0", "`text` must be a text, found Int64"),
            ("s, 1, 0", "`regex` must be a text, found Int64"),
            ("s, '(', 0", "`regex` '(': regex parse error"),
            ("s, 'a', 's'", "`group` must be a whole number, found Utf8"),
            ("s, 'a', -1", "`group` must be 0 or more, found -1"),
            ("s, '(a)', 2", "`group` must be at most 1, the number of groups of '(a)', found 2"),
        ],
    ),
    (
        "steps_in_order",
        &[
            ("e", "takes (events, counts), found 1 argument"),
            ("l, [1]", "`events` must be an array of structs, a date or timestamp and then booleans"),
            ("e, n", "`counts` must be an array of whole numbers, found Int64"),
            ("e, [1, 1]", "`counts` must be 1 number above 0, one for each step"),
            ("e, [0]", "`counts` must be 1 number above 0, one for each step"),
        ],
    ),
    (
        "anniversary_in",
        &[
            ("ts, ts", "takes (date, from, to), found 2 arguments"),
            (
                "s, ts, ts",
                "`date` must be a date or a timestamp (write DATE '2026-01-31' or CAST(... AS DATE)), found Utf8",
            ),
            ("ts, n, ts", "`from` must be a date or a timestamp"),
            ("ts, ts, n", "`to` must be a date or a timestamp"),
        ],
    ),
    (
        "period_start",
        &[
            ("'day'", "takes (unit, time), found 1 argument"),
            ("n, ts", "`unit` must be 'hour', 'day'"),
            ("'moon', ts", "`unit` must be 'hour', 'day'"),
            ("s, ts", "`unit` must be a constant"),
            ("NULL, ts", "`unit` must be 'hour', 'day'"),
            ("'day', s", "`time` must be a date or a timestamp, found Utf8"),
        ],
    ),
    (
        "period_end",
        &[
            ("'day', ts, 1", "takes (unit, time), found 3 arguments"),
            ("'hour', CAST(ts AS DATE)", "`unit` of a date must be 'day' or longer, found 'hour'"),
            ("s, ts", "`unit` must be a constant"),
            ("'day', n", "`time` must be a date or a timestamp, found Int64"),
        ],
    ),
    (
        "with_year",
        &[
            ("ts", "takes (time, year), found 1 argument"),
            ("n, 2026", "`time` must be a date or a timestamp, found Int64"),
            ("ts, s", "`year` must be a whole number, found Utf8"),
        ],
    ),
    (
        "split_bucket",
        &[
            ("s, 'a'", "takes (key, salt, weight1, weight2, ...), found 2 arguments"),
            ("x, 'a', 1", "`key` must be a string or an integer, found Float64"),
            ("s, n, 1", "`salt` must be a string, found Int64"),
            ("s, 'a', 0", "`weight1` must be 1 or more, found 0"),
            ("s, 'a', 1, 0", "`weight2` must be 1 or more, found 0"),
            ("s, 'a', 1, -1", "`weight2` must be 1 or more, found -1"),
            ("s, 'a', 1, NULL", "`weight2` must be "),
            ("s, 'a', 1, n", "`weight2` must be a constant"),
            ("s, 'a', 0.5", "`weight1` must be a whole number of 1 or more (for 0.5 and 0.5 write 1, 1)"),
        ],
    ),
    (
        "array_all_match",
        &[
            ("l", "takes (array, element -> condition), found 1 argument"),
            ("n, x -> true", "`array` must be an array, found Int64"),
            ("l, x -> x", "`condition` must be true or false, found Int64"),
            ("l, 1", "a value stands where a lambda should"),
        ],
    ),
    (
        "array_none_match",
        &[
            ("l", "takes (array, element -> condition), found 1 argument"),
            ("n, x -> true", "`array` must be an array"),
            ("l, x -> x", "`condition` must be true or false"),
        ],
    ),
    (
        "array_exists",
        &[
            ("l", "takes (array, element -> condition), found 1 argument"),
            ("m, x -> true", "`array` must be an array"),
            ("l, x -> 'a'", "`condition` must be true or false"),
        ],
    ),
    (
        "array_forall",
        &[
            ("l", "takes (array, element -> condition), found 1 argument"),
            ("s, x -> true", "`array` must be an array"),
            ("l, x -> 1", "`condition` must be true or false"),
        ],
    ),
    (
        "array_reduce",
        &[
            (
                "l, (a, x) -> a",
                "takes (array, initial, (so_far, element) -> next [, so_far -> result]), found 1 argument",
            ),
            ("n, 0, (a, x) -> a", "`array` must be an array"),
        ],
    ),
    (
        "array_top_n",
        &[
            ("l", "takes (array, n [, element -> key]), found 1 argument"),
            ("n, 1", "`array` must be an array"),
            ("l, 's'", "`n` must be a whole number of 0 or more, found Utf8"),
            ("l, -1", "`n` must be 0 or more, found -1"),
            ("[l], 1", "`array` must be something with an order"),
            ("l, 1, x -> make_array(x)", "`key` must be something with an order"),
        ],
    ),
    (
        "array_bottom_n",
        &[
            ("l", "takes (array, n [, element -> key]), found 1 argument"),
            ("n, 1", "`array` must be an array"),
            ("l, x", "`n` must be a whole number of 0 or more, found Float64"),
            ("l, 1, x -> make_array(x)", "`key` must be something with an order"),
        ],
    ),
    (
        "array_group_by",
        &[
            ("l", "takes (array, element -> key), found 1 argument"),
            ("n, x -> x", "`array` must be an array"),
            ("l, x -> make_array(x)", "`key` must be a string, number, boolean, date or timestamp"),
        ],
    ),
    (
        "map_filter",
        &[
            ("m", "takes (map, (key, value) -> condition), found 1 argument"),
            ("l, (k, v) -> true", "`map` must be a map, found List(Int64)"),
            ("m, (k, v) -> v", "`condition` must be true or false, found Int64"),
        ],
    ),
    (
        "map_any_match",
        &[
            ("m", "takes (map, (key, value) -> condition), found 1 argument"),
            ("n, (k, v) -> true", "`map` must be a map"),
            ("m, (k, v) -> k", "`condition` must be true or false"),
        ],
    ),
];

/// Arguments of which nothing is wrong: they are of any type.
const OF_ANY_TYPE: &[(&str, &str)] = &[
    ("first_touch", "value"),
    ("last_touch", "value"),
    ("most_frequent", "value"),
    ("attribute", "channel"),
    ("sequence_next_node", "value"),
    ("array_reduce", "initial"),
    ("array_reduce", "next"),
    ("array_reduce", "result"),
];

fn documented() -> Vec<(String, Option<Documentation>)> {
    let mut all = vec![];
    all.extend(registry::all_scalar().iter().map(|f| (f.name().to_string(), f.documentation().cloned())));
    all.extend(
        registry::all_higher_order().iter().map(|f| (f.name().to_string(), f.documentation().cloned())),
    );
    all.extend(registry::all_aggregate().iter().map(|f| (f.name().to_string(), f.documentation().cloned())));
    all.extend(registry::all_window().iter().map(|f| (f.name().to_string(), f.documentation().cloned())));
    all
}

/// How an argument is called in messages, by its name in the documentation: `c1, … cn` is `c1`, `c2` and so on.
fn is_about(message: &str, argument: &str) -> bool {
    let numbered = argument.split(['1', ',']).next().unwrap_or(argument);
    let cuts = argument.trim_start_matches('…');
    message.contains(&format!("`{argument}` "))
        || (1..3).any(|i| message.contains(&format!("`{numbered}{i}` ")))
        || (cuts != argument && message.contains(&format!("{cuts}` ")))
        || (argument == "mode" && message.contains("mode `"))
}

#[test]
fn every_argument_of_every_function_is_refused() {
    let mut missing = vec![];
    for (name, documentation) in documented() {
        let Some((_, calls)) = REFUSED.iter().find(|(function, _)| *function == name) else {
            missing.push(name);
            continue;
        };
        if !calls.iter().any(|(_, wanted)| wanted.contains("found") && wanted.starts_with("takes ")) {
            missing.push(format!("{name}: the number of arguments"));
        }
        for (argument, _) in documentation.and_then(|d| d.arguments).unwrap_or_default() {
            let any = OF_ANY_TYPE.contains(&(name.as_str(), argument.as_str()));
            if !any && !calls.iter().any(|(_, wanted)| is_about(wanted, &argument)) {
                missing.push(format!("{name}: `{argument}`"));
            }
        }
    }
    assert!(missing.is_empty(), "not refused: {missing:#?}");
}

#[tokio::test]
async fn refused_calls_say_what_would_do() {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE t AS SELECT TIMESTAMP '2026-01-01T00:00:00' AS ts, arrow_cast(1, 'Int64') AS n, 1.5::DOUBLE AS x,
                'a' AS s, true AS c, [1, 2] AS l, MAP {'a': 1} AS m, X'00' AS b,
                [named_struct('t', DATE '2026-01-01', 'view', true)] AS e",
    )
    .await;
    let windows = registry::all_window();
    let mut wrong = String::new();
    for (name, calls) in REFUSED {
        let over = if windows.iter().any(|function| function.name() == *name) { " OVER ()" } else { "" };
        for (args, wanted) in *calls {
            let query = format!("SELECT {name}({args}){over} FROM t");
            let error = match ctx.sql(&query).await {
                Ok(frame) => frame.create_physical_plan().await.err(),
                Err(error) => Some(error),
            };
            let right = error.as_ref().is_some_and(|error| {
                let message = error.to_string();
                matches!(error.find_root(), DataFusionError::Plan(_))
                    && message.contains(name)
                    && message.contains(wanted)
            });
            if !right {
                let error = error.map_or("it plans".to_string(), |error| error.strip_backtrace());
                wrong += &format!("{query}\n  {error}\n  wanted: {wanted}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Every function that reads bytes, over bytes of every kind of corruption.
#[tokio::test]
async fn corrupt_bytes_are_errors() {
    let bitmaps = [
        "bitmap_count({})",
        "bitmap_to_array({})",
        "bitmap_contains({}, 1)",
        "bitmap_union_agg({})",
        "bitmap_intersect_agg({})",
    ];
    let both = |names: &[&str]| -> Vec<String> {
        names.iter().flat_map(|name| [format!("{name}({{}}, GOOD)"), format!("{name}(GOOD, {{}})")]).collect()
    };
    let of = |calls: &[&str], pairs: &[&str]| {
        calls.iter().map(|call| (*call).to_string()).chain(both(pairs)).collect::<Vec<_>>()
    };
    let families = [
        (
            "a roaring bitmap",
            "bitmap_build(v)",
            of(&bitmaps, &["bitmap_and", "bitmap_or", "bitmap_xor", "bitmap_and_not"]),
        ),
        (
            "a theta sketch",
            "theta_sketch(v)",
            of(
                &[
                    "theta_estimate({})",
                    "theta_lower_bound({})",
                    "theta_upper_bound({})",
                    "theta_union_agg({})",
                    "theta_intersect_agg({})",
                ],
                &["theta_union", "theta_intersect", "theta_a_not_b"],
            ),
        ),
        (
            "an HLL sketch",
            "hll_sketch(v, 5)",
            of(
                &["hll_estimate({})", "hll_lower_bound({})", "hll_upper_bound({})", "hll_union_agg({})"],
                &["hll_union"],
            ),
        ),
        (
            "a KLL sketch",
            "kll_sketch(v)",
            of(
                &["kll_count({})", "kll_quantile({}, 0.5)", "kll_rank({}, 1)", "kll_union_agg({})"],
                &["kll_union"],
            ),
        ),
    ];
    for (what, make, calls) in families {
        // Too short at every place, of another kind, and with the head of its own kind before noise.
        let good = crate::query::rows(
            &ctx(),
            &format!("SELECT encode({make}, 'hex') FROM generate_series(1, 40) AS t(v)"),
        )
        .await;
        let good = &good[0];
        let mut bad = vec!["".to_string(), "00".into(), "ff".repeat(40)];
        bad.extend((1..8).map(|eighth| good[..good.len() / 16 * eighth * 2].to_string()));
        for call in &calls {
            for bytes in &bad {
                let expr = call.replace("{}", &format!("X'{bytes}'")).replace("GOOD", &format!("X'{good}'"));
                let error = run_error(&expr).await;
                assert!(error.contains(&format!("not {what}")), "{expr}: {error}");
            }
        }
    }
}
