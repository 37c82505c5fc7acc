//! A column that has the same value in each row.

use datafusion::parquet::basic::{Compression, Encoding};
use datafusion::parquet::data_type::ByteArray;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::statistics::{Statistics, ValueStatistics};
use datafusion::parquet::schema::types::ColumnDescPtr;

use super::chunk::{Bounds, Chunk, Pages, whole};
use super::packed::varint;

/// What all rows hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::audience) enum Constant<'a> {
    Null,
    Number(i64),
    Text(&'a str),
}

impl Constant<'_> {
    /// The value by itself, and as a dictionary holds it.
    fn bytes(self) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        Ok(match self {
            Self::Null => None,
            Self::Number(number) => {
                let bytes = number.to_le_bytes().to_vec();
                Some((bytes.clone(), bytes))
            }
            Self::Text(text) => {
                let mut entry = whole::<_, u32>(text.len())?.to_le_bytes().to_vec();
                entry.extend(text.as_bytes());
                Some((text.into(), entry))
            }
        })
    }

    fn statistics(self, rows: usize) -> Result<Statistics> {
        let nulls = if self == Self::Null { whole(rows)? } else { 0 };
        let number = |value| Statistics::Int64(ValueStatistics::new(value, value, None, Some(nulls), false));
        Ok(match self {
            Self::Null => number(None),
            Self::Number(value) => number(Some(value)),
            Self::Text(text) => {
                let text = Some(ByteArray::from(text));
                Statistics::ByteArray(ValueStatistics::new(text.clone(), text, None, Some(nulls), false))
            }
        })
    }
}

/// So many rows of the value: one entry of a dictionary, and one run that refers to it.
pub(in crate::audience) fn constant(
    column: &ColumnDescPtr,
    value: Constant<'_>,
    rows: usize,
) -> Result<Chunk> {
    let mut pages = Pages::new(column, Compression::UNCOMPRESSED);
    let bytes = value.bytes()?;
    let mut body = vec![];
    if column.max_def_level() > 0 {
        let mut levels = vec![];
        run(rows, u8::from(bytes.is_some()), &mut levels);
        body.extend(whole::<_, u32>(levels.len())?.to_le_bytes());
        body.extend(levels);
    }
    let (encoding, bounds) = match bytes {
        None => (Encoding::PLAIN, Bounds { ends: None, nulls: rows }),
        Some((value, entry)) => {
            pages.dictionary(entry, 1);
            // The number of the entry takes one bit, and is 0.
            body.push(1);
            run(rows, 0, &mut body);
            (Encoding::RLE_DICTIONARY, Bounds { ends: Some((value.clone(), value)), nulls: 0 })
        }
    };
    let uncompressed = body.len();
    pages.page(body, uncompressed, encoding, rows, bounds)?;
    pages.finish(Some(value.statistics(rows)?))
}

/// A number of one bit, so many times, in Parquet's mix of runs and packed bits.
fn run(n: usize, number: u8, out: &mut Vec<u8>) {
    varint((n as u64) << 1, out);
    out.push(number);
}
