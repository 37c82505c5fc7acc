//! Writes the data file of one audience, and what the log says about it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, StringViewArray, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
    UInt32Array,
};
use arrow::compute::{interleave, max, min, take};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use deltalake_core::kernel::Add;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;

use super::columns::Constant;
use super::diff::{Key, Row, Sink};
use super::file::{File, LONGEST_BOUND};
use super::layout::{EXITED, Layout, REALIZED, SEGMENT, column, new_file};
use super::log::Mark;
use super::population::arrow;
use crate::error::Result;

/// Rows of the audience to come, until there are enough for a batch.
pub(super) struct Rows {
    schema: SchemaRef,
    statuses: StringViewArray,
    keys: Vec<(usize, usize)>,
    status: Vec<u32>,
    entered_at: Vec<i64>,
    last_qualified_at: Vec<i64>,
    exited_at: TimestampMicrosecondBuilder,
}

impl Sink for Rows {
    fn row(&mut self, row: Row) {
        self.keys.push(match row.key {
            Key::Stored(at) => (0, at),
            Key::Member(at) => (1, at),
        });
        self.status.push(u32::from(row.realized));
        self.entered_at.push(row.entered_at);
        self.last_qualified_at.push(row.last_qualified_at);
        self.exited_at.append_option(row.exited_at);
    }
}

impl Rows {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            schema: layout.row_schema.clone(),
            statuses: StringViewArray::from(vec![EXITED, REALIZED]),
            keys: vec![],
            status: vec![],
            entered_at: vec![],
            last_qualified_at: vec![],
            exited_at: TimestampMicrosecondBuilder::new(),
        }
    }

    /// The rows gathered, whose keys are in `stored` or in `population`.
    pub(super) fn take(&mut self, stored: &ArrayRef, population: &ArrayRef) -> Result<RecordBatch> {
        let keys = interleave(&[stored, population], &self.keys).map_err(arrow)?;
        self.keys.clear();
        let status = UInt32Array::from(std::mem::take(&mut self.status));
        let instants = |values: &mut Vec<i64>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(std::mem::take(values)).with_timezone("UTC"))
        };
        let columns = vec![
            keys,
            take(&self.statuses, &status, None).map_err(arrow)?,
            instants(&mut self.entered_at),
            instants(&mut self.last_qualified_at),
            Arc::new(self.exited_at.finish().with_timezone("UTC")),
        ];
        RecordBatch::try_new(self.schema.clone(), columns).map_err(arrow)
    }
}

/// A data file in the making. Nobody sees it before a commit names it.
pub(super) struct Writer {
    layout: Arc<Layout>,
    segment: String,
    path: String,
    target: BufWriter,
    file: File,
    bounds: Bounds,
}

impl Writer {
    pub(super) fn new(layout: Arc<Layout>, store: Arc<dyn ObjectStore>, segment: &str) -> Result<Self> {
        let path = new_file(segment);
        let target = BufWriter::new(store, layout.full_path(&path)?);
        let file = File::new(layout.row_schema.clone()).map_err(|e| layout.failed("write", e))?;
        Ok(Self { layout, segment: segment.to_owned(), path, target, file, bounds: Bounds::default() })
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.bounds.add(batch);
        self.file.write(batch).map_err(|e| self.layout.failed("write", e))?;
        self.hand_over().await
    }

    /// Adds the rows of those who become members now: the keys at these places of the population.
    pub(super) async fn enter(
        &mut self,
        population: &ArrayRef,
        places: &[u32],
        as_of: DateTime<Utc>,
    ) -> Result<()> {
        self.bounds.enter(population, places, as_of.timestamp_micros());
        let now = Constant::Number(as_of.timestamp_micros());
        let values = [Constant::Text(REALIZED), now, now, Constant::Null];
        self.file.repeat(population, places, &values).map_err(|e| self.layout.failed("write", e))?;
        self.hand_over().await
    }

    /// Completes the file, up to [`sync`], and says how the log is to name it.
    pub(super) async fn finish(mut self, mark: &Mark) -> Result<Add> {
        let size = self.file.finish().map_err(|e| self.layout.failed("write", e))?;
        self.hand_over().await?;
        self.target.shutdown().await.map_err(|e| self.layout.failed("write", e))?;
        Ok(Add {
            stats: Some(self.bounds.stats(&self.layout).to_string()),
            path: self.path,
            partition_values: HashMap::from([(SEGMENT.to_owned(), Some(self.segment))]),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modification_time: Utc::now().timestamp_millis(),
            data_change: true,
            tags: Some(mark.tags()),
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }

    /// Has the store take what is complete of the file.
    async fn hand_over(&mut self) -> Result<()> {
        let complete = self.file.take();
        if complete.is_empty() {
            return Ok(());
        }
        self.target.put(complete).await.map_err(|e| self.layout.failed("write", e))
    }
}

/// On a local disk a file is there only once the disk has it: without this a power failure could leave a commit
/// that names empty files. Object stores answer when they have it.
pub(super) async fn sync(layout: &Layout, relative: &str) -> Result<()> {
    if layout.url.scheme() != "file" {
        return Ok(());
    }
    let Ok(mut path) = layout.url.to_file_path() else { return Ok(()) };
    path.push(relative);
    let synced = async { tokio::fs::File::open(&path).await?.sync_all().await };
    synced.await.map_err(|e| layout.failed("write", e))
}

/// What the log says about a file, for readers to skip it by.
#[derive(Default)]
struct Bounds {
    rows: usize,
    exited: usize,
    realized: usize,
    never_exited: usize,
    first_key: Option<ArrayRef>,
    last_key: Option<ArrayRef>,
    instants: [Option<(i64, i64)>; 3],
}

/// The columns of instants, in the order of `Bounds::instants`.
const INSTANTS: [usize; 3] = [column::ENTERED_AT, column::LAST_QUALIFIED_AT, column::EXITED_AT];

impl Bounds {
    fn add(&mut self, batch: &RecordBatch) {
        let rows = batch.num_rows();
        if rows == 0 {
            return;
        }
        self.rows += rows;
        let status = batch.column(column::STATUS).as_string_view();
        let realized = status.iter().filter(|status| *status == Some(REALIZED)).count();
        self.realized += realized;
        self.exited += rows - realized;
        self.never_exited += batch.column(column::EXITED_AT).null_count();
        let keys = batch.column(column::KEY);
        self.first_key.get_or_insert_with(|| keys.slice(0, 1));
        self.last_key = Some(keys.slice(rows - 1, 1));
        for (at, column) in INSTANTS.into_iter().enumerate() {
            let values = batch.column(column).as_primitive::<TimestampMicrosecondType>();
            if let (Some(low), Some(high)) = (min(values), max(values)) {
                self.instants(at, low, high);
            }
        }
    }

    fn enter(&mut self, population: &ArrayRef, places: &[u32], as_of: i64) {
        let [Some(&first), Some(&last)] = [places.first(), places.last()] else { return };
        self.rows += places.len();
        self.realized += places.len();
        self.never_exited += places.len();
        self.first_key.get_or_insert_with(|| population.slice(first as usize, 1));
        self.last_key = Some(population.slice(last as usize, 1));
        for at in [0, 1] {
            self.instants(at, as_of, as_of);
        }
    }

    fn instants(&mut self, at: usize, low: i64, high: i64) {
        let (so_far_low, so_far_high) = self.instants[at].unwrap_or((low, high));
        self.instants[at] = Some((low.min(so_far_low), high.max(so_far_high)));
    }

    fn stats(&self, layout: &Layout) -> Value {
        let name = |at: usize| layout.row_schema.field(at).name().clone();
        let (mut low, mut high) = (Map::new(), Map::new());
        let ends = [&self.first_key, &self.last_key].map(|key| key.as_ref().and_then(bound));
        if let [Some(first), Some(last)] = ends {
            low.insert(name(column::KEY), first);
            high.insert(name(column::KEY), last);
        }
        if self.rows > 0 {
            low.insert(name(column::STATUS), json!(if self.exited > 0 { EXITED } else { REALIZED }));
            high.insert(name(column::STATUS), json!(if self.realized > 0 { REALIZED } else { EXITED }));
        }
        for (bounds, at) in self.instants.iter().zip(INSTANTS) {
            let instants = bounds.and_then(|(low, high)| {
                let (low, high) =
                    (DateTime::from_timestamp_micros(low)?, DateTime::from_timestamp_micros(high)?);
                // The log counts milliseconds: the bounds are widened to whole ones.
                let up = high.trunc_subsecs(3);
                let up = if up < high { up + TimeDelta::milliseconds(1) } else { up };
                Some((low.trunc_subsecs(3), up))
            });
            if let Some((first, last)) = instants {
                low.insert(name(at), json!(first.to_rfc3339_opts(SecondsFormat::Millis, true)));
                high.insert(name(at), json!(last.to_rfc3339_opts(SecondsFormat::Millis, true)));
            }
        }
        let nulls: Map<String, Value> = (0..layout.row_schema.fields().len())
            .map(|at| (name(at), json!(if at == column::EXITED_AT { self.never_exited } else { 0 })))
            .collect();
        json!({"numRecords": self.rows, "minValues": low, "maxValues": high, "nullCount": nulls})
    }
}

/// A key as a bound in the log, if it is short and of a type that every reader takes alike.
fn bound(key: &ArrayRef) -> Option<Value> {
    use arrow::datatypes::{Int8Type, Int16Type, Int32Type, Int64Type};
    match key.data_type() {
        DataType::Int8 => Some(json!(key.as_primitive::<Int8Type>().value(0))),
        DataType::Int16 => Some(json!(key.as_primitive::<Int16Type>().value(0))),
        DataType::Int32 => Some(json!(key.as_primitive::<Int32Type>().value(0))),
        DataType::Int64 => Some(json!(key.as_primitive::<Int64Type>().value(0))),
        DataType::Utf8View => {
            let text = key.as_string_view().value(0);
            (text.len() <= LONGEST_BOUND).then(|| json!(text))
        }
        _ => None,
    }
}
