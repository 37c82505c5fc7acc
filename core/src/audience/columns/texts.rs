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
use super::packed::pack;

/// Rows of a page: a look at one key decompresses no more.
const PAGE: usize = 20_000;

/// Of so many texts the beginning and the end are looked at before the first is worked on. They are strewn over more
/// memory than the cache holds, and these looks do not wait for each other.
const AT_ONCE: usize = 32;

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
#[derive(Default)]
struct InMaking {
    first: Vec<u8>,
    /// How many bytes of each are those of the one before, and how many are not.
    prefixes: Vec<i32>,
    suffixes: Vec<i32>,
    bytes: Vec<u8>,
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
            page: InMaking::default(),
        })
    }

    /// Adds texts that follow those before in order.
    pub(in crate::audience) fn add<'a>(&mut self, mut texts: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let before = std::mem::take(&mut self.last);
        let mut last = before.as_slice();
        let mut group = [last; AT_ONCE];
        loop {
            let (mut n, mut touched) = (0, 0);
            for (place, text) in group.iter_mut().zip(&mut texts) {
                touched ^= text.first().unwrap_or(&0) ^ text.last().unwrap_or(&0);
                *place = text;
                n += 1;
            }
            std::hint::black_box(touched);
            if n == 0 {
                break;
            }
            for text in &group[..n] {
                self.put(last, text)?;
                last = text;
            }
        }
        self.last = last.to_vec();
        Ok(())
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
        let InMaking { first, prefixes, suffixes, bytes } = &mut self.page;
        let mut body = Vec::with_capacity(bytes.len() + prefixes.len());
        pack(prefixes, &mut body);
        pack(suffixes, &mut body);
        body.append(bytes);
        let mut compressed = Vec::with_capacity(compress_bound(body.len()));
        self.compressor.compress_to_buffer(&body, &mut compressed)?;
        let ends = [first.len(), last.len()].iter().all(|&length| length <= self.longest_bound);
        let ends = ends.then(|| (std::mem::take(first), last.to_vec()));
        let bounds = Bounds { ends, nulls: 0 };
        self.pages.page(compressed, body.len(), Encoding::DELTA_BYTE_ARRAY, prefixes.len(), bounds)?;
        prefixes.clear();
        suffixes.clear();
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
