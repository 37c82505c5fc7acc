//! Time columns of any type as numbers, and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, PrimitiveArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion::common::{Result, exec_datafusion_err, internal_err};

/// A time column as numbers.
pub(crate) struct Ticks {
    pub(crate) values: ScalarBuffer<i64>,
    pub(crate) nulls: Option<NullBuffer>,
}

impl Ticks {
    /// Whether a row has a time.
    pub(crate) fn is_valid(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    pub(crate) fn of(column: &ArrayRef) -> Result<Self> {
        fn raw<T: ArrowPrimitiveType<Native = i64>>(column: &ArrayRef) -> ScalarBuffer<i64> {
            column.as_primitive::<T>().values().clone()
        }
        let values = match column.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => raw::<TimestampSecondType>(column),
            DataType::Timestamp(TimeUnit::Millisecond, _) => raw::<TimestampMillisecondType>(column),
            DataType::Timestamp(TimeUnit::Microsecond, _) => raw::<TimestampMicrosecondType>(column),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => raw::<TimestampNanosecondType>(column),
            DataType::Date64 => raw::<Date64Type>(column),
            DataType::Int64 => raw::<Int64Type>(column),
            DataType::Date32 => {
                column.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect()
            }
            other => return internal_err!("a time column of type {other} was not coerced"),
        };
        Ok(Self { values, nulls: column.nulls().cloned() })
    }

    /// Back to a column of type `data_type`.
    pub(crate) fn into_array(
        values: Vec<i64>,
        nulls: Option<NullBuffer>,
        data_type: &DataType,
    ) -> Result<ArrayRef> {
        fn typed<T: ArrowPrimitiveType<Native = i64>>(
            values: Vec<i64>,
            nulls: Option<NullBuffer>,
            data_type: &DataType,
        ) -> ArrayRef {
            Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type.clone()))
        }
        Ok(match data_type {
            DataType::Timestamp(TimeUnit::Second, _) => {
                typed::<TimestampSecondType>(values, nulls, data_type)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                typed::<TimestampMillisecondType>(values, nulls, data_type)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                typed::<TimestampMicrosecondType>(values, nulls, data_type)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                typed::<TimestampNanosecondType>(values, nulls, data_type)
            }
            DataType::Date64 => typed::<Date64Type>(values, nulls, data_type),
            DataType::Int64 => Arc::new(Int64Array::new(values.into(), nulls)),
            DataType::Date32 => {
                let days = values.into_iter().map(i32::try_from).collect::<Result<Vec<_>, _>>();
                let days = days.map_err(|_| exec_datafusion_err!("a date out of range"))?;
                Arc::new(Date32Array::new(days.into(), nulls))
            }
            other => return internal_err!("no time column has the type {other}"),
        })
    }
}
