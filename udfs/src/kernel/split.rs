//! Which share of a whole a key falls into: the same on every machine, forever.

use md5::{Digest, Md5};

/// The first 32 bits of the MD5 of `salt`, a colon and `key`.
///
/// MD5 is broken as a signature and does not matter here as one: it spreads evenly, and it is the
/// one hash that Postgres, DuckDB, Snowflake, BigQuery, Spark and MySQL all have as a function.
pub fn hash(salt: &str, key: &str) -> u32 {
    let mut md5 = Md5::new();
    md5.update(salt);
    md5.update(":");
    md5.update(key);
    let digest = md5.finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// Shares of a whole, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// The sums of the first one, two, … weights.
    ends: Vec<u64>,
}

impl Shares {
    /// The greatest sum of weights: with it, a hash times the sum fits a signed 64-bit integer,
    /// which is what other databases compute with.
    pub const MAX_TOTAL: u64 = i32::MAX as u64;

    /// `None` if there are no weights, one is zero, or their sum is over [`Self::MAX_TOTAL`].
    pub fn new(weights: &[u64]) -> Option<Self> {
        let mut total = 0_u64;
        let mut ends = Vec::with_capacity(weights.len());
        for weight in weights {
            total = total.checked_add(*weight)?;
            if *weight == 0 || total > Self::MAX_TOTAL {
                return None;
            }
            ends.push(total);
        }
        (!ends.is_empty()).then_some(Self { ends })
    }

    /// The share a hash falls into, from 0.
    pub fn index(&self, hash: u32) -> usize {
        let total = self.ends.last().copied().unwrap_or_default();
        let point = (u64::from(hash) * total) >> 32;
        self.ends.partition_point(|end| *end <= point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_head_of_the_published_md5() {
        // As `printf a:b | md5sum` prints: d8160c9b3dc20d4e931aeb4f45262155.
        assert_eq!(hash("a", "b"), 0xd816_0c9b);
    }

    #[test]
    fn shares_cut_the_range_of_hashes_in_proportion() {
        let shares = Shares::new(&[1, 2, 1]).unwrap();
        let quarter = 1_u32 << 30;
        let at = [0, quarter - 1, quarter, 3 * quarter - 1, 3 * quarter, u32::MAX];
        assert_eq!(at.map(|hash| shares.index(hash)), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn growing_the_last_share_moves_keys_only_towards_it() {
        let (before, after) = (Shares::new(&[90, 10]).unwrap(), Shares::new(&[80, 20]).unwrap());
        for key in 0..1_000 {
            let hash = hash("x", &key.to_string());
            assert!(before.index(hash) <= after.index(hash));
        }
    }

    #[test]
    fn weights_that_make_no_whole() {
        assert_eq!(Shares::new(&[]), None);
        assert_eq!(Shares::new(&[1, 0]), None);
        assert_eq!(Shares::new(&[Shares::MAX_TOTAL, 1]), None);
        assert_eq!(Shares::new(&[u64::MAX, 1]), None);
        assert!(Shares::new(&[Shares::MAX_TOTAL]).is_some());
    }
}
