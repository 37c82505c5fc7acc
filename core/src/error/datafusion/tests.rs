use datafusion::prelude::SessionContext;

use super::*;
use crate::diagnostic::Source;

/// The error of a statement as a user sees it.
async fn check(sql: &str) -> String {
    let config =
        datafusion::prelude::SessionConfig::new().set_bool("datafusion.sql_parser.collect_spans", true);
    let ctx = SessionContext::new_with_config(config);
    ctx.sql("CREATE TABLE t AS SELECT 1 AS id, 'x' AS \"Name\", 2 AS price").await.unwrap();
    let error = match ctx.sql(sql).await {
        Ok(frame) => frame.collect().await.unwrap_err(),
        Err(error) => error,
    };
    let source = Source::typed(sql);
    from_datafusion_in(error, sql).in_source(&source).to_string()
}

#[tokio::test]
async fn shows_plain_sql_errors_like_our_own() {
    insta::assert_snapshot!(check("SELECT\n  prcie FROM t").await, @r#"
    error[name]: unknown column `prcie`
     --> 2:3
      |
    2 |   prcie FROM t
      |   ^^^^^
      = help: did you mean `price`?
    "#);
    insta::assert_snapshot!(check("SELECT name FROM t").await, @r#"
    error[name]: unknown column `name`
     --> 1:8
      |
    1 | SELECT name FROM t
      |        ^^^^
      = help: did you mean `Name`?
      = help: a name with capitals is quoted: "Name"
    "#);
    insta::assert_snapshot!(check("SELECT * FROM tt").await, @r#"
    error[not_found]: table `tt` does not exist
     --> 1:15
      |
    1 | SELECT * FROM tt
      |               ^^
    "#);
    insta::assert_snapshot!(check("SELECT abss(id) FROM t").await, @r#"
    error[name]: unknown function `abss`
     --> 1:8
      |
    1 | SELECT abss(id) FROM t
      |        ^^^^
      = help: did you mean `abs`?
    "#);
    insta::assert_snapshot!(check("SELECT id FORM t x").await, @r#"
    error[syntax]: expected: end of statement, found: t
     --> 1:16
      |
    1 | SELECT id FORM t x
      |                ^
    "#);
    insta::assert_snapshot!(check("SELECT id, count(*) FROM t").await, @r#"
    error[type]: 't.id' must appear in GROUP BY clause because it's not an aggregate expression
     --> 1:8
      |
    1 | SELECT id, count(*) FROM t
      |        ^^
      = help: either add 't.id' to GROUP BY clause, or use an aggregate function like ANY_VALUE(t.id)
    "#);
    insta::assert_snapshot!(check("SELECT a.id FROM t a JOIN t b ON id = id").await, @r#"
    error[name]: column `id` is ambiguous
     --> 1:34
      |
    1 | SELECT a.id FROM t a JOIN t b ON id = id
      |                                  ^^
      = help: write the table's name before it
    "#);
    insta::assert_snapshot!(check("SELECT 1 / 0").await, @"error[execution]: division by zero");
    insta::assert_snapshot!(check("SELECT CAST('x' || \"Name\" AS INT) FROM t").await, @"error[execution]: cannot cast string 'xx' to value of Int32 type");
    insta::assert_snapshot!(check("SELECT \"Name\" + INTERVAL '1 day' FROM t").await, @r#"
    error[type]: cannot coerce arithmetic expression Utf8 + Interval(MonthDayNano) to valid types
     --> 1:8
      |
    1 | SELECT "Name" + INTERVAL '1 day' FROM t
      |        ^^^^^^
    "#);
}

#[test]
fn our_own_errors_come_back_unharmed() {
    let ours = Error::new(Kind::Conflict, "the name is taken").help("choose another");
    let wrapped = DataFusionError::from(ours.clone()).context("deep in a plan");
    let shared = DataFusionError::Shared(Arc::new(wrapped));
    let back = from_datafusion(DataFusionError::ArrowError(
        Box::new(ArrowError::ExternalError(Box::new(shared))),
        None,
    ));
    assert_eq!(back.to_string(), ours.to_string());
    let told = DataFusionError::External(Box::new(Diagnostic::new(Kind::Name, "unknown column `x`")));
    assert_eq!(from_datafusion(told).kind(), Kind::Name);
}
