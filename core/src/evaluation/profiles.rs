//! The profile table of an evaluation, read once: ordinals by key, classes of attributes, columns that are needed.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array, new_empty_array};
use arrow::compute::{cast, concat, filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::runtime::JoinSet;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use futures::StreamExt;
use hashbrown::HashMap;
use tokio::sync::OnceCell;

use crate::bug;
use crate::compile::{Evaluation, Of};
use crate::error::{Error, Result};
use crate::statement::quote;

use super::bind::{Input, RowExpr};
use super::bits::small;
use super::classes::Classes;
use super::finish::Attributes;
use super::keys::{Coded, Kept, Keys, NOBODY};
use super::pending::{self, Pending};
use super::prepare::Prepared;
use super::scan::Rows;
use super::shard::{Profiles, Shard, by_bucket, ordered};
use super::table::column;
use super::{Buckets, Tables};

impl Prepared {
    /// The columns of profiles that expressions about events or features need.
    fn kept_columns(&self) -> Vec<String> {
        let of_tables =
            self.tables.iter().flat_map(|table| table.channels.iter().chain(table.questions.rows.values()));
        let mut columns: Vec<String> = vec![];
        for input in of_tables.chain(&self.values).chain(&self.ranks).flat_map(|expr| &expr.inputs) {
            if let Input::Profile(name) = input
                && !columns.contains(name)
            {
                columns.push(name.clone());
            }
        }
        columns
    }

    /// Whether what is asked about events needs columns of their profiles.
    pub(super) fn events_need_profiles(&self) -> bool {
        let mut exprs =
            self.tables.iter().flat_map(|table| table.channels.iter().chain(table.questions.rows.values()));
        exprs.any(|expr| expr.inputs.iter().any(|input| matches!(input, Input::Profile(_))))
    }

    /// How profiles are read: in the order of the table as one shard, or a shard a bucket.
    pub(super) async fn open_profiles(
        &self,
        tables: &dyn Tables,
        buckets: Option<Buckets>,
    ) -> Result<ProfileScan> {
        let declared = &self.program.store.store.profiles;
        let kept = self.kept_columns();
        let questions = &self.evaluation.profiles;
        let mut columns = vec![vec![declared.key.clone()]];
        let mut want = |path: Vec<String>| {
            if !columns.contains(&path) {
                columns.push(path);
            }
        };
        kept.iter().for_each(|name| want(vec![name.clone()]));
        for (at, subject) in questions.subjects.iter().enumerate() {
            match &subject.of {
                Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path) => {
                    want(path.clone());
                }
                Of::Row(_) => {
                    for input in self.profiles.rows.get(&at).into_iter().flat_map(|row| &row.inputs) {
                        if let Input::Profile(name) = input {
                            want(vec![name.clone()]);
                        }
                    }
                }
                Of::Lookup(_) => return Err(bug!("a lookup of profiles in a program")),
            }
        }
        let mut names: Vec<String> = vec![];
        for name in columns.iter().filter_map(|path| path.first()).map(|name| quote(name)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let schema = Arc::clone(&self.program.store.profiles);
        let state = tables.state();
        let plan = tables.plan(&format!("SELECT {} FROM {}", names.join(", "), declared.table)).await?;
        let plan = state.create_physical_plan(&plan).await?;
        let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
        let n_profiles = statistics.ok().and_then(|known| known.num_rows.get_value().copied());
        let paths: Vec<&[String]> = columns.iter().map(|path| &path[..]).collect();
        let n_threads = state.config().target_partitions();
        let rows = Rows::of(plan, &schema, &paths, None, n_threads, state.runtime_env()).await?;
        let mut classes = vec![];
        for at in 0..questions.subjects.len() {
            classes.push(Classes::new(questions, at, &self.profiles.tests[at], None)?);
        }
        let reader = Arc::new(ProfileReader {
            rows,
            columns,
            schema,
            table: declared.table.clone(),
            key: declared.key.clone(),
            subjects: (0..questions.subjects.len())
                .map(|at| (questions.subjects[at].of.clone(), self.profiles.rows.get(&at).cloned()))
                .collect(),
            classes: Mutex::new(classes),
            kept,
            buckets,
        });
        let (evaluation, key_type) = (Arc::clone(&self.evaluation), self.program.store.key_type());
        Ok(ProfileScan { evaluation, n_profiles, reader, key_type })
    }
}

/// A profile table about to be read.
pub(super) struct ProfileScan {
    evaluation: Arc<Evaluation>,
    n_profiles: Option<usize>,
    reader: Arc<ProfileReader>,
    key_type: DataType,
}

impl ProfileScan {
    /// Reads the profiles: all, or those with one of the `wanted` keys, which are given back with their ordinals.
    async fn read(
        &self,
        task: &Arc<TaskContext>,
        wanted: Option<Keys>,
    ) -> Result<(Arc<Profiles>, Option<Keys>)> {
        let n_subjects = self.evaluation.profiles.subjects.len();
        let wanted = Arc::new(wanted);
        let memory = MemoryConsumer::new("profiles of an evaluation").register(task.memory_pool());
        let n_parts = self.reader.rows.n_parts();
        let n_threads = match self.reader.rows {
            Rows::Files(_) => n_parts.min(task.session_config().target_partitions()),
            // What makes them may wait until somebody takes those of each partition.
            Rows::Plan(_) => n_parts,
        };
        let (mut set, next) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..n_threads {
            let (reader, wanted, next) = (Arc::clone(&self.reader), Arc::clone(&wanted), Arc::clone(&next));
            let (memory, task) = (memory.new_empty(), Arc::clone(task));
            set.spawn(async move {
                let mut parts = vec![];
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    if at >= n_parts {
                        return Ok::<_, Error>(parts);
                    }
                    parts.push((at, reader.part(at, wanted.as_ref().as_ref(), &memory, &task).await?));
                }
            });
        }
        let mut partitions = vec![];
        while let Some(done) = set.join_next().await {
            partitions.extend(done.map_err(|error| bug!("reading profiles: {error}"))??);
        }
        partitions.sort_by_key(|(partition, _)| *partition);
        // What is kept, column by column: parts are given back as soon as they are put together.
        let (mut keys, mut classes, mut kept) =
            (vec![], vec![vec![]; n_subjects], vec![vec![]; self.reader.kept.len()]);
        let (mut buckets, mut found, mut null_keys) = (vec![], vec![], 0);
        for part in partitions.into_iter().flat_map(|(_, parts)| parts) {
            keys.push(part.keys);
            classes.iter_mut().zip(part.classes).for_each(|(all, part)| all.push(part));
            kept.iter_mut().zip(part.kept).for_each(|(all, part)| all.push(part));
            buckets.extend(part.buckets);
            found.extend(part.found);
            null_keys += part.null_keys;
        }
        let mut keys = Kept::new(keys, &self.key_type)?;
        let (order, starts) = match self.reader.buckets {
            None => (None, vec![0, keys.len()]),
            Some(of) => {
                let (order, starts) = by_bucket(&buckets, of.n)?;
                keys = keys.ordered(&order)?;
                (Some(order), starts)
            }
        };
        let whole = |parts: Vec<ArrayRef>, none: &DataType| {
            let whole = joined(parts, none)?;
            order.as_ref().map_or(Ok(Arc::clone(&whole)), |order| ordered(&whole, order))
        };
        let mut of_subject = vec![];
        for parts in classes {
            of_subject.push(whole(parts, &DataType::UInt8)?);
        }
        let mut columns = HashMap::new();
        for (name, parts) in self.reader.kept.iter().zip(kept) {
            let field = self.reader.schema.field_with_name(name);
            let field = field.map_err(|error| bug!("profile columns: {error}"))?;
            columns.insert(name.clone(), whole(parts, field.data_type())?);
        }
        let arrays = of_subject.iter().chain(columns.values());
        memory
            .try_resize(keys.memory() + arrays.map(|array| array.get_array_memory_size()).sum::<usize>())?;
        // Nobody wants some keys alone where profiles go by bucket, so that the order is that of the parts.
        let (mut places, mut is_repeated) =
            (wanted.as_ref().as_ref().map(|wanted| vec![NOBODY; wanted.len()]), false);
        if let Some(places) = &mut places {
            for (at, wanted) in found.iter().enumerate().filter(|(_, wanted)| **wanted != NOBODY) {
                is_repeated |= std::mem::replace(&mut places[*wanted as usize], small(at)) != NOBODY;
            }
        }
        let of = self.reader.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let attributes = Attributes::new(&self.evaluation, of_subject, &of);
        let (table, key) = (self.reader.table.clone(), self.reader.key.clone());
        let key_type = self.key_type.clone();
        let profiles =
            Profiles { keys, starts, columns, table, key, key_type, attributes, null_keys, _memory: memory };
        let profiles = Arc::new(profiles);
        if is_repeated {
            return Err(profiles.repeated());
        }
        let wanted = Arc::into_inner(wanted).flatten().zip(places);
        Ok((profiles, wanted.map(|(wanted, places)| wanted.placed(places))))
    }
}

/// The profiles of a run: read before all events, or when too many of these wait for them, or after all.
pub(super) struct Everyone {
    scan: ProfileScan,
    all: OnceCell<Arc<Profiles>>,
    first: OnceCell<Arc<Shard>>,
    /// How many events wait, and how many may.
    n_pending: AtomicUsize,
    most: usize,
}

impl Everyone {
    pub(super) fn new(scan: ProfileScan) -> Self {
        let (all, first, n_pending) = (OnceCell::new(), OnceCell::new(), AtomicUsize::new(0));
        let most = scan.n_profiles.unwrap_or(pending::MOST);
        Self { scan, all, first, n_pending, most }
    }

    /// More events wait for the profiles to be read; says whether they should not.
    pub(super) fn wait(&self, n: usize) -> bool {
        self.n_pending.fetch_add(n, Relaxed) + n > self.most
    }

    /// The keys of events that wait.
    pub(super) fn wanted<'a>(
        &self,
        waiting: impl Iterator<Item = &'a Pending>,
        n_threads: usize,
    ) -> Result<Keys> {
        let keys = waiting.flat_map(Pending::keys).cloned().collect();
        Ok(Keys::any(Kept::new(keys, &self.scan.key_type)?, n_threads).0)
    }

    /// The profiles.
    pub(super) async fn profiles(&self, task: &Arc<TaskContext>) -> Result<&Arc<Profiles>> {
        self.all.get_or_try_init(|| async { Ok(self.scan.read(task, None).await?.0) }).await
    }

    /// The first shard, if it has been read.
    pub(super) fn ready(&self) -> Option<&Arc<Shard>> {
        self.first.get()
    }

    /// The first shard. If profiles are read only now, only those that are `wanted` are.
    pub(super) async fn shard(&self, task: &Arc<TaskContext>, wanted: Option<Keys>) -> Result<Arc<Shard>> {
        let shard = self.first.get_or_try_init(|| async {
            let shard = match wanted {
                None => {
                    let n_threads = task.session_config().target_partitions();
                    self.profiles(task).await?.shard(0, n_threads, task.memory_pool())?
                }
                Some(_) => {
                    let (profiles, keys) = self.scan.read(task, wanted).await?;
                    let profiles = self.all.get_or_init(|| async { profiles }).await;
                    profiles.with_keys(keys.ok_or_else(|| bug!("keys are still in use"))?)
                }
            };
            Ok::<_, Error>(Arc::new(shard))
        });
        Ok(Arc::clone(shard.await?))
    }
}

/// How batches of profiles are read.
struct ProfileReader {
    rows: Rows,
    /// The columns, or fields below them, that are needed.
    columns: Vec<Vec<String>>,
    /// The columns of the table.
    schema: SchemaRef,
    table: String,
    key: String,
    subjects: Vec<(Of, Option<RowExpr>)>,
    classes: Mutex<Vec<Classes>>,
    kept: Vec<String>,
    buckets: Option<Buckets>,
}

/// What is kept of a batch of profiles.
struct ProfilePart {
    keys: ArrayRef,
    /// The bucket of each, where that matters.
    buckets: Vec<u32>,
    classes: Vec<ArrayRef>,
    kept: Vec<ArrayRef>,
    /// Which of the wanted keys each has.
    found: Vec<u32>,
    null_keys: u64,
}

impl ProfilePart {
    /// The bytes of what is kept.
    fn memory(&self) -> usize {
        let arrays = self.classes.iter().chain(&self.kept).chain([&self.keys]);
        arrays.map(|array| array.get_array_memory_size()).sum()
    }
}

/// Numbers in as few bytes as the greatest of them needs.
fn narrow(numbers: Vec<u32>) -> Result<ArrayRef> {
    let data_type = match numbers.iter().max() {
        Some(most) if u16::try_from(*most).is_err() => DataType::UInt32,
        Some(most) if u8::try_from(*most).is_err() => DataType::UInt16,
        _ => DataType::UInt8,
    };
    cast(&UInt32Array::from(numbers), &data_type).map_err(|error| bug!("numbers: {error}"))
}

/// The parts of a column behind each other, as the widest of their types; where there are none, none of a type.
fn joined(mut parts: Vec<ArrayRef>, none: &DataType) -> Result<ArrayRef> {
    let widest = parts.iter().map(|part| part.data_type()).max_by_key(|of| of.primitive_width());
    let Some(widest) = widest.cloned() else { return Ok(new_empty_array(none)) };
    for part in &mut parts {
        if *part.data_type() != widest {
            *part = cast(part, &widest).map_err(|error| bug!("profile columns: {error}"))?;
        }
    }
    let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
    concat(&parts).map_err(|error| bug!("profile columns: {error}"))
}

impl ProfileReader {
    /// Reads a part of the table.
    async fn part(
        &self,
        at: usize,
        wanted: Option<&Keys>,
        memory: &MemoryReservation,
        task: &Arc<TaskContext>,
    ) -> Result<Vec<ProfilePart>> {
        let mut parts = vec![];
        let mut keep = |batch: &RecordBatch| {
            let part = self.read(batch, wanted)?;
            memory.try_grow(part.memory())?;
            parts.push(part);
            Ok::<_, Error>(())
        };
        match &self.rows {
            Rows::Plan(plan) => {
                let mut stream = plan.execute(at, Arc::clone(task))?;
                while let Some(batch) = stream.next().await {
                    keep(&batch?)?;
                }
            }
            Rows::Files(files) => {
                let piece = &files.pieces[at];
                let columns: Vec<&[String]> = self.columns.iter().map(|path| &path[..]).collect();
                let (mut reader, _) = files.read(piece, &columns, None).await?;
                while let Some(batch) = files.next(piece, &mut reader)? {
                    keep(&batch)?;
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(parts)
    }

    fn read(&self, batch: &RecordBatch, wanted: Option<&Keys>) -> Result<ProfilePart> {
        let keys = column(batch, std::slice::from_ref(&self.key))?;
        let null_keys = keys.null_count() as u64;
        let filtered;
        let batch = if null_keys > 0 {
            let known = is_not_null(&keys).map_err(|error| bug!("keys: {error}"))?;
            filtered = filter_record_batch(batch, &known).map_err(|error| bug!("keys: {error}"))?;
            &filtered
        } else {
            batch
        };
        let (few, mut found);
        let batch = match wanted {
            None => {
                found = vec![];
                batch
            }
            Some(wanted) => {
                let keys = column(batch, std::slice::from_ref(&self.key))?;
                found = wanted.ordinals(&keys, &mut Coded::default())?;
                let is_found: BooleanArray = found.iter().map(|at| Some(*at != NOBODY)).collect();
                few = filter_record_batch(batch, &is_found).map_err(|error| bug!("keys: {error}"))?;
                found.retain(|at| *at != NOBODY);
                &few
            }
        };
        let n = batch.num_rows();
        let mut columns = vec![];
        for (of, row) in &self.subjects {
            columns.push(match (of, row) {
                (Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path), _) => {
                    column(batch, path)?
                }
                (_, Some(row)) => {
                    let mut inputs = vec![];
                    for (input, field) in row.inputs.iter().zip(row.parts().1.fields()) {
                        let Input::Profile(name) = input else {
                            return Err(bug!("an event in an attribute"));
                        };
                        let input = column(batch, std::slice::from_ref(name))?;
                        inputs.push(
                            cast(&input, field.data_type())
                                .map_err(|error| bug!("column `{name}`: {error}"))?,
                        );
                    }
                    let answers = row.evaluate(inputs, n)?;
                    cast(&answers, &DataType::Boolean).map_err(|error| bug!("a condition: {error}"))?
                }
                (_, None) => return Err(bug!("an expression is not bound")),
            });
        }
        let mut classes = vec![];
        {
            let mut all = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
            for (column, of) in columns.iter().zip(all.iter_mut()) {
                let values = of.of(column)?;
                classes.push(narrow((0..n).map(|row| values.class(row)).collect())?);
            }
        }
        let mut kept = vec![];
        // Row groups of one file may hold texts in several ways.
        let as_declared = |name: &String| {
            let (column, field) =
                (column(batch, std::slice::from_ref(name))?, self.schema.field_with_name(name));
            cast(&column, field.map_err(|error| bug!("`{name}`: {error}"))?.data_type())
                .map_err(|error| bug!("column `{name}`: {error}"))
        };
        for name in &self.kept {
            kept.push(as_declared(name)?);
        }
        let keys = as_declared(&self.key)?;
        let buckets = self.buckets.map(|buckets| (buckets.of)(&keys, small(buckets.n))).transpose()?;
        Ok(ProfilePart {
            keys: Kept::part(&keys)?,
            buckets: buckets.unwrap_or_default(),
            classes,
            kept,
            found,
            null_keys,
        })
    }
}
