//! The profile table of an evaluation, read once: ordinals by key, classes of attributes, columns that are needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, UInt32Type};
use datafusion::common::runtime::JoinSet;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use hashbrown::HashMap;
use roaring::RoaringBitmap;
use tokio::sync::OnceCell;

use crate::bug;
use crate::compile::Of;
use crate::error::{Error, Result};
use crate::statement::quote;

use super::attributes::{Attributes, Suspects};
use super::bind::Input;
use super::bits::small;
use super::keys::{Kept, Keys, NOBODY};
use super::pending;
use super::prepare::Prepared;
use super::reading::{ProfileReader, in_order, joined};
use super::register::{Places, Registered};
use super::scan::{Rows, projection, scan};
use super::shard::{Place, Profiles, Shard, by_bucket};
use super::{Buckets, LaidOut, MemberKeys, Members, Tables, Watch};

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

    /// Opens the profile table, whose profiles the copies of event tables may have registered.
    pub(super) async fn open_profiles(
        &self,
        tables: &dyn Tables,
        copies: &[Option<LaidOut>],
    ) -> Result<ProfileScan> {
        let declared = &self.program.store.store.profiles;
        let kept = self.kept_columns();
        let mut others = vec![vec![declared.key.clone()]];
        others.extend(kept.iter().filter(|name| **name != declared.key).map(|name| vec![name.clone()]));
        let mut deciding: Vec<Vec<String>> = vec![];
        for (at, subject) in self.evaluation.profiles.subjects.iter().enumerate() {
            let mut want = |path: &[String]| {
                if !deciding.iter().any(|known| known == path) {
                    deciding.push(path.to_vec());
                }
            };
            match &subject.of {
                Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path) => want(path),
                Of::Row(_) => {
                    for input in self.profiles.rows.get(&at).into_iter().flat_map(|row| &row.inputs) {
                        if let Input::Profile(name) = input {
                            want(std::slice::from_ref(name));
                        }
                    }
                }
                Of::Lookup(_) => return Err(bug!("a lookup of profiles in a program")),
            }
        }
        let schema = Arc::clone(&self.program.store.profiles);
        let state = tables.state();
        let paths: Vec<&[String]> = others.iter().chain(&deciding).map(|path| &path[..]).collect();
        let n_threads = state.config().target_partitions();
        let (own_schema, plan) = scan(tables, &declared.table, &paths, &[]).await?;
        let mut rows = Rows::of(plan, &schema, &paths, None, n_threads, state.runtime_env()).await?;
        let n_profiles = match &mut rows {
            Rows::Files(files) => Some(files.n_rows()),
            // Other rows DataFusion reads by several threads, if it plans them.
            Rows::Plan(plan) => {
                let names = projection(&own_schema, &paths)?.into_iter();
                let names: Vec<String> = names.map(|at| quote(own_schema.field(at).name())).collect();
                let query = format!("SELECT {} FROM {}", names.join(", "), declared.table);
                *plan = state.create_physical_plan(&tables.plan(&query).await?).await?;
                let known = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
                known.ok().and_then(|known| known.num_rows.get_value().copied())
            }
        };
        let mut registered = None;
        if let (Rows::Files(files), Some(_)) = (&rows, in_common(copies)) {
            registered = Registered::open(copies, files, state).await?;
        }
        if registered.is_some() {
            others.remove(0);
        }
        let reader = ProfileReader {
            rows,
            deciding,
            others,
            registered,
            schema,
            table: declared.table.clone(),
            key: declared.key.clone(),
            kept,
            evaluation: Arc::clone(&self.evaluation),
            questions: self.profiles.clone(),
            buckets: None,
            suspects: None,
        };
        Ok(ProfileScan { n_profiles, reader, key_type: self.program.store.key_type() })
    }
}

/// How all tables are cut, if they are cut alike.
pub(super) fn in_common(copies: &[Option<LaidOut>]) -> Option<Buckets> {
    let (first, others) = copies.split_first()?;
    let buckets = first.as_ref()?.buckets;
    let is_alike = |copy: &Option<LaidOut>| copy.as_ref().is_some_and(|copy| copy.buckets.n == buckets.n);
    others.iter().all(is_alike).then_some(buckets)
}

/// A profile table about to be read.
pub(super) struct ProfileScan {
    n_profiles: Option<usize>,
    reader: ProfileReader,
    key_type: DataType,
}

impl ProfileScan {
    /// Whether events say by numbers whose they are.
    pub(super) fn is_registered(&self) -> bool {
        self.reader.registered.is_some()
    }

    /// Profiles are read in the order of the table as one shard, or a shard a bucket; all, or those alone that may be wanted.
    pub(super) fn wanting(mut self, buckets: Option<Buckets>, suspects: Option<Suspects>) -> Self {
        let reader = &mut self.reader;
        // Nobody asks about rows without a key.
        let has_keys = reader.registered.is_some() || reader.rows.all_have(&reader.key);
        reader.suspects = suspects.filter(|suspects| !suspects.are_computed() || has_keys);
        reader.buckets = buckets;
        self
    }

    /// Reads the profiles: all, or those with one of the `wanted` keys, with their ordinals by the positions of these.
    async fn read(
        self: &Arc<Self>,
        task: &Arc<TaskContext>,
        wanted: Option<Arc<Keys>>,
    ) -> Result<(Arc<Profiles>, Vec<u32>)> {
        let mut places = vec![NOBODY; wanted.as_ref().map_or(0, |wanted| wanted.len())];
        let memory = MemoryConsumer::new("profiles of an evaluation").register(task.memory_pool());
        let is_nobody = wanted.is_some() && places.is_empty();
        // Nobody asks about rows; an expression without columns asks about each.
        let is_read =
            !self.reader.columns().is_empty() || !self.reader.evaluation.profiles.subjects.is_empty();
        let n_parts = if is_nobody || !is_read { 0 } else { self.reader.rows.n_parts() };
        let n_threads = match self.reader.rows {
            Rows::Files(_) => n_parts.min(task.session_config().target_partitions()),
            // What makes them may wait until somebody takes those of each partition.
            Rows::Plan(_) => n_parts,
        };
        let (mut set, next) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..n_threads.max(1) {
            let (scan, wanted, next) = (Arc::clone(self), wanted.clone(), Arc::clone(&next));
            let (memory, task) = (memory.new_empty(), Arc::clone(task));
            set.spawn(async move {
                let mut reading = scan.reader.begin(wanted.as_deref(), memory, &task)?;
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    if at >= n_parts {
                        return Ok::<_, Error>(reading.end());
                    }
                    reading.part(at).await?;
                }
            });
        }
        let mut of_threads = vec![];
        while let Some(done) = set.join_next().await {
            of_threads.push(done.map_err(|error| bug!("reading profiles: {error}"))??);
        }
        let (of, partitions) = self.reader.together(of_threads)?;
        // What is kept, column by column: parts are given back as soon as they are put together.
        let (mut keys, mut classes, mut kept) =
            (vec![], vec![vec![]; of.len()], vec![vec![]; self.reader.kept.len()]);
        let (mut buckets, mut found, mut null_keys) = (vec![], vec![], 0);
        for part in partitions {
            keys.push(part.keys);
            classes.iter_mut().zip(part.classes).for_each(|(all, part)| all.push(part));
            kept.iter_mut().zip(part.kept).for_each(|(all, part)| all.push(part));
            buckets.push(part.buckets);
            found.extend(part.found);
            null_keys += part.null_keys;
        }
        let form = Kept::form(&self.key_type);
        let n_threads = task.session_config().target_partitions();
        let (mut by_number, mut order, mut starts) = (None, Order::AsRead, None);
        if let Some(registered) = &self.reader.registered {
            let rows = (n_parts > 0).then(|| joined(std::mem::take(&mut keys), None, &DataType::UInt32));
            let rows = rows.transpose()?;
            let rows = rows.as_ref().map(|rows| &rows.as_primitive::<UInt32Type>().values()[..]);
            let (found, of_profiles, of_shards) = registered.places(rows, task).await?;
            (by_number, order, starts) =
                (Some(found), Order::Rows(UInt32Array::from(of_profiles)), Some(of_shards));
        } else if let Some(of) = self.reader.buckets {
            let (own, of_buckets) = by_bucket(&buckets, of.n)?;
            keys = in_order(&keys, &own, &form, n_threads)?;
            (order, starts) = (Order::Places(own), Some(of_buckets));
        }
        let keys = Kept::together(keys, &form, n_threads)?;
        let starts = starts.unwrap_or_else(|| vec![0, keys.len()]);
        let whole = |parts: Vec<ArrayRef>, none: &DataType| order.of(parts, none);
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
        let of_columns: usize = arrays.map(|array| array.get_array_memory_size()).sum();
        memory.try_resize(keys.memory() + of_columns + by_number.as_ref().map_or(0, Places::memory))?;
        // Nobody wants some keys alone where profiles go by bucket, so that the order is that of the parts.
        let mut is_repeated = false;
        for (at, wanted) in found.into_iter().enumerate() {
            is_repeated |= std::mem::replace(&mut places[wanted as usize], small(at)) != NOBODY;
        }
        let attributes = Attributes::new(&self.reader.evaluation, of_subject, &of);
        let (table, key) = (self.reader.table.clone(), self.reader.key.clone());
        let key_type = self.key_type.clone();
        let profiles = Arc::new(Profiles {
            keys,
            places: by_number,
            starts,
            columns,
            table,
            key,
            key_type,
            attributes,
            null_keys,
            _memory: memory,
        });
        if is_repeated {
            return Err(profiles.repeated());
        }
        Ok((profiles, places))
    }
}

/// The order of profiles, given where their rows were read.
enum Order {
    AsRead,
    Places(Vec<Place>),
    /// Counted over all parts.
    Rows(UInt32Array),
}

impl Order {
    /// A column that was read in parts; `none` is the type of one without any.
    fn of(&self, parts: Vec<ArrayRef>, none: &DataType) -> Result<ArrayRef> {
        match self {
            Self::AsRead => joined(parts, None, none),
            Self::Places(places) => joined(parts, Some(places), none),
            Self::Rows(rows) => {
                let all = joined(parts, None, none)?;
                take(&all, rows, None).map_err(|error| bug!("profile columns: {error}"))
            }
        }
    }
}

/// So many rows of events tell how many there will be.
const TELLING: u64 = 1 << 16;

/// The profiles of a run: read before all events, or when too many of these wait for them, or after all.
pub(super) struct Everyone {
    scan: Arc<ProfileScan>,
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
        Self { scan: Arc::new(scan), all, first, n_pending, most }
    }

    /// More events wait for the profiles to be read; says whether they should not, since they are too many or will be, as
    /// far as the rows read until now tell.
    pub(super) fn wait(&self, n: usize, watch: &Watch) -> bool {
        let n = self.n_pending.fetch_add(n, Relaxed) + n;
        let (read, total) = (watch.rows.load(Relaxed), watch.total.load(Relaxed));
        let expected = n as u128 * u128::from(total);
        n > self.most || read >= TELLING && expected > self.most as u128 * 2 * u128::from(read)
    }

    /// The profiles.
    pub(super) async fn profiles(&self, task: &Arc<TaskContext>) -> Result<&Arc<Profiles>> {
        self.all.get_or_try_init(|| async { Ok(self.scan.read(task, None).await?.0) }).await
    }

    /// The keys of the members, who are from then on known by the positions of these; with what they take.
    pub(super) async fn keys(
        &self,
        members: &mut [(usize, Members)],
        task: &Arc<TaskContext>,
    ) -> Result<(MemberKeys, MemoryReservation)> {
        let profiles = self.profiles(task).await?;
        let memory = MemoryConsumer::new("keys of members").register(task.memory_pool());
        let Some(places) = &profiles.places else {
            return Ok((MemberKeys::Kept(profiles.keys.clone()), memory));
        };
        let mut own: Vec<&mut RoaringBitmap> = vec![];
        for (_, members) in members {
            if let Members::Positions(members) = members {
                own.push(members);
            }
        }
        let n_members: u64 = own.iter().map(|members| members.len()).sum();
        let mut wanted = None;
        // Many rules have most profiles among their members, and then those are as well where they are.
        if n_members <= profiles.len() as u64 {
            let all = own.iter().fold(RoaringBitmap::new(), |all, own| all | &**own);
            let all: Vec<u32> = all.iter().collect();
            if let [only] = &mut own[..] {
                only.clear();
                only.insert_range(0..small(all.len()));
            } else {
                let mut place_of = vec![NOBODY; profiles.len()];
                all.iter().zip(0..).for_each(|(member, place)| place_of[*member as usize] = place);
                for members in own {
                    *members = members.iter().map(|member| place_of[member as usize]).collect();
                }
            }
            wanted = Some(all);
        }
        let keys = places.keys(wanted, &profiles.key_type, task).await?;
        memory.try_grow(keys.get_array_memory_size())?;
        Ok((MemberKeys::Read(keys), memory))
    }

    /// The first shard, if it has been read.
    pub(super) fn ready(&self) -> Option<&Arc<Shard>> {
        self.first.get()
    }

    /// The first shard, of all profiles.
    pub(super) async fn shard(&self, task: &Arc<TaskContext>) -> Result<Arc<Shard>> {
        let shard = self.first.get_or_try_init(|| async {
            let n_threads = task.session_config().target_partitions();
            let shard = self.profiles(task).await?.shard(0, n_threads, task.memory_pool())?;
            Ok::<_, Error>(Arc::new(shard))
        });
        Ok(Arc::clone(shard.await?))
    }

    /// Accounts for the memory that finding so many keys takes, until what is returned is dropped.
    pub(super) fn finding(n: usize, task: &TaskContext) -> Result<MemoryReservation> {
        let memory = MemoryConsumer::new("finding keys of an evaluation").register(task.memory_pool());
        memory.try_grow(Keys::memory(n))?;
        Ok(memory)
    }

    /// The form in which keys are kept.
    pub(super) fn form(&self) -> DataType {
        Kept::form(&self.scan.key_type)
    }

    /// Whoever has one of some keys, each given once, as if they were profiles of which nothing else is known.
    pub(super) fn anybody(&self, keys: Kept, task: &Arc<TaskContext>) -> Result<Arc<Profiles>> {
        let memory = MemoryConsumer::new("keys of events that waited").register(task.memory_pool());
        memory.try_grow(keys.memory())?;
        let reader = &self.scan.reader;
        Ok(Arc::new(Profiles {
            starts: vec![0, keys.len()],
            keys,
            places: None,
            columns: HashMap::new(),
            table: reader.table.clone(),
            key: reader.key.clone(),
            key_type: self.scan.key_type.clone(),
            attributes: Attributes::default(),
            null_keys: 0,
            _memory: memory,
        }))
    }

    /// Reads those profiles alone that have one of some keys, each given once; says where the profile of each is, [`NOBODY`]
    /// where there is none. No profile has been read before, and no others are from then on.
    pub(super) async fn only(
        &self,
        keys: Kept,
        task: &Arc<TaskContext>,
    ) -> Result<(&Arc<Profiles>, Vec<u32>)> {
        let _memory = Self::finding(keys.len(), task)?;
        let wanted = Keys::new(keys, task.session_config().target_partitions());
        let wanted = wanted.map_err(|_| bug!("a key is wanted twice"))?;
        let (profiles, places) = self.scan.read(task, Some(Arc::new(wanted))).await?;
        Ok((self.all.get_or_init(|| async { profiles }).await, places))
    }
}
