//! The files that a table has at one moment, and scans of some of them.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Statistics;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::{ListingTableUrl, PartitionedFile};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::provider_as_source;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as PlanResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::ExecutionPlan;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::diagnostic::Kind;
use crate::error::{Error, Result, from_object_store};

use super::{Format, Table, delta, files as found, listing};

/// A file of a table as it is at one moment. Two that are equal hold the same rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct File {
    /// Its path in the object store.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was changed last, in microseconds since 1970.
    pub modified: i64,
    /// What the store says about its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl File {
    fn new(meta: &ObjectMeta, etag: Option<&String>) -> Self {
        Self {
            path: meta.location.to_string(),
            size: meta.size,
            modified: meta.last_modified.timestamp_micros(),
            etag: etag.or(meta.e_tag.as_ref()).cloned(),
        }
    }
}

/// The files that hold the table's rows now, in the order of their paths.
pub async fn files(table: &Table, state: &SessionState) -> Result<Vec<File>> {
    let mut files = match table.format {
        Format::Delta => {
            let (provider, etag) = load(table, state).await?;
            let plan = plan(table, provider, None, state).await?;
            scanned(&plan, etag.as_ref())?.into_iter().collect()
        }
        _ => listed(table, state).await?,
    };
    if files.is_empty() && !table.columns_declared && table.format != Format::Delta {
        let message = format!("the table `{}` has no file any more", table.name);
        return Err(Error::new(Kind::Storage, message));
    }
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

/// Reads those files of the table, and no others. One that has changed or gone since is an error.
pub async fn scan(table: &Table, wanted: &[File], state: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
    let (provider, etag) = load(table, state).await?;
    let plan = plan(table, provider, None, state).await?;
    let there = scanned(&plan, etag.as_ref())?;
    unchanged(table, wanted, &there)?;
    if there.len() == wanted.len() {
        return Ok(plan);
    }
    if etag.is_some() {
        // Its scan counts rows file by file, and takes no other files than it planned.
        return Err(crate::bug!("a part of a Delta table with deletions was asked for"));
    }
    let wanted: HashSet<&str> = wanted.iter().map(|file| file.path.as_str()).collect();
    Ok(only(plan, &|file| wanted.contains(file.object_meta.location.as_ref()))?)
}

/// Reads one column of those files, which are all that the table has, row by row in the order of their paths; none where the
/// table is more than the rows of Parquet files.
pub async fn in_order(
    table: &Table,
    all: &[File],
    column: &str,
    state: &SessionState,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (provider, etag) = load(table, state).await?;
    let column = provider.schema().index_of(column).map_err(|error| crate::bug!("`{column}`: {error}"))?;
    let plan = plan(table, provider, Some(vec![column]), state).await?;
    unchanged(table, all, &scanned(&plan, etag.as_ref())?)?;
    let Some(config) = config(&plan).filter(|config| config.file_source().file_type() == "parquet") else {
        return Ok(None);
    };
    let mut files: Vec<PartitionedFile> =
        config.file_groups.iter().flat_map(FileGroup::iter).cloned().collect();
    // A file may have been split over groups.
    files.iter_mut().for_each(|file| file.range = None);
    files.sort_by(|left, right| left.object_meta.location.cmp(&right.object_meta.location));
    files.dedup_by(|left, right| left.object_meta.location == right.object_meta.location);
    let config = regrouped(config, vec![files.into_iter().collect()]);
    Ok(Some(DataSourceExec::from_data_source(config)))
}

/// A table as it is now, with what its log says of deleted rows.
async fn load(table: &Table, state: &SessionState) -> Result<(Arc<dyn TableProvider>, Option<String>)> {
    Ok(match table.format {
        Format::Delta => {
            let loaded = delta::load(table, state).await?;
            (delta::provider(&loaded, state).await?, delta::deletions(&loaded)?)
        }
        _ => (listing::open(table, state)?, None),
    })
}

/// Refuses files that have changed or gone.
fn unchanged(table: &Table, wanted: &[File], there: &HashSet<File>) -> Result<()> {
    let Some(gone) = wanted.iter().find(|file| !there.contains(*file)) else { return Ok(()) };
    let message = format!("the file `/{}` of the table `{}` is being changed", gone.path, table.name);
    Err(Error::new(Kind::Conflict, message).help("run the statement again when it is written"))
}

/// A scan of other groups of files.
fn regrouped(config: &FileScanConfig, groups: Vec<FileGroup>) -> FileScanConfig {
    let partitioning = Partitioning::UnknownPartitioning(groups.len());
    let unknown = Statistics::new_unknown(config.file_source.table_schema().table_schema());
    FileScanConfigBuilder::from(config.clone())
        .with_file_groups(groups)
        .with_statistics(unknown)
        .with_output_partitioning(Some(partitioning))
        .build()
}

async fn listed(table: &Table, state: &SessionState) -> Result<Vec<File>> {
    let mut files = vec![];
    for location in &table.locations {
        let url = ListingTableUrl::parse(&location.url)?;
        let store = state.runtime_env().object_store(&url)?;
        let metas = match location.url.ends_with('/') {
            true => found::list(location, store.as_ref()).await?,
            false => vec![store.head(url.prefix()).await.map_err(from_object_store)?],
        };
        // DataFusion passes over empty files.
        files.extend(metas.iter().filter(|meta| meta.size > 0).map(|meta| File::new(meta, None)));
    }
    Ok(files)
}

async fn plan(
    table: &Table,
    provider: Arc<dyn TableProvider>,
    columns: Option<Vec<usize>>,
    state: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>> {
    let provider = provider_as_source(provider);
    let scan = LogicalPlanBuilder::scan(table.name.as_str(), provider, columns)?.build()?;
    Ok(state.create_physical_plan(&scan).await?)
}

/// The files that a plan reads.
fn scanned(plan: &Arc<dyn ExecutionPlan>, etag: Option<&String>) -> PlanResult<HashSet<File>> {
    let mut files = HashSet::new();
    plan.apply(|node| {
        if let Some(config) = config(node) {
            for file in config.file_groups.iter().flat_map(FileGroup::iter) {
                files.insert(File::new(&file.object_meta, etag));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(files)
}

/// The plan with the files that are kept. Groups stay, some of them empty: the plan above counts on their number.
fn only(
    plan: Arc<dyn ExecutionPlan>,
    keep: &dyn Fn(&PartitionedFile) -> bool,
) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let kept = plan.transform_down(|node| {
        let Some(config) = config(&node) else { return Ok(Transformed::no(node)) };
        let groups = config.file_groups.iter();
        let groups: Vec<FileGroup> =
            groups.map(|group| group.iter().filter(|file| keep(file)).cloned().collect()).collect();
        let config = regrouped(config, groups);
        Ok(Transformed::yes(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(kept.data)
}

fn config(node: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    node.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()
}
