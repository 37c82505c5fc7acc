//! Values in PostgreSQL's binary format.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, FixedSizeListArray, LargeListArray, ListArray};
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type,
};
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;

use crate::error::Result;

use super::{Write, Zone, numeric, out_of_range, sized, text, time};

/// Writes plain values of the type that was announced.
pub(super) fn writer(array: &ArrayRef, kind: &Type, zone: Zone) -> Result<Write> {
    macro_rules! put {
        ($array:expr, |$value:ident, $out:ident| $put:expr) => {{
            let array = $array.clone();
            Box::new(move |row, $out: &mut BytesMut| {
                let $value = array.value(row);
                $put;
                Ok(())
            })
        }};
    }
    if *kind == Type::CHAR {
        let array = array.as_string::<i32>().clone();
        return Ok(Box::new(move |row, out| {
            out.put_u8(array.value(row).bytes().next().unwrap_or(0));
            Ok(())
        }));
    }
    if let Some(moment) = time::reader(array) {
        return Ok(Box::new(move |row, out| moment(row)?.write_binary(out)));
    }
    if let Some(digits) = numeric::reader(array) {
        return Ok(Box::new(move |row, out| numeric::write_binary(&digits(row), out)));
    }
    Ok(match array.data_type() {
        DataType::Boolean => put!(array.as_boolean(), |value, out| out.put_u8(u8::from(value))),
        DataType::Int8 => put!(array.as_primitive::<Int8Type>(), |value, out| out.put_i16(value.into())),
        DataType::UInt8 => put!(array.as_primitive::<UInt8Type>(), |value, out| out.put_i16(value.into())),
        DataType::Int16 => put!(array.as_primitive::<Int16Type>(), |value, out| out.put_i16(value)),
        DataType::UInt16 => put!(array.as_primitive::<UInt16Type>(), |value, out| out.put_i32(value.into())),
        DataType::Int32 => put!(array.as_primitive::<Int32Type>(), |value, out| out.put_i32(value)),
        DataType::UInt32 => put!(array.as_primitive::<UInt32Type>(), |value, out| out.put_i64(value.into())),
        DataType::Int64 => put!(array.as_primitive::<Int64Type>(), |value, out| out.put_i64(value)),
        DataType::Float16 => {
            put!(array.as_primitive::<Float16Type>(), |value, out| out.put_f32(value.into()))
        }
        DataType::Float32 => put!(array.as_primitive::<Float32Type>(), |value, out| out.put_f32(value)),
        DataType::Float64 => put!(array.as_primitive::<Float64Type>(), |value, out| out.put_f64(value)),
        DataType::Binary => put!(array.as_binary::<i32>(), |value, out| out.put_slice(value)),
        DataType::LargeBinary => put!(array.as_binary::<i64>(), |value, out| out.put_slice(value)),
        DataType::FixedSizeBinary(_) => put!(array.as_fixed_size_binary(), |value, out| out.put_slice(value)),
        // Texts are the same in both formats.
        _ => text::writer(array, zone)?,
    })
}

/// Writes arrays of one dimension.
pub(super) fn array(array: &ArrayRef, item: &Type, zone: Zone) -> Result<Write> {
    let list = Lists::new(array)?;
    let (write, oid) = (writer(&list.items, item, zone)?, item.oid());
    Ok(Box::new(move |row, out| {
        let range = list.range(row);
        let length = i32::try_from(range.len()).map_err(|_| out_of_range("the length of an array"))?;
        // An empty array has no dimension.
        out.put_i32(i32::from(length > 0));
        out.put_i32(i32::from(range.clone().any(|place| list.is_null(place))));
        out.put_u32(oid);
        if length > 0 {
            out.put_i32(length);
            out.put_i32(1);
        }
        for place in range {
            sized(list.is_null(place), out, |out| write(place, out))?;
        }
        Ok(())
    }))
}

/// Lists of any sort, as ranges of their items.
pub(super) struct Lists {
    pub(super) items: ArrayRef,
    sort: Sort,
}

enum Sort {
    List(ListArray),
    Large(LargeListArray),
    Fixed(FixedSizeListArray),
}

impl Lists {
    pub(super) fn new(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>().clone();
                Self { items: Arc::clone(list.values()), sort: Sort::List(list) }
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>().clone();
                Self { items: Arc::clone(list.values()), sort: Sort::Large(list) }
            }
            DataType::FixedSizeList(..) => {
                let list = array.as_fixed_size_list().clone();
                Self { items: Arc::clone(list.values()), sort: Sort::Fixed(list) }
            }
            other => return Err(crate::bug!("{other} is no list")),
        })
    }

    /// Where the items of a row are.
    pub(super) fn range(&self, row: usize) -> Range<usize> {
        // Offsets are never negative.
        let place = |at: i64| usize::try_from(at).unwrap_or(0);
        match &self.sort {
            Sort::List(list) => {
                let offsets = list.value_offsets();
                place(offsets[row].into())..place(offsets[row + 1].into())
            }
            Sort::Large(list) => {
                let offsets = list.value_offsets();
                place(offsets[row])..place(offsets[row + 1])
            }
            Sort::Fixed(list) => {
                let start = place(list.value_offset(row).into());
                start..start + place(list.value_length().into())
            }
        }
    }

    pub(super) fn is_null(&self, place: usize) -> bool {
        self.items.is_null(place) || matches!(self.items.data_type(), DataType::Null)
    }
}
