//! How often each value came in each group.

/// Counts by group and value. Repeats are folded together now and then, so that memory stays
/// within a small factor of the number of different (group, value) pairs.
#[derive(Debug, Default)]
pub struct Counts {
    entries: Vec<Entry>,
    /// The first so many entries are sorted and different.
    folded: usize,
}

/// One value of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The group.
    pub group: u32,
    /// The value, by number.
    pub value: u32,
    /// How often it came.
    pub count: i64,
}

/// Below this many entries folding is not worth its while.
const MIN_FOLD: usize = 1024;

impl Counts {
    /// Counts a value; a negative count takes back.
    pub fn add(&mut self, group: u32, value: u32, count: i64) {
        if self.entries.len() > MIN_FOLD.max(self.folded * 2) {
            self.fold();
        }
        self.entries.push(Entry { group, value, count });
    }

    /// The entries, sorted by group and value, each with a count above 0.
    pub fn entries(&mut self) -> &[Entry] {
        self.fold();
        &self.entries
    }

    /// Takes the entries of the first `n` groups; group `n` is 0 from now on.
    pub fn take_first(&mut self, n: u32) -> Vec<Entry> {
        self.fold();
        let end = self.entries.partition_point(|entry| entry.group < n);
        let rest = self.entries.split_off(end);
        let taken = std::mem::replace(&mut self.entries, rest);
        self.entries.iter_mut().for_each(|entry| entry.group -= n);
        self.folded = self.entries.len();
        taken
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    fn fold(&mut self) {
        if self.folded < self.entries.len() {
            self.entries.sort_unstable_by_key(|entry| (entry.group, entry.value));
            self.entries.dedup_by(|next, first| {
                let same = (next.group, next.value) == (first.group, first.value);
                if same {
                    first.count += next.count;
                }
                same
            });
            self.entries.retain(|entry| entry.count > 0);
        }
        self.folded = self.entries.len();
    }
}

/// The value that came most often in each of `n_groups` groups; none where several did.
pub fn modes(entries: &[Entry], n_groups: usize) -> Vec<Option<u32>> {
    let mut modes = vec![None; n_groups];
    for of_group in entries.chunk_by(|a, b| a.group == b.group) {
        let most = of_group.iter().map(|entry| entry.count).max();
        let mut best = of_group.iter().filter(|entry| Some(entry.count) == most);
        if let (Some(one), None) = (best.next(), best.next()) {
            modes[one.group as usize] = Some(one.value);
        }
    }
    modes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_is_none_on_a_tie() {
        let mut counts = Counts::default();
        for (group, value) in [(0, 7), (0, 7), (0, 8), (2, 1), (2, 2)] {
            counts.add(group, value, 1);
        }
        assert_eq!(modes(counts.entries(), 4), [Some(7), None, None, None]);
        counts.add(2, 1, -1);
        assert_eq!(modes(counts.entries(), 3), [Some(7), None, Some(2)]);
        assert_eq!(counts.take_first(1).len(), 2);
        assert_eq!(modes(counts.entries(), 2), [None, Some(2)]);
    }

    #[test]
    fn repeats_do_not_pile_up() {
        let mut counts = Counts::default();
        (0..100_000).for_each(|i| counts.add(i % 3, 0, 1));
        assert!(counts.size() < 100_000);
        assert_eq!(counts.entries().iter().map(|entry| entry.count).sum::<i64>(), 100_000);
    }
}
