//! `EXPLAIN SEGMENT`: the rule as SQL that runs as it stands, then DataFusion's plans of it.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use datafusion::physical_plan::displayable;

use crate::engine::Session;
use crate::error::{Error, Result};
use crate::segment::Name;

use super::{batch, text_columns};

pub(super) async fn run(session: &Session, name: &Name) -> Result<RecordBatch> {
    let scope = session.scope().await?;
    let sql = scope.segment_sql(&name.value).await.map_err(|error| match error {
        Error::Wrong(faults) => Error::Wrong(faults.into_iter().map(|fault| fault.at(name.span)).collect()),
        failed => failed,
    })?;
    let state = scope.state();
    let plan = state.optimize(&scope.plan_sql(&sql).await?)?;
    let physical = state.create_physical_plan(&plan).await?;
    let rows = [
        ("sql", sql),
        ("logical_plan", plan.display_indent().to_string()),
        ("physical_plan", displayable(physical.as_ref()).indent(false).to_string()),
    ];
    let kinds: StringArray = rows.iter().map(|(kind, _)| Some(*kind)).collect();
    let texts: StringArray = rows.iter().map(|(_, text)| Some(text.trim_end())).collect();
    batch(text_columns(&["plan_type", "plan"]), vec![Arc::new(kinds), Arc::new(texts)])
}
