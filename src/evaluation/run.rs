//! A prepared evaluation run over the tables as they are now.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat, filter_record_batch, is_not_null, take_record_batch};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::common::runtime::JoinSet;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{Expr as LogicalExpr, col, lit};
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, execute_stream_partitioned};
use futures::StreamExt;
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use crate::bug;
use crate::compile::{Arg, Atom, EVER, Evaluation, Leaf, Of, Test};
use crate::error::Result;
use crate::segment::Expr;
use crate::statement::quote;

use super::bind::{Binder, Input, RowExpr};
use super::bits::small;
use super::channel::Channel;
use super::classes::{Classes, LookupRows};
use super::counting::Counting;
use super::families::{Asked, families};
use super::finish::{Attributes, Finish, Scratch};
use super::keys::{Keys, NOBODY};
use super::parquet::Files;
use super::prepare::{BoundTable, Prepared};
use super::scatter::Scatter;
use super::signature::{AtomUse, Signatures, Term, Terms};
use super::table::{Alive, EventTable, Level, Lookup, Matcher, Profiles, Read, column};
use super::{Outcome, Tables, Watch};

/// Above this share of rows that matter, all columns of all rows are read.
const DENSE: f64 = 0.3;

impl Prepared {
    /// Runs the program. With `orphans` every event's key is looked at, so that those of no profile are counted.
    pub async fn run(&self, tables: &dyn Tables, orphans: bool, watch: &Arc<Watch>) -> Result<Outcome> {
        let task = tables.state().task_ctx();
        let n_threads = tables.state().config().target_partitions().max(1);
        let (profiles, attributes, null_keys) = self.read_profiles(tables, &task).await?;
        let profiles = Arc::new(profiles);
        let (mut counted, mut read, mut bytes) = (vec![], Read::default(), 0);
        let runs: Vec<_> = self.tables.iter().enumerate().collect();
        for (at, bound) in runs {
            let table = Arc::new(self.event_table(tables, at, bound).await?);
            let scan = self.open_scan(tables, at, &table).await?;
            watch.total.fetch_add(scan.rows(), Relaxed);
            let (scatters, of_table, fetched) =
                scan.run(&table, &profiles, orphans, n_threads, &task, watch).await?;
            read.events += of_table.events;
            read.orphans += of_table.orphans;
            bytes += fetched;
            counted.push(Counting::new(&self.evaluation, at, table, scatters, bound.aggregates.clone()));
        }
        let value_columns = profiles.columns.clone();
        let finish = Arc::new(Finish {
            evaluation: Arc::clone(&self.evaluation),
            profiles: Arc::clone(&profiles),
            tables: counted,
            attributes,
            values: self.values.clone(),
            value_columns,
        });
        let members = finish_all(&finish, n_threads).await?;
        let rules = self.evaluation.rules.iter().map(|(at, _)| *at);
        Ok(Outcome {
            keys: profiles.keys.array()?,
            members: rules.zip(members).collect(),
            null_keys,
            events: read.events,
            orphans: orphans.then_some(read.orphans),
            bytes,
        })
    }

    async fn open_scan(&self, tables: &dyn Tables, at: usize, table: &EventTable) -> Result<Scan> {
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

    fn events(&self, at: usize) -> &crate::profile::Events {
        &self.program.store.store.events[self.evaluation.tables[at].events]
    }

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

    async fn read_profiles(
        &self,
        tables: &dyn Tables,
        task: &Arc<TaskContext>,
    ) -> Result<(Profiles, Attributes, u64)> {
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
        let physical = tables.state().create_physical_plan(&plan).await?;
        let mut classes = vec![];
        for at in 0..questions.subjects.len() {
            classes.push(Classes::new(questions, at, &self.profiles.tests[at], None)?);
        }
        let reader = Arc::new(ProfileReader {
            key: declared.key.clone(),
            subjects: (0..questions.subjects.len())
                .map(|at| (questions.subjects[at].of.clone(), self.profiles.rows.get(&at).cloned()))
                .collect(),
            classes: Mutex::new(classes),
            kept: kept.clone(),
        });
        let streams = execute_stream_partitioned(physical, Arc::clone(task))?;
        let mut set = JoinSet::new();
        for (partition, mut stream) in streams.into_iter().enumerate() {
            let reader = Arc::clone(&reader);
            set.spawn(async move {
                let mut parts = vec![];
                while let Some(batch) = stream.next().await {
                    parts.push(reader.read(&batch?)?);
                }
                Ok::<_, crate::error::Error>((partition, parts))
            });
        }
        let mut partitions = vec![];
        while let Some(done) = set.join_next().await {
            partitions.push(done.map_err(|error| bug!("reading profiles: {error}"))??);
        }
        partitions.sort_by_key(|(partition, _)| *partition);
        let parts: Vec<ProfilePart> = partitions.into_iter().flat_map(|(_, parts)| parts).collect();
        let keys: Vec<ArrayRef> = parts.iter().map(|part| Arc::clone(&part.keys)).collect();
        let keys = Keys::new(&keys, &self.program.store.key_type(), &declared.table, &declared.key)?;
        let mut of_subject = vec![Vec::with_capacity(keys.len()); questions.subjects.len()];
        for part in &parts {
            for (all, classes) in of_subject.iter_mut().zip(&part.classes) {
                all.extend_from_slice(classes);
            }
        }
        let mut columns = HashMap::new();
        for (at, name) in kept.into_iter().enumerate() {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| &*part.kept[at]).collect();
            let array = if arrays.is_empty() {
                let field = self.program.store.profiles.field_with_name(&name);
                let field = field.map_err(|error| bug!("profile columns: {error}"))?;
                arrow::array::new_empty_array(field.data_type())
            } else {
                concat(&arrays).map_err(|error| bug!("profile columns: {error}"))?
            };
            columns.insert(name, array);
        }
        let null_keys = parts.iter().map(|part| part.null_keys).sum();
        let reader = Arc::into_inner(reader).ok_or_else(|| bug!("profiles are still read"))?;
        let of = reader.classes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let attributes = Attributes::new(&self.evaluation, of_subject, &of);
        Ok((Profiles { keys, columns }, attributes, null_keys))
    }

    /// What is asked of an event table, ready to be asked.
    async fn event_table(&self, tables: &dyn Tables, at: usize, bound: &BoundTable) -> Result<EventTable> {
        let store = &self.program.store;
        let table = &self.evaluation.tables[at];
        let declared = self.events(at);
        let time_type = store.events[table.events].field_with_name(&declared.timestamp);
        let time_type = time_type.map_err(|error| bug!("timestamps: {error}"))?.data_type().clone();
        let until = if self.program.as_of { Some(last_tick(self.program.now, &time_type)?) } else { None };
        let questions = &table.questions;
        // Literals by subject, in their order among the subject's.
        let mut position = vec![];
        let mut counts = vec![0_u32; questions.subjects.len()];
        for literal in &questions.literals {
            position.push(counts[literal.subject]);
            counts[literal.subject] += 1;
        }
        let channels = self.channels(at, bound)?;
        let uses = atom_uses(&self.evaluation, at, &channels);
        // What most terms ask about is read first: most rows end there.
        let mut asked = vec![0_usize; questions.subjects.len()];
        for literal in table.atoms.iter().flat_map(|atom| atom.terms.iter().flatten()) {
            asked[questions.literals[*literal].subject] += 1;
        }
        let mut order: Vec<usize> = (0..questions.subjects.len()).collect();
        order.sort_by_key(|subject| {
            let late = matches!(questions.subjects[*subject].of, Of::Row(_));
            (late, usize::MAX - asked[*subject])
        });
        let (mut levels, mut level_of) = (vec![], vec![0; questions.subjects.len()]);
        for subject in order {
            level_of[subject] = levels.len();
            levels.push(match &questions.subjects[subject].of {
                Of::Row(_) => {
                    let expr = bound.questions.rows.get(&subject).cloned();
                    Level::Row { subject, expr: expr.ok_or_else(|| bug!("an expression is not bound"))? }
                }
                Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path) => {
                    Level::Column { subject, path: path.clone() }
                }
                Of::Lookup(lookup) => {
                    Level::Column { subject, path: vec![store.store.lookups[*lookup].column.clone()] }
                }
            });
        }
        let n_early = levels.iter().filter(|level| matches!(level, Level::Column { .. })).count();
        let mut valid: HashMap<usize, usize> = HashMap::new();
        let mut atoms: Vec<Vec<Term>> = vec![];
        for atom in &table.atoms {
            let mut terms = vec![];
            for term in &atom.terms {
                let mut literals: Term = term
                    .iter()
                    .map(|literal| (level_of[questions.literals[*literal].subject], position[*literal]))
                    .collect();
                for channel in &atom.valid {
                    let level = *valid.entry(*channel).or_insert_with(|| {
                        levels.push(Level::Valid { channel: *channel });
                        levels.len() - 1
                    });
                    literals.push((level, 0));
                }
                literals.sort_unstable();
                literals.dedup();
                terms.push(literals);
            }
            atoms.push(terms);
        }
        let families = families(&literals_of(&atoms), &together(table));
        let since = uses.iter().map(|of| of.since).min().unwrap_or(i64::MAX);
        let mut lookup_rows = HashMap::new();
        for (at, subject) in questions.subjects.iter().enumerate() {
            if let Of::Lookup(lookup) = subject.of {
                let tests: Vec<&Expr> = subject
                    .tests
                    .iter()
                    .filter_map(|test| match test {
                        Test::Expr(expr) => Some(&**expr),
                        _ => None,
                    })
                    .collect();
                lookup_rows.insert(at, self.read_lookup(tables, lookup, &tests).await?);
            }
        }
        let mut lookups = HashMap::new();
        for expr in bound.channels.iter().chain(bound.questions.rows.values()) {
            for input in &expr.inputs {
                if let Input::Lookup(at, _) = input
                    && !lookups.contains_key(at)
                {
                    lookups.insert(*at, self.read_lookup_columns(tables, *at).await?);
                }
            }
        }
        Ok(EventTable {
            key: declared.key.clone(),
            time: declared.timestamp.clone(),
            time_type,
            since,
            until,
            questions: questions.clone(),
            terms: Terms::new(levels.len(), &atoms, &families, uses),
            levels,
            n_early,
            signatures: Signatures::default(),
            channels,
            bound: bound.questions.tests.clone(),
            lookup_rows,
            lookups,
        })
    }

    fn channels(&self, at: usize, bound: &BoundTable) -> Result<Vec<Channel>> {
        let (table, declared) = (&self.evaluation.tables[at], self.events(at));
        let of_time = [Input::Event(declared.timestamp.clone())];
        let mut channels = vec![];
        for (at, expr) in bound.channels.iter().enumerate() {
            let mut channel = Channel::new(expr.clone()).ok_or_else(|| bug!("a channel of another type"))?;
            let decides = table.atoms.iter().any(|atom| atom.valid.contains(&at));
            channel.is_of_time = expr.inputs == of_time && !decides;
            channels.push(channel);
        }
        Ok(channels)
    }

    /// Tests the rows of a lookup.
    async fn read_lookup(&self, tables: &dyn Tables, at: usize, tests: &[&Expr]) -> Result<LookupRows> {
        let lookup = &self.program.store.store.lookups[at];
        let binder = Binder { tables, program: &self.program };
        let printer = binder.printer();
        let columns: Vec<String> = tests
            .iter()
            .enumerate()
            .map(|(at, test)| format!("({}) AS t{at}", printer.print(test)))
            .collect();
        let list = columns.join(", ");
        let sql = format!("SELECT {} AS lookup_key, {list} FROM {}", quote(&lookup.key), lookup.table);
        let rows = collected(tables, &sql).await?;
        let sql =
            format!("SELECT {list} FROM (SELECT 1 AS one) AS single LEFT JOIN {} ON false", lookup.table);
        let missing = collected(tables, &sql).await?;
        let keys = arrow::compute::cast(rows.column(0), &DataType::Utf8)
            .map_err(|error| bug!("keys of a lookup: {error}"))?;
        let booleans = |batch: &RecordBatch, at: usize| -> Result<BooleanArray> {
            let column = arrow::compute::cast(batch.column(at), &DataType::Boolean)
                .map_err(|error| bug!("a condition on a lookup: {error}"))?;
            Ok(column.as_boolean().clone())
        };
        let mut answers = vec![];
        let mut of_missing = vec![];
        for test in 0..tests.len() {
            answers.push(booleans(&rows, test + 1)?);
            let missing = booleans(&missing, test)?;
            of_missing.push((missing.len() == 1 && missing.is_valid(0)).then(|| missing.value(0)));
        }
        let keys = keys.as_string::<i32>().clone();
        unique_lookup(keys.iter().flatten(), &lookup.table)?;
        Ok(LookupRows { keys, answers, missing: of_missing })
    }

    /// All columns of a lookup, by key.
    async fn read_lookup_columns(&self, tables: &dyn Tables, at: usize) -> Result<Lookup> {
        let lookup = &self.program.store.store.lookups[at];
        let batch = collected(tables, &format!("SELECT * FROM {}", lookup.table)).await?;
        let keys = column(&batch, std::slice::from_ref(&lookup.key))?;
        let keys = arrow::compute::cast(&keys, &DataType::Utf8).map_err(|error| bug!("keys: {error}"))?;
        let keys = keys.as_string::<i32>();
        unique_lookup(keys.iter().flatten(), &lookup.table)?;
        let rows =
            keys.iter().enumerate().filter_map(|(at, key)| Some((Box::from(key?), small(at)))).collect();
        Ok(Lookup { on: lookup.column.clone(), rows, batch })
    }
}

/// Refuses a lookup with two rows of one key: joined, it would count events twice.
fn unique_lookup<'k>(keys: impl Iterator<Item = &'k str>, table: &str) -> Result<()> {
    let mut seen = hashbrown::HashSet::new();
    for key in keys {
        if !seen.insert(key) {
            let kind = crate::diagnostic::Kind::Unsupported;
            return Err(crate::error::Error::new(
                kind,
                format!("the lookup `{table}` has two rows of key `{key}`"),
            ));
        }
    }
    Ok(())
}

/// The last value of a timestamp column that is not after an instant.
fn last_tick(now: DateTime<Utc>, data_type: &DataType) -> Result<i64> {
    Ok(match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => now.timestamp(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => now.timestamp_millis(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => now.timestamp_micros(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => now.timestamp_nanos_opt().unwrap_or(i64::MAX),
        DataType::Date64 => now.timestamp_millis(),
        DataType::Date32 => now.timestamp().div_euclid(SECONDS_A_DAY),
        other => return Err(bug!("an instant cannot be compared with timestamps of type {other}")),
    })
}

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

async fn collected(tables: &dyn Tables, sql: &str) -> Result<RecordBatch> {
    let plan = tables.plan(sql).await?;
    let physical = tables.state().create_physical_plan(&plan).await?;
    let schema = physical.schema();
    let batches = datafusion::physical_plan::collect(physical, tables.state().task_ctx()).await?;
    arrow::compute::concat_batches(&schema, &batches).map_err(|error| bug!("rows of a table: {error}"))
}

/// What each atom asks about.
fn literals_of(atoms: &[Vec<Term>]) -> Vec<Asked> {
    let of_atom = |terms: &Vec<Term>| {
        let mut asked = Asked::new();
        for (level, literal) in terms.iter().flatten() {
            asked.entry(*level).or_default().add(*literal as usize);
        }
        asked
    };
    atoms.iter().map(of_atom).collect()
}

/// The atoms that an aggregate needs the truth of at once.
fn together(table: &crate::compile::Table) -> Vec<Vec<usize>> {
    let of_aggregate = |aggregate: &crate::compile::Aggregate| {
        let conditions = aggregate.args.iter().filter_map(|arg| match arg {
            Arg::Condition(atom, _) => Some(*atom),
            _ => None,
        });
        std::iter::once(aggregate.atom).chain(conditions).collect()
    };
    table.aggregates.iter().map(of_aggregate).collect()
}

/// Since when each atom of a table matters, and which values are kept of its events.
fn atom_uses(evaluation: &Evaluation, at: usize, channels: &[Channel]) -> Vec<AtomUse> {
    let table = &evaluation.tables[at];
    let of_atom = |atom: &Atom| AtomUse {
        since: i64::MAX,
        channels: vec![],
        valid: atom.valid.iter().map(|channel| small(*channel)).collect(),
    };
    let mut uses: Vec<AtomUse> = table.atoms.iter().map(of_atom).collect();
    let mut since = |atom: usize, since: i64| uses[atom].since = uses[atom].since.min(since);
    for leaf in &evaluation.leaves {
        if let Leaf::Count { table: of, counter, since: from, .. } = leaf
            && *of == at
        {
            let counter = &table.counters[*counter];
            since(counter.atom, *from);
            if let Some(sequel) = counter.sequel {
                let second = table.seconds[table.sequels[sequel].second];
                since(second.atom, second.since.max(*from));
            }
        }
    }
    for leaf in &evaluation.leaves {
        if let Leaf::Below { table: of, measure, since: from, .. } = leaf
            && *of == at
        {
            since(table.measures[*measure].atom, *from);
        }
    }
    for leaf in table.groups.iter().flat_map(|group| &group.leaves) {
        since(table.counters[leaf.counter].atom, leaf.since);
    }
    for aggregate in &table.aggregates {
        if !aggregate.matching {
            since(aggregate.atom, aggregate.since);
        }
        for arg in &aggregate.args {
            if let Arg::Condition(atom, from) = arg {
                since(*atom, (*from).max(aggregate.since));
            }
        }
    }
    let mut keep = |atom: usize, channel: usize| {
        let at = small(channel);
        if !channels[channel].is_of_time && !uses[atom].channels.contains(&at) {
            uses[atom].channels.push(at);
        }
    };
    for counter in &table.counters {
        counter.distinct.into_iter().for_each(|channel| keep(counter.atom, channel));
    }
    table.measures.iter().for_each(|measure| keep(measure.atom, measure.channel));
    for group in &table.groups {
        group.leaves.iter().for_each(|leaf| keep(table.counters[leaf.counter].atom, group.key));
    }
    for aggregate in &table.aggregates {
        for arg in &aggregate.args {
            if let Arg::Channel(channel) = arg {
                keep(aggregate.atom, *channel);
            }
        }
    }
    uses
}

/// How batches of profiles are read.
struct ProfileReader {
    key: String,
    subjects: Vec<(Of, Option<RowExpr>)>,
    classes: Mutex<Vec<Classes>>,
    kept: Vec<String>,
}

/// What is kept of a batch of profiles.
struct ProfilePart {
    keys: ArrayRef,
    classes: Vec<Vec<u32>>,
    kept: Vec<ArrayRef>,
    null_keys: u64,
}

impl ProfileReader {
    fn read(&self, batch: &RecordBatch) -> Result<ProfilePart> {
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
        Ok(ProfilePart { keys: column(batch, std::slice::from_ref(&self.key))?, classes, kept, null_keys })
    }
}

/// How an event table is read.
enum Scan {
    /// Row group by row group.
    Files(Files),
    /// As whatever plan yields the rows.
    Plan(Arc<dyn ExecutionPlan>),
}

impl Scan {
    /// How many rows are read at most, where that is known.
    fn rows(&self) -> u64 {
        match self {
            Self::Files(files) => files.row_groups.iter().map(|unit| files.rows(*unit) as u64).sum(),
            Self::Plan(_) => 0,
        }
    }

    async fn run(
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
        let rows = UInt32Array::from(alive.rows.clone());
        let ordinals = if of_all {
            let all = matcher.ordinals(&keys)?;
            matcher.read.orphans +=
                alive.within.iter().filter(|row| all[**row as usize] == NOBODY).count() as u64;
            alive.rows.iter().map(|row| all[*row as usize]).collect()
        } else {
            let keys = arrow::compute::take(&keys, &rows, None).map_err(|error| bug!("keys: {error}"))?;
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
            let rest = take_record_batch(&rest, &rows).map_err(|error| bug!("rows: {error}"))?;
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

/// Finishes all partitions and joins what was found.
async fn finish_all(finish: &Arc<Finish>, n_threads: usize) -> Result<Vec<RoaringBitmap>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut set = JoinSet::new();
    for _ in 0..n_threads.min(finish.n_partitions().max(1)) {
        let (finish, next) = (Arc::clone(finish), Arc::clone(&next));
        set.spawn(async move {
            let mut scratch = Scratch::default();
            loop {
                let partition = next.fetch_add(1, Relaxed);
                if partition >= finish.n_partitions() {
                    break;
                }
                finish.partition(partition, &mut scratch)?;
                tokio::task::yield_now().await;
            }
            Ok::<_, crate::error::Error>(scratch.members)
        });
    }
    let mut all = vec![RoaringBitmap::new(); finish.evaluation.rules.len()];
    while let Some(done) = set.join_next().await {
        let members = done.map_err(|error| bug!("finishing an evaluation: {error}"))??;
        for (all, found) in all.iter_mut().zip(members) {
            *all |= found;
        }
    }
    Ok(all)
}
