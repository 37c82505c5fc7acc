//! The profile table of an evaluation, read once: ordinals by key, classes of attributes, columns that are needed.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat, filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::runtime::JoinSet;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
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
use super::dictionary::Dictionary;
use super::finish::Attributes;
use super::keys::{Kept, Keys, NOBODY};
use super::pending::{self, Pending};
use super::prepare::Prepared;
use super::shard::{Profiles, Shard, by_bucket, ordered};
use super::table::column;
use super::{Buckets, Tables};

impl Prepared {
    /// The columns of profiles that expressions about events or features need.
    fn kept_columns(&self) -> Vec<String> {
        let of_tables =
            self.tables.iter().flat_map(|table| table.channels.iter().chain(table.questions.rows.values()));
        let mut columns: Vec<String> = vec![];
        for input in of_tables.chain(&self.values).flat_map(|expr| &expr.inputs) {
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
        let mut columns = vec![declared.key.clone()];
        let mut want = |name: &String| {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        };
        kept.iter().for_each(&mut want);
        for (at, subject) in questions.subjects.iter().enumerate() {
            match &subject.of {
                Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path) => {
                    path.first().into_iter().for_each(&mut want);
                }
                Of::Row(_) => {
                    for input in self.profiles.rows.get(&at).into_iter().flat_map(|row| &row.inputs) {
                        if let Input::Profile(name) = input {
                            want(name);
                        }
                    }
                }
                Of::Lookup(_) => return Err(bug!("a lookup of profiles in a program")),
            }
        }
        let list: Vec<String> = columns.iter().map(|column| quote(column)).collect();
        let plan = tables.plan(&format!("SELECT {} FROM {}", list.join(", "), declared.table)).await?;
        let plan = tables.state().create_physical_plan(&plan).await?;
        let mut classes = vec![];
        for at in 0..questions.subjects.len() {
            classes.push(Classes::new(questions, at, &self.profiles.tests[at], None)?);
        }
        let reader = Arc::new(ProfileReader {
            table: declared.table.clone(),
            key: declared.key.clone(),
            subjects: (0..questions.subjects.len())
                .map(|at| (questions.subjects[at].of.clone(), self.profiles.rows.get(&at).cloned()))
                .collect(),
            classes: Mutex::new(classes),
            kept,
            buckets,
        });
        let key_type = self.program.store.key_type();
        let schema = Arc::clone(&self.program.store.profiles);
        Ok(ProfileScan { evaluation: Arc::clone(&self.evaluation), plan, reader, key_type, schema })
    }
}

/// A profile table about to be read.
pub(super) struct ProfileScan {
    evaluation: Arc<Evaluation>,
    plan: Arc<dyn ExecutionPlan>,
    reader: Arc<ProfileReader>,
    key_type: DataType,
    /// The columns of the table.
    schema: SchemaRef,
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
        let streams = execute_stream_partitioned(Arc::clone(&self.plan), Arc::clone(task))?;
        let mut set = JoinSet::new();
        for (partition, mut stream) in streams.into_iter().enumerate() {
            let (reader, wanted) = (Arc::clone(&self.reader), Arc::clone(&wanted));
            set.spawn(async move {
                let mut parts = vec![];
                while let Some(batch) = stream.next().await {
                    parts.push(reader.read(&batch?, wanted.as_ref().as_ref())?);
                }
                Ok::<_, Error>((partition, parts))
            });
        }
        let mut partitions = vec![];
        while let Some(done) = set.join_next().await {
            partitions.push(done.map_err(|error| bug!("reading profiles: {error}"))??);
        }
        partitions.sort_by_key(|(partition, _)| *partition);
        let parts: Vec<ProfilePart> = partitions.into_iter().flat_map(|(_, parts)| parts).collect();
        let keys: Vec<ArrayRef> = parts.iter().map(|part| Arc::clone(&part.keys)).collect();
        let mut keys = Kept::new(&keys, &self.key_type)?;
        let mut of_subject = vec![Vec::with_capacity(keys.len()); n_subjects];
        for part in &parts {
            for (all, classes) in of_subject.iter_mut().zip(&part.classes) {
                all.extend_from_slice(classes);
            }
        }
        let mut columns = HashMap::new();
        for (at, name) in self.reader.kept.iter().enumerate() {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| &*part.kept[at]).collect();
            let array = if arrays.is_empty() {
                let field = self.schema.field_with_name(name);
                let field = field.map_err(|error| bug!("profile columns: {error}"))?;
                arrow::array::new_empty_array(field.data_type())
            } else {
                concat(&arrays).map_err(|error| bug!("profile columns: {error}"))?
            };
            columns.insert(name.clone(), array);
        }
        let null_keys = parts.iter().map(|part| part.null_keys).sum();
        let starts = match self.reader.buckets {
            None => vec![0, keys.len()],
            Some(buckets) => {
                let of_all: Vec<u32> = parts.iter().flat_map(|part| part.buckets.iter().copied()).collect();
                let (order, starts) = by_bucket(&of_all, buckets.n)?;
                keys = keys.ordered(&order)?;
                for classes in &mut of_subject {
                    *classes = order.values().iter().map(|at| classes[*at as usize]).collect();
                }
                for column in columns.values_mut() {
                    *column = ordered(column, &order)?;
                }
                starts
            }
        };
        // Nobody wants some keys alone where profiles go by bucket, so that the order is that of the parts.
        let found = parts.iter().flat_map(|part| &part.found);
        let (mut places, mut is_repeated) =
            (wanted.as_ref().as_ref().map(|wanted| vec![NOBODY; wanted.len()]), false);
        if let Some(places) = &mut places {
            for (at, wanted) in found.enumerate().filter(|(_, wanted)| **wanted != NOBODY) {
                is_repeated |= std::mem::replace(&mut places[*wanted as usize], small(at)) != NOBODY;
            }
        }
        let of = self.reader.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let attributes = Attributes::new(&self.evaluation, of_subject, &of);
        let (table, key) = (self.reader.table.clone(), self.reader.key.clone());
        let key_type = self.key_type.clone();
        let profiles =
            Arc::new(Profiles { keys, starts, columns, table, key, key_type, attributes, null_keys });
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
        let statistics = StatisticsContext::new().compute(scan.plan.as_ref(), &StatisticsArgs::new());
        let n_profiles = statistics.ok().and_then(|known| known.num_rows.get_value().copied());
        let (all, first, n_pending) = (OnceCell::new(), OnceCell::new(), AtomicUsize::new(0));
        Self { scan, all, first, n_pending, most: n_profiles.unwrap_or(pending::MOST) }
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
        let keys: Vec<ArrayRef> = waiting.flat_map(Pending::keys).cloned().collect();
        Ok(Keys::any(Kept::new(&keys, &self.scan.key_type)?, n_threads).0)
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
                    self.profiles(task).await?.shard(0, n_threads)?
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
    classes: Vec<Vec<u32>>,
    kept: Vec<ArrayRef>,
    /// Which of the wanted keys each has.
    found: Vec<u32>,
    null_keys: u64,
}

impl ProfileReader {
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
                found = wanted.ordinals(&keys, &mut Dictionary::default())?;
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
                            arrow::compute::cast(&input, field.data_type())
                                .map_err(|error| bug!("column `{name}`: {error}"))?,
                        );
                    }
                    let answers = row.evaluate(inputs, n)?;
                    arrow::compute::cast(&answers, &DataType::Boolean)
                        .map_err(|error| bug!("a condition: {error}"))?
                }
                (_, None) => return Err(bug!("an expression is not bound")),
            });
        }
        let mut classes = vec![];
        {
            let mut all = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
            for (column, of) in columns.iter().zip(all.iter_mut()) {
                let values = of.of(column)?;
                classes.push((0..n).map(|row| values.class(row)).collect());
            }
        }
        let mut kept = vec![];
        for name in &self.kept {
            kept.push(column(batch, std::slice::from_ref(name))?);
        }
        let keys = column(batch, std::slice::from_ref(&self.key))?;
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
