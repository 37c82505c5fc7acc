//! A table that coterie keeps itself: read like any other, and `INSERT` stores all rows or none.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, Session, TableProvider};
use datafusion::common::{Result, Statistics, not_impl_err};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use futures::future::{BoxFuture, ready};

use crate::provider::Table;

use super::Engine;
use super::ingest::{Existing, Ingest, store};

/// The table's files, and how to add to them.
pub(super) struct OwnTable {
    pub(super) files: Arc<dyn TableProvider>,
    pub(super) engine: Arc<Engine>,
    pub(super) state: SessionState,
    pub(super) name: String,
}

impl fmt::Debug for OwnTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnTable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Table for OwnTable {
    fn schema(&self) -> SchemaRef {
        self.files.schema()
    }

    fn table_type(&self) -> TableType {
        self.files.table_type()
    }

    fn scan<'a>(
        &'a self,
        session: &'a dyn Session,
        args: ScanArgs<'a>,
    ) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
        Box::pin(async move { Ok(self.files.scan_with_args(session, args).await?.into_inner()) })
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.files.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.files.statistics()
    }

    fn insert<'a>(
        &'a self,
        _: &'a dyn Session,
        rows: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
        Box::pin(ready(self.inserting(rows, op)))
    }
}

impl OwnTable {
    fn inserting(&self, rows: Arc<dyn ExecutionPlan>, op: InsertOp) -> Result<Arc<dyn ExecutionPlan>> {
        let existing = match op {
            InsertOp::Append => Existing::Append,
            InsertOp::Overwrite => Existing::Replace,
            InsertOp::Replace => return not_impl_err!("REPLACE INTO is not possible here"),
        };
        let mode = Ingest { create: false, existing };
        let (engine, state, name) = (Arc::clone(&self.engine), self.state.clone(), self.name.clone());
        let store = move |rows: SendableRecordBatchStream| -> BoxFuture<'static, Result<u64>> {
            let (engine, state, name) = (Arc::clone(&engine), state.clone(), name.clone());
            Box::pin(async move { Ok(store(&engine, &state, &name, mode, rows).await?) })
        };
        let sink = Sink { schema: self.schema(), name: self.name.clone(), store: Box::new(store) };
        Ok(Arc::new(DataSinkExec::new(rows, Arc::new(sink), None)))
    }
}

/// Stores the rows of an `INSERT` and says how many they are.
type Store = dyn Fn(SendableRecordBatchStream) -> BoxFuture<'static, Result<u64>> + Send + Sync;

/// Where the rows of an `INSERT` go. What is needed for it is out of sight of the compiler's proofs, as in
/// [`provider`](crate::provider).
struct Sink {
    schema: SchemaRef,
    name: String,
    store: Box<Store>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("name", &self.name).finish_non_exhaustive()
    }
}

impl DisplayAs for Sink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnTable({})", self.name)
    }
}

#[async_trait]
impl DataSink for Sink {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn write_all(&self, rows: SendableRecordBatchStream, _: &Arc<TaskContext>) -> Result<u64> {
        (self.store)(rows).await
    }
}
