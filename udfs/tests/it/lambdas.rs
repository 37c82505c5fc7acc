//! Functions that take a lambda, and what they rely on of DataFusion's lambdas.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, LargeListArray, ListArray, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;

use crate::query::{ctx, plan_error, rows, run, run_error, value};

async fn with_orders() -> SessionContext {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE p AS SELECT * FROM (VALUES
            (1, 10, [{'sku': 'a', 'price': 5, 'tags': ['x', 'y']}, {'sku': 'b', 'price': 20, 'tags': ['x']}]),
            (2, 3, [{'sku': 'c', 'price': 1, 'tags': ['z']}]),
            (3, NULL, NULL)) AS t(id, lim, orders)",
    )
    .await;
    ctx
}

#[tokio::test]
async fn a_lambda_sees_fields_columns_and_outer_parameters() {
    let ctx = with_orders().await;
    for (call, wanted) in [
        ("array_exists(orders, o -> o['price'] > lim)", ["true", "false", "false"]),
        ("array_forall(orders, o -> o['price'] > lim)", ["false", "false", "true"]),
        ("array_all_match(orders, o -> o['price'] < lim * 3)", ["true", "true", ""]),
        ("array_none_match(orders, o -> o['price'] > lim)", ["false", "true", ""]),
        (
            "array_exists(orders, o -> array_exists(o['tags'], t -> t = 'x' AND o['price'] > lim))",
            ["true", "false", "false"],
        ),
        (
            "array_reduce(orders, 0, (s, o) -> s + array_reduce(o['tags'], 0, (n, t) -> n + s + o['price'] + lim))",
            ["90", "4", ""],
        ),
        ("array_transform(array_top_n(orders, 1, o -> o['price']), o -> o['sku'])", ["[b]", "[c]", ""]),
        (
            "array_transform(array_bottom_n(orders, lim - 2, o -> o['price']), o -> o['sku'])",
            ["[a, b]", "[c]", ""],
        ),
        (
            "map_values(array_group_by(array_transform(orders, o -> o['price']), p -> p > lim))",
            ["[[5], [20]]", "[[1]]", ""],
        ),
        ("array_exists(orders, o -> o['price'] IN (1, 2) OR o['sku'] LIKE 'b%')", ["true", "true", "false"]),
        ("array_exists(orders, o -> o['price'] > (SELECT max(lim) FROM p))", ["true", "false", "false"]),
        ("array_exists(orders, o -> true)", ["true", "true", "false"]),
        ("array_all_match(orders, o -> NULL)", ["", "", ""]),
        ("array_exists(map_entries(MAP {'a': 1, 'b': 2}), e -> e['value'] > id)", ["true", "false", "false"]),
    ] {
        let answers = rows(&ctx, &format!("SELECT {call} FROM p ORDER BY id")).await;
        assert_eq!(answers, wanted, "{call}");
    }
    let query = "SELECT id FROM p WHERE array_forall(orders, o -> o['price'] > 2) ORDER BY id";
    assert_eq!(rows(&ctx, query).await, ["1", "3"]);
    let query = "SELECT array_exists(array_agg(id), x -> x > 2) FROM p ";
    assert_eq!(rows(&ctx, query).await, ["true"]);
}

#[tokio::test]
async fn answers_of_constants() {
    for (call, wanted) in [
        ("array_all_match([], x -> x)", "true"),
        ("array_none_match([], x -> x)", "true"),
        ("array_all_match(NULL, x -> x)", ""),
        ("array_all_match([1, NULL], x -> x = 1)", ""),
        ("array_all_match([1, NULL], x -> x = 2)", "false"),
        ("array_none_match([1, NULL], x -> x = 2)", ""),
        ("array_none_match([1, NULL], x -> x = 1)", "false"),
        ("array_exists(NULL, x -> x)", "false"),
        ("array_forall(NULL, x -> x)", "true"),
        ("array_exists(arrow_cast([1, 2], 'FixedSizeList(2, Int64)'), x -> x = 2)", "true"),
        ("array_exists(arrow_cast([1, 2], 'LargeList(Int64)'), x -> x = 2)", "true"),
        ("array_exists(arrow_cast(['a'], 'List(Dictionary(Int32, Utf8))'), x -> x = 'a')", "true"),
        ("array_exists(arrow_cast(['a'], 'List(Utf8View)'), x -> x = 'a')", "true"),
        ("array_reduce([1.5, 2.25], 0, (a, x) -> a + x)", "3.75"),
        ("array_reduce(arrow_cast([1.5, 2.25], 'List(Decimal128(5, 2))'), 0, (a, x) -> a + x)", "3.75"),
        ("array_reduce([], 7, (a, x) -> a + x)", "7"),
        ("array_reduce(NULL, 7, (a, x) -> a + x)", ""),
        ("array_reduce([1, NULL, 2], 0, (a, x) -> a + x)", ""),
        ("array_reduce(['a', 'b'], '', (a, x) -> concat(a, x), a -> length(a))", "2"),
        ("array_reduce([3, 1], [0], (a, x) -> array_append(a, x))", "[0, 3, 1]"),
        ("array_top_n([1, 3, NULL, 2], 2)", "[3, 2]"),
        ("array_top_n([1, 3, NULL, 2], 9)", "[3, 2, 1, ]"),
        ("array_bottom_n([1, 3, NULL, 2], 9)", "[1, 2, 3, ]"),
        ("array_top_n([1, 2], 0)", "[]"),
        ("array_top_n([1, 2], NULL)", ""),
        ("array_top_n(NULL, 1)", ""),
        ("array_top_n(['b', 'a', 'c'], 2, x -> 1)", "[b, a]"),
        ("array_bottom_n([DATE '2026-01-02', DATE '2026-01-01'], 1)", "[2026-01-01]"),
        ("array_group_by([1, NULL, 2, 1], x -> x)", "{1: [1, 1], 2: [2]}"),
        ("array_group_by([1, 2, 3], x -> x % 2 = 1)", "{true: [1, 3], false: [2]}"),
        ("array_group_by([], x -> x)", "{}"),
        ("array_group_by(NULL, x -> x)", ""),
        ("map_filter(MAP {'a': 1, 'b': 2}, (k, v) -> v > 1 OR k = 'c')", "{b: 2}"),
        ("map_filter(MAP {'a': 1, 'b': NULL}, (k, v) -> v > 1)", "{}"),
        ("map_any_match(MAP {'a': 1, 'b': NULL}, (k, v) -> v = 1)", "true"),
        ("map_any_match(MAP {'a': 1, 'b': NULL}, (k, v) -> v = 2)", ""),
        ("map_any_match(MAP {'a': 1}, (k, v) -> k = 'b')", "false"),
        ("map_any_match(map_filter(MAP {'a': 1}, (k, v) -> false), (k, v) -> true)", "false"),
    ] {
        assert_eq!(value(call).await, wanted, "{call}");
    }
}

#[tokio::test]
async fn refusals() {
    for (call, wanted) in [
        ("array_all_match([1])", "array_all_match takes (array, element -> condition), found 1 argument"),
        ("array_all_match([1], 2)", "a value stands where a lambda should"),
        ("array_all_match([1], x -> x)", "`condition` must be true or false, found Int64"),
        ("array_exists(1, x -> x)", "`array` must be an array, found Int64"),
        ("map_filter([1], (k, v) -> true)", "`map` must be a map, found List"),
        ("map_filter(MAP {'a': 1}, (k, v) -> v)", "`condition` must be true or false"),
        ("array_top_n([1])", "array_top_n takes (array, n [, element -> key])"),
        ("array_top_n([1], -1)", "`n` must be 0 or more, found -1"),
        ("array_top_n([1], 'a')", "`n` must be a whole number"),
        ("array_top_n([[1]], 1)", "`array` must be something with an order"),
        ("array_top_n([1], 1, x -> make_array(x))", "`key` must be something with an order"),
        ("array_group_by([1], x -> make_array(x))", "`key` must be a string, number"),
        ("array_reduce([1], (a, x) -> a)", "array_reduce takes (array, initial"),
    ] {
        let error = plan_error(call).await;
        assert!(error.contains(wanted), "{call}: {error}");
    }
    let error = run_error("array_top_n([1], v) FROM (VALUES (1), (-2)) AS t(v)").await;
    assert!(error.contains("`n` must be 0 or more, found -2"), "{error}");
}

type Lists = Vec<Option<Vec<Option<i64>>>>;

/// The lists as a column; null rows hide elements that no lambda can survive.
fn column(lists: &Lists, large: bool) -> ArrayRef {
    let hidden = vec![Some(0)];
    let shown = lists.iter().map(|list| list.as_ref().unwrap_or(&hidden));
    let lengths = shown.clone().map(Vec::len);
    let values: ArrayRef = Arc::new(shown.flatten().copied().collect::<Int64Array>());
    let field = Arc::new(Field::new_list_field(DataType::Int64, true));
    let nulls = Some(lists.iter().map(Option::is_some).collect::<NullBuffer>());
    if large {
        Arc::new(LargeListArray::new(field, OffsetBuffer::from_lengths(lengths), values, nulls))
    } else {
        Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), values, nulls))
    }
}

/// Batches of sliced columns `a` (lists) and `b` (their limits).
fn table(lists: &Lists, limits: &[Option<i64>], large: bool) -> SessionContext {
    let a = column(lists, large);
    let b: ArrayRef = Arc::new(limits.iter().copied().collect::<Int64Array>());
    let n: ArrayRef = Arc::new((0..).take(lists.len()).collect::<Int64Array>());
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("a", a.data_type().clone(), true),
        Field::new("b", DataType::Int64, true),
    ]));
    let cut = lists.len() / 3;
    let whole = RecordBatch::try_new(Arc::clone(&schema), vec![n, a, b]).unwrap();
    let batches = vec![whole.slice(0, cut), whole.slice(cut, lists.len() - cut)];
    let ctx = ctx();
    ctx.register_table("t", Arc::new(MemTable::try_new(schema, vec![batches]).unwrap())).unwrap();
    ctx
}

fn shown(value: Option<impl std::fmt::Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn shown_list(list: &[Option<i64>]) -> String {
    format!("[{}]", list.iter().map(|value| shown(*value)).collect::<Vec<_>>().join(", "))
}

fn three_valued_and(each: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let each = each.collect::<Vec<_>>();
    if each.contains(&Some(false)) {
        return Some(false);
    }
    (!each.contains(&None)).then_some(true)
}

/// The answers for one row by definition, in the order of the columns of the query below.
fn expected(list: Option<&Vec<Option<i64>>>, limit: Option<i64>) -> String {
    // 100 / x fails on 0: hidden elements must not be looked at.
    let test = |x: &Option<i64>| Some((*x).map(|x| 100 / x)? > limit?);
    let sorted = |sign: i64| {
        list.map(|list| {
            let mut sorted = list.clone();
            sorted.sort_by_key(|x| (x.is_none(), x.map(|x| sign * (x % 5))));
            sorted.truncate(2);
            shown_list(&sorted)
        })
    };
    let groups = list.map(|list| {
        let mut groups: Vec<(i64, Vec<Option<i64>>)> = vec![];
        for x in list {
            let Some(key) = x.map(|x| x % 5) else { continue };
            match groups.iter_mut().find(|(k, _)| *k == key) {
                Some((_, members)) => members.push(*x),
                None => groups.push((key, vec![*x])),
            }
        }
        let groups = groups.iter().map(|(key, members)| format!("{key}: {}", shown_list(members)));
        format!("{{{}}}", groups.collect::<Vec<_>>().join(", "))
    });
    let reduced = list.and_then(|list| {
        let fold = |acc: Option<i64>, x: &Option<i64>| Some((acc? * 3 + x.unwrap_or(1) + limit?) % 1000);
        list.iter().fold(Some(7), fold)
    });
    [
        shown(list.and_then(|list| three_valued_and(list.iter().map(test)))),
        shown(list.and_then(|list| three_valued_and(list.iter().map(|x| test(x).map(|t| !t))))),
        list.is_some_and(|list| list.iter().any(|x| test(x) == Some(true))).to_string(),
        list.is_none_or(|list| list.iter().all(|x| test(x) == Some(true))).to_string(),
        shown(sorted(-1)),
        shown(sorted(1)),
        shown(groups),
        shown(reduced),
    ]
    .join(" | ")
}

const QUERY: &str = "SELECT array_all_match(a, x -> 100 / x > b), array_none_match(a, x -> 100 / x > b),
       array_exists(a, x -> 100 / x > b), array_forall(a, x -> 100 / x > b),
       array_top_n(a, 2, x -> x % 5), array_bottom_n(a, 2, x -> x % 5), array_group_by(a, x -> x % 5),
       array_reduce(a, 7, (s, x) -> (s * 3 + coalesce(x, 1) + b) % 1000)
    FROM t ORDER BY n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lists_agree_with_their_definition(
        lists in prop::collection::vec(
            prop::option::weighted(0.9, prop::collection::vec(prop::option::weighted(0.9, 1_i64..40), 0..7)),
            1..12,
        ),
        limits in prop::collection::vec(prop::option::weighted(0.9, 0_i64..60), 12),
        large in any::<bool>(),
    ) {
        let ctx = table(&lists, &limits[..lists.len()], large);
        let answers = tokio::runtime::Runtime::new().unwrap().block_on(rows(&ctx, QUERY));
        let wanted = lists.iter().zip(&limits).map(|(list, limit)| expected(list.as_ref(), *limit));
        prop_assert_eq!(answers, wanted.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn maps_hide_what_null_rows_hold() {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE m AS SELECT * FROM (VALUES
            (1, MAP {'a': 1, 'b': 4}, 2), (2, NULL, 1), (3, MAP {'c': 3}, NULL), (4, MAP {'d': 9}, 8)) AS t(id, m, lim)",
    )
    .await;
    let query = "SELECT map_filter(m, (k, v) -> v > lim OR k = 'c'), map_any_match(m, (k, v) -> v > lim)
                 FROM m WHERE id <> 1 OR lim < 5 ORDER BY id";
    assert_eq!(rows(&ctx, query).await, ["{b: 4} | true", " | ", "{c: 3} | ", "{d: 9} | true"]);
}
