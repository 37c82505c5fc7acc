//! The shop's files, written by a few threads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Datelike};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::metadata::SortingColumn;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::schema::types::ColumnPath;

use super::catalog::Catalog;
use super::person::Person;
use super::random::Random;
use super::table::{self, Profile};
use super::visit::{Event, Kind as EventKind, Life};
use super::{NOW, SEED, START, Size};
use crate::diagnostic::Kind;
use crate::error::{Error, Result};

/// Profiles of one file, made by one thread.
const CHUNK: u32 = 25_000;

/// Events held in memory at a time, roughly; more are made in several passes over the customers.
const PASS: u64 = 16_000_000;
const EVENTS_PER_PROFILE: u64 = 20;

const ROW_GROUP: usize = 131_072;
const BATCH: usize = 32_768;

/// The column of `events` that its files are sorted by.
const TIMESTAMP: i32 = 2;

pub(super) fn shop(folder: &Path, profiles: u32, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Size> {
    for table in ["profiles", "events", "products"] {
        let path = folder.join(table);
        fs::create_dir_all(&path).map_err(|cause| failed(&path, cause))?;
    }
    let catalog = Catalog::new(SEED);
    let path = folder.join("products/products.parquet");
    write(&path, None, std::iter::once_with(|| table::products(&catalog)))?;

    let months = months();
    let chunks = profiles.div_ceil(CHUNK);
    let passes = (u64::from(profiles) * EVENTS_PER_PROFILE).div_ceil(PASS).max(1);
    let months_per_pass = months.len().div_ceil(usize::try_from(passes).unwrap_or(usize::MAX)).max(1);
    let passes: Vec<&[Month]> = months.chunks(months_per_pass).collect();
    let tasks = usize::try_from(chunks).unwrap_or(usize::MAX);
    let (done, steps) = (AtomicUsize::new(0), tasks * passes.len() + months.len());
    let step = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, steps);

    let encoder = table::Events::new(&catalog);
    let mut events = 0;
    for (pass, months) in passes.iter().enumerate() {
        let made = parallel(tasks, |task| {
            let first = u32::try_from(task).unwrap_or(u32::MAX) * CHUNK;
            let numbers = first..profiles.min(first + CHUNK);
            let path = folder.join(format!("profiles/part-{task:05}.parquet"));
            let made = customers(&catalog, numbers, (pass == 0).then_some(&path), months);
            step();
            made
        })?;
        let mut offsets = vec![events];
        for at in 0..months.len() {
            events += made.iter().map(|months| months[at].len() as u64).sum::<u64>();
            offsets.push(events);
        }
        parallel(months.len(), |at| {
            let mut rows: Vec<Event> = made.iter().flat_map(|months| &months[at]).copied().collect();
            rows.sort_unstable_by_key(|row| (row.at, row.profile, row.kind));
            let path = folder.join(format!("events/{}.parquet", months[at].name));
            let starts = (offsets[at]..).step_by(BATCH);
            let batches = rows.chunks(BATCH).zip(starts).map(|(rows, offset)| encoder.batch(rows, offset));
            let written = write(&path, Some(TIMESTAMP), batches);
            step();
            written
        })?;
    }
    Ok(Size { profiles, events, products: catalog.products.len() })
}

/// Makes customers, writes their profiles if a path is given, and returns their events by month.
fn customers(
    catalog: &Catalog,
    numbers: std::ops::Range<u32>,
    path: Option<&PathBuf>,
    months: &[Month],
) -> Result<Vec<Vec<Event>>> {
    let mut by_month = vec![vec![]; months.len()];
    let mut profiles = Vec::with_capacity(numbers.len());
    let mut events = vec![];
    for number in numbers {
        let stream = u64::from(number) * 2;
        let mut random = Random::new(SEED, stream);
        let person = Person::new(&mut random);
        events.clear();
        Life::live(catalog, Random::new(SEED, stream + 1), &person, number, &mut events);
        for event in &events {
            // Months are few, and most events are late.
            if let Some(at) = months.iter().rposition(|month| month.start <= event.at && event.at < month.end)
            {
                by_month[at].push(*event);
            }
        }
        if path.is_some() {
            let purchases = events.iter().filter(|event| event.kind == EventKind::Purchase);
            let cents = purchases.map(|event| u64::from(event.cents) * u64::from(event.quantity)).sum();
            let loyalty = person.loyalty(&mut random, cents);
            profiles.push(Profile { number, person, loyalty, cents });
        }
    }
    if let Some(path) = path {
        write(path, None, profiles.chunks(BATCH).map(table::profiles))?;
    }
    Ok(by_month)
}

/// A calendar month, or the part of one that is within the shop's year.
struct Month {
    name: String,
    start: i64,
    end: i64,
}

fn months() -> Vec<Month> {
    let mut months: Vec<Month> = vec![];
    let mut day = START;
    while day < NOW {
        let name = DateTime::from_timestamp_micros(day)
            .map_or(String::new(), |time| format!("{:04}-{:02}", time.year(), time.month()));
        let end = (day - day.rem_euclid(super::DAY) + super::DAY).min(NOW);
        match months.last_mut() {
            Some(month) if month.name == name => month.end = end,
            _ => months.push(Month { name, start: day, end }),
        }
        day = end;
    }
    months
}

/// Runs tasks `0..n` on as many threads as there are processors; the results are in the order of the tasks.
fn parallel<T: Send>(n: usize, task: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(n);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, T)>> {
        let mut done = vec![];
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                at if at < n => done.push((at, task(at)?)),
                _ => return Ok(done),
            }
        }
    };
    let mut results = vec![];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            results.extend(
                worker.join().map_err(|_| crate::bug!("a thread that made the sample data broke off"))??,
            );
        }
        Ok::<(), Error>(())
    })?;
    results.sort_unstable_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Writes a file of batches; `sorted_by` names the column that they are in the order of.
fn write(
    path: &Path,
    sorted_by: Option<i32>,
    mut batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<()> {
    let Some(first) = batches.next() else { return Ok(()) };
    let first = first.map_err(|cause| failed(path, cause))?;
    let file = File::create(path).map_err(|cause| failed(path, cause))?;
    let mut writer =
        ArrowWriter::try_new_with_options(file, SchemaRef::clone(first.schema_ref()), options(sorted_by))
            .map_err(|cause| failed(path, cause))?;
    writer.write(&first).map_err(|cause| failed(path, cause))?;
    for batch in batches {
        writer.write(&batch.map_err(|cause| failed(path, cause))?).map_err(|cause| failed(path, cause))?;
    }
    writer.close().map_err(|cause| failed(path, cause))?;
    Ok(())
}

fn options(sorted_by: Option<i32>) -> ArrowWriterOptions {
    let sorting = sorted_by
        .map(|column| vec![SortingColumn { column_idx: column, descending: false, nulls_first: true }]);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_column_dictionary_enabled(ColumnPath::from("_id"), false)
        .set_sorting_columns(sorting);
    // Readers shall see strings, not the dictionaries that they were written from.
    ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true)
}

fn failed(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let cause = cause.into();
    Error::caused(Kind::Storage, format!("cannot write `{}`: {cause}", path.display()), cause)
}
