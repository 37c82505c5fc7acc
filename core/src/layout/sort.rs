//! Brings the rows of one bucket into order, month by month, and writes them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionState, SpillFile, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{EmptyRecordBatchStream, ExecutionPlan};
use datafusion::prelude::SessionConfig;
use futures::{StreamExt, TryStreamExt};

use crate::error::Result;

use super::columns::{Columns, month_text};
use super::log::{Log, State};
use super::numbers::Numbers;
use super::unfinished::Bucket;
use super::{MANY_FILES, Writer, beside, read, scatter};

/// What laying out may take where the session has no limit of its own.
const MEMORY: usize = 1 << 30;

/// The session's runtime, with a limit of memory in any case: sorting takes all that it gets, and registering profiles as much
/// as they need.
pub(super) fn runtime(state: &SessionState) -> Result<Arc<RuntimeEnv>> {
    let runtime = state.runtime_env();
    if matches!(runtime.memory_pool.memory_limit(), MemoryLimit::Finite(_)) {
        return Ok(Arc::clone(runtime));
    }
    let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(MEMORY));
    Ok(RuntimeEnvBuilder::from_runtime_env(runtime).with_memory_pool(pool).build_arc()?)
}

/// What the buckets of a run share.
pub(super) struct Sorter {
    pub(super) columns: Arc<Columns>,
    pub(super) log: Arc<Log>,
    /// The copy that is added to, and the lists of its keys by bucket.
    pub(super) base: Arc<State>,
    pub(super) keys: BTreeMap<u32, String>,
    pub(super) config: SessionConfig,
    pub(super) runtime: Arc<RuntimeEnv>,
}

impl Sorter {
    /// Writes the rows of a bucket, with those of its months that have too many files.
    pub(super) async fn write(&self, bucket: u32, spill: Option<Arc<dyn SpillFile>>) -> Result<Bucket> {
        let Some(spill) = spill else {
            // Months are joined when rows are added to the bucket.
            return Ok(Bucket::default());
        };
        let crowded = self.base.crowded(bucket, MANY_FILES);
        let replaced = crowded.iter().map(|file| file.relative.clone()).collect();
        let mut written = Bucket { replaced, ..Bucket::default() };
        let memory = MemoryConsumer::new("keys of laid-out events").register(&self.runtime.memory_pool);
        let mut numbers = Numbers::new(self.columns.stored.field(self.columns.key).data_type())?;
        if let Some(list) = self.keys.get(&bucket) {
            numbers.of(beside::read_list(&self.log, list).await?.column(0))?;
        }
        let mut config = self.config.clone();
        config.options_mut().execution.spill_compression = scatter::COMPRESSION;
        let context =
            TaskContext::default().with_session_config(config).with_runtime(Arc::clone(&self.runtime));
        let context = Arc::new(context);
        let spills = scatter::spills(&self.columns, &self.runtime);
        let new = spills.read_spill_as_stream(spill, None)?;
        let old = match crowded.is_empty() {
            true => Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.columns.stored))) as _,
            false => read::rows(&self.log, &self.columns.stored, &crowded, &context)?,
        };
        let old_rows: u64 = crowded.iter().map(|file| file.rows).sum();
        let columns = Arc::clone(&self.columns);
        let old = old.map(move |rows| columns.working(&rows?).map_err(DataFusionError::from));
        let all = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.columns.working), new.chain(old)));
        let mut sorted = self.sorted(all)?.execute(0, context)?;

        let mut open: Option<(Option<i32>, Writer)> = None;
        while let Some(rows) = sorted.try_next().await? {
            for (month, rows) in by_month(&rows) {
                if let Some((before, _)) = &open
                    && *before != month
                    && let Some((_, file)) = open.take()
                {
                    written.files.push(file.finish().await?);
                }
                let (_, file) = match &mut open {
                    Some(open) => open,
                    None => {
                        let file = Writer::new(&self.log, &self.columns, bucket, month.map(month_text))?;
                        open.insert((month, file))
                    }
                };
                written.rows += u64::try_from(rows.num_rows()).unwrap_or(u64::MAX);
                let of_rows = numbers.of(rows.column(self.columns.key))?;
                file.write(&self.columns.numbered(&rows, of_rows)?).await?;
                // There is no doing without: whoever sorts has to make do with the rest.
                memory.resize(numbers.memory());
            }
        }
        if let Some((_, file)) = open {
            written.files.push(file.finish().await?);
        }
        written.rows = written.rows.saturating_sub(old_rows);
        written.keys = Some(beside::write_list(&self.log, &numbers.into_list()?).await?);
        Ok(written)
    }

    /// A plan that sorts rows by month, key, time and id. A null is less than all values, as DataFusion's joins want it.
    fn sorted(&self, rows: SendableRecordBatchStream) -> Result<SortExec> {
        let schema = &self.columns.working;
        // The month's number comes before the stored columns.
        let stored = [Some(self.columns.key), Some(self.columns.timestamp), self.columns.id];
        let order = std::iter::once(0).chain(stored.into_iter().flatten().map(|at| at + 1));
        let ascending = SortOptions { descending: false, nulls_first: true };
        let order = order
            .map(|at| PhysicalSortExpr::new(Arc::new(Column::new(schema.field(at).name(), at)), ascending));
        let order = LexOrdering::new(order).ok_or_else(|| crate::bug!("events have no order"))?;
        let rows = Arc::new(Once { schema: Arc::clone(schema), rows: Mutex::new(Some(rows)) });
        let input = StreamingTableExec::try_new(Arc::clone(schema), vec![rows], None, [], false, None)?;
        Ok(SortExec::new(order, Arc::new(input)))
    }
}

/// The stored columns of sorted rows, month by month.
fn by_month(rows: &RecordBatch) -> Vec<(Option<i32>, RecordBatch)> {
    let months = rows.column(0).as_primitive::<Int32Type>();
    let month = |row: usize| months.is_valid(row).then(|| months.value(row));
    let mut stored = rows.clone();
    stored.remove_column(0);
    let (mut parts, mut start) = (vec![], 0);
    for row in 1..=rows.num_rows() {
        if row == rows.num_rows() || month(row) != month(start) {
            parts.push((month(start), stored.slice(start, row - start)));
            start = row;
        }
    }
    parts
}

/// Rows that can be read once, as a plan wants them.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.schema))))
    }
}
