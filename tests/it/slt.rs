//! SQL with its results as files: `tests/slt/**/*.slt`, each run in a new engine with the tiny shop declared.
//!
//! `UPDATE=1 cargo test --test it slt` fills in what the statements return; read the diff. `SLT=part-of-a-path` runs
//! some files only.

use std::fmt;
use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use coterie::diagnostic::{Source, Span};
use coterie::engine::Session;
use coterie::error::Error;
use coterie::statement;
use futures::TryStreamExt;
use sqllogictest::{
    AsyncDB, ColumnType, DBOutput, Runner, default_normalizer, default_validator, strict_column_validator,
};

use crate::common;

/// A letter a column: B(oolean), D(ate), I(nteger), P(oint of time), R(eal), T(ext), ? for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Letter(char);

impl ColumnType for Letter {
    fn from_char(letter: char) -> Option<Self> {
        "BDIPRT?".contains(letter).then_some(Self(letter))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

/// An error as users see it.
#[derive(Debug)]
struct Shown(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Shown {}

struct Shop(Session);

#[async_trait::async_trait]
impl AsyncDB for Shop {
    type Error = Shown;
    type ColumnType = Letter;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Letter>, Shown> {
        let shown = |error: Error| {
            let texts = error.diagnostics(&Source::typed(sql), Span::new(0, sql.len()));
            Shown(texts.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        };
        let statement =
            statement::parse(&Source::typed(sql), 0..sql.len()).map_err(|fault| shown(fault.into()))?;
        let answer = self.0.execute(&statement).await.map_err(shown)?;
        let types: Vec<Letter> =
            answer.schema.fields().iter().map(|field| letter(field.data_type())).collect();
        let batches: Vec<RecordBatch> =
            answer.stream.try_collect().await.map_err(|error| shown(error.into()))?;
        if types.is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(rows).collect() })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "coterie"
    }
}

fn letter(of: &DataType) -> Letter {
    Letter(match of {
        DataType::Boolean => 'B',
        DataType::Date32 | DataType::Date64 => 'D',
        DataType::Timestamp(..) => 'P',
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 'T',
        of if of.is_integer() => 'I',
        of if of.is_numeric() => 'R',
        _ => '?',
    })
}

fn rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| {
            let cells = columns.iter().zip(batch.columns()).map(|(column, values)| {
                let text = column.value(row).to_string();
                // A line is a row, so that what has lines is written in one.
                let text = text.trim_end().replace('\n', "\\n");
                if text.is_empty() && values.is_valid(row) { "(empty)".to_owned() } else { text }
            });
            cells.collect()
        })
        .collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn slt() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let (update, only) = (std::env::var_os("UPDATE").is_some(), std::env::var("SLT").unwrap_or_default());
    let mut paths = vec![];
    files(&root, &mut paths);
    let mut wrong = vec![];
    let mut n_run = 0;
    for path in paths.iter().filter(|path| path.to_string_lossy().contains(&only)) {
        n_run += 1;
        let mut runner = Runner::new(|| async { Ok(Shop(common::shop().await)) });
        runner.with_column_validator(strict_column_validator);
        if update {
            let done = runner.update_test_file(
                path,
                " ",
                default_validator,
                default_normalizer,
                strict_column_validator,
            );
            done.await.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        } else if let Err(error) = runner.run_file_async(path).await {
            wrong.push(error.display(false).to_string());
        }
    }
    assert!(n_run > 0, "no file of tests/slt is called like {only:?}");
    assert!(wrong.is_empty(), "{} of {n_run} files differ\n{}", wrong.len(), wrong.join("\n\n"));
}
