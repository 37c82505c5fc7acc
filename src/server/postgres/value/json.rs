//! Structs, maps and nested lists as JSON.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};

use crate::error::Result;

use super::binary::Lists;
use super::{Write, Zone, text};

/// Writes values as JSON; a value that is null is `null`.
pub(super) fn writer(array: &ArrayRef, zone: Zone) -> Result<Write> {
    let write = present(array, zone)?;
    let nulls = Arc::clone(array);
    Ok(Box::new(move |row, out| {
        if nulls.is_null(row) {
            out.put_slice(b"null");
            return Ok(());
        }
        write(row, out)
    }))
}

fn present(array: &ArrayRef, zone: Zone) -> Result<Write> {
    Ok(match array.data_type() {
        DataType::Null => Box::new(|_, out| {
            out.put_slice(b"null");
            Ok(())
        }),
        DataType::Boolean => {
            let array = array.as_boolean().clone();
            Box::new(move |row, out| {
                out.put_slice(if array.value(row) { b"true" } else { b"false" });
                Ok(())
            })
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| Ok((key(field.name()), writer(column, zone)?)));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            Box::new(move |row, out| {
                out.put_u8(b'{');
                for (at, (name, write)) in columns.iter().enumerate() {
                    if at > 0 {
                        out.put_u8(b',');
                    }
                    out.put_slice(name);
                    write(row, out)?;
                }
                out.put_u8(b'}');
                Ok(())
            })
        }
        DataType::Map(..) => {
            let map = array.as_map().clone();
            let (keys, values) = (text::writer(map.keys(), zone)?, writer(map.values(), zone)?);
            Box::new(move |row, out| {
                out.put_u8(b'{');
                // Offsets are never negative.
                let place = |at: i32| usize::try_from(at).unwrap_or(0);
                let offsets = map.value_offsets();
                let mut name = BytesMut::new();
                for (at, entry) in (place(offsets[row])..place(offsets[row + 1])).enumerate() {
                    if at > 0 {
                        out.put_u8(b',');
                    }
                    name.clear();
                    keys(entry, &mut name)?;
                    out.put_slice(&key(&String::from_utf8_lossy(&name)));
                    values(entry, out)?;
                }
                out.put_u8(b'}');
                Ok(())
            })
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let list = Lists::new(array)?;
            let write = writer(&list.items, zone)?;
            Box::new(move |row, out| {
                out.put_u8(b'[');
                for (at, place) in list.range(row).enumerate() {
                    if at > 0 {
                        out.put_u8(b',');
                    }
                    write(place, out)?;
                }
                out.put_u8(b']');
                Ok(())
            })
        }
        kind if kind.is_numeric() => {
            let write = text::writer(array, zone)?;
            Box::new(move |row, out| {
                let start = out.len();
                write(row, out)?;
                // JSON knows neither NaN nor infinity.
                if matches!(out.last(), Some(b'N' | b'y')) {
                    out.truncate(start);
                    out.put_slice(b"null");
                }
                Ok(())
            })
        }
        _ => {
            let write = text::writer(array, zone)?;
            Box::new(move |row, out| {
                let mut value = BytesMut::new();
                write(row, &mut value)?;
                out.put_slice(&quoted(&String::from_utf8_lossy(&value)));
                Ok(())
            })
        }
    })
}

fn quoted(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

fn key(name: &str) -> Vec<u8> {
    let mut key = quoted(name);
    key.push(b':');
    key
}
