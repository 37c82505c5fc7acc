//! Reads the source once and deals its rows to a spill file a bucket.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use datafusion::common::config::SpillCompression;
use datafusion::common::runtime::JoinSet;
use datafusion::error::Result as PlanResult;
use datafusion::execution::SessionState;
use datafusion::execution::SpillFile;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::{SpillManager, get_record_batch_memory_size};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::TryStreamExt;

use crate::error::Result;

use super::bucket::bucket_of;
use super::columns::Columns;

/// Rows are dealt out so many bytes at a time: enough that a bucket's share is worth a write.
const CHUNK: usize = 64 << 20;

/// Spilled rows are read back so many at a time.
const SPILLED_ROWS: usize = 8192;

/// Spill files of rows on their way. Events repeat themselves: compressed they are several times smaller, and no slower.
pub(super) fn spills(columns: &Columns, runtime: &Arc<RuntimeEnv>) -> SpillManager {
    let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    SpillManager::new(Arc::clone(runtime), metrics, Arc::clone(&columns.working))
        .with_compression_type(COMPRESSION)
}

/// How spill files are compressed.
pub(super) const COMPRESSION: SpillCompression = SpillCompression::Lz4Frame;

/// What a bucket's spill file holds; none for a bucket without rows.
pub(super) type Spilled = (u32, Option<Arc<dyn SpillFile>>);

/// Deals the rows of all of the plan's partitions. Rows of buckets that are not `wanted` are dropped.
pub(super) async fn scatter(
    plan: Arc<dyn ExecutionPlan>,
    columns: &Arc<Columns>,
    buckets: u32,
    wanted: &[u32],
    state: &SessionState,
    runtime: &Arc<RuntimeEnv>,
) -> Result<Vec<Spilled>> {
    let spills = spills(columns, runtime);
    let mut files: Vec<Option<Mutex<_>>> = (0..buckets).map(|_| None).collect();
    for bucket in wanted {
        let at = usize::try_from(*bucket).unwrap_or(usize::MAX);
        files[at] = Some(Mutex::new(spills.create_in_progress_file("events by bucket")?));
    }
    let files = Arc::new(files);
    let mut dealers = JoinSet::new();
    for partition in 0..plan.output_partitioning().partition_count() {
        let mut rows = plan.execute(partition, state.task_ctx())?;
        let (columns, files) = (Arc::clone(columns), Arc::clone(&files));
        let memory = MemoryConsumer::new("events by bucket").register(&runtime.memory_pool);
        dealers.spawn(async move {
            let mut dealer = Dealer {
                columns,
                buckets,
                files,
                append: |file, rows| file.append_batch(rows),
                memory,
                chunk: vec![],
                bytes: 0,
            };
            while let Some(batch) = rows.try_next().await? {
                dealer.add(&batch)?;
            }
            dealer.deal()
        });
    }
    while let Some(done) = dealers.join_next().await {
        done.map_err(|error| crate::bug!("{error}"))??;
    }
    let mut spilled = vec![];
    for bucket in wanted {
        let at = usize::try_from(*bucket).unwrap_or(usize::MAX);
        let Some(file) = &files[at] else { continue };
        spilled.push((*bucket, file.lock().unwrap_or_else(PoisonError::into_inner).finish()?));
    }
    Ok(spilled)
}

/// One partition's rows, gathered to chunks. `W` is a spill file in the making, whose type has no name outside DataFusion.
struct Dealer<W> {
    columns: Arc<Columns>,
    buckets: u32,
    files: Arc<Vec<Option<Mutex<W>>>>,
    append: fn(&mut W, &RecordBatch) -> PlanResult<usize>,
    memory: MemoryReservation,
    chunk: Vec<RecordBatch>,
    bytes: usize,
}

impl<W> Dealer<W> {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.columns.working(batch)?;
        // Twice: once as it came, once in the order of the buckets.
        let bytes = 2 * get_record_batch_memory_size(&batch);
        self.chunk.push(batch);
        self.bytes += bytes;
        // Memory that is short is no reason to fail, only to deal sooner.
        if self.memory.try_grow(bytes).is_err() || self.bytes >= CHUNK { self.deal() } else { Ok(()) }
    }

    fn deal(&mut self) -> Result<()> {
        let failed = |error| crate::bug!("events cannot be dealt to buckets: {error}");
        let chunk = std::mem::take(&mut self.chunk);
        self.bytes = 0;
        if chunk.is_empty() {
            return Ok(());
        }
        let rows = concat_batches(&self.columns.working, &chunk).map_err(failed)?;
        drop(chunk);
        // The month's number comes before the stored columns.
        let buckets = bucket_of(rows.column(self.columns.key + 1), self.buckets)?;
        let (order, ends) = by_bucket(&buckets, self.files.len());
        let rows = take_record_batch(&rows, &order).map_err(failed)?;
        let mut start = 0;
        for (file, end) in self.files.iter().zip(ends) {
            if let Some(file) = file
                && start < end
            {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                for start in (start..end).step_by(SPILLED_ROWS) {
                    (self.append)(&mut file, &rows.slice(start, SPILLED_ROWS.min(end - start)))?;
                }
            }
            start = end;
        }
        self.memory.free();
        Ok(())
    }
}

/// The rows in the order of their buckets, and where each bucket ends in it.
fn by_bucket(buckets: &[u32], n: usize) -> (UInt32Array, Vec<usize>) {
    let mut ends = vec![0_usize; n];
    let at = |bucket: u32| usize::try_from(bucket).unwrap_or(usize::MAX);
    for bucket in buckets {
        ends[at(*bucket)] += 1;
    }
    let mut next = 0;
    for end in &mut ends {
        let size = *end;
        *end = next;
        next += size;
    }
    let mut order = vec![0_u32; buckets.len()];
    for (row, bucket) in (0_u32..).zip(buckets) {
        let place = &mut ends[at(*bucket)];
        order[*place] = row;
        *place += 1;
    }
    (order.into(), ends)
}
