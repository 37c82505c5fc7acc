//! Statements that nobody waits for any more end, whatever they are busy with.

use std::time::Duration;

use coterie::engine::{Engine, Options};
use futures::StreamExt;

/// Joins that look at more pairs of rows than anyone could wait for, and find none, or far too many.
const ENDLESS: &[&str] = &[
    "SELECT count(*) FROM generate_series(1, 300000) a JOIN generate_series(1, 300000) b ON a.value < -b.value",
    "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b WHERE a.value + b.value % 7 > 3",
    "SELECT count(*) FROM generate_series(1, 300000) a CROSS JOIN generate_series(1, 300000) b",
    "SELECT count(*) FROM generate_series(1, 300000) a JOIN generate_series(1, 300000) b
       ON a.value % 2 = b.value % 2 AND a.value < -b.value",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_join_ends_when_its_statement_does() {
    let session = Engine::open(Options { threads: Some(2), ..Options::default() }).await.unwrap().session();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for sql in ENDLESS {
        let before = tasks();
        let statements = session.parse(sql).unwrap();
        let mut rows = session.execute(&statements[0]).await.unwrap().stream;
        let first = tokio::time::timeout(Duration::from_millis(300), rows.next()).await;
        assert!(first.is_err(), "the statement is over too soon: {sql}");
        drop(rows);
        let mut left = tasks();
        for _ in 0..500 {
            if left <= before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            left = tasks();
        }
        assert!(left <= before, "{left} tasks are still at work: {sql}");
    }
}
