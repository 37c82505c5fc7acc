//! An event table's rows on their way to the partitions of their profiles: by row group where they lie in Parquet files,
//! else by whatever plan yields them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{Expr as LogicalExpr, col, lit};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;

use crate::bug;
use crate::compile::EVER;
use crate::error::Result;

use super::asked::SECONDS_A_DAY;
use super::keys::NOBODY;
use super::matcher::{Alive, Matcher, Owners};
use super::parquet::{Files, Piece, SPARSE, Selected};
use super::prepare::Prepared;
use super::profiles::Everyone;
use super::scatter::Scatter;
use super::shard::Shard;
use super::sieve::Sieve;
use super::table::{EventTable, column};
use super::{LaidOut, Tables, Watch};

/// Above this share of rows that matter, all columns of all rows are read.
const DENSE: f64 = 0.3;

impl Prepared {
    /// Opens a scan of an event table, or of some buckets of its copy or all.
    pub(super) async fn open_scan(
        &self,
        tables: &dyn Tables,
        table: &EventTable,
        copy: Option<&LaidOut>,
        buckets: Option<&[usize]>,
    ) -> Result<Scan> {
        let (columns, state) = (table.columns(None), tables.state());
        let (schema, plan) = match copy {
            Some(LaidOut { schema, scan, .. }) => {
                let since = microseconds(table.since, &table.time_type);
                (Arc::clone(schema), scan(&projection(schema, &columns)?, since, buckets)?)
            }
            None => {
                let filter = since_filter(&table.time, &table.time_type, table.since);
                let filters: Vec<LogicalExpr> = filter.into_iter().collect();
                scan(tables, &self.events(table.at).table, &columns, &filters).await?
            }
        };
        let n_threads = if copy.is_none() { state.config().target_partitions() } else { 1 };
        let rows = Rows::of(plan, &schema, &columns, Some(table), n_threads, state.runtime_env()).await?;
        Ok(Scan { rows })
    }
}

/// The columns of a table, and a scan of some of them. What files say about all of their columns is not put together for it,
/// since nobody asks the plan, and that takes as long as the rest of planning.
pub(super) async fn scan(
    tables: &dyn Tables,
    table: &str,
    columns: &[&[String]],
    filters: &[LogicalExpr],
) -> Result<(SchemaRef, Arc<dyn ExecutionPlan>)> {
    let provider = tables.provider(table).await?;
    let schema = provider.schema();
    let mut state = tables.state().clone();
    state.config_mut().options_mut().execution.collect_statistics = false;
    let plan = provider.scan(&state, Some(&projection(&schema, columns)?), filters, None).await?;
    Ok((schema, plan))
}

/// Where the columns are that paths begin with.
pub(super) fn projection(schema: &Schema, paths: &[&[String]]) -> Result<Vec<usize>> {
    let mut projection = vec![];
    for name in paths.iter().filter_map(|path| path.first()) {
        let at = schema.index_of(name).map_err(|error| bug!("column `{name}`: {error}"))?;
        if !projection.contains(&at) {
            projection.push(at);
        }
    }
    Ok(projection)
}

/// How an event table is read: in parts, each by one thread.
#[derive(Debug)]
pub(super) struct Scan {
    rows: Rows,
}

/// The rows of a table.
#[derive(Debug)]
pub(super) enum Rows {
    /// Row group by row group.
    Files(Files),
    /// As whatever plan yields the rows, by its partitions.
    Plan(Arc<dyn ExecutionPlan>),
}

impl Rows {
    /// Some columns, or fields below them, of the rows that a plan yields.
    pub(super) async fn of(
        plan: Arc<dyn ExecutionPlan>,
        table: &Schema,
        columns: &[&[String]],
        events: Option<&EventTable>,
        n_threads: usize,
        runtime: &RuntimeEnv,
    ) -> Result<Self> {
        Ok(match Files::of(&plan, table, columns, events, false, runtime).await? {
            Some(mut files) => {
                files.cut(n_threads);
                Self::Files(files)
            }
            None => Self::Plan(plan),
        })
    }

    /// Whether a column is known to be NULL nowhere.
    pub(super) fn all_have(&self, column: &str) -> bool {
        matches!(self, Self::Files(files) if files.all_have(column))
    }

    pub(super) fn n_parts(&self) -> usize {
        match self {
            Self::Files(files) => files.pieces.len(),
            Self::Plan(plan) => plan.output_partitioning().partition_count(),
        }
    }
}

impl Scan {
    /// How many rows are read at most, where that is known.
    pub(super) fn rows(&self) -> u64 {
        match &self.rows {
            Rows::Files(files) => files.pieces.iter().map(|piece| piece.rows.len() as u64).sum(),
            Rows::Plan(_) => 0,
        }
    }

    pub(super) fn n_parts(&self) -> usize {
        self.rows.n_parts()
    }

    /// The parts that hold a bucket.
    pub(super) fn parts_of(&self, bucket: usize) -> Vec<usize> {
        match &self.rows {
            Rows::Files(files) => {
                let of_bucket = |at: &usize| files.pieces[*at].partition == bucket;
                (0..files.pieces.len()).filter(of_bucket).collect()
            }
            Rows::Plan(_) => vec![bucket],
        }
    }
}

/// An instant in the unit of a timestamp column, in microseconds; `None` for the beginning of time.
fn microseconds(since: i64, time_type: &DataType) -> Option<i64> {
    if since <= EVER {
        return None;
    }
    match time_type {
        DataType::Timestamp(TimeUnit::Second, _) => since.checked_mul(1_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => since.checked_mul(1_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(since),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(since.div_euclid(1_000)),
        DataType::Date32 => since.checked_mul(SECONDS_A_DAY)?.checked_mul(1_000_000),
        _ => None,
    }
}

/// The condition that a scan may use to leave out files.
fn since_filter(time: &str, time_type: &DataType, since: i64) -> Option<LogicalExpr> {
    if since <= EVER {
        return None;
    }
    let value = match time_type {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            ScalarValue::TimestampSecond(Some(since), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            ScalarValue::TimestampMillisecond(Some(since), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(since), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            ScalarValue::TimestampNanosecond(Some(since), zone.clone())
        }
        DataType::Date32 => ScalarValue::Date32(Some(i32::try_from(since).ok()?)),
        _ => return None,
    };
    Some(col(datafusion::common::Column::new_unqualified(time)).gt_eq(lit(value)))
}

/// One thread's reading of an event table.
pub(super) struct Reader<'a> {
    scan: &'a Scan,
    pub(super) matcher: Matcher<'a>,
    /// The profiles whose events are read, once they are known.
    shard: Option<Arc<Shard>>,
    everyone: &'a Everyone,
    /// What events take that wait for them.
    waiting: MemoryReservation,
    orphans: bool,
    /// Whether so many rows matter that skipping the others' columns costs more than it saves: as it was in the row
    /// group before.
    dense: bool,
    pub(super) bytes: u64,
    task: &'a Arc<TaskContext>,
    watch: &'a Watch,
}

impl<'a> Reader<'a> {
    /// With `orphans` every event's key is looked at.
    pub(super) fn new(
        scan: &'a Scan,
        table: &'a EventTable,
        everyone: &'a Everyone,
        orphans: bool,
        task: &'a Arc<TaskContext>,
        watch: &'a Watch,
    ) -> Result<Self> {
        let consumer = MemoryConsumer::new("events of an evaluation").with_can_spill(true);
        let scatter = Scatter::new(consumer.register(task.memory_pool()));
        let sieve = MemoryConsumer::new("first and last events of an evaluation");
        let matcher = Matcher::new(table, scatter, Sieve::new(sieve.register(task.memory_pool())))?;
        let waiting = MemoryConsumer::new("waiting events of an evaluation").register(task.memory_pool());
        let (shard, dense, bytes) = (None, orphans, 0);
        Ok(Self { scan, matcher, shard, everyone, waiting, orphans, dense, bytes, task, watch })
    }

    /// What follows are events of a shard's profiles.
    pub(super) fn begin(&mut self, shard: &Arc<Shard>) -> Result<()> {
        self.shard = Some(Arc::clone(shard));
        self.matcher.begin(shard)?;
        self.waiting.free();
        self.matcher.settle(&self.task.runtime_env())
    }

    /// All events of the shard have been read.
    pub(super) fn end(&mut self) -> Result<()> {
        self.matcher.end();
        self.matcher.settle(&self.task.runtime_env())
    }

    /// Whether its events still wait for profiles to be read.
    pub(super) fn waits(&self) -> bool {
        self.shard.is_none()
    }

    /// The parts that hold a bucket.
    pub(super) fn parts_of(&self, bucket: usize) -> Vec<usize> {
        self.scan.parts_of(bucket)
    }

    /// Reads a part.
    pub(super) async fn part(&mut self, at: usize) -> Result<()> {
        match &self.scan.rows {
            Rows::Plan(plan) => {
                let mut stream = plan.execute(at, Arc::clone(self.task))?;
                while let Some(batch) = stream.next().await {
                    self.batch(&batch?, None).await?;
                }
            }
            Rows::Files(files) => {
                let piece = &files.pieces[at];
                let n_alive = if self.dense {
                    self.whole(files, piece).await?
                } else {
                    self.skipping(files, piece).await?
                };
                #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
                let share = n_alive as f64 / piece.rows.len() as f64;
                self.dense = self.orphans || share > DENSE;
            }
        }
        Ok(())
    }

    /// Reads a batch that holds all columns, or all but the times of its rows if these are known; says how many rows
    /// may matter.
    async fn batch(&mut self, batch: &RecordBatch, known: Option<i64>) -> Result<usize> {
        let alive = self.matcher.early(batch, known, self.orphans)?;
        self.watch.rows.fetch_add(batch.num_rows() as u64, Relaxed);
        if !alive.rows.is_empty() || !alive.within.is_empty() {
            let n_pending = self.late(batch, &alive)?;
            self.kept(n_pending).await?;
        }
        tokio::task::yield_now().await;
        Ok(alive.rows.len())
    }

    /// The rest of a batch; says how many events wait for their profiles.
    fn late(&mut self, batch: &RecordBatch, alive: &Alive) -> Result<usize> {
        let matcher = &mut self.matcher;
        let keys = column(batch, std::slice::from_ref(&matcher.table.key))?;
        let rows = || UInt32Array::from(alive.rows.clone());
        let are_all = alive.rows.len() == batch.num_rows();
        let of_rows = || match are_all {
            true => Ok(Arc::clone(&keys)),
            false => take(&keys, &rows(), None).map_err(|error| bug!("keys: {error}")),
        };
        // What is needed of the rows that matter.
        let mut needed: Vec<usize> = vec![];
        for name in matcher.table.computed_columns().iter().filter_map(|path| path.first()) {
            needed.extend(batch.schema_ref().index_of(name).ok().filter(|at| !needed.contains(at)));
        }
        let mut rest = batch.project(&needed).map_err(|error| bug!("columns: {error}"))?;
        if !are_all && !needed.is_empty() {
            rest = take_record_batch(&rest, &rows()).map_err(|error| bug!("rows: {error}"))?;
        }
        let Some(shard) = &self.shard else {
            return matcher.late(&rest, alive, Owners::Keys(&of_rows()?));
        };
        let of_all = alive.rows.len() * 4 > batch.num_rows() || !alive.within.is_empty();
        let ordinals = if of_all {
            let all = matcher.ordinals(shard, &keys)?;
            let orphans = alive.within.iter().filter(|row| all[**row as usize] == NOBODY);
            matcher.read.orphans += orphans.count() as u64;
            if are_all { all } else { alive.rows.iter().map(|row| all[*row as usize]).collect() }
        } else {
            matcher.ordinals(shard, &of_rows()?)?
        };
        let codes = keys.as_dictionary_opt::<Int32Type>().map(|keys| &keys.keys().values()[..]);
        matcher.late(&rest, alive, Owners::Known(shard, &ordinals, codes))
    }

    /// Accounts for the memory of what was kept. Ends the waiting for profiles once these have been read, and has them
    /// read once too much waits.
    async fn kept(&mut self, n_pending: usize) -> Result<()> {
        if self.shard.is_none() {
            if let Some(shard) = self.everyone.ready() {
                self.begin(shard)?;
            } else if self.everyone.wait(n_pending, self.watch)
                || self.waiting.try_resize(self.matcher.pending.memory()).is_err()
            {
                let shard = self.everyone.shard(self.task).await?;
                self.begin(&shard)?;
            }
        }
        self.matcher.settle(&self.task.runtime_env())
    }

    /// Reads all columns of a piece; says how many rows may matter.
    async fn whole(&mut self, files: &Files, piece: &Piece) -> Result<usize> {
        let table = self.matcher.table;
        let known = piece.time.filter(|_| !table.exact);
        let (mut reader, fetched) = files.read(piece, &table.columns(known), None).await?;
        self.bytes += fetched;
        let mut n_alive = 0;
        while let Some(batch) = files.next(piece, &mut reader)? {
            n_alive += self.batch(&batch, known).await?;
        }
        Ok(n_alive)
    }

    /// Reads the columns of a piece that decide which rows matter, then the others of those rows; says how many
    /// may matter.
    async fn skipping(&mut self, files: &Files, piece: &Piece) -> Result<usize> {
        let (table, known) = (self.matcher.table, piece.time);
        let (mut reader, fetched) = files.read(piece, &table.early_columns(known), None).await?;
        self.bytes += fetched;
        let (mut batches, mut n_alive) = (vec![], 0);
        while let Some(batch) = files.next(piece, &mut reader)? {
            let alive = self.matcher.early(&batch, known, false)?;
            n_alive += alive.rows.len();
            batches.push((batch.num_rows(), alive));
            self.watch.rows.fetch_add(batch.num_rows() as u64, Relaxed);
            tokio::task::yield_now().await;
        }
        if n_alive == 0 {
            return Ok(0);
        }
        let (late, tells) = (table.late_columns(known), known.is_some() && table.exact);
        if n_alive * SPARSE > piece.rows.len() {
            let (mut reader, fetched) = files.read(piece, &late, None).await?;
            self.bytes += fetched;
            for (n_rows, alive) in batches {
                let batch = files.next(piece, &mut reader)?.filter(|batch| batch.num_rows() == n_rows);
                let batch = batch.ok_or_else(|| bug!("columns of a row group are of different lengths"))?;
                self.rest(&batch, alive, tells).await?;
            }
            return Ok(n_alive);
        }
        let (mut all, mut selected) = (Alive::default(), Selected::after(piece.rows.start));
        for (n_rows, alive) in batches {
            selected.add(n_rows, &alive.rows);
            all.append(alive);
        }
        let (mut reader, fetched) = files.read(piece, &late, Some(selected.into())).await?;
        self.bytes += fetched;
        let mut done = 0;
        while let Some(batch) = files.next(piece, &mut reader)? {
            let alive = all.part(done..done + batch.num_rows());
            done += batch.num_rows();
            self.rest(&batch, alive, tells).await?;
        }
        Ok(n_alive)
    }

    /// The rest of a batch whose deciding columns were read before; `tells` says whether times come only now.
    async fn rest(&mut self, batch: &RecordBatch, mut alive: Alive, tells: bool) -> Result<()> {
        if !alive.rows.is_empty() {
            if tells {
                self.matcher.tell(batch, &mut alive)?;
            }
            let n_pending = self.late(batch, &alive)?;
            self.kept(n_pending).await?;
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}
