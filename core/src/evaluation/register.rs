//! Profiles found by number: events of a laid-out copy have the numbers of their keys, and a register beside it says which
//! profile each number is. No key is compared, and none is read but those of members.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type, UInt32Type};
use datafusion::common::runtime::JoinSet;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;

use crate::bug;
use crate::error::{Error, Result};

use super::bits::small;
use super::keys::NOBODY;
use super::parquet::{Files, Piece, SPARSE, Selected};
use super::reading::joined;
use super::table::column;
use super::{LaidOut, Register};

/// The registers that the copies of all event tables have of the same profiles.
#[derive(Debug)]
pub(super) struct Registered {
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    files: Files,
    /// Where the profiles of each bucket begin, and where the last one's end.
    starts: Vec<usize>,
}

/// What numbers stand for in one run.
#[derive(Debug)]
pub(super) struct Places {
    /// By ordinal, the profile's position in the register, unless that is the same.
    positions: Option<Vec<u32>>,
    /// By event table.
    tables: Vec<Numbered>,
    registered: Arc<Registered>,
}

/// The register of one event table, as far as events need it.
#[derive(Debug)]
struct Numbered {
    /// By position, in the parts in which they were read: each shard puts its own together.
    numbers: Vec<ArrayRef>,
    /// By position, the ordinal in the shard, unless that counts positions.
    ordinals: Option<Vec<u32>>,
}

impl Numbered {
    /// The numbers at some positions.
    fn numbers(&self, wanted: Range<usize>) -> Result<Int32Array> {
        let (mut own, mut first) = (vec![], 0);
        for part in &self.numbers {
            let [start, end] =
                [wanted.start, wanted.end].map(|at| at.clamp(first, first + part.len()) - first);
            if start < end {
                own.push(part.slice(start, end - start));
            }
            first += part.len();
        }
        let numbers = joined(own, None, &DataType::Int32)?;
        numbers.as_primitive_opt().cloned().ok_or_else(|| bug!("the numbers of a register are none"))
    }
}

/// The profiles of a shard, by the numbers that events of one table have.
#[derive(Debug)]
pub(super) enum ByNumber {
    /// The first so many numbers are ordinals.
    Same(u32),
    /// The ordinal of each.
    Ordinals(Vec<u32>),
}

impl Registered {
    /// `None` unless all copies have a register of these profiles that can be read here.
    pub(super) async fn open(
        copies: &[Option<LaidOut>],
        profiles: &Files,
        state: &SessionState,
    ) -> Result<Option<Arc<Self>>> {
        let mut tables = vec![];
        for copy in copies {
            let register = copy.as_ref().and_then(|copy| copy.register.as_ref());
            let Some(Register { scan, starts, .. }) =
                register.filter(|register| profiles.are(&register.files))
            else {
                return Ok(None);
            };
            let names: Vec<[String; 1]> = ["key", "number", "row"].map(|name| [name.to_owned()]).to_vec();
            let paths: Vec<&[String]> = names.iter().map(|name| &name[..]).collect();
            let (schema, n_threads) = (scan.schema(), state.config().target_partitions());
            let files = Files::of(scan, &schema, &paths, None, true, state.runtime_env()).await?;
            let Some(mut files) = files else { return Ok(None) };
            files.cut(n_threads);
            if starts.last() != Some(&files.n_rows()) || files.n_rows() != profiles.n_rows() {
                return Ok(None);
            }
            tables.push(Table { files, starts: starts.clone() });
        }
        Ok((!tables.is_empty()).then(|| Arc::new(Self { tables })))
    }

    /// How many profiles there are.
    pub(super) fn n_profiles(&self) -> usize {
        self.tables[0].files.n_rows()
    }

    /// What numbers stand for where the given rows of the profile table, in their order, were read and no other profile is
    /// wanted; `None` if all are, and no row was read. Then, by ordinal, which of the rows is the profile's, and where each
    /// shard begins and the last one ends.
    pub(super) async fn places(
        self: &Arc<Self>,
        rows: Option<&[u32]>,
        task: &Arc<TaskContext>,
    ) -> Result<(Places, Vec<u32>, Vec<usize>)> {
        let n_all = self.n_profiles();
        let bounds = &self.tables[0].starts;
        let own_rows = match rows.is_some() || self.tables.len() > 1 {
            true => self.rows(0, task).await?,
            false => vec![],
        };
        let (mut order, mut starts) = (vec![], bounds.clone());
        let (mut positions, mut ordinals) = (None, None);
        match rows {
            None => {}
            Some(rows) if rows.len() == n_all => order.clone_from(&own_rows),
            Some(rows) => {
                let n_threads = task.session_config().target_partitions();
                let found = Chosen::new(rows, n_all).by_bucket(&own_rows, bounds, n_threads);
                order = found.order;
                starts = found.starts;
                (positions, ordinals) = (Some(found.positions), Some(found.ordinals));
            }
        }
        let (mut tables, mut of_row) = (vec![], vec![]);
        if self.tables.len() > 1 {
            of_row.resize(n_all, NOBODY);
            for bounds in bounds.windows(2) {
                for (position, place) in (bounds[0]..bounds[1]).zip(0..) {
                    let ordinal = ordinals.as_ref().map_or(place, |ordinals| ordinals[position]);
                    of_row[own_rows[position] as usize] = ordinal;
                }
            }
        }
        for at in 0..self.tables.len() {
            let numbers = self.column(at, "number", None, task).await?;
            let ordinals = match at {
                0 => ordinals.take(),
                _ => Some(self.rows(at, task).await?.iter().map(|row| of_row[*row as usize]).collect()),
            };
            tables.push(Numbered { numbers, ordinals });
        }
        Ok((Places { positions, tables, registered: Arc::clone(self) }, order, starts))
    }

    /// The rows of the profile table, by position.
    async fn rows(self: &Arc<Self>, at: usize, task: &Arc<TaskContext>) -> Result<Vec<u32>> {
        let mut rows = Vec::with_capacity(self.n_profiles());
        for part in self.column(at, "row", None, task).await? {
            rows.extend_from_slice(part.as_primitive::<UInt32Type>().values());
        }
        if rows.iter().any(|row| *row as usize >= self.n_profiles()) {
            return Err(bug!("a register names a row that the profile table does not have"));
        }
        Ok(rows)
    }

    /// A column of a register in order, in parts that threads have read: all of it, or of some positions, which ascend.
    async fn column(
        self: &Arc<Self>,
        at: usize,
        name: &'static str,
        wanted: Option<Arc<Vec<u32>>>,
        task: &Arc<TaskContext>,
    ) -> Result<Vec<ArrayRef>> {
        let n_pieces = self.tables[at].files.pieces.len();
        let (mut set, next) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..n_pieces.min(task.session_config().target_partitions()) {
            let (own, next, wanted) = (Arc::clone(self), Arc::clone(&next), wanted.clone());
            set.spawn(async move {
                let (files, mut parts) = (&own.tables[at].files, vec![]);
                loop {
                    let piece = next.fetch_add(1, Relaxed);
                    let Some(of_piece) = files.pieces.get(piece) else { return Ok::<_, Error>(parts) };
                    let wanted = wanted.as_deref().map(|wanted| within(of_piece, wanted));
                    parts.push((piece, values(files, of_piece, name, wanted.as_deref()).await?));
                    tokio::task::yield_now().await;
                }
            });
        }
        let mut parts = vec![];
        while let Some(done) = set.join_next().await {
            parts.extend(done.map_err(|error| bug!("reading a register: {error}"))??);
        }
        parts.sort_by_key(|(piece, _)| *piece);
        Ok(parts.into_iter().flat_map(|(_, values)| values).collect())
    }
}

/// Some rows of a table, and the place of each among them.
struct Chosen {
    /// A bit for each row: all of them are few enough to stay in the processor's cache.
    words: Vec<u64>,
    /// How many there are before each word.
    before: Vec<u32>,
}

impl Chosen {
    /// Rows of a table that has `n`, in order.
    fn new(rows: &[u32], n: usize) -> Self {
        let mut words = vec![0_u64; n.div_ceil(64)];
        for row in rows {
            words[*row as usize / 64] |= 1 << (row % 64);
        }
        let mut n_before = 0;
        let before = words.iter().map(|word| {
            let before = n_before;
            n_before += word.count_ones();
            before
        });
        Self { before: before.collect(), words }
    }

    /// Whether a row is one of them, and if so, which.
    #[inline]
    fn place(&self, row: u32) -> (bool, u32) {
        let (at, bit) = (row as usize / 64, row % 64);
        let word = self.words[at];
        (word >> bit & 1 == 1, self.before[at] + (word & ((1 << bit) - 1)).count_ones())
    }

    /// Those in the order of a register, whose buckets have the given bounds, as some threads find them.
    fn by_bucket(&self, rows: &[u32], bounds: &[usize], n_threads: usize) -> Found {
        let n_each = (bounds.len() - 1).div_ceil(n_threads.max(1)).max(1);
        let mut parts = (0..bounds.len() - 1).step_by(n_each).map(|first| {
            let last = (first + n_each).min(bounds.len() - 1);
            &bounds[first..=last]
        });
        let own = parts.next().unwrap_or_default();
        let found = std::thread::scope(|scope| {
            let others: Vec<_> = parts.map(|part| scope.spawn(move || self.part(rows, part))).collect();
            let mut found = vec![self.part(rows, own)];
            for other in others {
                found.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            found
        });
        let mut all = Found::default();
        for part in found {
            let before = all.order.len();
            all.starts.extend(part.starts.iter().map(|start| before + start));
            all.order.extend(part.order);
            all.positions.extend(part.positions);
            all.ordinals.extend(part.ordinals);
        }
        all.starts.push(all.order.len());
        all
    }

    fn part(&self, rows: &[u32], bounds: &[usize]) -> Found {
        let (Some(&first), Some(&last)) = (bounds.first(), bounds.last()) else { return Found::default() };
        // Every other row may be chosen, which no processor can guess: what is not is overwritten.
        let (mut order, mut positions) = (vec![0; last - first + 1], vec![0; last - first + 1]);
        let (mut ordinals, mut starts, mut n) = (Vec::with_capacity(last - first), vec![], 0);
        for bounds in bounds.windows(2) {
            let start = n;
            starts.push(start);
            for (position, row) in (bounds[0]..).zip(&rows[bounds[0]..bounds[1]]) {
                let (is_chosen, place) = self.place(*row);
                (order[n], positions[n]) = (place, small(position));
                ordinals.push(if is_chosen { small(n - start) } else { NOBODY });
                n += usize::from(is_chosen);
            }
        }
        order.truncate(n);
        positions.truncate(n);
        Found { order, positions, ordinals, starts }
    }
}

/// Chosen profiles in the order of a register.
#[derive(Default)]
struct Found {
    /// Which of the rows each is.
    order: Vec<u32>,
    /// Its position in the register.
    positions: Vec<u32>,
    /// By position, the ordinal in its bucket; [`NOBODY`] for others.
    ordinals: Vec<u32>,
    /// Where each bucket begins.
    starts: Vec<usize>,
}

/// The rows of a piece that are at some positions.
fn within(piece: &Piece, wanted: &[u32]) -> Vec<u32> {
    let first = piece.first_row();
    let start = wanted.partition_point(|position| (*position as usize) < first);
    let end = wanted.partition_point(|position| (*position as usize) < first + piece.rows.len());
    wanted[start..end].iter().map(|position| position - small(first)).collect()
}

/// A column of a piece, of all rows or of some.
async fn values(files: &Files, piece: &Piece, name: &str, wanted: Option<&[u32]>) -> Result<Vec<ArrayRef>> {
    let path = [name.to_owned()];
    let mut selection = None;
    match wanted {
        Some([]) => return Ok(vec![]),
        Some(wanted) if wanted.len() * SPARSE <= piece.rows.len() => {
            let mut selected = Selected::after(piece.rows.start);
            selected.add(piece.rows.len(), wanted);
            selection = Some(selected.into());
        }
        _ => {}
    }
    let is_selected = selection.is_some();
    let (mut batches, _) = files.read(piece, &[&path], selection).await?;
    let (mut parts, mut done, mut left) = (vec![], 0, wanted.filter(|_| !is_selected));
    while let Some(batch) = files.next(piece, &mut batches)? {
        let mut values = column(&batch, &path)?;
        if let Some(wanted) = &mut left {
            let (own, others) =
                wanted.split_at(wanted.partition_point(|row| *row < done + small(batch.num_rows())));
            let own: UInt32Array = own.iter().map(|row| Some(row - done)).collect();
            values = take(&values, &own, None).map_err(|error| bug!("a register: {error}"))?;
            *wanted = others;
        }
        done += small(batch.num_rows());
        // Each page of texts is memory of its own, and keeps all that was read with it.
        parts.push(match values.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()),
            None => values,
        });
    }
    Ok(parts)
}

impl ByNumber {
    fn of(numbers: &[i32], ordinals: impl Iterator<Item = u32>) -> Self {
        let n = numbers.iter().max().and_then(|last| usize::try_from(*last).ok()).map_or(0, |last| last + 1);
        // Numbers without a profile are those of events that have none.
        let mut by_number = vec![NOBODY; n];
        for (number, ordinal) in numbers.iter().zip(ordinals) {
            if let Some(slot) = by_number.get_mut(number.cast_unsigned() as usize) {
                *slot = ordinal;
            }
        }
        Self::Ordinals(by_number)
    }

    /// The bytes that it takes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::Ordinals(ordinals) => ordinals.len() * size_of::<u32>(),
        }
    }

    /// The ordinals of the profiles that have some numbers; [`NOBODY`] where none has.
    pub(super) fn ordinals(&self, numbers: &ArrayRef) -> Result<Vec<u32>> {
        let numbers = numbers.as_primitive_opt::<Int32Type>().ok_or_else(|| bug!("keys are no numbers"))?;
        let find = |number: i32| {
            let number = number.cast_unsigned();
            match self {
                Self::Same(n) if number < *n => number,
                Self::Same(_) => NOBODY,
                Self::Ordinals(ordinals) => ordinals.get(number as usize).copied().unwrap_or(NOBODY),
            }
        };
        Ok(match numbers.nulls() {
            None => numbers.values().iter().map(|number| find(*number)).collect(),
            Some(_) => numbers.iter().map(|number| number.map_or(NOBODY, find)).collect(),
        })
    }
}

impl Places {
    /// The profiles of a shard by number, for each event table.
    pub(super) fn shard(&self, at: usize) -> Result<Vec<ByNumber>> {
        let tables = self.tables.iter().zip(&self.registered.tables);
        let by_number = |(own, table): (&Numbered, &Table)| {
            let (start, end) = (table.starts[at], table.starts[at + 1]);
            let numbers = own.numbers(start..end)?;
            // Profiles without events come last.
            let with_events =
                numbers.values().get(..numbers.len() - numbers.null_count()).unwrap_or_default();
            let is_same = |(ordinal, number): (u32, &i32)| number.cast_unsigned() == ordinal;
            let Some(ordinals) = own.ordinals.as_ref().map(|ordinals| &ordinals[start..end]) else {
                if (0..).zip(with_events).all(is_same) {
                    return Ok(ByNumber::Same(small(with_events.len())));
                }
                return Ok(ByNumber::of(with_events, 0..));
            };
            Ok(ByNumber::of(with_events, ordinals.iter().copied()))
        };
        tables.map(by_number).collect()
    }

    /// The bytes that they take.
    pub(super) fn memory(&self) -> usize {
        let tables: usize = self
            .tables
            .iter()
            .map(|table| {
                let numbers: usize = table.numbers.iter().map(|part| part.len()).sum();
                numbers + table.ordinals.as_ref().map_or(0, Vec::len)
            })
            .sum();
        (tables + self.positions.as_ref().map_or(0, Vec::len)) * size_of::<u32>()
    }

    /// The keys of some profiles, whose ordinals ascend, or of all, as the profile table has them.
    pub(super) async fn keys(
        &self,
        ordinals: Option<Vec<u32>>,
        key_type: &DataType,
        task: &Arc<TaskContext>,
    ) -> Result<ArrayRef> {
        let wanted = match (ordinals, &self.positions) {
            (Some(ordinals), Some(positions)) => {
                Some(ordinals.iter().map(|ordinal| positions[*ordinal as usize]).collect())
            }
            (None, Some(positions)) => Some(positions.clone()),
            (ordinals, None) => ordinals,
        };
        let keys =
            joined(self.registered.column(0, "key", wanted.map(Arc::new), task).await?, None, key_type)?;
        cast(&keys, key_type).map_err(|error| bug!("keys of a register: {error}"))
    }
}
