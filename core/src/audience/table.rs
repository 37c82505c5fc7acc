//! Audiences as tables: one snapshot's data files, read by DataFusion's Parquet scan.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{ScanArgs, Session};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectStore;
use url::Position;

use super::layout::{Layout, SEGMENT};
use super::log::State;
use futures::future::{BoxFuture, ready};

use crate::error::Result;
use crate::provider::Table;

/// The stored members of one segment or of all, as one version of the table holds them.
#[derive(Debug)]
pub(super) struct Memberships {
    store: Arc<dyn ObjectStore>,
    store_url: ObjectStoreUrl,
    /// The columns of the files, then the segment where it is a column.
    columns: TableSchema,
    /// The segment first, where it is a column.
    schema: SchemaRef,
    files: Vec<(String, PartitionedFile)>,
}

impl Memberships {
    /// The members of `segment`, without a column of that name, or all members with one.
    pub(super) fn new(
        layout: &Layout,
        store: Arc<dyn ObjectStore>,
        state: &State,
        segment: Option<&str>,
    ) -> Result<Self> {
        let file_schema = Arc::new(layout.query_schema());
        let segment_field = Arc::new(Field::new(SEGMENT, DataType::Utf8, false));
        let (columns, schema) = if segment.is_some() {
            (TableSchema::from(file_schema.clone()), file_schema)
        } else {
            let fields = std::iter::once(&segment_field).chain(file_schema.fields()).cloned();
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            (TableSchema::builder(file_schema).with_table_partition_cols(vec![segment_field]).build(), schema)
        };
        let mut files = vec![];
        let wanted = state.segments.iter().filter(|(name, _)| segment.is_none_or(|segment| segment == *name));
        for (name, stored) in wanted {
            for add in &stored.files {
                let mut file = PartitionedFile::new(String::new(), u64::try_from(add.size).unwrap_or(0));
                file.object_meta.location = layout.full_path(&add.path)?;
                if segment.is_none() {
                    file = file.with_partition_values(vec![ScalarValue::from(name.as_str())]);
                }
                if let Some(rows) = rows(add.stats.as_deref()) {
                    let mut statistics = Statistics::new_unknown(columns.file_schema());
                    statistics.num_rows = Precision::Exact(rows);
                    file = file.with_statistics(Arc::new(statistics));
                }
                files.push((name.clone(), file));
            }
        }
        let store_url = ObjectStoreUrl::parse(&layout.url[..Position::BeforePath])
            .map_err(|e| layout.failed("read", e))?;
        Ok(Self { store, store_url, columns, schema, files })
    }

    /// Whether a scan of these files needs the file, for the segments among filters like `segment IN (…)`.
    fn selected(&self, state: &dyn Session, filters: &[Expr]) -> datafusion::common::Result<Vec<bool>> {
        let all = vec![true; self.files.len()];
        let about_segment = |filter: &&Expr| {
            let columns = filter.column_refs();
            !columns.is_empty()
                && columns.iter().all(|column| column.name == SEGMENT)
                && !filter.is_volatile()
        };
        let filters: Vec<Expr> = filters.iter().filter(about_segment).cloned().collect();
        let (Some(filter), Some(field)) = (conjunction(filters), self.columns.table_partition_cols().first())
        else {
            return Ok(all);
        };
        let schema = Arc::new(Schema::new(vec![field.clone()]));
        let segments = StringArray::from_iter_values(self.files.iter().map(|(segment, _)| segment));
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(segments)])?;
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema)?)?;
        let keep = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
        Ok(keep.as_boolean().iter().map(|keep| keep == Some(true)).collect())
    }

    /// Positions of the table's columns in the scan's, which has the segment last.
    fn scanned(&self, projection: Option<&[usize]>) -> Vec<usize> {
        let files = self.columns.file_schema().fields().len();
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all).iter();
        if self.columns.table_partition_cols().is_empty() {
            return wanted.copied().collect();
        }
        wanted.map(|&at| if at == 0 { files } else { at - 1 }).collect()
    }
}

impl Table for Memberships {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::common::Result<Vec<TableProviderFilterPushDown>> {
        // The scan skips what cannot match; the rows left are filtered above it.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        let rows = self.files.iter().map(|(_, file)| file.statistics.as_ref()?.num_rows.get_value().copied());
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = rows.sum::<Option<usize>>().map_or(Precision::Absent, Precision::Exact);
        Some(statistics)
    }

    fn scan<'a>(
        &'a self,
        session: &'a dyn Session,
        args: ScanArgs<'a>,
    ) -> BoxFuture<'a, datafusion::common::Result<Arc<dyn ExecutionPlan>>> {
        Box::pin(ready(self.scanning(session, &args)))
    }
}

impl Memberships {
    fn scanning(
        &self,
        state: &dyn Session,
        args: &ScanArgs<'_>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let filters = args.filters().unwrap_or_default();
        // A session that has never met the warehouse's object store gets it from here.
        let runtime = state.runtime_env();
        if runtime.object_store(&self.store_url).is_err() {
            runtime.register_object_store(self.store_url.as_ref(), Arc::clone(&self.store));
        }

        // The planner hands the filters on from the rows' filter above, so they are not set here.
        let source = ParquetSource::new(self.columns.clone())
            .with_table_parquet_options(state.default_table_options().parquet);
        let selected = self.selected(state, filters)?;
        let files = self.files.iter().zip(selected).filter(|(_, keep)| *keep);
        let group: FileGroup = files.map(|((_, file), _)| file.clone()).collect();
        let rows = group.iter().map(|file| file.statistics.as_ref()?.num_rows.get_value().copied());
        let mut statistics = Statistics::new_unknown(self.columns.table_schema());
        statistics.num_rows = match (rows.sum::<Option<usize>>(), filters.is_empty()) {
            (Some(rows), true) => Precision::Exact(rows),
            (Some(rows), false) => Precision::Inexact(rows),
            (None, _) => Precision::Absent,
        };
        let groups = group.split_files(state.config_options().execution.target_partitions);
        let config = FileScanConfigBuilder::new(self.store_url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(self.scanned(args.projection())))?
            .with_limit(args.limit())
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// How many rows a file has, as the log says.
fn rows(stats: Option<&str>) -> Option<usize> {
    let stats: serde_json::Value = serde_json::from_str(stats?).ok()?;
    stats.get("numRecords")?.as_u64().and_then(|rows| usize::try_from(rows).ok())
}
