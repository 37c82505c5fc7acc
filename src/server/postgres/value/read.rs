//! Parameters: the values that clients send.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use bytes::{Buf, Bytes};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use pgwire::api::Type;

use super::Format;
use super::numeric;
use crate::engine::postgres_types::{declared, item_of};
use crate::server::postgres::sqlstate::{Fault, INVALID_BINARY, INVALID_ENCODING, INVALID_TEXT};

/// From 1970 to 2000.
const DAYS: i32 = 10_957;
const MICROS: i64 = 946_684_800_000_000;

/// One value as it was sent.
pub(in crate::server::postgres) struct Given<'a> {
    pub(in crate::server::postgres) bytes: &'a Option<Bytes>,
    pub(in crate::server::postgres) format: Format,
    /// The type that the client knows it by; 0 for none.
    pub(in crate::server::postgres) oid: u32,
    /// The type that the statement wants, where it says.
    pub(in crate::server::postgres) wanted: Option<&'a DataType>,
}

/// Reads a value.
pub(in crate::server::postgres) fn read(given: &Given<'_>) -> Result<ScalarValue, Fault> {
    let kind = given.wanted.cloned().or_else(|| declared(given.oid)).unwrap_or(DataType::Utf8);
    let Some(bytes) = given.bytes else {
        return Ok(ScalarValue::try_from(&kind).unwrap_or(ScalarValue::Null));
    };
    match given.format {
        Format::Text => text(utf8(bytes)?, &kind, given.oid),
        Format::Binary => {
            let of = Type::from_oid(given.oid).unwrap_or(Type::TEXT);
            match binary(bytes.clone(), &of) {
                Some(value) => Ok(value),
                None if is_text(&of) => Ok(ScalarValue::from(utf8(bytes)?)),
                None => {
                    Err(Fault::error(INVALID_BINARY, format!("invalid binary representation of type {of}")))
                }
            }
        }
    }
}

fn utf8(bytes: &Bytes) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes);
    text.map_err(|_| Fault::error(INVALID_ENCODING, "invalid byte sequence for encoding \"UTF8\""))
}

fn is_text(kind: &Type) -> bool {
    matches!(
        *kind,
        Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::UNKNOWN
            | Type::JSON
            | Type::CHAR
            | Type::XML
    )
}

/// Reads a value's text as a type.
fn text(text: &str, kind: &DataType, oid: u32) -> Result<ScalarValue, Fault> {
    let wrong = || {
        let name = Type::from_oid(oid).map_or_else(|| kind.to_string(), |kind| kind.to_string());
        let shown: String = text.chars().take(200).collect();
        Fault::error(INVALID_TEXT, format!("invalid input syntax for type {name}: \"{shown}\""))
    };
    match kind {
        DataType::Null | DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
            if Type::from_oid(oid).is_some_and(|kind| kind == Type::NUMERIC) =>
        {
            decimal(text.trim()).ok_or_else(wrong)
        }
        DataType::Null | DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            Ok(ScalarValue::from(text))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let Some(digits) = text.strip_prefix("\\x") else {
                return Ok(ScalarValue::Binary(Some(text.as_bytes().to_vec())));
            };
            Ok(ScalarValue::Binary(Some(hex(digits).ok_or_else(wrong)?)))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let items: StringArray = array_items(text).ok_or_else(wrong)?.into_iter().collect();
            let items = converted(Arc::new(items), item.data_type()).ok_or_else(wrong)?;
            let list = SingleRowListArrayBuilder::new(items).build_list_array();
            Ok(ScalarValue::List(Arc::new(list)))
        }
        kind => {
            let one: StringArray = [Some(text.trim())].into_iter().collect();
            let array = converted(Arc::new(one), kind).ok_or_else(wrong)?;
            ScalarValue::try_from_array(&array, 0).map_err(|_| wrong())
        }
    }
}

/// Texts as another type; `None` if one of them is none.
fn converted(texts: ArrayRef, kind: &DataType) -> Option<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&texts, kind, &strict).ok()
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// A decimal with the digits that it has.
fn decimal(digits: &str) -> Option<ScalarValue> {
    let (value, scale) = numeric::unscaled(digits)?;
    Some(match value.to_i128() {
        Some(value) if value.unsigned_abs() < 10_u128.pow(38) && scale <= 38 => {
            ScalarValue::Decimal128(Some(value), 38, scale)
        }
        _ if scale <= 76 => ScalarValue::Decimal256(Some(value), 76, scale),
        _ => return None,
    })
}

/// The items of an array of one dimension, as text: `{1,NULL,"a b"}`.
pub(in crate::server::postgres) fn array_items(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut items = vec![];
    let mut chars = inner.chars().peekable();
    if inner.trim().is_empty() {
        return Some(items);
    }
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut item = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => item.push(chars.next()?),
                    c => item.push(c),
                }
            }
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            items.push(Some(item));
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',') {
                match c {
                    '{' | '}' | '"' => return None,
                    '\\' => item.push(chars.next()?),
                    c => item.push(c),
                }
            }
            let item = item.trim_end();
            items.push((!item.eq_ignore_ascii_case("null")).then(|| item.to_owned()));
        }
        match chars.next() {
            None => return Some(items),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

/// Reads a value in the binary format of a type; `None` if it is none.
fn binary(mut bytes: Bytes, kind: &Type) -> Option<ScalarValue> {
    fn fixed<const N: usize>(bytes: &Bytes) -> Option<[u8; N]> {
        <[u8; N]>::try_from(&bytes[..]).ok()
    }
    Some(match *kind {
        Type::BOOL => ScalarValue::from(fixed::<1>(&bytes)?[0] != 0),
        Type::INT2 => ScalarValue::from(i16::from_be_bytes(fixed(&bytes)?)),
        Type::INT4 => ScalarValue::from(i32::from_be_bytes(fixed(&bytes)?)),
        Type::INT8 => ScalarValue::from(i64::from_be_bytes(fixed(&bytes)?)),
        Type::OID => ScalarValue::from(i64::from(u32::from_be_bytes(fixed(&bytes)?))),
        Type::FLOAT4 => ScalarValue::from(f32::from_be_bytes(fixed(&bytes)?)),
        Type::FLOAT8 => ScalarValue::from(f64::from_be_bytes(fixed(&bytes)?)),
        Type::DATE => ScalarValue::Date32(Some(i32::from_be_bytes(fixed(&bytes)?).checked_add(DAYS)?)),
        Type::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(fixed(&bytes)?))),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let micros = i64::from_be_bytes(fixed(&bytes)?).checked_add(MICROS)?;
            let zone = (*kind == Type::TIMESTAMPTZ).then(|| "+00:00".into());
            ScalarValue::TimestampMicrosecond(Some(micros), zone)
        }
        Type::INTERVAL => {
            let mut parts = Bytes::copy_from_slice(&fixed::<16>(&bytes)?);
            let (micros, days, months) = (parts.get_i64(), parts.get_i32(), parts.get_i32());
            let nanos = micros.checked_mul(1000)?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)))
        }
        Type::NUMERIC => decimal(&numeric::read_binary(bytes)?)?,
        Type::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        Type::JSONB => {
            // Its version comes first.
            (bytes.try_get_u8().ok()? == 1).then_some(())?;
            ScalarValue::from(std::str::from_utf8(&bytes).ok()?)
        }
        Type::UUID => ScalarValue::from(uuid::Uuid::from_bytes(fixed(&bytes)?).to_string()),
        _ => {
            let item = item_of(kind)?;
            return array(bytes, &item);
        }
    })
}

fn array(mut bytes: Bytes, item: &Type) -> Option<ScalarValue> {
    let (dimensions, _nulls, oid) =
        (bytes.try_get_i32().ok()?, bytes.try_get_i32().ok()?, bytes.try_get_u32().ok()?);
    let item = Type::from_oid(oid).unwrap_or_else(|| item.clone());
    let count = match dimensions {
        0 => 0,
        1 => {
            let count = bytes.try_get_i32().ok()?;
            bytes.try_get_i32().ok()?;
            count
        }
        _ => return None,
    };
    let kind = declared(item.oid()).unwrap_or(DataType::Utf8);
    let null = ScalarValue::try_from(&kind).ok()?;
    let mut items = vec![];
    for _ in 0..count {
        items.push(match usize::try_from(bytes.try_get_i32().ok()?) {
            Err(_) => null.clone(),
            Ok(length) if length <= bytes.len() => {
                let value = bytes.split_to(length);
                match binary(value.clone(), &item) {
                    Some(value) => value,
                    None if is_text(&item) => ScalarValue::from(std::str::from_utf8(&value).ok()?),
                    None => return None,
                }
            }
            Ok(_) => return None,
        });
    }
    let kind = items.iter().find(|item| !item.is_null()).map_or(kind, ScalarValue::data_type);
    let same = |item: ScalarValue| if item.is_null() { ScalarValue::try_from(&kind) } else { Ok(item) };
    let items = items.into_iter().map(same).collect::<Result<Vec<_>, _>>().ok()?;
    Some(ScalarValue::List(ScalarValue::new_list(&items, &kind, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(bytes: &[u8], format: Format, kind: &Type) -> Result<ScalarValue, Fault> {
        let bytes = Some(Bytes::copy_from_slice(bytes));
        read(&Given { bytes: &bytes, format, oid: kind.oid(), wanted: declared(kind.oid()).as_ref() })
    }

    #[test]
    fn texts_become_values() {
        let text = |text: &str, kind| given(text.as_bytes(), Format::Text, &kind);
        assert_eq!(text("42", Type::INT8).unwrap(), ScalarValue::from(42_i64));
        assert_eq!(text("t", Type::BOOL).unwrap(), ScalarValue::from(true));
        assert_eq!(text("2024-02-29", Type::DATE).unwrap(), ScalarValue::Date32(Some(19_782)));
        assert_eq!(text("12.50", Type::NUMERIC).unwrap(), ScalarValue::Decimal128(Some(1250), 38, 2));
        assert_eq!(text("\\x00ff", Type::BYTEA).unwrap(), ScalarValue::Binary(Some(vec![0, 255])));
        assert_eq!(text("{1,NULL,3}", Type::INT4_ARRAY).unwrap().to_string(), "[1, , 3]");
        assert_eq!(text("4x", Type::INT4).unwrap_err().code, INVALID_TEXT);
        assert_eq!(text("{1", Type::INT4_ARRAY).unwrap_err().code, INVALID_TEXT);
        assert_eq!(given(b"\xff", Format::Text, &Type::TEXT).unwrap_err().code, INVALID_ENCODING);
    }

    #[test]
    fn bytes_become_values() {
        let bytes = |bytes: &[u8], kind| given(bytes, Format::Binary, &kind);
        assert_eq!(bytes(&[0, 0, 0, 42], Type::INT4).unwrap(), ScalarValue::from(42_i32));
        assert_eq!(bytes(&[0, 0, 0, 0], Type::DATE).unwrap(), ScalarValue::Date32(Some(DAYS)));
        assert_eq!(bytes("é".as_bytes(), Type::TEXT).unwrap(), ScalarValue::from("é"));
        let array = [
            0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255,
            255, 255,
        ];
        assert_eq!(bytes(&array, Type::INT4_ARRAY).unwrap().to_string(), "[7, ]");
        for (wrong, kind) in [(&[0_u8, 1][..], Type::INT4), (b"\xff", Type::TEXT), (b"abc", Type::NUMERIC)] {
            assert!(bytes(wrong, kind).is_err());
        }
        assert!(bytes(&array[..20], Type::INT4_ARRAY).is_err());
    }

    #[test]
    fn arrays_are_cut_at_their_commas() {
        let items = |text| array_items(text);
        assert_eq!(items("{}"), Some(vec![]));
        assert_eq!(
            items(r#"{a, "b,\"c", null, "NULL"}"#),
            Some(vec![Some("a".to_owned()), Some("b,\"c".to_owned()), None, Some("NULL".to_owned())])
        );
        for wrong in ["", "{", "{a", "{\"a}", "{{1},{2}}", "{a}b"] {
            assert_eq!(items(wrong), None, "{wrong}");
        }
    }
}
