//! The tiny shop that most tests speak about, and helpers to speak with it.

pub(crate) mod mortal;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use coterie::diagnostic::Source;
use coterie::engine::{Engine, Options, Session};
use coterie::error::Error;
use coterie::statement;
use futures::TryStreamExt;

/// The instant that the tiny shop's rules are about.
pub(crate) const NOW: &str = "2026-06-15T12:00:00Z";

/// An engine in memory at [`NOW`].
pub(crate) async fn session() -> Session {
    let now = Some(NOW.parse().unwrap());
    let engine = Engine::open(Options { now, ..Options::default() }).await.unwrap();
    engine.session()
}

/// Runs a script and returns the rows of its last statement.
pub(crate) async fn run(session: &Session, sql: &str) -> Result<Vec<RecordBatch>, Error> {
    let source = Source::typed(sql);
    let mut last = vec![];
    for piece in statement::split(sql) {
        let statement = statement::parse(&source, piece.range)?;
        let answer = session.execute(&statement).await?;
        last = answer.stream.try_collect().await.map_err(Error::from)?;
    }
    Ok(last)
}

/// Runs a script whose last statement's rows are shown as a table.
pub(crate) async fn show(session: &Session, sql: &str) -> String {
    match run(session, sql).await {
        Ok(batches) => pretty_format_batches(&batches).unwrap().to_string(),
        Err(error) => panic!("{}", render(&error, sql)),
    }
}

/// The first column of some rows, as sorted text.
pub(crate) fn first_column(batches: &[RecordBatch]) -> Vec<String> {
    let mut values = vec![];
    for batch in batches {
        let column = batch.column(0);
        for row in 0..batch.num_rows() {
            values.push(arrow::util::display::array_value_to_string(column, row).unwrap());
        }
    }
    values.sort();
    values
}

/// The error of a script that fails, as users see it.
pub(crate) async fn fails(session: &Session, sql: &str) -> String {
    match run(session, sql).await {
        Ok(batches) => panic!("no error: {}", pretty_format_batches(&batches).unwrap()),
        Err(error) => render(&error, sql),
    }
}

pub(crate) fn render(error: &Error, sql: &str) -> String {
    let source = Source::typed(Arc::<str>::from(sql));
    let span = coterie::diagnostic::Span::new(0, sql.len());
    let texts: Vec<String> = error.diagnostics(&source, span).iter().map(ToString::to_string).collect();
    texts.join("\n")
}

/// Declares the tiny shop: 6 profiles, 20 events, 3 products.
pub(crate) async fn shop() -> Session {
    let session = session().await;
    run(&session, SHOP).await.unwrap();
    session
}

pub(crate) const SHOP: &str = "
CREATE TABLE profiles AS SELECT * FROM (VALUES
  ('p1', 'DE', 500, ['cycling', 'gaming'], DATE '1990-06-17'),
  ('p2', 'US', 100, ['cycling'], DATE '1985-02-28'),
  ('p3', 'DE', NULL, NULL, NULL),
  ('p4', NULL, 900, ['gaming'], DATE '2000-12-31'),
  ('p5', 'FR', 300, [], DATE '1996-02-29'),
  ('p6', 'DE', 700, ['reading'], DATE '1970-06-15')
) AS t (profile_id, country, points, interests, birth_date);

CREATE TABLE events AS SELECT * FROM (VALUES
  ('p1', 'e01', TIMESTAMP '2026-06-10 10:00:00', 'search', 'running shoes', NULL, NULL, 'DE'),
  ('p1', 'e02', TIMESTAMP '2026-06-11 10:00:00', 'product_view', NULL, 'A', NULL, 'DE'),
  ('p1', 'e03', TIMESTAMP '2026-06-12 10:00:00', 'product_view', NULL, 'A', NULL, 'DE'),
  ('p1', 'e04', TIMESTAMP '2026-06-13 10:00:00', 'product_view', NULL, 'A', NULL, 'FR'),
  ('p2', 'e05', TIMESTAMP '2026-06-01 10:00:00', 'search', 'Running Shoes blue', NULL, NULL, 'US'),
  ('p2', 'e06', TIMESTAMP '2026-06-05 10:00:00', 'purchase', NULL, 'A', 120.0, 'US'),
  ('p2', 'e07', TIMESTAMP '2026-06-14 10:00:00', 'purchase', NULL, 'B', 40.0, 'CA'),
  ('p3', 'e08', TIMESTAMP '2026-03-01 10:00:00', 'purchase', NULL, 'B', 40.0, 'DE'),
  ('p3', 'e09', TIMESTAMP '2026-06-14 09:00:00', 'add_to_cart', NULL, 'C', NULL, 'DE'),
  ('p4', 'e10', TIMESTAMP '2026-05-01 10:00:00', 'search', 'boots', NULL, NULL, 'FR'),
  ('p4', 'e11', TIMESTAMP '2026-05-20 10:00:00', 'purchase', NULL, 'C', 900.0, 'FR'),
  ('p4', 'e12', TIMESTAMP '2026-05-20 10:00:00', 'purchase', NULL, 'A', 100.0, 'FR'),
  ('p5', 'e13', TIMESTAMP '2026-06-15 12:00:00', 'search', 'running shoes', NULL, NULL, 'FR'),
  ('p5', 'e14', TIMESTAMP '2026-06-15 12:00:01', 'purchase', NULL, 'A', 80.0, 'FR'),
  ('p5', 'e15', TIMESTAMP '2026-06-14 12:00:00', 'add_to_cart', NULL, 'A', NULL, NULL),
  ('ghost', 'e16', TIMESTAMP '2026-06-14 12:00:00', 'purchase', NULL, 'A', 80.0, 'FR'),
  (NULL, 'e17', TIMESTAMP '2026-06-14 12:00:00', 'purchase', NULL, 'A', 80.0, 'FR')
) AS t (profile_id, _id, \"timestamp\", event_type, search_term, sku, price, country);

CREATE TABLE products AS SELECT * FROM (VALUES
  ('A', 'Acme', 'shoes'), ('B', 'Brisk', 'socks'), ('C', 'Acme', 'boots')
) AS t (sku, brand, category);

CREATE PROFILE STORE shop
  PROFILES profiles KEY (profile_id)
  EVENTS events KEY (profile_id) TIMESTAMP (\"timestamp\") ID (_id)
  LOOKUP products KEY (sku) ON events (sku);
";

/// The members of a rule in the tiny shop, sorted, or the error as users see it.
pub(crate) async fn try_members(session: &Session, rule: &str) -> Result<Vec<String>, String> {
    let sql = format!("SELECT * FROM matching('shop', $rule$ {rule} $rule$)");
    match run(session, &sql).await {
        Ok(batches) => Ok(first_column(&batches)),
        Err(error) => Err(render(&error, &sql)),
    }
}
