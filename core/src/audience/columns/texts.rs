//! A column of different texts or bytes in ascending order, as Parquet's `DELTA_BYTE_ARRAY`: of each what differs from
//! the one before.

use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::data_type::ByteArray;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::statistics::{Statistics, ValueStatistics};
use datafusion::parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::chunk::{Bounds, Chunk, Pages, whole};
use super::packed::{most, pack};

/// Rows of a page: a look at one key decompresses no more.
const PAGE: usize = 20_000;

/// Where the texts of a page begin, so that what comes before them in the file has room, however long it is.
const ROOM: usize = 2 * most(PAGE);

/// Bytes that are rarely exceeded by what differs of a key.
const USUAL: usize = 40;

const LEVEL: i32 = 1;

/// Without what repeats, hardly anything is found twice. Looking for it in a table of 64 places instead of 8,192 halves
/// the time and costs nothing of the size.
const SEARCH: [CParameter; 2] = [CParameter::HashLog(6), CParameter::MinMatch(7)];

/// The column in the making.
pub(in crate::audience) struct Texts {
    pages: Pages,
    compressor: Compressor<'static>,
    /// Longer ones are no bounds.
    longest_bound: usize,
    first: Option<Vec<u8>>,
    last: Vec<u8>,
    page: InMaking,
}

/// The page in the making.
struct InMaking {
    first: Vec<u8>,
    /// How many bytes of each are those of the one before, and how many are not.
    prefixes: Vec<i32>,
    suffixes: Vec<i32>,
    /// Those that are not, after the room for the numbers of them.
    bytes: Vec<u8>,
    numbers: Vec<u8>,
}

impl InMaking {
    fn new() -> Self {
        // What is not used of it is only addresses.
        let mut bytes = Vec::with_capacity(ROOM + PAGE * USUAL);
        bytes.resize(ROOM, 0);
        let [prefixes, suffixes] = [(); 2].map(|()| Vec::with_capacity(PAGE));
        Self { first: vec![], prefixes, suffixes, bytes, numbers: vec![] }
    }
}

impl Texts {
    pub(in crate::audience) fn new(column: &ColumnDescPtr, longest_bound: usize) -> Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        for parameter in SEARCH {
            compressor.set_parameter(parameter)?;
        }
        Ok(Self {
            pages: Pages::new(column, Compression::ZSTD(ZstdLevel::try_new(LEVEL)?)),
            compressor,
            longest_bound,
            first: None,
            last: vec![],
            page: InMaking::new(),
        })
    }

    /// Adds texts that follow those before in order.
    pub(in crate::audience) fn add<'a>(&mut self, texts: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let mut before = std::mem::take(&mut self.last);
        let mut last = None;
        for text in texts {
            self.put(last.unwrap_or(&before), text)?;
            last = Some(text);
        }
        if let Some(last) = last {
            before.clear();
            before.extend_from_slice(last);
        }
        self.last = before;
        Ok(())
    }

    /// The bytes that it takes in the file at most, as far as it has come.
    pub(in crate::audience) fn bytes(&self) -> usize {
        let numbers = 2 * size_of::<i32>() * self.page.prefixes.len();
        self.pages.bytes() + compress_bound(self.page.bytes.len() - ROOM + numbers)
    }

    fn put(&mut self, mut last: &[u8], text: &[u8]) -> Result<()> {
        if self.page.prefixes.len() == PAGE {
            self.close_page(last)?;
        }
        if self.page.prefixes.is_empty() {
            self.page.first = text.to_vec();
            self.first.get_or_insert_with(|| text.to_vec());
            last = &[];
        }
        let prefix = common(last, text);
        self.page.prefixes.push(whole(prefix)?);
        self.page.suffixes.push(whole(text.len() - prefix)?);
        self.page.bytes.extend_from_slice(&text[prefix..]);
        Ok(())
    }

    fn close_page(&mut self, last: &[u8]) -> Result<()> {
        let InMaking { first, prefixes, suffixes, bytes, numbers } = &mut self.page;
        numbers.clear();
        pack(prefixes, numbers);
        pack(suffixes, numbers);
        let start = ROOM - numbers.len();
        bytes[start..ROOM].copy_from_slice(numbers);
        let body = &bytes[start..];
        let (mut compressed, uncompressed) = (Vec::with_capacity(compress_bound(body.len())), body.len());
        self.compressor.compress_to_buffer(body, &mut compressed)?;
        let ends = [first.len(), last.len()].iter().all(|&length| length <= self.longest_bound);
        let ends = ends.then(|| (std::mem::take(first), last.to_vec()));
        let bounds = Bounds { ends, nulls: 0 };
        self.pages.page(compressed, uncompressed, Encoding::DELTA_BYTE_ARRAY, prefixes.len(), bounds)?;
        prefixes.clear();
        suffixes.clear();
        bytes.truncate(ROOM);
        Ok(())
    }

    pub(in crate::audience) fn finish(mut self) -> Result<Chunk> {
        let last = std::mem::take(&mut self.last);
        if !self.page.prefixes.is_empty() {
            self.close_page(&last)?;
        }
        let ends = self.first.take().filter(|first| first.len().max(last.len()) <= self.longest_bound);
        let [low, high] = [ends.clone(), ends.map(|_| last)].map(|end| end.map(ByteArray::from));
        self.pages.finish(Some(Statistics::ByteArray(ValueStatistics::new(low, high, None, Some(0), false))))
    }
}

/// How many bytes both begin with, looking at eight at a time.
fn common(left: &[u8], right: &[u8]) -> usize {
    let [left_words, right_words] = [left, right].map(|bytes| bytes.as_chunks::<8>().0);
    for (at, (left, right)) in left_words.iter().zip(right_words).enumerate() {
        let differ = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if differ != 0 {
            return at * 8 + differ.trailing_zeros() as usize / 8;
        }
    }
    let alike = left_words.len().min(right_words.len()) * 8;
    alike + left[alike..].iter().zip(&right[alike..]).take_while(|(left, right)| left == right).count()
}
