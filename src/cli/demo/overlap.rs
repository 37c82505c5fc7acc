//! Which audiences share members.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::StreamExt;

use super::segments::SAMPLES;
use crate::cli::output::grid;
use crate::cli::progress::count;
use crate::diagnostic::Source;
use crate::engine::Session;
use crate::error::{Error, Result};
use crate::statement;

/// How many profiles each two audiences share; in the table of a browser or a BI tool, the same query.
const OVERLAP: &str = include_str!("../../../queries/demo/overlap.sql");

/// The table with its heading.
pub(super) async fn table(session: &Session) -> Result<String> {
    let shared = shared(session).await?;
    let numbers: Vec<String> = (1..=SAMPLES.len()).map(|number| number.to_string()).collect();
    let names: Vec<&str> =
        ["", "shared with"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    let right: Vec<usize> = std::iter::once(0).chain(2..names.len()).collect();
    let rows = SAMPLES.iter().zip(&numbers).map(|(row, number)| {
        let cells = SAMPLES.iter().map(|column| {
            let pair = (row.name.to_owned(), column.name.to_owned());
            if row.name == column.name {
                "·".to_owned()
            } else {
                count(shared.get(&pair).copied().unwrap_or(0))
            }
        });
        [number.clone(), row.name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    });
    Ok(format!("\nProfiles that two audiences share:\n{}\n", grid(&names, &right, rows)))
}

async fn shared(session: &Session) -> Result<BTreeMap<(String, String), u64>> {
    let source = Source::named("queries/demo/overlap.sql", OVERLAP);
    let mut shared = BTreeMap::new();
    for piece in statement::split(OVERLAP) {
        let statement = statement::parse(&source, piece.range)?;
        let mut answer = session.execute(&statement).await?;
        while let Some(batch) = answer.stream.next().await {
            let batch = batch?;
            let text = |at: usize| {
                cast(batch.column(at), &DataType::Utf8)
                    .map_err(|cause| Error::from(datafusion::error::DataFusionError::from(cause)))
            };
            let (left, right) = (text(0)?, text(1)?);
            let (left, right) = (left.as_string::<i32>(), right.as_string::<i32>());
            let profiles = batch.column(2).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                if left.is_null(row) || right.is_null(row) {
                    continue;
                }
                let n = u64::try_from(profiles.value(row)).unwrap_or(0);
                let (left, right) = (left.value(row).to_owned(), right.value(row).to_owned());
                shared.insert((left.clone(), right.clone()), n);
                shared.insert((right, left), n);
            }
        }
    }
    Ok(shared)
}
