//! `split_bucket` against its recipe, written in SQL.

use crate::query::{ctx, plan_error, rows, run, value};

/// `h` of the documentation, from the digits of DataFusion's own `md5`.
fn h(text: &str) -> String {
    let digit = |place: u32| {
        let weight = 16_u64.pow(8 - place);
        format!("(strpos('0123456789abcdef', substr(md5({text}), {place}, 1)) - 1) * {weight}")
    };
    (1..=8).map(digit).collect::<Vec<_>>().join(" + ")
}

#[tokio::test]
async fn the_recipe_gives_the_same_buckets() {
    let ctx = ctx();
    run(
        &ctx,
        "CREATE TABLE k AS SELECT value AS n, concat('user-', value) AS key FROM generate_series(1, 2000)",
    )
    .await;
    let h = h("concat('exp 7:', key)");
    let point = format!("CAST(({h}) AS BIGINT) * 100 / 4294967296");
    let recipe = format!("CASE WHEN {point} < 25 THEN 1 WHEN {point} < 95 THEN 2 ELSE 3 END");
    let query = format!(
        "SELECT count(*) FILTER (WHERE split_bucket(key, 'exp 7', 25, 70, 5) <> {recipe}) AS wrong,
                min(split_bucket(key, 'exp 7', 25, 70, 5)) AS least, max(split_bucket(key, 'exp 7', 25, 70, 5)) AS most
         FROM k"
    );
    assert_eq!(rows(&ctx, &query).await, ["0 | 1 | 3"]);
    let shares =
        "SELECT abs(count(*) - 2000 * 0.7) < 100 FROM k WHERE split_bucket(key, 'exp 7', 25, 70, 5) = 2";
    assert_eq!(rows(&ctx, shares).await, ["true"]);
}

/// From `hashlib` in Python: buckets must never change.
#[tokio::test]
async fn buckets_are_kept_forever() {
    for (key, [halves, tenth, thirds]) in [
        ("ada", [2, 2, 2]),
        ("bob", [2, 1, 3]),
        ("eve", [2, 1, 3]),
        ("dan", [1, 1, 2]),
        ("", [1, 1, 1]),
        ("ü", [2, 1, 2]),
    ] {
        assert_eq!(
            value(&format!("split_bucket('{key}', 'exp-1', 50, 50)")).await,
            halves.to_string(),
            "{key}"
        );
        assert_eq!(
            value(&format!("split_bucket('{key}', 'exp-1', 90, 10)")).await,
            tenth.to_string(),
            "{key}"
        );
        assert_eq!(
            value(&format!("split_bucket('{key}', 'exp-2', 1, 2, 3)")).await,
            thirds.to_string(),
            "{key}"
        );
    }
    let ctx = ctx();
    let integers = "SELECT split_bucket(value, 'exp-1', 50, 50) FROM generate_series(1, 5) ORDER BY value";
    assert_eq!(rows(&ctx, integers).await, ["1", "1", "1", "2", "2"]);
}

#[tokio::test]
async fn types_and_nulls() {
    for key in [
        "arrow_cast('ada', 'Dictionary(Int32, Utf8)')",
        "arrow_cast('ada', 'Utf8View')",
        "arrow_cast('ada', 'LargeUtf8')",
    ] {
        assert_eq!(value(&format!("split_bucket({key}, 'exp-1', 1, 1)")).await, "2", "{key}");
    }
    assert_eq!(value("split_bucket(NULL, 'exp-1', 1, 1)").await, "");
    assert_eq!(value("split_bucket('ada', NULL, 1, 1)").await, "");
    assert_eq!(value("split_bucket('ada', 'exp-1', 1)").await, "1");
    let ctx = ctx();
    let salts = "SELECT split_bucket('ada', salt, 1, 1) FROM (VALUES ('exp-1'), (NULL)) AS t(salt)";
    assert_eq!(rows(&ctx, salts).await, ["2", ""]);
}

#[tokio::test]
async fn refusals() {
    for (call, wanted) in [
        (
            "split_bucket('a', 'b')",
            "split_bucket takes (key, salt, weight1, weight2, ...), found 2 arguments",
        ),
        ("split_bucket(1.5, 'b', 1)", "`key` must be a string or an integer, found Float64"),
        ("split_bucket('a', 1, 1)", "`salt` must be a string, found Int64"),
        (
            "split_bucket('a', 'b', 0.5, 0.5)",
            "`weight1` must be a whole number of 1 or more (for 0.5 and 0.5 write 1, 1)",
        ),
        ("split_bucket('a', 'b', 1, 0)", "`weight2` must be 1 or more, found 0"),
        ("split_bucket('a', 'b', 1, -1)", "`weight2` must be 1 or more, found -1"),
        ("split_bucket('a', 'b', 1, n) FROM (VALUES (1)) AS t(n)", "`weight2` must be a constant"),
        ("split_bucket('a', 'b', 2147483647, 1)", "the weights must sum to at most 2147483647"),
    ] {
        let error = plan_error(call).await;
        assert!(error.contains(wanted), "{call}: {error}");
    }
}
