//! Rows from a client into a table of coterie's own: all of them or none.
//!
//! They go to new files in the warehouse, which nobody reads before one new version of the table's catalog entry names
//! them. So a client that vanishes, a full disk or a wrong row at the end leave the table as it was.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::dataframe::{DataFrame, DataFrameWriteOptions};
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result, from_io};
use crate::session::PUBLIC;
use crate::source;
use crate::warehouse;

use super::entry::Relation;
use super::principal::Role;
use super::{Engine, Session};

/// How often an append begins anew because another writer was first.
const ATTEMPTS: usize = 16;

/// What becomes of a table that exists, and of one that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingest {
    /// Whether a table that does not exist is created, or its absence an error.
    pub create: bool,
    /// What becomes of rows that are there.
    pub existing: Existing,
}

/// What becomes of a table that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Its existence is an error.
    Fail,
    /// The new rows come to the old ones.
    Append,
    /// The new rows take the place of the old ones, and the new columns that of the old ones.
    Replace,
}

impl Session {
    /// Stores rows in a table of schema `public`; returns how many.
    pub async fn ingest(&self, name: &str, mode: Ingest, rows: SendableRecordBatchStream) -> Result<u64> {
        self.client().principal.require(Role::Author, "store rows")?;
        self.client().principal.require_table(Some(PUBLIC), name)?;
        let scope = self.scope().await?;
        store(self.engine(), &scope.state(), name, mode, rows).await
    }
}

/// Stores rows; who asks may do so.
pub(super) async fn store(
    engine: &Arc<Engine>,
    state: &SessionState,
    name: &str,
    mode: Ingest,
    rows: SendableRecordBatchStream,
) -> Result<u64> {
    let rows = match target(engine, name, mode).await? {
        Some((_, table)) if mode.existing == Existing::Append => fitted(rows, Arc::new(table.columns))?,
        _ => rows,
    };
    let location = engine.table_location(name);
    let columns = stored(&rows.schema());
    let done = match write(state, &location, rows).await {
        Ok(count) => publish(engine, name, mode, &location, &columns).await.map(|()| count),
        Err(error) => Err(error),
    };
    if done.is_err() {
        discard(state, &location).await;
    }
    done
}

/// Makes files that are written part of a table.
async fn publish(
    engine: &Arc<Engine>,
    name: &str,
    mode: Ingest,
    location: &str,
    columns: &SchemaRef,
) -> Result<()> {
    let new = source::Table::parquet(name, location, Arc::clone(columns));
    for _ in 0..ATTEMPTS {
        // Another writer may have been here since the rows began to come.
        let (after, table) = match target(engine, name, mode).await? {
            Some((version, mut table)) if mode.existing == Existing::Append => {
                let same = |(left, right): (&Arc<Field>, &Arc<Field>)| {
                    left.name() == right.name() && left.data_type() == right.data_type()
                };
                let old = table.columns.fields();
                if old.len() != columns.fields().len() || !old.iter().zip(columns.fields()).all(same) {
                    let message = format!("the columns of `{name}` changed while rows came in");
                    return Err(Error::new(Kind::Conflict, message));
                }
                table.locations.extend(new.locations.clone());
                (Some(version), table)
            }
            Some((version, _)) => (Some(version), new.clone()),
            None => (None, new.clone()),
        };
        match engine.put(warehouse::Kind::Table, name, after, &Relation::Table(table)).await {
            Err(error) if error.kind() == Kind::Conflict => {}
            done => return done,
        }
    }
    Err(Error::new(Kind::Conflict, format!("others keep changing `{name}`")).help("try again"))
}

/// The table that rows go to, with the version of its entry; `None` for a new one.
async fn target(engine: &Arc<Engine>, name: &str, mode: Ingest) -> Result<Option<(u64, source::Table)>> {
    let snapshot = engine.warehouse.snapshot().await?;
    let Some(entry) = snapshot.get(warehouse::Kind::Table, name) else {
        if mode.create {
            return Ok(None);
        }
        let names = snapshot.all(warehouse::Kind::Table).into_iter().map(|entry| entry.name.as_str());
        let fault = Diagnostic::new(Kind::NotFound, format!("no table is called `{name}`"));
        return Err(fault.suggest(name, names).into());
    };
    match &*engine.typed::<Relation>(entry)? {
        _ if mode.existing == Existing::Fail => {
            let fault =
                Diagnostic::new(Kind::Conflict, format!("a table or view is called `{name}` already"));
            Err(fault.help("append to it, or replace it").into())
        }
        Relation::View { .. } => {
            Err(Diagnostic::new(Kind::Type, format!("`{name}` is a view and holds no rows")).into())
        }
        Relation::Table(table) if engine.keeps(table) => Ok(Some((entry.version, table.clone()))),
        Relation::Table(_) => {
            let message = format!("`{name}` is declared over files that coterie does not own");
            Err(Diagnostic::new(Kind::Unsupported, message)
                .help("write the files, or take another name")
                .into())
        }
    }
}

/// The columns as Parquet gives them back.
fn stored(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(Schema::new(fields))
}

/// Rows in the columns of a table: found by name, cast where no value is lost, NULL where there are none.
fn fitted(rows: SendableRecordBatchStream, columns: SchemaRef) -> Result<SendableRecordBatchStream> {
    let given = rows.schema();
    for field in given.fields() {
        if columns.field_with_name(field.name()).is_err() {
            let names = columns.fields().iter().map(|field| field.name().as_str());
            let fault = Diagnostic::new(Kind::Name, format!("the table has no column `{}`", field.name()));
            return Err(fault.suggest(field.name(), names).into());
        }
    }
    let schema = Arc::clone(&columns);
    let fitted = rows.map(move |batch| {
        let batch = batch?;
        let arrays = columns.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) => exact(column, field),
            None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        Ok::<_, DataFusionError>(RecordBatch::try_new(Arc::clone(&columns), arrays)?)
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, fitted)))
}

fn exact(column: &arrow::array::ArrayRef, field: &Field) -> Result<arrow::array::ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let cast = cast(column, field.data_type())?;
    // What does not fit becomes NULL, silently.
    if cast.null_count() > column.logical_null_count() {
        let message = format!("a value of `{}` is no {}", field.name(), field.data_type());
        return Err(Diagnostic::new(Kind::Type, message).into());
    }
    Ok(cast)
}

async fn write(state: &SessionState, location: &str, rows: SendableRecordBatchStream) -> Result<u64> {
    if rows.schema().fields().is_empty() {
        return Err(Error::new(Kind::Unsupported, "a table has at least one column"));
    }
    if let Some(field) = rows.schema().fields().iter().find(|field| *field.data_type() == DataType::Null) {
        let message = format!("the type of column `{}` is not known", field.name());
        return Err(Error::new(Kind::Type, message));
    }
    let schema = rows.schema();
    let once = Arc::new(Once { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) });
    let table = StreamingTable::try_new(schema, vec![once])?;
    let plan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(table)), None)?.build()?;
    write_files(DataFrame::new(state.clone(), plan), location).await
}

/// Writes the files of a table and says how many rows they have. Of no rows there is no file: then the folder, where there
/// are folders, tells an empty table from one that has vanished.
pub(super) async fn write_files(rows: DataFrame, location: &str) -> Result<u64> {
    let written = rows.write_parquet(location, DataFrameWriteOptions::new(), None).await?;
    let url = ListingTableUrl::parse(location)?;
    if let Ok(folder) = url.get_url().to_file_path() {
        let made = tokio::fs::create_dir_all(&folder).await;
        made.map_err(|error| from_io(&folder.display().to_string(), error))?;
    }
    let counts = written.iter().filter(|batch| batch.num_columns() > 0 && batch.num_rows() > 0);
    Ok(counts.map(|batch| batch.column(0).as_primitive::<UInt64Type>().value(0)).sum())
}

/// Removes what was written for nothing. What cannot be removed is never read.
async fn discard(state: &SessionState, location: &str) {
    let Ok(url) = ListingTableUrl::parse(location) else { return };
    let Ok(store) = state.runtime_env().object_store(&url) else { return };
    let mut files = store.list(Some(url.prefix()));
    while let Ok(Some(file)) = files.try_next().await {
        if let Err(error) = store.delete(&file.location).await {
            tracing::warn!(%error, "files of rows that were not stored could not be removed");
            return;
        }
    }
}

/// Rows that can be read once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        match self.rows.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(rows) => rows,
            None => {
                let error = DataFusionError::Internal("rows of a client were read twice".to_owned());
                let failed = futures::stream::once(async { Err(error) });
                Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), failed))
            }
        }
    }
}
