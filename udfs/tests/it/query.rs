//! Queries for tests: answers as text, and errors of planning and of execution told apart.

use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};

/// A session that reads lambdas and cuts even few rows into batches and partitions.
pub(crate) fn ctx() -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(3)
        .with_batch_size(4)
        .set_str("datafusion.sql_parser.dialect", "duckdb");
    let ctx = SessionContext::new_with_config(config);
    coterie_udfs::register_all(&ctx).unwrap();
    ctx
}

/// Runs statements that answer nothing.
pub(crate) async fn run(ctx: &SessionContext, statement: &str) {
    ctx.sql(statement).await.unwrap().collect().await.unwrap();
}

/// The answers of a query, a line each, values separated by ` | `.
pub(crate) async fn rows(ctx: &SessionContext, query: &str) -> Vec<String> {
    let printed = match ctx.sql(query).await {
        Ok(frame) => frame.to_string().await,
        Err(error) => Err(error),
    };
    let printed = printed.unwrap_or_else(|error| panic!("{query}\n{error}"));
    let rows = printed.lines().filter(|line| line.starts_with('|')).skip(1);
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" | "))
        .collect()
}

/// The one answer of `SELECT expr`.
pub(crate) async fn value(expr: &str) -> String {
    rows(&ctx(), &format!("SELECT {expr} AS v")).await.join("\n")
}

/// The message of the error of planning that `SELECT expr` must be.
pub(crate) async fn plan_error(expr: &str) -> String {
    let query = format!("SELECT {expr}");
    let error = match ctx().sql(&query).await {
        Ok(frame) => match frame.create_physical_plan().await {
            Ok(_) => panic!("{query} plans"),
            Err(error) => error,
        },
        Err(error) => error,
    };
    assert!(matches!(error.find_root(), DataFusionError::Plan(_)), "{query}: {error:?}");
    error.to_string()
}

/// The message of the error `SELECT expr` must end in when it is run.
pub(crate) async fn run_error(expr: &str) -> String {
    let query = format!("SELECT {expr}");
    let ran = match ctx().sql(&query).await {
        Ok(frame) => frame.collect().await,
        Err(error) => Err(error),
    };
    let error = ran.expect_err(&query);
    assert!(!matches!(error.find_root(), DataFusionError::Internal(_)), "{query}: {error:?}");
    error.to_string()
}
