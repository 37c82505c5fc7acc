//! `coterie evaluate`: for schedulers.

use futures::stream;

use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::arguments::{Evaluate, Global};
use super::open;
use super::output::{Format, Output, Sink};
use super::progress::Bar;
use super::stop::{Stop, note};
use crate::bug;
use crate::diagnostic::Kind;
use crate::error::{Error, Result};

pub(super) async fn run(global: &Global, arguments: &Evaluate) -> Result<(), Stop> {
    let engine = open(global).await?;
    if engine.in_memory() {
        let error = Error::new(Kind::Usage, "there is no warehouse to evaluate");
        return Err(error
            .help("name one: `--warehouse URL`, or the environment variable COTERIE_WAREHOUSE")
            .into());
    }
    let session = engine.session();
    session.set_progress(Bar::on_terminal(global.verbose).map(|bar| bar as _));
    let report = session.evaluate(&arguments.names, arguments.as_of, false).await?;
    let mut sink = Sink::stdout();
    if arguments.format == Format::Json {
        let text =
            serde_json::to_string_pretty(&report).map_err(|cause| bug!("a report is not JSON: {cause}"))?;
        sink.write(&format!("{text}\n"))?;
    } else {
        let rows = report.rows()?;
        let schema = rows.schema();
        let rows = RecordBatchStreamAdapter::new(rows.schema(), stream::iter([Ok(rows)]));
        Output::new(sink, arguments.format).show("EVALUATE", &schema, Box::pin(rows)).await?;
    }
    if report.segments.is_empty() {
        note("the warehouse has no segments");
    }
    // The report says which, and why.
    if report.has_failures() { Err(Stop::Status(1)) } else { Ok(()) }
}
