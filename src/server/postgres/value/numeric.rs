//! Decimals: digits in text, groups of four digits in binary.

use arrow::array::ArrayRef;
use arrow::array::cast::AsArray;
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, UInt64Type, i256,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::Result;

use super::out_of_range;

const NEGATIVE: u16 = 0x4000;

/// Reads values of a column as their digits: `-12345.67`. `None` where it has no such type.
pub(super) fn reader(array: &ArrayRef) -> Option<Box<dyn Fn(usize) -> String + Send>> {
    macro_rules! read {
        ($kind:ty, $scale:expr) => {{
            let (array, scale) = (array.as_primitive::<$kind>().clone(), *$scale);
            Box::new(move |row| shown(&array.value(row).to_string(), scale))
                as Box<dyn Fn(usize) -> String + Send>
        }};
    }
    Some(match array.data_type() {
        DataType::UInt64 => read!(UInt64Type, &0),
        DataType::Decimal32(_, scale) => read!(Decimal32Type, scale),
        DataType::Decimal64(_, scale) => read!(Decimal64Type, scale),
        DataType::Decimal128(_, scale) => read!(Decimal128Type, scale),
        DataType::Decimal256(_, scale) => read!(Decimal256Type, scale),
        _ => return None,
    })
}

/// A whole number with the point where it belongs.
fn shown(digits: &str, scale: i8) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale) => {
            let digits = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
        Err(_) if digits == "0" => digits.to_owned(),
        Err(_) => format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs()))),
    }
}

/// Appends digits as groups of four with the weight of the first.
pub(super) fn write_binary(digits: &str, out: &mut BytesMut) -> Result<()> {
    let (sign, digits) = digits.strip_prefix('-').map_or((0, digits), |digits| (NEGATIVE, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!(
        "{}{whole}{fraction}{}",
        "0".repeat(whole.len().next_multiple_of(4) - whole.len()),
        "0".repeat(fraction.len().next_multiple_of(4) - fraction.len())
    );
    let groups: Vec<i16> = padded
        .as_bytes()
        .chunks_exact(4)
        .map(|group| group.iter().fold(0, |value, digit| value * 10 + i16::from(digit - b'0')))
        .collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups[leading..].iter().rev().take_while(|group| **group == 0).count();
    let kept = &groups[leading..groups.len() - trailing];
    let number = |value: usize| i16::try_from(value).map_err(|_| out_of_range("a decimal"));
    let weight = number(whole.len().div_ceil(4))? - 1 - number(leading)?;
    out.put_i16(number(kept.len())?);
    out.put_i16(if kept.is_empty() { 0 } else { weight });
    out.put_u16(if kept.is_empty() { 0 } else { sign });
    out.put_i16(number(fraction.len())?);
    kept.iter().for_each(|group| out.put_i16(*group));
    Ok(())
}

/// Digits from groups of four; `None` for NaN, infinities and what is none.
pub(super) fn read_binary(mut bytes: Bytes) -> Option<String> {
    if bytes.len() < 8 {
        return None;
    }
    let (count, weight) = (usize::from(bytes.get_u16()), i32::from(bytes.get_i16()));
    let (sign, scale) = (bytes.get_u16(), usize::from(bytes.get_u16()));
    if !matches!(sign, 0 | NEGATIVE) || bytes.len() != count.checked_mul(2)? || weight.abs() > 4096 {
        return None;
    }
    let groups: Vec<u16> = (0..count).map(|_| bytes.get_u16()).collect();
    if groups.iter().any(|group| *group > 9999) {
        return None;
    }
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let mut digits = String::new();
    for at in 0..=weight.max(0) {
        digits.push_str(&format!("{:04}", if weight < 0 { 0 } else { group(at) }));
    }
    let whole = digits.trim_start_matches('0');
    let mut text = if sign == NEGATIVE { "-".to_owned() } else { String::new() };
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let after = i32::try_from(scale.div_ceil(4)).ok()?;
        let fraction: String = (1..=after).map(|at| format!("{:04}", group(weight + at))).collect();
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Some(text)
}

/// The digits of a decimal as a number of units of its last place, with how many places there are.
pub(super) fn unscaled(digits: &str) -> Option<(i256, i8)> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number = format!("{whole}{fraction}");
    let plain = number.strip_prefix(['-', '+']).unwrap_or(&number);
    if plain.is_empty() || !plain.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number = number.strip_prefix('+').unwrap_or(&number);
    Some((i256::from_string(number)?, i8::try_from(fraction.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_survive_binary() {
        for digits in [
            "0",
            "0.00",
            "1",
            "-1",
            "12345.67",
            "0.0001",
            "-0.00000001",
            "10000",
            "99999999.9999",
            "120000.5",
        ] {
            let mut out = BytesMut::new();
            write_binary(digits, &mut out).unwrap();
            assert_eq!(read_binary(out.freeze()).as_deref(), Some(digits));
        }
        let mut out = BytesMut::new();
        write_binary("12345.67", &mut out).unwrap();
        assert_eq!(&out[..], [0, 3, 0, 1, 0, 0, 0, 2, 0, 1, 9, 41, 26, 44]);
    }

    #[test]
    fn garbage_is_no_decimal() {
        for bytes in [&b""[..], b"\0\x01\0\0\0\0\0\0", b"\0\0\0\0\xc0\0\0\0", b"\0\x01\0\0\0\0\0\0\xff\xff"] {
            assert_eq!(read_binary(Bytes::copy_from_slice(bytes)), None);
        }
        assert_eq!(unscaled("1e5"), None);
        assert_eq!(unscaled("-1.50"), Some((i256::from_i128(-150), 2)));
    }

    #[test]
    fn the_point_stands_where_the_scale_says() {
        assert_eq!(shown("5", 2), "0.05");
        assert_eq!(shown("-12345", 2), "-123.45");
        assert_eq!(shown("7", -3), "7000");
    }
}
