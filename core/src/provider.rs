//! Tables and schemas, as DataFusion asks for them.
//!
//! The methods of DataFusion's own traits have lifetimes with bounds on them. Under such bounds the compiler proves for
//! each future anew, part by part, that it may go to another thread; with sessions and plans inside it did little else.
//! What coterie shows implements the traits of this module, whose futures are boxed where no bounds are, and is adapted
//! here, once.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, ScanResult, SchemaProvider, Session, TableProvider};
use datafusion::common::{Result, Statistics, not_impl_err};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::future::{BoxFuture, ready};

/// A table.
pub trait Table: Debug + Send + Sync + 'static {
    /// Its columns.
    fn schema(&self) -> SchemaRef;

    /// What it is called in `information_schema`.
    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Which filters a scan takes.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()])
    }

    /// What is known of its rows.
    fn statistics(&self) -> Option<Statistics> {
        None
    }

    /// Reads it.
    fn scan<'a>(
        &'a self,
        session: &'a dyn Session,
        args: ScanArgs<'a>,
    ) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>>;

    /// Writes rows into it.
    fn insert<'a>(
        &'a self,
        _session: &'a dyn Session,
        _rows: Arc<dyn ExecutionPlan>,
        _op: InsertOp,
    ) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
        Box::pin(ready(not_impl_err!("Insert into not implemented for this table")))
    }
}

/// The table as DataFusion wants it.
pub fn table(table: impl Table) -> Arc<dyn TableProvider> {
    Arc::new(Provided(Box::new(table)))
}

#[derive(Debug)]
struct Provided(Box<dyn Table>);

#[async_trait]
impl TableProvider for Provided {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.0.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.0.statistics()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let args = ScanArgs::default().with_projection(projection.map(Vec::as_slice));
        self.0.scan(session, args.with_filters(Some(filters)).with_limit(limit)).await
    }

    async fn scan_with_args<'a>(&self, session: &dyn Session, args: ScanArgs<'a>) -> Result<ScanResult> {
        Ok(self.0.scan(session, args).await?.into())
    }

    async fn insert_into(
        &self,
        session: &dyn Session,
        rows: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.insert(session, rows, op).await
    }
}

/// A schema.
pub trait Schema: Debug + Send + Sync + 'static {
    /// The tables that are listed.
    fn names(&self) -> Vec<String>;

    /// Whether there is a table of a name.
    fn has(&self, name: &str) -> bool;

    /// The table of a name.
    fn table<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>>>;

    /// What sort of table that is.
    fn table_type<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<TableType>>> {
        Box::pin(async { Ok(self.table(name).await?.map(|table| table.table_type())) })
    }
}

/// The schema as DataFusion wants it.
pub fn schema(schema: impl Schema) -> Arc<dyn SchemaProvider> {
    Arc::new(ProvidedSchema(Box::new(schema)))
}

#[derive(Debug)]
struct ProvidedSchema(Box<dyn Schema>);

#[async_trait]
impl SchemaProvider for ProvidedSchema {
    fn table_names(&self) -> Vec<String> {
        self.0.names()
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.has(name)
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.0.table(name).await
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.0.table_type(name).await
    }
}
