//! An event table's rows on their way to the partitions of their profiles: by row group where they lie in Parquet files,
//! else by whatever plan yields them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::runtime::JoinSet;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{Expr as LogicalExpr, col, lit};
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;

use crate::bug;
use crate::compile::EVER;
use crate::error::Result;

use super::asked::SECONDS_A_DAY;
use super::keys::NOBODY;
use super::parquet::Files;
use super::prepare::Prepared;
use super::scatter::Scatter;
use super::table::{Alive, EventTable, Matcher, Profiles, Read, column};
use super::{Tables, Watch};

/// Above this share of rows that matter, all columns of all rows are read.
const DENSE: f64 = 0.3;

impl Prepared {
    pub(super) async fn open_scan(&self, tables: &dyn Tables, at: usize, table: &EventTable) -> Result<Scan> {
        let columns = table.columns();
        let provider = tables.provider(&self.events(at).table).await?;
        let schema = provider.schema();
        let projection: Vec<usize> = columns
            .iter()
            .map(|column| schema.index_of(column).map_err(|error| bug!("column `{column}`: {error}")))
            .collect::<Result<_>>()?;
        let (state, events) = (tables.state(), self.evaluation.tables[at].events);
        let since = microseconds(table.since, &table.time_type);
        let plan = match tables.laid_out(&self.program.store, events, &projection, since).await? {
            Some(plan) => plan,
            None => {
                let filters: Vec<LogicalExpr> =
                    since_filter(&table.time, &table.time_type, table.since).into_iter().collect();
                provider.scan(state, Some(&projection), &filters, None).await?
            }
        };
        let runtime = state.runtime_env();
        let files = Files::of(&plan, &schema, &columns, &table.time, table.since, runtime).await?;
        Ok(match files {
            Some(files) => Scan::Files(files),
            None => Scan::Plan(plan),
        })
    }
}

/// How an event table is read.
pub(super) enum Scan {
    /// Row group by row group.
    Files(Files),
    /// As whatever plan yields the rows.
    Plan(Arc<dyn ExecutionPlan>),
}

impl Scan {
    /// How many rows are read at most, where that is known.
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Files(files) => files.row_groups.iter().map(|unit| files.rows(*unit) as u64).sum(),
            Self::Plan(_) => 0,
        }
    }

    pub(super) async fn run(
        self,
        table: &Arc<EventTable>,
        profiles: &Arc<Profiles>,
        orphans: bool,
        n_threads: usize,
        task: &Arc<TaskContext>,
        watch: &Arc<Watch>,
    ) -> Result<(Vec<Scatter>, Read, u64)> {
        let mut set = JoinSet::new();
        match self {
            Self::Files(files) => {
                let (files, next) = (Arc::new(files), Arc::new(AtomicUsize::new(0)));
                for _ in 0..n_threads.min(files.row_groups.len().max(1)) {
                    let worker = Worker::new(table, profiles, orphans, task, watch);
                    let (files, next) = (Arc::clone(&files), Arc::clone(&next));
                    set.spawn(async move { worker.files(&files, &next).await });
                }
            }
            Self::Plan(plan) => {
                let n_partitions = plan.output_partitioning().partition_count();
                let next = Arc::new(AtomicUsize::new(0));
                for _ in 0..n_threads.min(n_partitions.max(1)) {
                    let worker = Worker::new(table, profiles, orphans, task, watch);
                    let (plan, next) = (Arc::clone(&plan), Arc::clone(&next));
                    set.spawn(async move { worker.plan(&plan, &next).await });
                }
            }
        }
        let (mut scatters, mut read, mut bytes) = (vec![], Read::default(), 0);
        while let Some(done) = set.join_next().await {
            let (scatter, own, fetched) = done.map_err(|error| bug!("reading events: {error}"))??;
            scatters.push(scatter);
            read.events += own.events;
            read.orphans += own.orphans;
            bytes += fetched;
        }
        Ok((scatters, read, bytes))
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

/// One thread's reading.
struct Worker {
    table: Arc<EventTable>,
    profiles: Arc<Profiles>,
    orphans: bool,
    task: Arc<TaskContext>,
    watch: Arc<Watch>,
}

impl Worker {
    fn new(
        table: &Arc<EventTable>,
        profiles: &Arc<Profiles>,
        orphans: bool,
        task: &Arc<TaskContext>,
        watch: &Arc<Watch>,
    ) -> Self {
        Self {
            table: Arc::clone(table),
            profiles: Arc::clone(profiles),
            orphans,
            task: Arc::clone(task),
            watch: Arc::clone(watch),
        }
    }

    fn matcher(&self) -> Result<Matcher<'_>> {
        let consumer = MemoryConsumer::new("events of an evaluation").with_can_spill(true);
        let reservation = consumer.register(self.task.memory_pool());
        let scatter = Scatter::new(self.profiles.keys.len(), reservation);
        Matcher::new(&self.table, &self.profiles, scatter)
    }

    async fn plan(self, plan: &Arc<dyn ExecutionPlan>, next: &AtomicUsize) -> Result<(Scatter, Read, u64)> {
        let mut matcher = self.matcher()?;
        let n_partitions = plan.output_partitioning().partition_count();
        loop {
            let partition = next.fetch_add(1, Relaxed);
            if partition >= n_partitions {
                break;
            }
            let mut stream = plan.execute(partition, Arc::clone(&self.task))?;
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                let alive = matcher.early(&batch, self.orphans)?;
                self.late(&mut matcher, &batch, &alive)?;
                self.watch.rows.fetch_add(batch.num_rows() as u64, Relaxed);
                tokio::task::yield_now().await;
            }
        }
        Ok((matcher.scatter, matcher.read, 0))
    }

    /// The rest of a batch that holds all its rows.
    fn late(&self, matcher: &mut Matcher<'_>, batch: &RecordBatch, alive: &Alive) -> Result<()> {
        if alive.rows.is_empty() && alive.within.is_empty() {
            return Ok(());
        }
        let keys = column(batch, std::slice::from_ref(&self.table.key))?;
        let of_all = alive.rows.len() * 4 > batch.num_rows() || !alive.within.is_empty();
        let rows = || UInt32Array::from(alive.rows.clone());
        let ordinals = if of_all {
            let all = matcher.ordinals(&keys)?;
            matcher.read.orphans +=
                alive.within.iter().filter(|row| all[**row as usize] == NOBODY).count() as u64;
            alive.rows.iter().map(|row| all[*row as usize]).collect()
        } else {
            let keys = take(&keys, &rows(), None).map_err(|error| bug!("keys: {error}"))?;
            matcher.ordinals(&keys)?
        };
        if alive.rows.is_empty() {
            return Ok(());
        }
        // What is needed of the rows that matter.
        let columns = self.table.computed_columns();
        let needed: Vec<usize> =
            columns.iter().filter_map(|column| batch.schema_ref().index_of(column).ok()).collect();
        let rest = batch.project(&needed).map_err(|error| bug!("columns: {error}"))?;
        if alive.rows.len() == batch.num_rows() || needed.is_empty() {
            matcher.late(&rest, alive, &ordinals)?;
        } else {
            let rest = take_record_batch(&rest, &rows()).map_err(|error| bug!("rows: {error}"))?;
            matcher.late(&rest, alive, &ordinals)?;
        }
        matcher.settle(&self.task.runtime_env())
    }

    async fn files(self, files: &Files, next: &AtomicUsize) -> Result<(Scatter, Read, u64)> {
        let mut matcher = self.matcher()?;
        let mut bytes = 0;
        // Whether so many rows matter that skipping the others' columns costs more than it saves: as it was in the
        // row group before.
        let mut dense = self.orphans;
        while let Some(&unit) = files.row_groups.get(next.fetch_add(1, Relaxed)) {
            let (n_alive, fetched) = if dense {
                self.whole(files, unit, &mut matcher).await?
            } else {
                self.skipping(files, unit, &mut matcher).await?
            };
            bytes += fetched;
            #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
            let share = n_alive as f64 / files.rows(unit) as f64;
            dense = self.orphans || share > DENSE;
        }
        Ok((matcher.scatter, matcher.read, bytes))
    }

    /// Reads all columns of a row group; says how many rows may matter, and how many bytes were fetched.
    async fn whole(
        &self,
        files: &Files,
        unit: (usize, usize),
        matcher: &mut Matcher<'_>,
    ) -> Result<(usize, u64)> {
        let (mut reader, fetched) = files.read(unit, &self.table.columns(), None).await?;
        let mut n_alive = 0;
        while let Some(batch) = files.next(unit, &mut reader)? {
            let alive = matcher.early(&batch, self.orphans)?;
            n_alive += alive.rows.len();
            self.late(matcher, &batch, &alive)?;
            self.watch.rows.fetch_add(batch.num_rows() as u64, Relaxed);
            tokio::task::yield_now().await;
        }
        Ok((n_alive, fetched))
    }

    /// Reads the columns of a row group that decide which rows matter, then the others of those rows.
    async fn skipping(
        &self,
        files: &Files,
        unit: (usize, usize),
        matcher: &mut Matcher<'_>,
    ) -> Result<(usize, u64)> {
        let (mut reader, mut fetched) = files.read(unit, &self.table.early_columns(), None).await?;
        let (mut all, mut selected, mut n_alive) = (Alive::default(), Selected::default(), 0);
        while let Some(batch) = files.next(unit, &mut reader)? {
            let alive = matcher.early(&batch, false)?;
            n_alive += alive.rows.len();
            selected.add(batch.num_rows(), &alive.rows);
            all.append(alive);
            self.watch.rows.fetch_add(batch.num_rows() as u64, Relaxed);
            tokio::task::yield_now().await;
        }
        if n_alive == 0 {
            return Ok((0, fetched));
        }
        let selection = RowSelection::from(selected.selectors);
        let (mut reader, more) = files.read(unit, &self.table.late_columns(), Some(selection)).await?;
        fetched += more;
        let mut done = 0;
        while let Some(batch) = files.next(unit, &mut reader)? {
            let part = all.part(done..done + batch.num_rows());
            done += batch.num_rows();
            let keys = column(&batch, std::slice::from_ref(&self.table.key))?;
            let ordinals = matcher.ordinals(&keys)?;
            matcher.late(&batch, &part, &ordinals)?;
            matcher.settle(&self.task.runtime_env())?;
            tokio::task::yield_now().await;
        }
        Ok((n_alive, fetched))
    }
}

/// The rows that may matter, as Parquet's reader takes them.
#[derive(Default)]
struct Selected {
    selectors: Vec<RowSelector>,
}

impl Selected {
    /// Adds a batch and the positions of its rows that matter.
    fn add(&mut self, n_rows: usize, rows: &[u32]) {
        let mut next = 0;
        for row in rows {
            let row = *row as usize;
            self.push(RowSelector::skip(row - next));
            self.push(RowSelector::select(1));
            next = row + 1;
        }
        self.push(RowSelector::skip(n_rows - next));
    }

    fn push(&mut self, selector: RowSelector) {
        match self.selectors.last_mut() {
            Some(last) if last.skip == selector.skip => last.row_count += selector.row_count,
            _ if selector.row_count == 0 => {}
            _ => self.selectors.push(selector),
        }
    }
}
