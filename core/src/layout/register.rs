//! The register of profiles: all of them, in the order of the buckets of a copy and the numbers of its keys.
//!
//! A Parquet file beside the copy, which says of each profile its key, the number that events of its bucket have instead
//! of it, and the row of the profile table. It stands for the profile table as long as that has the same files: whoever
//! reads events then finds their profiles by number, and reads no key but those that it shows.
//!
//! Profiles are matched in memory. Where that is short, or the profile table is not made of Parquet files, lacks a key, or
//! has one twice, there is no register, and keys are compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::parquet::basic::{Compression, Encoding};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::evaluation::joinable;
use crate::source;

use super::beside::{self, REGISTERS, Writer};
use super::bucket::bucket_of;
use super::log::{Log, declaration};
use super::numbers::Numbers;
use super::{Profiles, Source, sort};

/// Small enough that several threads share a register, and that memory is used again for the next.
const ROW_GROUP: usize = 1 << 15;

/// So small that of a few keys among many only some pages are read; so many rows are written before a page's length is looked at.
const PAGE_BYTES: usize = 5 << 10;
const AT_ONCE: usize = 1 << 7;

/// A register as the list of a copy's sources describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Register {
    /// The profile table's files.
    pub(super) files: Vec<source::File>,
    /// Its declaration, digested, and its key.
    table: String,
    key: String,
    /// Where the profiles of each bucket begin in the register, and where the last one's end.
    pub(super) starts: Vec<usize>,
    /// The register's path in the table, and its length.
    pub(super) path: String,
    pub(super) size: u64,
}

/// The columns of a register.
pub(super) fn schema(key: &DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", key.clone(), false),
        // Null for a profile without events.
        Field::new("number", DataType::Int32, true),
        Field::new("row", DataType::UInt32, false),
    ]))
}

/// The type in which keys of profiles and of events are compared; none where they cannot be.
pub(super) fn key_type(source: &Source<'_>) -> Option<DataType> {
    let events = source.schema.field_with_name(&source.events.key).ok()?.data_type();
    let profiles = &source.profiles.as_ref()?.key_type;
    let form = if profiles.is_integer() { DataType::Int64 } else { DataType::Utf8 };
    joinable(profiles, events).then_some(form)
}

impl Register {
    /// Whether it is there, and the profile table is as it was when its profiles were registered.
    pub(super) async fn is_current(&self, log: &Log, source: &Source<'_>, state: &SessionState) -> bool {
        let Some(Profiles { table, key, .. }) = source.profiles else { return false };
        if self.table != declaration(table) || self.key != key {
            return false;
        }
        let there = log.store.head(&log.path(&self.path)).await;
        if !there.is_ok_and(|there| there.size == self.size) {
            return false;
        }
        source::files(table, state).await.is_ok_and(|present| self.files == present)
    }

    /// Registers the profiles of a store; `lists` are those of the keys that have numbers, by bucket.
    pub(super) async fn write(
        log: &Arc<Log>,
        source: &Source<'_>,
        lists: &BTreeMap<u32, String>,
        buckets: u32,
        state: &SessionState,
    ) -> Result<Option<Self>> {
        let (Some(profiles), Some(key_type)) = (&source.profiles, key_type(source)) else { return Ok(None) };
        let files = source::files(profiles.table, state).await?;
        let Some(plan) = source::in_order(profiles.table, &files, profiles.key, state).await? else {
            return Ok(None);
        };
        let runtime = sort::runtime(state)?;
        let memory = MemoryConsumer::new("register of profiles").register(&runtime.memory_pool);
        let mut dealt: Vec<Dealt> = (0..buckets).map(|_| Dealt::default()).collect();
        let mut rows = 0_u32;
        let mut batches = execute_stream(plan, state.task_ctx())?;
        while let Some(batch) = batches.try_next().await? {
            let (n, keys) = (u32::try_from(batch.num_rows()), cast(batch.column(0), &key_type));
            let (Some(end), Ok(keys)) = (n.ok().and_then(|n| rows.checked_add(n)), keys) else {
                return Ok(None);
            };
            if keys.null_count() > 0 || memory.try_grow(2 * keys.get_array_memory_size()).is_err() {
                return Ok(None);
            }
            let own: ArrayRef = Arc::new(UInt32Array::from_iter_values(rows..end));
            rows = end;
            deal(&keys, &own, buckets, &mut dealt)?;
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_data_page_size_limit(PAGE_BYTES)
            .set_write_batch_size(AT_ONCE)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_column_encoding(ColumnPath::from("number"), Encoding::DELTA_BINARY_PACKED);
        let schema = schema(&key_type);
        let mut file = Writer::new(log, REGISTERS, &schema, properties)?;
        let mut starts = vec![0];
        for (bucket, dealt) in (0..).zip(dealt) {
            let mut numbers = Numbers::new(&key_type)?;
            if let Some(list) = lists.get(&bucket) {
                let list = beside::read_list(log, list).await?;
                numbers.of(&cast(list.column(0), &key_type).map_err(failed)?)?;
            }
            let Some(profiles) = dealt.registered(numbers, &schema)? else { return Ok(None) };
            starts.push(starts[starts.len() - 1] + profiles.num_rows());
            file.write(&profiles).await?;
        }
        let (path, size) = file.finish().await?;
        let (table, key) = (declaration(profiles.table), profiles.key.to_owned());
        Ok(Some(Self { files, table, key, starts, path, size }))
    }
}

/// The profiles of one bucket as they were read.
#[derive(Default)]
struct Dealt {
    keys: Vec<ArrayRef>,
    rows: Vec<ArrayRef>,
}

fn deal(keys: &ArrayRef, rows: &ArrayRef, buckets: u32, dealt: &mut [Dealt]) -> Result<()> {
    let mut places: Vec<Vec<u32>> = vec![vec![]; dealt.len()];
    for (at, bucket) in (0..).zip(bucket_of(keys, buckets)?) {
        places[usize::try_from(bucket).unwrap_or(usize::MAX)].push(at);
    }
    for (places, dealt) in places.into_iter().zip(dealt).filter(|(places, _)| !places.is_empty()) {
        let places = UInt32Array::from(places);
        dealt.keys.push(take(keys, &places, None).map_err(failed)?);
        dealt.rows.push(take(rows, &places, None).map_err(failed)?);
    }
    Ok(())
}

impl Dealt {
    /// The profiles in the order of the numbers of their keys, then those whose keys have none; none if a key stands twice.
    fn registered(&self, mut numbers: Numbers, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        let whole = |parts: &[ArrayRef]| concat(&parts.iter().map(|part| &**part).collect::<Vec<_>>());
        if self.keys.is_empty() {
            return Ok(Some(RecordBatch::new_empty(Arc::clone(schema))));
        }
        let (keys, rows) = (whole(&self.keys).map_err(failed)?, whole(&self.rows).map_err(failed)?);
        let n_numbers = numbers.len();
        let of_keys = numbers.of(&keys)?;
        // No key stands twice if each of them has a number of its own.
        let mut at_number: Vec<Option<u32>> = vec![None; numbers.len()];
        for (at, number) in (0..).zip(of_keys.values()) {
            let own = usize::try_from(*number).ok().and_then(|number| at_number.get_mut(number));
            if own.ok_or_else(|| crate::bug!("a key without a number"))?.replace(at).is_some() {
                return Ok(None);
            }
        }
        let order: UInt32Array = at_number.into_iter().flatten().map(Some).collect();
        let has_events = |number: i32| usize::try_from(number).is_ok_and(|number| number < n_numbers);
        let of_order = take(&of_keys, &order, None).map_err(failed)?;
        let of_order = of_order.as_primitive::<arrow::datatypes::Int32Type>().values();
        let of_order: Int32Array =
            of_order.iter().map(|number| has_events(*number).then_some(*number)).collect();
        let take = |array: &ArrayRef| take(array, &order, None).map_err(failed);
        let columns = vec![take(&keys)?, Arc::new(of_order), take(&rows)?];
        RecordBatch::try_new(Arc::clone(schema), columns).map(Some).map_err(failed)
    }
}

fn failed(error: arrow::error::ArrowError) -> crate::error::Error {
    crate::bug!("profiles cannot be registered: {error}")
}
