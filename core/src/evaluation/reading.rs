//! One thread's reading of a profile table: classes of attributes, keys and columns that are needed, of the rows that are
//! wanted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, new_empty_array};
use arrow::compute::{cast, concat, interleave, take, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef, UInt32Type};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::StreamExt;

use crate::bug;
use crate::compile::{Evaluation, Of};
use crate::error::Result;

use super::Buckets;
use super::attributes::Suspects;
use super::bind::Input;
use super::bits::small;
use super::classes::{Classes, Values};
use super::keys::{Coded, Kept, Keys, NOBODY};
use super::parquet::{Files, Piece, SPARSE, Selected};
use super::prepare::BoundQuestions;
use super::register::Registered;
use super::scan::Rows;
use super::shard::Place;
use super::table::column;

/// What all threads know of the profile table.
pub(super) struct ProfileReader {
    pub(super) rows: Rows,
    /// The columns, or fields below them, that the questions about rows need.
    pub(super) deciding: Vec<Vec<String>>,
    /// The key, unless rows tell profiles apart, and the columns that are kept.
    pub(super) others: Vec<Vec<String>>,
    /// The register by which profiles are found, if their rows tell them apart.
    pub(super) registered: Option<Arc<Registered>>,
    /// The columns of the table.
    pub(super) schema: SchemaRef,
    pub(super) table: String,
    pub(super) key: String,
    pub(super) kept: Vec<String>,
    pub(super) evaluation: Arc<Evaluation>,
    pub(super) questions: BoundQuestions,
    pub(super) buckets: Option<Buckets>,
    /// The only profiles that are wanted, if that is known by their attributes.
    pub(super) suspects: Option<Suspects>,
}

/// What is kept of a batch of profiles.
pub(super) struct ProfilePart {
    /// The keys, or the rows of the table.
    pub(super) keys: ArrayRef,
    /// The bucket of each, where that matters.
    pub(super) buckets: Vec<u32>,
    /// By subject, as the thread numbers them.
    pub(super) classes: Vec<ArrayRef>,
    pub(super) kept: Vec<ArrayRef>,
    /// Which of the wanted keys each has.
    pub(super) found: Vec<u32>,
    pub(super) null_keys: u64,
}

impl ProfilePart {
    /// The bytes of what is kept.
    fn memory(&self) -> usize {
        let arrays = self.classes.iter().chain(&self.kept).chain([&self.keys]);
        arrays.map(|array| array.get_array_memory_size()).sum()
    }
}

/// The rows of a batch that may be wanted, with their classes.
struct Decided {
    n_rows: usize,
    rows: Vec<u32>,
    classes: Vec<ArrayRef>,
}

/// What a thread has read, by part of the table, and by subject what its classes are.
pub(super) type Read = (Vec<Classes>, Vec<(usize, Vec<ProfilePart>)>);

/// One thread's reading.
pub(super) struct Reading<'a> {
    reader: &'a ProfileReader,
    /// The keys of the only profiles that are wanted, if they are known.
    wanted: Option<&'a Keys>,
    task: &'a Arc<TaskContext>,
    memory: MemoryReservation,
    coded: Coded,
    classes: Vec<Classes>,
    parts: Vec<(usize, Vec<ProfilePart>)>,
}

impl ProfileReader {
    /// Begins to read, the classes of each subject being those of its tests alone.
    pub(super) fn begin<'a>(
        &'a self,
        wanted: Option<&'a Keys>,
        memory: MemoryReservation,
        task: &'a Arc<TaskContext>,
    ) -> Result<Reading<'a>> {
        let (questions, mut classes) = (&self.evaluation.profiles, vec![]);
        for at in 0..questions.subjects.len() {
            classes.push(Classes::new(questions, at, &self.questions.tests[at], None)?);
        }
        Ok(Reading { reader: self, wanted, task, memory, coded: Coded::default(), classes, parts: vec![] })
    }

    /// All columns that are read.
    pub(super) fn columns(&self) -> Vec<&[String]> {
        let mut columns: Vec<&[String]> = vec![];
        for path in self.deciding.iter().chain(&self.others) {
            if !columns.contains(&&path[..]) {
                columns.push(path);
            }
        }
        columns
    }
}

impl Reading<'_> {
    /// What has been read.
    pub(super) fn end(self) -> Read {
        (self.classes, self.parts)
    }

    /// Reads a part of the table.
    pub(super) async fn part(&mut self, at: usize) -> Result<()> {
        let reader = self.reader;
        self.parts.push((at, vec![]));
        match &reader.rows {
            Rows::Plan(plan) => {
                let mut stream = plan.execute(at, Arc::clone(self.task))?;
                while let Some(batch) = stream.next().await {
                    self.whole(&batch?, None)?;
                }
                Ok(())
            }
            Rows::Files(files) => {
                let piece = &files.pieces[at];
                let mut first = small(piece.first_row());
                if let Some(suspects) = &reader.suspects {
                    return self.skipping(files, piece, suspects).await;
                }
                let (mut batches, _) = files.read(piece, &reader.columns(), None).await?;
                while let Some(batch) = files.next(piece, &mut batches)? {
                    self.whole(&batch, Some(first))?;
                    first += small(batch.num_rows());
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        }
    }

    /// Keeps what is wanted of a batch of all columns, which begins at a row of the table, if that is known.
    fn whole(&mut self, batch: &RecordBatch, first: Option<u32>) -> Result<()> {
        let all = || (0..small(batch.num_rows())).collect();
        let (rows, classes) = match &self.reader.suspects {
            None => (all(), None),
            Some(suspects) => {
                let decided = self.decide(batch, suspects)?;
                (decided.rows, Some(decided.classes))
            }
        };
        let keys =
            self.keys(batch, &rows, || rows.iter().map(|row| row + first.unwrap_or_default()).collect())?;
        self.keep(batch, &rows, keys, classes)
    }

    /// The keys of some rows of a batch, or their numbers in the table where these stand for keys.
    fn keys(
        &self,
        batch: &RecordBatch,
        rows: &[u32],
        numbers: impl FnOnce() -> UInt32Array,
    ) -> Result<ArrayRef> {
        match &self.reader.registered {
            Some(_) => Ok(Arc::new(numbers())),
            None => some(&column(batch, std::slice::from_ref(&self.reader.key))?, rows),
        }
    }

    /// Reads the columns of a piece that decide which rows may be wanted, then the others of those rows.
    async fn skipping(&mut self, files: &Files, piece: &Piece, suspects: &Suspects) -> Result<()> {
        let reader = self.reader;
        let (mut batches, _) = files.read(piece, &paths(&reader.deciding), None).await?;
        let (mut decided, mut n_left, mut first) = (vec![], 0, small(piece.first_row()));
        while let Some(batch) = files.next(piece, &mut batches)? {
            let of_batch = self.decide(&batch, suspects)?;
            n_left += of_batch.rows.len();
            decided.push(of_batch);
            tokio::task::yield_now().await;
        }
        if n_left == 0 {
            return Ok(());
        }
        let others = paths(&reader.others);
        if n_left * SPARSE > piece.rows.len() {
            let (mut batches, _) = files.read(piece, &others, None).await?;
            for Decided { n_rows, rows, classes } in decided {
                let batch = files.next(piece, &mut batches)?.filter(|batch| batch.num_rows() == n_rows);
                let batch = batch.ok_or_else(|| bug!("columns of a row group are of different lengths"))?;
                let keys = self.keys(&batch, &rows, || rows.iter().map(|row| row + first).collect())?;
                first += small(n_rows);
                self.keep(&batch, &rows, keys, Some(classes))?;
                tokio::task::yield_now().await;
            }
            return Ok(());
        }
        let (mut selected, mut numbers) = (Selected::after(piece.rows.start), vec![]);
        for Decided { n_rows, rows, .. } in &decided {
            selected.add(*n_rows, rows);
            numbers.extend(rows.iter().map(|row| row + first));
            first += small(*n_rows);
        }
        let mut classes = vec![];
        for subject in 0..self.classes.len() {
            let parts = decided.iter().map(|decided| Arc::clone(&decided.classes[subject])).collect();
            classes.push(joined(parts, None, &DataType::UInt8)?);
        }
        let (mut batches, _) = files.read(piece, &others, Some(selected.into())).await?;
        let mut done = 0;
        while let Some(batch) = files.next(piece, &mut batches)? {
            let n = batch.num_rows();
            let of_batch = classes.iter().map(|classes| classes.slice(done, n)).collect();
            let rows: Vec<u32> = (0..small(n)).collect();
            let keys =
                self.keys(&batch, &rows, || numbers[done..done + n].iter().copied().map(Some).collect())?;
            self.keep(&batch, &rows, keys, Some(of_batch))?;
            done += n;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Finds the classes of a batch's rows, and which of them may be wanted.
    fn decide(&mut self, batch: &RecordBatch, suspects: &Suspects) -> Result<Decided> {
        let (n_rows, mut classes) = (batch.num_rows(), self.classes_of(batch)?);
        let rows = suspects.rows(&classes, &self.classes, n_rows);
        for classes in &mut classes {
            *classes = some(classes, &rows)?;
        }
        Ok(Decided { n_rows, rows, classes })
    }

    /// The classes of a batch's rows, by subject.
    fn classes_of(&mut self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let mut classes = vec![];
        for (at, of) in self.classes.iter_mut().enumerate() {
            let values = of.of(&self.reader.subject(at, batch)?)?;
            classes.push(values.narrow(of.len(), batch.num_rows())?);
        }
        Ok(classes)
    }

    /// Keeps those of some rows that have a key, a wanted one if these are known; `classes` are those rows' own, if they
    /// have been found.
    fn keep(
        &mut self,
        batch: &RecordBatch,
        rows: &[u32],
        mut keys: ArrayRef,
        classes: Option<Vec<ArrayRef>>,
    ) -> Result<()> {
        let reader = self.reader;
        let null_keys = keys.null_count() as u64;
        let mut found = match self.wanted {
            Some(wanted) => wanted.ordinals(&keys, &mut self.coded)?,
            None => vec![],
        };
        let nulls = keys.nulls();
        let is_kept = |at: &u32| match found.get(*at as usize) {
            Some(place) => *place != NOBODY,
            None => nulls.is_none_or(|nulls| nulls.is_valid(*at as usize)),
        };
        let places: Vec<u32> = (0..small(rows.len())).filter(is_kept).collect();
        let rows: Vec<u32> = places.iter().map(|place| rows[*place as usize]).collect();
        found.retain(|place| *place != NOBODY);
        keys = some(&keys, &places)?;
        let classes = match classes {
            Some(classes) => classes.iter().map(|classes| some(classes, &places)).collect::<Result<_>>()?,
            // Expressions are computed for no other rows: they may fail.
            None if rows.len() == batch.num_rows() => self.classes_of(batch)?,
            None => {
                let own = take_record_batch(batch, &UInt32Array::from(rows.clone()));
                self.classes_of(&own.map_err(|error| bug!("profile columns: {error}"))?)?
            }
        };
        let mut kept = vec![];
        for name in &reader.kept {
            let values = some(&column(batch, std::slice::from_ref(name))?, &rows)?;
            kept.push(reader.as_declared(name, &values)?);
        }
        let mut buckets = vec![];
        if reader.registered.is_none() {
            keys = reader.as_declared(&reader.key, &keys)?;
            if let Some(of) = reader.buckets {
                buckets = (of.of)(&keys, small(of.n))?;
            }
            keys = Kept::part(&keys)?;
        }
        let part = ProfilePart { keys, buckets, classes, kept, found, null_keys };
        self.memory.try_grow(part.memory())?;
        if let Some((_, parts)) = self.parts.last_mut() {
            parts.push(part);
        }
        Ok(())
    }
}

impl ProfileReader {
    /// What all threads have read in the order of the table, with one numbering of classes.
    pub(super) fn together(&self, of_threads: Vec<Read>) -> Result<(Vec<Classes>, Vec<ProfilePart>)> {
        let (mut all, mut parts) = (None::<Vec<Classes>>, vec![]);
        for (classes, mut of_thread) in of_threads {
            match &mut all {
                None => all = Some(classes),
                Some(all) => {
                    for (subject, (all, own)) in all.iter_mut().zip(&classes).enumerate() {
                        let places = UInt32Array::from(all.adopt(own));
                        if places.values().iter().copied().eq(0..small(places.len())) {
                            continue;
                        }
                        for part in of_thread.iter_mut().flat_map(|(_, parts)| parts) {
                            let renamed = take(&places, &part.classes[subject], None);
                            let renamed = renamed.map_err(|error| bug!("classes: {error}"))?;
                            let renamed =
                                Values::Rows(renamed.as_primitive::<UInt32Type>().values().to_vec());
                            part.classes[subject] = renamed.narrow(all.len(), part.keys.len())?;
                        }
                    }
                }
            }
            parts.extend(of_thread);
        }
        parts.sort_by_key(|(at, _)| *at);
        let parts = parts.into_iter().flat_map(|(_, parts)| parts).collect();
        Ok((all.unwrap_or_default(), parts))
    }

    /// What a subject's classes are about.
    fn subject(&self, at: usize, batch: &RecordBatch) -> Result<ArrayRef> {
        match (&self.evaluation.profiles.subjects[at].of, self.questions.rows.get(&at)) {
            (Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path), _) => {
                column(batch, path)
            }
            (_, Some(row)) => {
                let mut inputs = vec![];
                for (input, field) in row.inputs.iter().zip(row.parts().1.fields()) {
                    let Input::Profile(name) = input else {
                        return Err(bug!("an event in an attribute"));
                    };
                    let input = column(batch, std::slice::from_ref(name))?;
                    let input = cast(&input, field.data_type());
                    inputs.push(input.map_err(|error| bug!("column `{name}`: {error}"))?);
                }
                let answers = row.evaluate(inputs, batch.num_rows())?;
                cast(&answers, &DataType::Boolean).map_err(|error| bug!("a condition: {error}"))
            }
            (_, None) => Err(bug!("an expression is not bound")),
        }
    }

    /// Values of a column as the table declares them: row groups of one file may hold texts in several ways.
    fn as_declared(&self, name: &str, values: &ArrayRef) -> Result<ArrayRef> {
        let field = self.schema.field_with_name(name).map_err(|error| bug!("`{name}`: {error}"))?;
        cast(values, field.data_type()).map_err(|error| bug!("column `{name}`: {error}"))
    }
}

fn paths(columns: &[Vec<String>]) -> Vec<&[String]> {
    columns.iter().map(|path| &path[..]).collect()
}

/// Some rows of a column, in their order.
fn some(column: &ArrayRef, rows: &[u32]) -> Result<ArrayRef> {
    if rows.len() == column.len() {
        return Ok(Arc::clone(column));
    }
    take(column, &UInt32Array::from(rows.to_vec()), None).map_err(|error| bug!("profile columns: {error}"))
}

/// So many rows, or fewer, are put in order by one thread.
const SERIAL: usize = 1 << 15;

/// The rows of a column in an order, in parts that some threads have put together.
pub(super) fn in_order(
    parts: &[ArrayRef],
    order: &[Place],
    none: &DataType,
    n_threads: usize,
) -> Result<Vec<ArrayRef>> {
    let n_each = order.len().div_ceil(n_threads.max(1)).max(SERIAL);
    let one = |order| joined(parts.to_vec(), Some(order), none);
    std::thread::scope(|scope| {
        let mut chunks = order.chunks(n_each);
        let own = chunks.next();
        let others: Vec<_> = chunks.map(|order| scope.spawn(move || one(order))).collect();
        let mut columns = own.map(one).into_iter().collect::<Result<Vec<_>>>()?;
        for other in others {
            columns.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(columns)
    })
}

/// The parts of a column behind each other, or in an order of their rows, as the widest of their types; where there are none,
/// none of a type.
pub(super) fn joined(mut parts: Vec<ArrayRef>, order: Option<&[Place]>, none: &DataType) -> Result<ArrayRef> {
    let widest = parts.iter().map(|part| part.data_type()).max_by_key(|of| of.primitive_width());
    let Some(widest) = widest.cloned() else { return Ok(new_empty_array(none)) };
    for part in &mut parts {
        if *part.data_type() != widest {
            *part = cast(part, &widest).map_err(|error| bug!("profile columns: {error}"))?;
        }
    }
    let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
    let joined = match order {
        None => concat(&parts),
        Some(order) => interleave(&parts, order),
    };
    joined.map_err(|error| bug!("profile columns: {error}"))
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;

    use super::*;

    #[test]
    fn several_threads_put_rows_in_the_same_order() {
        let part = |part: usize| -> ArrayRef {
            Arc::new(StringArray::from_iter_values((0..3_000).map(|row| format!("{part}-{row}"))))
        };
        let parts: Vec<ArrayRef> = (0..40).map(part).collect();
        let mut order: Vec<Place> = (0..40).flat_map(|part| (0..3_000).map(move |row| (part, row))).collect();
        order.shuffle(&mut StdRng::seed_from_u64(3));
        let expected = joined(parts.clone(), Some(&order), &DataType::Utf8).unwrap();
        for n_threads in [1, 2, 3, 100] {
            let columns = in_order(&parts, &order, &DataType::Utf8, n_threads).unwrap();
            assert_eq!(columns.len(), n_threads.min(4));
            assert_eq!(&joined(columns, None, &DataType::Utf8).unwrap(), &expected);
        }
        assert!(in_order(&parts, &[], &DataType::Utf8, 2).unwrap().is_empty());
    }
}
