//! `coterie import`: segments from another system's definitions.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::arguments::{Adobe, Global};
use super::output::{Output, Sink};
use super::stop::{Stop, note};
use super::{open, script};
use crate::bug;
use crate::diagnostic::{Kind, render};
use crate::engine::{Import, Imported, Status};
use crate::error::{Error, Result};

pub(super) async fn run(global: &Global, arguments: &Adobe) -> Result<(), Stop> {
    let documents = arguments.files.iter().map(|file| script::read(file)).collect::<Result<Vec<_>>>()?;
    let engine = open(global).await?;
    if engine.in_memory() {
        let error = Error::new(Kind::Usage, "there is no warehouse to import into");
        return Err(error
            .help("name one: `--warehouse URL`, or the environment variable COTERIE_WAREHOUSE")
            .into());
    }
    let Adobe { store, replace, dry_run, .. } = arguments;
    let import = Import { store: store.as_deref(), replace: *replace, dry_run: *dry_run };
    let imported = engine.session().import_adobe(&documents, import).await?;
    let rows = rows(&imported)?;
    let schema = rows.schema();
    let stream = RecordBatchStreamAdapter::new(rows.schema(), stream::iter([Ok(rows)]));
    Output::new(Sink::stdout(), arguments.format).show("IMPORT", &schema, Box::pin(stream)).await?;
    // The report says that a definition is refused; here is where it is wrong, and what would mend it.
    let faults = imported.iter().flat_map(|imported| &imported.faults);
    for fault in faults.filter(|fault| fault.source.is_some() || !fault.help.is_empty()) {
        note(&render(fault));
    }
    let is_refused = imported.iter().any(|imported| imported.status == Status::Refused);
    if is_refused { Err(Stop::Status(1)) } else { Ok(()) }
}

/// A row a definition.
fn rows(imported: &[Imported]) -> Result<RecordBatch> {
    let reason = |imported: &Imported| {
        let fault = imported.faults.first()?;
        Some(format!("error[{}]: {}", fault.kind, fault.message))
    };
    let fields = ["segment", "status", "reason"].map(|name| Field::new(name, DataType::Utf8, true));
    let columns = vec![
        Arc::new(imported.iter().map(|of| Some(of.segment.as_str())).collect::<StringArray>()) as _,
        Arc::new(imported.iter().map(|of| Some(of.status.as_str())).collect::<StringArray>()) as _,
        Arc::new(imported.iter().map(reason).collect::<StringArray>()) as _,
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns)
        .map_err(|error| bug!("the report does not fit its columns: {error}"))
}
