//! What commands do, one file a group of statements. Each takes effect wholly or not at all.

mod cancel_query;
mod create_profile_store;
mod create_segment;
mod drop;
mod explain_segment;
mod optimize_events;
mod setting;
mod show;
mod table;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{DdlStatement, Statement as PlannedStatement};
use futures::FutureExt;

use crate::bug;
use crate::error::Result;
use crate::statement::{Command, Statement};

use super::{Session, evaluate};

pub(super) use create_segment::{check as check_segment, check_id, store_of};
pub(super) use setting::set;
pub(super) use show::{events_text, lookups_text};

/// What a command is to do.
pub(super) enum Task {
    /// What the statement says: it is one of coterie's own.
    Statement,
    /// A change of the catalog that DataFusion planned.
    Ddl(Arc<DdlStatement>),
    /// `SET`, `RESET`.
    Setting(Arc<PlannedStatement>),
    /// `PREPARE`.
    Prepare(String),
    /// `DEALLOCATE`.
    Deallocate(String),
}

/// The columns that a command returns.
pub(super) fn schema(task: &Task, command: &Command) -> SchemaRef {
    let Task::Statement = task else { return Arc::new(Schema::empty()) };
    match command {
        Command::ShowProfileStores => show::stores_schema(),
        Command::ShowSegments => show::segments_schema(),
        Command::ShowCreateSegment(_) => text_columns(&["segment", "statement"]),
        Command::DescribeSegment(_) => text_columns(&["property", "value"]),
        Command::ExplainSegment(_) => text_columns(&["plan_type", "plan"]),
        Command::Evaluate { explain: true, .. } => text_columns(&["plan_type", "plan"]),
        Command::Evaluate { explain: false, .. } => evaluate::schema(),
        Command::OptimizeEvents(_) => optimize_events::schema(),
        Command::Sql(_)
        | Command::CancelQuery { .. }
        | Command::CreateProfileStore(_)
        | Command::DropProfileStore { .. }
        | Command::CreateSegment(_)
        | Command::DropSegment { .. } => Arc::new(Schema::empty()),
    }
}

/// Does what a command says.
///
/// Each command is a boxed future of its own: the compiler cannot prove the sum of all of them to be `Send`.
pub(super) async fn run(session: &Session, task: &Task, statement: &Statement) -> Result<RecordBatch> {
    match task {
        Task::Statement => return run_own(session, statement).boxed().await,
        Task::Ddl(ddl) => table::run(session, ddl, statement).boxed().await?,
        Task::Setting(setting) => setting::run(session, setting)?,
        Task::Prepare(name) => {
            session.remembered(|state| state.prepared.insert(name.clone(), statement.clone()));
        }
        Task::Deallocate(name) => setting::deallocate(session, name)?,
    }
    nothing()
}

async fn run_own(session: &Session, statement: &Statement) -> Result<RecordBatch> {
    match &statement.command {
        Command::CreateProfileStore(create) => create_profile_store::run(session, create).boxed().await?,
        Command::DropProfileStore { name, if_exists } => {
            drop::store(session, name, *if_exists).boxed().await?
        }
        Command::CreateSegment(create) => create_segment::run(session, create, statement).boxed().await?,
        Command::DropSegment { name, if_exists } => drop::segment(session, name, *if_exists).boxed().await?,
        Command::ShowProfileStores => return show::stores(session).await,
        Command::ShowSegments => return show::segments(session).boxed().await,
        Command::ShowCreateSegment(name) => return show::create_segment(session, name).await,
        Command::DescribeSegment(name) => return show::describe_segment(session, name).boxed().await,
        Command::ExplainSegment(name) => return explain_segment::run(session, name).boxed().await,
        Command::CancelQuery { id, span } => cancel_query::run(session, id, *span)?,
        Command::Evaluate { run, explain } => {
            return evaluate::statement(session, run, *explain).boxed().await;
        }
        Command::OptimizeEvents(optimize) => return optimize_events::run(session, optimize).boxed().await,
        Command::Sql(_) => return Err(bug!("a statement of DataFusion's became a command")),
    }
    nothing()
}

fn nothing() -> Result<RecordBatch> {
    Ok(RecordBatch::new_empty(Arc::new(Schema::empty())))
}

/// Columns of text.
pub(super) fn text_columns(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(
        names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>(),
    ))
}

/// A batch of a fixed schema.
pub(super) fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(schema, columns)
        .map_err(|error| bug!("a command's rows do not fit its columns: {error}"))
}
