//! The sample shop: profiles, a year of their events, and the products, as Parquet files.
//!
//! The same seed and number of profiles give the same bytes on every machine. Each customer has a random stream of
//! its own, so customers are made in any order, by any number of threads, and again for each slice of time when
//! their events do not all fit in memory.

mod catalog;
mod person;
mod random;
mod table;
mod visit;
mod words;
mod write;

use std::path::Path;

use crate::error::Result;

/// The instant of the sample data: every event lies in the year before it.
pub(super) const NOW_TEXT: &str = "2026-06-15T12:00:00Z";

/// [`NOW_TEXT`] in microseconds since 1970.
const NOW: i64 = 1_781_524_800 * SECOND;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
const START: i64 = NOW - 365 * DAY;

const SEED: u64 = 20_260_615;

/// How much was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Size {
    pub(super) profiles: u32,
    pub(super) events: u64,
    pub(super) products: usize,
}

/// Writes the shop below `folder`: `profiles/`, `events/`, `products/`. Tells `progress` how many steps of how many
/// are done.
pub(super) fn make(folder: &Path, profiles: u32, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Size> {
    write::shop(folder, profiles, progress)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_shop_is_the_same_on_every_machine() {
        assert_eq!(NOW_TEXT.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros(), NOW);
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let size = make(one.path(), 500, &|_, _| ()).unwrap();
        assert_eq!(size, make(two.path(), 500, &|_, _| ()).unwrap());
        // Numbers in the documentation depend on it.
        assert_eq!(size, Size { profiles: 500, events: 8298, products: 279 });
        for file in ["profiles/part-00000.parquet", "events/2026-06.parquet", "products/products.parquet"] {
            assert_eq!(fs::read(one.path().join(file)).unwrap(), fs::read(two.path().join(file)).unwrap());
        }
        assert_eq!(fs::read_dir(one.path().join("events")).unwrap().count(), 13);
    }
}
