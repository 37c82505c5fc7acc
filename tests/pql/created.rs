//! Every case as a segment: created from a statement, then read as a table.

use arrow::array::AsArray;
use coterie::diagnostic::{Source, Span};
use coterie::engine::{Engine, Options, Session};
use coterie::error::Error;
use coterie::statement::{self, quote_string};
use datafusion::parquet::arrow::ArrowWriter;
use futures::TryStreamExt;

use crate::cases::{Case, cases};
use crate::fixture::{now, table};

/// An engine with the fixture declared as a store.
pub(crate) async fn session(folder: &std::path::Path) -> Session {
    let options = Options { now: Some(now()), threads: Some(2), ..Options::default() };
    let session = Engine::open(options).await.unwrap().session();
    for name in ["profiles", "events"] {
        let path = folder.join(format!("{name}.parquet"));
        let batch = table(name);
        let mut writer =
            ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let declare = format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{}'", path.display());
        run(&session, &declare).await.unwrap();
    }
    let store = "CREATE PROFILE STORE fixture PROFILES profiles KEY (profile_id)
        EVENTS events KEY (profile_id) TIMESTAMP (\"timestamp\")";
    run(&session, store).await.unwrap();
    session
}

/// The first column of what a statement returns, sorted.
pub(crate) async fn run(session: &Session, sql: &str) -> Result<Vec<String>, Error> {
    let statement = statement::parse(&Source::typed(sql), 0..sql.len())?;
    let answer = session.execute(&statement).await?;
    let batches: Vec<_> = answer.stream.try_collect().await?;
    let mut values = vec![];
    for batch in batches.iter().filter(|batch| batch.num_columns() > 0) {
        let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        values.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    values.sort();
    Ok(values)
}

fn create(case: &Case) -> String {
    // Both ways to write a rule into a statement.
    let rule = if case.pql.contains("$$") || case.pql.len().is_multiple_of(2) {
        quote_string(&case.pql)
    } else {
        format!("$${}$$", case.pql)
    };
    let language = if case.json { "'pql/json'" } else { "PQL" };
    format!("CREATE OR REPLACE SEGMENT x USING {language} AS {rule}")
}

#[tokio::test]
async fn cases_hold_as_segments() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path()).await;
    let only = std::env::var("PQL_CASE").ok();
    let (mut wrong, mut n_right) = (vec![], 0);
    for case in cases() {
        if only.as_ref().is_some_and(|only| !case.id.starts_with(only.as_str())) {
            continue;
        }
        let sql = create(&case);
        let created = run(&session, &sql).await;
        let fault = match (&created, &case.error) {
            (Ok(_), None) => match run(&session, "SELECT * FROM segment.x").await {
                Ok(found) if found == case.expect => None,
                Ok(found) => Some(format!("found {found:?}, expected {:?}", case.expect)),
                Err(error) => Some(error.to_string()),
            },
            (Ok(_), Some(kind)) => Some(format!("should be error[{kind}]")),
            (Err(error), None) => Some(error.to_string()),
            (Err(error), Some(kind)) => {
                let faults = error.diagnostics(&Source::typed(sql.as_str()), Span::new(0, sql.len()));
                // The place is in the rule, as it stands in the statement or by itself.
                let in_rule = faults.iter().all(|fault| {
                    let (start, end) = fault.span.unwrap_or_default().range();
                    let text = fault.source.as_ref().map_or("", |source| &source.text);
                    end <= text.len() + 1
                        && (text == case.pql || start >= sql.find("AS ").unwrap_or_default())
                });
                let kinds: Vec<String> = faults.iter().map(|fault| fault.kind.to_string()).collect();
                (kinds != [kind.clone()] || !in_rule).then(|| format!("{kinds:?}, expected {kind}\n{error}"))
            }
        };
        if only.is_some() && created.is_ok() {
            println!("{}: {}\n{}", case.id, case.pql, session.segment_sql("x").await.unwrap());
        }
        match fault {
            None => n_right += 1,
            Some(fault) => wrong.push(format!("{}: {}\n  {fault}", case.id, case.pql)),
        }
    }
    assert!(wrong.is_empty(), "{n_right} right, {} wrong\n{}", wrong.len(), wrong.join("\n\n"));
}
