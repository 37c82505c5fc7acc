//! From an evaluation's rows to one bitmap of members a rule, over the profiles' positions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_empty_array,
};
use arrow::compute::{concat, filter, is_not_null, prep_null_mask_filter, take};
use arrow::datatypes::Int64Type;
use arrow::row::{RowConverter, SortField};
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use roaring::RoaringBitmap;

use crate::bug;
use crate::diagnostic::Kind;
use crate::engine::scope::Scope;
use crate::error::{Error, Result};
use crate::evaluation::{Asked, Members as Found, Prepared, Tables, Watch, repeated};
use crate::planner;
use crate::profile::Bound;
use crate::resolve::Program;

use super::report::{Figures, Progress};

/// The members found so far.
#[derive(Default)]
pub(super) struct Members {
    /// The profiles of the first pass, of which some yield all and some those that are members: later ones find theirs by key,
    /// or add them.
    keys: Option<Keys>,
    members: Vec<(String, RoaringBitmap)>,
    /// How many members those rules have of which nothing else matters.
    counts: Vec<(String, u64)>,
    figures: Figures,
}

struct Keys {
    array: ArrayRef,
    converter: RowConverter,
    /// Made when a second pass needs it: its rows come in another order.
    positions: Option<HashMap<Box<[u8]>, u32>>,
}

impl Members {
    /// Runs a program and adds its members.
    pub(super) async fn collect(
        &mut self,
        scope: &Arc<Scope>,
        program: &Program,
        progress: Option<&dyn Progress>,
    ) -> Result<()> {
        let state = scope.state();
        let plan = scope.plan_sql(&planner::evaluation(program)).await?;
        let physical = state.create_physical_plan(&plan).await?;
        let total = total_rows(&physical);
        let mut stream = execute_stream(Arc::clone(&physical), state.task_ctx())?;
        let mut pass = Pass::new(program);
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            tokio::select! {
                batch = stream.next() => match batch {
                    Some(batch) => pass.add(&batch?)?,
                    None => break,
                },
                _ = ticks.tick(), if progress.is_some() => {
                    if let Some(progress) = progress {
                        progress.read(metric(&physical, "output_rows"), total);
                    }
                }
            }
        }
        pass.figures.bytes_scanned = metric(&physical, "bytes_scanned");
        self.merge(pass, program)
    }

    /// Runs a prepared program and adds its members. `stored` are the segments of which it matters who they are, all if
    /// it is `None`; then events of no profile are counted, too.
    pub(super) async fn run(
        &mut self,
        tables: &dyn Tables,
        prepared: &Prepared,
        program: &Program,
        stored: Option<&HashSet<String>>,
        progress: Option<&dyn Progress>,
    ) -> Result<()> {
        let watch = Arc::new(Watch::default());
        let is_new = |at: &usize| stored.is_some_and(|stored| !stored.contains(&program.rules[*at].name));
        let counted = (0..program.rules.len()).filter(is_new).collect();
        let orphans = stored.is_none();
        let asked = Asked { orphans, counted, watch: Arc::clone(&watch), ..Asked::default() };
        let run = prepared.run(tables, asked);
        let mut run = std::pin::pin!(run);
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
        let outcome = loop {
            tokio::select! {
                outcome = &mut run => break outcome?,
                _ = ticks.tick(), if progress.is_some() => {
                    if let Some(progress) = progress {
                        let total = watch.total.load(Relaxed);
                        progress.read(watch.rows.load(Relaxed), (total > 0).then_some(total));
                    }
                }
            }
        };
        self.figures = Figures {
            profiles: outcome.n_profiles() as u64,
            null_keys: outcome.null_keys,
            events: outcome.events,
            orphan_events: outcome.orphans,
            bytes_scanned: outcome.bytes,
            ..Figures::default()
        };
        // Where members are only counted nobody asks for keys.
        if outcome.members.iter().any(|(_, members)| matches!(members, Found::Positions(_))) {
            self.keys = Some(Keys::new(outcome.keys()?)?);
        }
        for (at, members) in outcome.members {
            let name = program.rules[at].name.clone();
            match members {
                Found::Positions(members) => self.members.push((name, members)),
                Found::Count(n) => self.counts.push((name, n)),
            }
        }
        Ok(())
    }

    fn merge(&mut self, pass: Pass, program: &Program) -> Result<()> {
        let store = &program.store.store;
        let array = match pass.keys.iter().map(|keys| &**keys).collect::<Vec<_>>()[..] {
            [] => new_empty_array(&program.store.key_type()),
            ref keys => concat(keys).map_err(|error| bug!("profile keys of two types: {error}"))?,
        };
        let names = program.rules.iter().map(|rule| rule.name.clone());
        let figures;
        match &mut self.keys {
            None => {
                let keys = Keys::new(array)?;
                let rows = converter_rows(&keys.converter, &keys.array)?;
                unique(&rows, &keys.array, &store.profiles.table, &store.profiles.key)?;
                self.keys = Some(keys);
                self.members.extend(names.zip(pass.members));
                figures = std::mem::replace(&mut self.figures, pass.figures);
            }
            Some(keys) => {
                let members = pass.members.iter().fold(RoaringBitmap::new(), |all, own| all | own);
                let moved = keys.places(&array, &members)?;
                for (name, bitmap) in names.zip(pass.members) {
                    self.members
                        .push((name, bitmap.iter().filter_map(|at| moved.get(&at).copied()).collect()));
                }
                figures = pass.figures;
            }
        }
        // The program and the general plan read the same events.
        self.figures.events = self.figures.events.max(figures.events);
        self.figures.bytes_scanned += figures.bytes_scanned;
        Ok(())
    }

    /// How many members those rules have of which nothing else matters.
    pub(super) fn counts(&self) -> &[(String, u64)] {
        &self.counts
    }

    /// The keys of all profiles, the members of each other rule as positions among them, and the figures.
    pub(super) fn finish(self, bound: &Bound) -> (ArrayRef, Vec<(String, RoaringBitmap)>, Figures) {
        let keys = match self.keys {
            Some(keys) => keys.array,
            None => new_empty_array(&bound.key_type()),
        };
        (keys, self.members, self.figures)
    }
}

impl Keys {
    fn new(array: ArrayRef) -> Result<Self> {
        let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())])
            .map_err(|error| bug!("profile keys cannot be compared: {error}"))?;
        Ok(Self { array, converter, positions: None })
    }

    /// The positions of some of other keys, by where they are among these. Keys that are new come after all that are known.
    fn places(&mut self, others: &ArrayRef, wanted: &RoaringBitmap) -> Result<HashMap<u32, u32>> {
        let mut positions = self.positions()?;
        let rows = converter_rows(&self.converter, others)?;
        let (mut places, mut new) = (HashMap::new(), vec![]);
        for at in wanted {
            let key = rows.row(at as usize);
            let place = match positions.get(key.as_ref()) {
                Some(place) => *place,
                None => {
                    let place = u32::try_from(self.array.len() + new.len()).map_err(|_| too_many())?;
                    positions.insert(Box::from(key.as_ref()), place);
                    new.push(at);
                    place
                }
            };
            places.insert(at, place);
        }
        let new =
            take(others, &UInt32Array::from(new), None).map_err(|error| bug!("profile keys: {error}"))?;
        self.array =
            concat(&[&*self.array, &*new]).map_err(|error| bug!("profile keys of two types: {error}"))?;
        self.positions = Some(positions);
        Ok(places)
    }

    fn positions(&mut self) -> Result<HashMap<Box<[u8]>, u32>> {
        if let Some(positions) = self.positions.take() {
            return Ok(positions);
        }
        let rows = converter_rows(&self.converter, &self.array)?;
        Ok(rows.iter().zip(0..).map(|(row, at)| (Box::from(row.as_ref() as &[u8]), at)).collect())
    }
}

fn converter_rows(converter: &RowConverter, keys: &ArrayRef) -> Result<arrow::row::Rows> {
    let mut rows = converter.empty_rows(keys.len(), 0);
    converter
        .append(&mut rows, &[Arc::clone(keys)])
        .map_err(|error| bug!("profile keys cannot be compared: {error}"))?;
    Ok(rows)
}

/// Refuses keys that stand twice.
fn unique(rows: &arrow::row::Rows, keys: &ArrayRef, table: &str, column: &str) -> Result<()> {
    let mut seen = HashSet::with_capacity(rows.num_rows());
    let mut twice = rows.iter().enumerate().filter(|(_, row)| !seen.insert(*row)).map(|(at, _)| at);
    let Some(first) = twice.next() else { return Ok(()) };
    Err(repeated(keys, first, twice.count(), table, column))
}

/// One run of one program.
struct Pass {
    n_rules: usize,
    n_profiles: u32,
    keys: Vec<ArrayRef>,
    members: Vec<RoaringBitmap>,
    figures: Figures,
}

impl Pass {
    fn new(program: &Program) -> Self {
        let n_rules = program.rules.len();
        Self {
            n_rules,
            n_profiles: 0,
            keys: vec![],
            members: vec![RoaringBitmap::new(); n_rules],
            figures: Figures { orphan_events: Some(0), ..Figures::default() },
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let all = column(batch, planner::KEY_COLUMN)?;
        let known = is_not_null(all).map_err(|error| bug!("no null mask: {error}"))?;
        let mut of_event = vec![0_u64; batch.num_rows()];
        for (at, field) in batch.schema_ref().fields().iter().enumerate() {
            if !field.name().starts_with(planner::EVENTS_COLUMN) {
                continue;
            }
            let counts: &Int64Array = batch.column(at).as_primitive::<Int64Type>();
            for (total, count) in of_event.iter_mut().zip(counts.iter()) {
                *total += count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
            }
        }
        for (events, known) in of_event.iter().zip(known.values()) {
            self.figures.events += events;
            if !known && *events > 0 {
                self.figures.orphan_events = self.figures.orphan_events.map(|so_far| so_far + events);
            } else if !known {
                self.figures.null_keys += 1;
            }
        }
        let keys = filter(all, &known).map_err(|error| bug!("keys cannot be filtered: {error}"))?;
        for at in 0..self.n_rules {
            let rule = column(batch, &planner::rule_column(at))?;
            // A rule that is NULL whatever the profile has no members.
            let Some(rule) = rule.as_boolean_opt() else { continue };
            self.mark(at, rule, &known)?;
        }
        let added = u32::try_from(keys.len()).ok().and_then(|added| self.n_profiles.checked_add(added));
        self.n_profiles = added.ok_or_else(too_many)?;
        self.figures.profiles = u64::from(self.n_profiles);
        self.keys.push(keys);
        Ok(())
    }

    fn mark(&mut self, at: usize, rule: &BooleanArray, known: &BooleanArray) -> Result<()> {
        let rule = if rule.null_count() > 0 { &prep_null_mask_filter(rule) } else { rule };
        let kept;
        let rule = if known.true_count() == known.len() {
            rule
        } else {
            kept = filter(rule, known).map_err(|error| bug!("members cannot be filtered: {error}"))?;
            kept.as_boolean()
        };
        let base = self.n_profiles;
        let found = rule.values().set_indices().filter_map(|at| base.checked_add(u32::try_from(at).ok()?));
        self.members[at].append(found).map_err(|error| bug!("positions out of order: {error}"))?;
        Ok(())
    }
}

fn too_many() -> Error {
    Error::new(Kind::Resource, "more than 4,294,967,295 profiles in one store")
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| bug!("an evaluation's rows have no column `{name}`"))
}

/// A metric of the scans of a plan, summed.
fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> u64 {
    let children = plan.children();
    if !children.is_empty() {
        return children.into_iter().map(|child| metric(child, name)).sum();
    }
    let Some(metrics) = plan.metrics() else { return 0 };
    let total = match name {
        "output_rows" => metrics.output_rows(),
        name => metrics.sum_by_name(name).map(|value| MetricValue::as_usize(&value)),
    };
    total.and_then(|total| u64::try_from(total).ok()).unwrap_or_default()
}

/// How many rows the scans of a plan hold, where all of them know.
#[expect(deprecated, reason = "the successor needs the statistics of children, and scans have none")]
fn total_rows(plan: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    let children = plan.children();
    if !children.is_empty() {
        return children.into_iter().map(total_rows).sum();
    }
    let statistics = plan.partition_statistics(None).ok()?;
    statistics.num_rows.get_value().and_then(|rows| u64::try_from(*rows).ok())
}
