//! Tables of files that are listed at every scan.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use datafusion::catalog::{ScanArgs, Session, TableProvider};
use datafusion::common::{Column, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::SessionState;
use datafusion::execution::cache::cache_manager::TableScopedPath;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use url::Position;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};
use crate::provider;
use crate::storage::shown;

use super::files::{deep, listing_url};
use super::named_format::NamedFormat;
use super::{Location, Order, Table};

/// Makes the provider of a table; no file is touched.
pub(super) fn open(table: &Table, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
    let urls: Vec<ListingTableUrl> = table.locations.iter().map(listing_url).collect::<Result<_>>()?;
    let parts = table.partition_columns.iter();
    let parts = parts.map(|field| (field.name().clone(), field.data_type().clone())).collect();
    let order = table.order.iter().map(|order| order.iter().map(sort).collect()).collect();
    let options = ListingOptions::new(file_format(table, state)?)
        // The locations say which files are meant.
        .with_file_extension("")
        .with_table_partition_cols(parts)
        .with_file_sort_order(order);
    let config = ListingTableConfig::new_with_multi_paths(urls.clone())
        .with_listing_options(options)
        .with_schema(Arc::new(table.columns.clone()));
    // Statistics are kept by path, length and time of change, so a file that is replaced is read again.
    let statistics = state.runtime_env().cache_manager.get_file_statistic_cache();
    let inner = ListingTable::try_new(config)?.with_cache(statistics);
    let deep = table.locations.iter().any(|location| location.deep);
    Ok(provider::table(Declared {
        inner,
        urls,
        deep,
        may_be_empty: table.columns_declared,
        format: table.format.to_string(),
    }))
}

/// The format of the table's files, with its options.
pub(super) fn file_format(table: &Table, state: &SessionState) -> Result<Arc<dyn FileFormat>> {
    let name = table.format.factory();
    let factory = state
        .get_file_format_factory(name)
        .ok_or_else(|| crate::bug!("the session does not know the format {name}"))?;
    let options: HashMap<String, String> =
        table.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let root = match table.locations.first().map(Location::url).transpose()? {
        Some(url) if url.scheme() != "file" => format!("{}/", &url[..Position::BeforePath]),
        _ => "/".to_owned(),
    };
    Ok(Arc::new(NamedFormat::new(factory.create(state, &options)?, &root)))
}

fn sort(order: &Order) -> Sort {
    Expr::Column(Column::from_name(&order.column)).sort(!order.descending, order.nulls_first)
}

/// DataFusion's provider, which lists anew at every scan and does not take no files for no rows.
#[derive(Debug)]
struct Declared {
    inner: ListingTable,
    urls: Vec<ListingTableUrl>,
    deep: bool,
    may_be_empty: bool,
    format: String,
}

impl Declared {
    /// DataFusion keeps listings for good. Forgetting ours before each scan costs one listing a table and
    /// statement, and lets every statement see the files that are there. (A time to live would not: a test or a
    /// pipeline that writes a file and asks at once would miss it.)
    fn forget_listing(&self, state: &dyn Session) {
        let Some(cache) = state.runtime_env().cache_manager.get_list_files_cache() else { return };
        for url in &self.urls {
            cache.remove(&TableScopedPath { table: None, path: url.prefix().clone() });
        }
    }

    /// A table whose columns the user declared may have no rows yet, as long as its folder is there. (Buckets have
    /// no folders to look for.)
    fn is_known_empty(&self) -> bool {
        let there = |url: &ListingTableUrl| url.get_url().to_file_path().map_or(true, |path| path.is_dir());
        self.may_be_empty && self.urls.iter().all(there)
    }

    async fn has_files(&self, state: &dyn Session) -> PlanResult<bool> {
        for url in &self.urls {
            let store = state.runtime_env().object_store(url)?;
            let mut files = url.list_all_files(state, store.as_ref(), "").await?;
            if files.try_next().await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn no_files(&self) -> DataFusionError {
        let names: Vec<String> = self.urls.iter().map(|url| shown(url.get_url())).collect();
        let message = format!("there is no {} file at `{}` any more", self.format, names.join("`, `"));
        Error::new(Kind::Storage, message).into()
    }
}

impl provider::Table for Declared {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn scan<'a>(
        &'a self,
        session: &'a dyn Session,
        args: ScanArgs<'a>,
    ) -> BoxFuture<'a, PlanResult<Arc<dyn ExecutionPlan>>> {
        Box::pin(async move {
            let searching = if self.deep { deep(session) } else { None };
            let session = searching.as_ref().map_or(session, |searching| searching as &dyn Session);
            self.forget_listing(session);
            let scan = self.inner.scan_with_args(session, args).await?.into_inner();
            // A scan is also empty when the filters leave no folder.
            let empty = (scan.as_ref() as &dyn Any).is::<EmptyExec>();
            if empty && !self.is_known_empty() && !self.has_files(session).await? {
                return Err(self.no_files());
            }
            Ok(scan)
        })
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.inner.statistics()
    }

    fn insert<'a>(
        &'a self,
        session: &'a dyn Session,
        rows: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> BoxFuture<'a, PlanResult<Arc<dyn ExecutionPlan>>> {
        self.inner.insert_into(session, rows, op)
    }
}
