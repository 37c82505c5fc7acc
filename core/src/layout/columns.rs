//! The columns of a copy: those of its source in types that Delta Lake has, without a loss.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike};

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

use super::Source;

/// The column, in the rows on their way, that counts months since January of the year 0.
const MONTH_NUMBER: &str = "event_month_number";

/// The columns of one copy.
#[derive(Debug)]
pub(super) struct Columns {
    /// The columns of the event table, as the files have them.
    pub(super) stored: SchemaRef,
    /// The columns of the files: the same, and the number of the key.
    pub(super) files: SchemaRef,
    /// The same after the month's number: rows between scan and files.
    pub(super) working: SchemaRef,
    /// The columns of the Delta table: those of the files and the partitions.
    pub(super) table: Schema,
    /// The name of the partition column of months.
    pub(super) month: String,
    /// The name of the partition column of buckets.
    pub(super) bucket: String,
    /// The name of the column of keys' numbers.
    pub(super) number: String,
    /// Positions in `stored`.
    pub(super) key: usize,
    pub(super) timestamp: usize,
    pub(super) id: Option<usize>,
    /// The columns whose values may be finer than Delta Lake's.
    fine: Vec<usize>,
}

impl Columns {
    pub(super) fn new(source: &Source<'_>) -> Result<Self> {
        let at = |name: &str| {
            source.schema.index_of(name).map_err(|_| {
                Error::new(Kind::Name, format!("`{}` has no column `{name}`", source.events.table))
            })
        };
        let mut fields = vec![];
        for field in source.schema.fields() {
            let data_type = stored_type(field.data_type()).ok_or_else(|| {
                let message =
                    format!("a column of type {} cannot be laid out: `{}`", field.data_type(), field.name());
                let help = "declare the events without that column, or give it another type in the files";
                Error::new(Kind::Unsupported, message).help(help)
            })?;
            // A file may lack a value where the declaration promises one.
            fields.push(Field::new(field.name(), data_type, true));
        }
        let stored = Arc::new(Schema::new(fields));
        let free = |name: &str| {
            let mut name = name.to_owned();
            while stored.fields().iter().any(|field| field.name().eq_ignore_ascii_case(&name)) {
                name.push('_');
            }
            name
        };
        let (month, bucket, number) = (free("event_month"), free("key_bucket"), free("key_number"));
        let month_number = free(MONTH_NUMBER);
        let with = |first: Vec<Field>, last: Vec<Field>| {
            let fields = stored.fields().iter().cloned();
            let fields = first.into_iter().map(Arc::new).chain(fields).chain(last.into_iter().map(Arc::new));
            Schema::new(fields.collect::<Vec<_>>())
        };
        let numbers = || Field::new(&number, DataType::Int32, true);
        let parts = vec![
            numbers(),
            Field::new(&month, DataType::Utf8, true),
            Field::new(&bucket, DataType::Int32, true),
        ];
        let fine = source.schema.fields().iter().enumerate();
        let timestamp = at(&source.events.timestamp)?;
        if !matches!(stored.field(timestamp).data_type(), DataType::Timestamp(..) | DataType::Date32) {
            let of_type = source.schema.field(timestamp).data_type();
            return Err(crate::bug!("events are ordered by a column of type {of_type}"));
        }
        Ok(Self {
            working: Arc::new(with(vec![Field::new(month_number, DataType::Int32, true)], vec![])),
            files: Arc::new(with(vec![], vec![numbers()])),
            table: with(vec![], parts),
            key: at(&source.events.key)?,
            timestamp,
            id: source.events.id.as_deref().map(at).transpose()?,
            fine: fine.filter(|(_, field)| is_fine(field.data_type())).map(|(at, _)| at).collect(),
            stored,
            month,
            bucket,
            number,
        })
    }

    /// Rows of a file, given the numbers of their keys.
    pub(super) fn numbered(&self, rows: &RecordBatch, numbers: Int32Array) -> Result<RecordBatch> {
        let columns = rows.columns().iter().cloned().chain([Arc::new(numbers) as ArrayRef]).collect();
        RecordBatch::try_new(Arc::clone(&self.files), columns)
            .map_err(|error| crate::bug!("the numbers of keys do not fit their rows: {error}"))
    }

    /// Whether Delta Lake must know instants without a time zone.
    pub(super) fn has_local_times(&self) -> bool {
        let local = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, None));
        self.stored.fields().iter().any(|field| any_type(field.data_type(), &local))
    }

    /// Rows of the source as rows on their way into files.
    pub(super) fn working(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.working.fields().len());
        for (at, (column, field)) in batch.columns().iter().zip(self.stored.fields()).enumerate() {
            let stored = exact(column, field.data_type()).map_err(|error| self.unfit(field, error))?;
            if self.fine.contains(&at) {
                let back = exact(&stored, column.data_type()).map_err(|error| self.unfit(field, error))?;
                if back.as_ref() != column.as_ref() {
                    let message = format!("the column `{}` holds fractions of a microsecond", field.name());
                    let help = "a Delta table cannot keep them: round them in the files, or leave the events as they are";
                    return Err(Error::new(Kind::Unsupported, message).help(help));
                }
            }
            columns.push(stored);
        }
        let months = instants(&columns[self.timestamp]).map(|instant| instant.and_then(month_number));
        columns.insert(0, Arc::new(months.collect::<Int32Array>()));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.working), columns, &options)
            .map_err(|error| crate::bug!("the rows of events do not fit their copy: {error}"))
    }

    fn unfit(&self, field: &FieldRef, error: arrow::error::ArrowError) -> Error {
        let message = format!("a value of the column `{}` cannot be laid out: {error}", field.name());
        Error::caused(Kind::Execution, message, error)
    }
}

/// The instants of a column of times, in microseconds; a date is its midnight.
pub(super) fn instants(column: &ArrayRef) -> Box<dyn Iterator<Item = Option<i64>> + '_> {
    const DAY: i64 = 86_400_000_000;
    match column.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) => Box::new(instants.iter()),
        None => {
            let days = column.as_primitive::<Date32Type>();
            Box::new(days.iter().map(|day| day.map(|day| i64::from(day).saturating_mul(DAY))))
        }
    }
}

/// Months since January of the year 0.
fn month_number(instant: i64) -> Option<i32> {
    let date = DateTime::from_timestamp_micros(instant)?;
    let month = i32::try_from(date.month0()).ok()?;
    date.year().checked_mul(12)?.checked_add(month)
}

/// A month by its number, as the partition column has it: `2026-06`.
pub(super) fn month_text(number: i32) -> String {
    format!("{:04}-{:02}", number.div_euclid(12), number.rem_euclid(12) + 1)
}

fn exact(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, arrow::error::ArrowError> {
    cast_with_options(column, to, &CastOptions { safe: false, ..CastOptions::default() })
}

fn is_fine(data_type: &DataType) -> bool {
    any_type(data_type, &|data_type| matches!(data_type, DataType::Timestamp(TimeUnit::Nanosecond, _)))
}

/// Whether the type or one inside it is such.
fn any_type(data_type: &DataType, such: &dyn Fn(&DataType) -> bool) -> bool {
    such(data_type)
        || match data_type {
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _)
            | DataType::Map(item, _) => any_type(item.data_type(), such),
            DataType::Struct(fields) => fields.iter().any(|field| any_type(field.data_type(), such)),
            DataType::Dictionary(_, values) => any_type(values, such),
            _ => false,
        }
}

/// The type of Delta Lake that holds every value of the type, in the same order.
fn stored_type(data_type: &DataType) -> Option<DataType> {
    let item = |item: &FieldRef| stored_field(item);
    Some(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Decimal128(..) => data_type.clone(),
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        // Delta Lake has no unsigned numbers.
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(precision, scale) if *precision <= 38 => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::List(of)
        | DataType::LargeList(of)
        | DataType::ListView(of)
        | DataType::LargeListView(of)
        | DataType::FixedSizeList(of, _) => DataType::List(item(of)?),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(stored_field).collect::<Option<Fields>>()?)
        }
        DataType::Map(entries, sorted) => DataType::Map(item(entries)?, *sorted),
        DataType::Dictionary(_, values) => stored_type(values)?,
        _ => return None,
    })
}

fn stored_field(field: &FieldRef) -> Option<FieldRef> {
    Some(Arc::new(Field::new(field.name(), stored_type(field.data_type())?, field.is_nullable())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_utc() {
        let month = |text: &str| {
            let instant = text.parse::<DateTime<chrono::Utc>>().unwrap();
            month_text(month_number(instant.timestamp_micros()).unwrap())
        };
        assert_eq!(month("2026-06-15T12:00:00Z"), "2026-06");
        assert_eq!(month("2026-01-01T00:00:00+02:00"), "2025-12");
        assert_eq!(month("1969-12-31T23:59:59Z"), "1969-12");
        assert_eq!(month("0001-01-01T00:00:00Z"), "0001-01");
        assert_eq!(month_number(i64::MAX), None);
    }
}
