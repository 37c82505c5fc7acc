//! Statements as benchmarks run them.

use arrow::array::RecordBatch;
use coterie::diagnostic::Source;
use coterie::engine::Session;
use coterie::statement;
use futures::TryStreamExt;

/// Runs a statement to its end; says how many rows it has.
pub(crate) async fn run(session: &Session, sql: &str) -> usize {
    let ran = async {
        let statement = statement::parse(&Source::typed(sql), 0..sql.len())?;
        let batches: Vec<RecordBatch> = session.execute(&statement).await?.stream.try_collect().await?;
        Ok::<_, coterie::error::Error>(batches.iter().map(RecordBatch::num_rows).sum())
    };
    ran.await.unwrap_or_else(|error| panic!("{sql}\n{error}"))
}
