//! Which of PostgreSQL's types a column is, and which type of ours a parameter.
//!
//! Structs, maps and lists of anything but plain values are `json`: the types that PostgreSQL has for them would have
//! to be declared by name before a driver understands them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use arrow_pg::datatypes::{PG_CHAR_KEY, PG_OID_ALIAS_KEY, pg_type_for_alias_kind};
use pgwire::api::Type;

/// The columns of a schema in the types that are sent: views, dictionaries and runs are what they stand for.
pub(crate) fn sent(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = plain(field.data_type());
        field.as_ref().clone().with_data_type(kind)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn plain(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        DataType::ListView(item) => DataType::List(Arc::clone(item)),
        DataType::LargeListView(item) => DataType::LargeList(Arc::clone(item)),
        other => other.clone(),
    }
}

/// The type of a column.
pub(crate) fn type_of(field: &Field) -> Type {
    let metadata = field.metadata();
    match field.data_type() {
        DataType::Int32 => {
            let alias = metadata.get(PG_OID_ALIAS_KEY).and_then(|kind| pg_type_for_alias_kind(kind));
            alias.unwrap_or(Type::INT4)
        }
        DataType::Utf8 if metadata.contains_key(PG_CHAR_KEY) => Type::CHAR,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let plain = scalar(item.data_type()).map(|_| type_of(item));
            plain.and_then(|item| array_of(&item)).unwrap_or(Type::JSON)
        }
        kind => scalar(kind).unwrap_or(match kind {
            DataType::Struct(_) | DataType::Map(..) => Type::JSON,
            _ => Type::TEXT,
        }),
    }
}

/// The type of plain values.
pub(crate) fn scalar(kind: &DataType) -> Option<Type> {
    Some(match kind {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Type::INT2,
        DataType::UInt16 | DataType::Int32 => Type::INT4,
        DataType::UInt32 | DataType::Int64 => Type::INT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Type::NUMERIC,
        DataType::Float16 | DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Date32 | DataType::Date64 => Type::DATE,
        DataType::Time32(_) | DataType::Time64(_) => Type::TIME,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => Type::INTERVAL,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Type::BYTEA
        }
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::TEXT,
        _ => return None,
    })
}

/// The type of arrays of a plain type.
pub(crate) fn array_of(item: &Type) -> Option<Type> {
    ARRAYS.iter().find(|(_, known)| known == item).map(|(array, _)| array.clone())
}

/// The type of an array's items.
pub(crate) fn item_of(array: &Type) -> Option<Type> {
    ARRAYS.iter().find(|(known, _)| known == array).map(|(_, item)| item.clone())
}

const ARRAYS: &[(Type, Type)] = &[
    (Type::BOOL_ARRAY, Type::BOOL),
    (Type::INT2_ARRAY, Type::INT2),
    (Type::INT4_ARRAY, Type::INT4),
    (Type::INT8_ARRAY, Type::INT8),
    (Type::NUMERIC_ARRAY, Type::NUMERIC),
    (Type::FLOAT4_ARRAY, Type::FLOAT4),
    (Type::FLOAT8_ARRAY, Type::FLOAT8),
    (Type::DATE_ARRAY, Type::DATE),
    (Type::TIME_ARRAY, Type::TIME),
    (Type::TIMESTAMP_ARRAY, Type::TIMESTAMP),
    (Type::TIMESTAMPTZ_ARRAY, Type::TIMESTAMPTZ),
    (Type::INTERVAL_ARRAY, Type::INTERVAL),
    (Type::BYTEA_ARRAY, Type::BYTEA),
    (Type::TEXT_ARRAY, Type::TEXT),
    (Type::VARCHAR_ARRAY, Type::VARCHAR),
    (Type::NAME_ARRAY, Type::NAME),
    (Type::OID_ARRAY, Type::OID),
    (Type::CHAR_ARRAY, Type::CHAR),
];

/// How many bytes a value takes on PostgreSQL's disks; -1 when that varies.
pub(crate) fn length(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID | Type::REGCLASS | Type::REGTYPE => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        Type::NAME => 64,
        _ => -1,
    }
}

/// What a type says of its values besides: a decimal's digits.
pub(crate) fn modifier(kind: &DataType) -> i32 {
    match kind {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *scale >= 0 =>
        {
            ((i32::from(*precision) << 16) | i32::from(*scale)) + 4
        }
        _ => -1,
    }
}

/// The type of ours that a parameter which the client declares has; `None` where the statement tells more.
pub(crate) fn declared(oid: u32) -> Option<DataType> {
    let zone = || Some("+00:00".into());
    let kind = Type::from_oid(oid)?;
    Some(match kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::OID => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, zone()),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        Type::BYTEA => DataType::Binary,
        _ => {
            let item = declared(item_of(&kind)?.oid()).unwrap_or(DataType::Utf8);
            DataType::List(Field::new_list_field(item, true).into())
        }
    })
}

/// The SQL name of a type that a parameter is cast to, so that the statement is planned with what the client declared.
pub(crate) fn cast_of(oid: u32) -> Option<&'static str> {
    Some(match Type::from_oid(oid)? {
        Type::BOOL => "BOOLEAN",
        Type::INT2 => "SMALLINT",
        Type::INT4 => "INT",
        Type::INT8 | Type::OID => "BIGINT",
        Type::FLOAT4 => "REAL",
        Type::FLOAT8 => "DOUBLE",
        Type::DATE => "DATE",
        Type::TIMESTAMP => "TIMESTAMP",
        Type::TIMESTAMPTZ => "TIMESTAMP WITH TIME ZONE",
        Type::BOOL_ARRAY => "BOOLEAN[]",
        Type::INT2_ARRAY => "SMALLINT[]",
        Type::INT4_ARRAY => "INT[]",
        Type::INT8_ARRAY => "BIGINT[]",
        Type::FLOAT4_ARRAY => "REAL[]",
        Type::FLOAT8_ARRAY => "DOUBLE[]",
        Type::DATE_ARRAY => "DATE[]",
        Type::TIMESTAMP_ARRAY => "TIMESTAMP[]",
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => "TEXT[]",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: DataType) -> Type {
        type_of(&Field::new("c", kind, true))
    }

    #[test]
    fn every_type_has_one_of_postgresqls() {
        let list = |kind| DataType::List(Field::new_list_field(kind, true).into());
        assert_eq!(of(DataType::UInt64), Type::NUMERIC);
        assert_eq!(of(list(DataType::Int32)), Type::INT4_ARRAY);
        assert_eq!(of(list(list(DataType::Int32))), Type::JSON);
        assert_eq!(of(DataType::Struct(vec![Field::new("a", DataType::Int8, true)].into())), Type::JSON);
        assert_eq!(of(DataType::Null), Type::TEXT);
        for (array, item) in ARRAYS {
            assert_eq!(array_of(item).as_ref(), Some(array));
            assert_eq!(item_of(array).as_ref(), Some(item));
            assert_eq!(array.name(), format!("_{}", item.name()));
        }
    }

    #[test]
    fn decimals_say_their_digits() {
        assert_eq!(modifier(&DataType::Decimal128(18, 2)), (18 << 16 | 2) + 4);
        assert_eq!(modifier(&DataType::Int64), -1);
    }
}
