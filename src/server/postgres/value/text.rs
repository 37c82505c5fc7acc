//! Values as text.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;

use crate::error::Result;

use super::{Write, Zone, numeric, time};

/// Writes plain values.
pub(super) fn writer(array: &ArrayRef, zone: Zone) -> Result<Write> {
    macro_rules! plain {
        ($kind:ty) => {{
            let array = array.as_primitive::<$kind>().clone();
            Box::new(move |row, out: &mut BytesMut| {
                let _ = write!(out, "{}", array.value(row));
                Ok(())
            })
        }};
    }
    macro_rules! bytes {
        ($array:expr, |$value:ident, $out:ident| $write:expr) => {{
            let array = $array.clone();
            Box::new(move |row, $out: &mut BytesMut| {
                let $value = array.value(row);
                $write;
                Ok(())
            })
        }};
    }
    if let Some(moment) = time::reader(array) {
        return Ok(Box::new(move |row, out| moment(row)?.write_text(zone, out)));
    }
    if let Some(digits) = numeric::reader(array) {
        return Ok(Box::new(move |row, out| {
            out.put_slice(digits(row).as_bytes());
            Ok(())
        }));
    }
    Ok(match array.data_type() {
        DataType::Boolean => {
            bytes!(array.as_boolean(), |value, out| out.put_u8(if value { b't' } else { b'f' }))
        }
        DataType::Int8 => plain!(Int8Type),
        DataType::Int16 => plain!(Int16Type),
        DataType::Int32 => plain!(Int32Type),
        DataType::Int64 => plain!(Int64Type),
        DataType::UInt8 => plain!(UInt8Type),
        DataType::UInt16 => plain!(UInt16Type),
        DataType::UInt32 => plain!(UInt32Type),
        DataType::Float16 => bytes!(array.as_primitive::<Float16Type>(), |value, out| write_float(
            f64::from(value),
            &format!("{:e}", f32::from(value)),
            6,
            out
        )),
        DataType::Float32 => bytes!(array.as_primitive::<Float32Type>(), |value, out| write_float(
            f64::from(value),
            &format!("{value:e}"),
            6,
            out
        )),
        DataType::Float64 => bytes!(array.as_primitive::<Float64Type>(), |value, out| write_float(
            value,
            &format!("{value:e}"),
            15,
            out
        )),
        DataType::Utf8 => bytes!(array.as_string::<i32>(), |value, out| write_string(value, out)),
        DataType::LargeUtf8 => bytes!(array.as_string::<i64>(), |value, out| write_string(value, out)),
        DataType::Binary => bytes!(array.as_binary::<i32>(), |value, out| write_hex(value, out)),
        DataType::LargeBinary => bytes!(array.as_binary::<i64>(), |value, out| write_hex(value, out)),
        DataType::FixedSizeBinary(_) => {
            bytes!(array.as_fixed_size_binary(), |value, out| write_hex(value, out))
        }
        // What PostgreSQL has no type for is shown as the shell shows it.
        _ => {
            ArrayFormatter::try_new(array, &FormatOptions::default())?;
            let array = Arc::clone(array);
            Box::new(move |row, out| {
                let formatter = ArrayFormatter::try_new(&array, &FormatOptions::default())?;
                write_string(&formatter.value(row).to_string(), out);
                Ok(())
            })
        }
    })
}

/// A text: PostgreSQL's have no zero byte, and clients take one for the end.
pub(super) fn write_string(text: &str, out: &mut BytesMut) {
    if text.contains('\0') {
        out.put_slice(text.replace('\0', "\u{fffd}").as_bytes());
    } else {
        out.put_slice(text.as_bytes());
    }
}

fn write_hex(bytes: &[u8], out: &mut BytesMut) {
    out.put_slice(b"\\x");
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

/// A float in the fewest digits that are read as the same, which are those of `scientific`; with an exponent where that
/// is below -4 or not below `precision`.
fn write_float(value: f64, scientific: &str, precision: i32, out: &mut BytesMut) {
    if !value.is_finite() {
        let name = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return out.put_slice(name.as_bytes());
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..precision).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
        return;
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits = mantissa.replace('.', "");
    out.put_slice(sign.as_bytes());
    match usize::try_from(exponent) {
        Ok(exponent) => {
            let digits = format!("{digits:0<width$}", width = exponent + 1);
            let (whole, fraction) = digits.split_at(exponent + 1);
            out.put_slice(whole.as_bytes());
            if !fraction.is_empty() {
                out.put_u8(b'.');
                out.put_slice(fraction.as_bytes());
            }
        }
        Err(_) => {
            let zeros = usize::try_from(exponent.unsigned_abs()).unwrap_or(1) - 1;
            let _ = write!(out, "0.{}{digits}", "0".repeat(zeros));
        }
    }
}

/// Writes arrays: `{1,NULL,"a b"}`.
pub(super) fn array(array: &ArrayRef, item: &Type, zone: Zone) -> Result<Write> {
    let list = super::binary::Lists::new(array)?;
    let write = writer(&list.items, zone)?;
    // Numbers and moments without spaces need no quotes; texts may.
    let is_text = !matches!(
        *item,
        Type::BOOL
            | Type::INT2
            | Type::INT4
            | Type::INT8
            | Type::NUMERIC
            | Type::FLOAT4
            | Type::FLOAT8
            | Type::DATE
            | Type::TIME
    );
    Ok(Box::new(move |row, out| {
        out.put_u8(b'{');
        let mut scratch = BytesMut::new();
        for (at, place) in list.range(row).enumerate() {
            if at > 0 {
                out.put_u8(b',');
            }
            if list.is_null(place) {
                out.put_slice(b"NULL");
                continue;
            }
            if !is_text {
                write(place, out)?;
                continue;
            }
            scratch.clear();
            write(place, &mut scratch)?;
            write_item(&scratch, out);
        }
        out.put_u8(b'}');
        Ok(())
    }))
}

/// An item of an array, in quotes where it could be taken for something else.
fn write_item(item: &[u8], out: &mut BytesMut) {
    let special = |byte: &u8| b"{},\"\\".contains(byte) || byte.is_ascii_whitespace();
    if !item.is_empty() && !item.iter().any(special) && !item.eq_ignore_ascii_case(b"null") {
        return out.put_slice(item);
    }
    out.put_u8(b'"');
    for byte in item {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_postgresql_does() {
        let shown = |value: f64| {
            let mut out = BytesMut::new();
            write_float(value, &format!("{value:e}"), 15, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        for (value, text) in [
            (1.5, "1.5"),
            (0.0, "0"),
            (-0.0, "-0"),
            (100.0, "100"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (-2.5e-300, "-2.5e-300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(shown(value), text);
        }
    }

    #[test]
    fn items_are_quoted_where_they_must_be() {
        let shown = |item: &str| {
            let mut out = BytesMut::new();
            write_item(item.as_bytes(), &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(shown("abc"), "abc");
        assert_eq!(shown(""), "\"\"");
        assert_eq!(shown("NULL"), "\"NULL\"");
        assert_eq!(shown("a \"b\\"), "\"a \\\"b\\\\\"");
    }
}
