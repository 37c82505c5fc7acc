//! Values as PostgreSQL writes them: [`text`], [`binary`], and [`json`] for what it has no plain type for.
//!
//! One [`Writer`] a column of a batch: the array is looked at once, then row after row is written.

mod binary;
mod json;
mod numeric;
mod read;
mod text;
mod time;

use std::str::FromStr;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};
use crate::profile::is_utc;

use crate::engine::postgres_types::item_of;

pub(super) use read::{Given, read};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Binary,
}

/// Writes the value of a row, without its length.
pub(super) type Write = Box<dyn Fn(usize, &mut BytesMut) -> Result<()> + Send>;

/// One column of a batch.
pub(super) struct Writer {
    array: ArrayRef,
    write: Write,
}

impl Writer {
    /// For a column that is announced as `kind`.
    pub(super) fn new(array: &ArrayRef, kind: &Type, format: Format, zone: Zone) -> Result<Self> {
        let write = write(array, kind, format, zone)?;
        Ok(Self { array: array.clone(), write })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        // The null array has no bitmap and yet no value.
        self.array.is_null(row) || matches!(self.array.data_type(), DataType::Null)
    }

    /// Appends the value of a row that is not null.
    pub(super) fn write(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        (self.write)(row, out)
    }

    /// Appends the value of a row after its length, or NULL.
    pub(super) fn write_sized(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        sized(self.is_null(row), out, |out| self.write(row, out))
    }
}

fn write(array: &ArrayRef, kind: &Type, format: Format, zone: Zone) -> Result<Write> {
    if *kind == Type::JSON {
        return json::writer(array, zone);
    }
    if let Some(item) = item_of(kind) {
        return match format {
            Format::Text => text::array(array, &item, zone),
            Format::Binary => binary::array(array, &item, zone),
        };
    }
    match format {
        Format::Text => text::writer(array, zone),
        Format::Binary => binary::writer(array, kind, zone),
    }
}

/// Appends a value after its length, or the length that means NULL.
fn sized(is_null: bool, out: &mut BytesMut, value: impl FnOnce(&mut BytesMut) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.put_i32(-1);
    if is_null {
        return Ok(());
    }
    value(out)?;
    let length = out.len() - start - 4;
    let length = i32::try_from(length)
        .map_err(|_| Error::new(Kind::Resource, format!("a value has {length} bytes, which are too many")))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The time zone in which instants are written as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone(Option<Tz>);

impl Zone {
    pub(super) const UTC: Self = Self(None);

    /// By name or offset.
    pub(super) fn named(name: &str) -> Option<Self> {
        if is_utc(name) {
            return Some(Self::UTC);
        }
        Tz::from_str(name).ok().map(|zone| Self(Some(zone)))
    }
}

/// That a value has no place in PostgreSQL's range.
fn out_of_range(what: &str) -> Error {
    Error::new(Kind::Execution, format!("{what} is out of range"))
}
