//! The rows an aggregate has to remember, of all groups in three flat columns.
//!
//! A row costs 12 bytes and its payload, a group costs nothing: there is no object per group. Rows
//! that arrive group by group (input sorted by key) are handed on as they are, others are dealt
//! to their groups by one counting pass when the answers are due. The same goes for time within a
//! group: it is sorted only where it is not sorted already.

use std::cmp::Ordering;

/// Rows of many groups in the order they came.
#[derive(Debug)]
pub struct EventBuffer<P> {
    /// Group number of each row, counted from the first group ever (not from the first still here),
    /// so that groups may leave without every remaining row being renumbered.
    groups: Vec<u32>,
    ticks: Vec<i64>,
    payload: Vec<P>,
    /// Rows before this one have left.
    head: usize,
    /// Groups before this one have left.
    base: u32,
    /// Whether group numbers never decrease.
    in_order: bool,
}

impl<P> Default for EventBuffer<P> {
    fn default() -> Self {
        Self { groups: vec![], ticks: vec![], payload: vec![], head: 0, base: 0, in_order: true }
    }
}

/// More groups than the buffer can number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyGroups;

impl<P: Copy> EventBuffer<P> {
    /// Remembers one row. Groups are counted from the first that has not left yet.
    #[inline]
    pub fn push(&mut self, group: usize, tick: i64, payload: P) -> Result<(), TooManyGroups> {
        let group = self.number(group)?;
        self.in_order = self.in_order && self.groups.last().is_none_or(|last| *last <= group);
        self.groups.push(group);
        self.ticks.push(tick);
        self.payload.push(payload);
        Ok(())
    }

    /// Remembers several rows of one group.
    pub fn extend(&mut self, group: usize, ticks: &[i64], payload: &[P]) -> Result<(), TooManyGroups> {
        debug_assert_eq!(ticks.len(), payload.len());
        if ticks.is_empty() {
            return Ok(());
        }
        let group = self.number(group)?;
        self.in_order = self.in_order && self.groups.last().is_none_or(|last| *last <= group);
        self.groups.resize(self.groups.len() + ticks.len(), group);
        self.ticks.extend_from_slice(ticks);
        self.payload.extend_from_slice(payload);
        Ok(())
    }

    /// Takes the rows of the first `n` groups; the group that was `n` is 0 from now on.
    pub fn take_first(&mut self, n: usize) -> Result<Grouped<P>, TooManyGroups> {
        self.arrange();
        let end_group = self.number(n)?;
        let end = self.head + self.groups[self.head..].partition_point(|group| *group < end_group);
        let taken = Grouped::new(
            offsets(&self.groups[self.head..end], self.base, n),
            self.ticks[self.head..end].to_vec(),
            self.payload[self.head..end].to_vec(),
        );
        self.head = end;
        self.base = end_group;
        // Dropping what has left costs a copy of what remains, so it waits until that is the smaller part.
        if self.head * 2 >= self.groups.len() {
            self.compact();
        }
        Ok(taken)
    }

    /// Takes all rows, of `n` groups, and starts over.
    pub fn take_all(&mut self, n: usize) -> Grouped<P> {
        self.arrange();
        self.compact();
        let all = std::mem::take(self);
        Grouped::new(offsets(&all.groups, 0, n), all.ticks, all.payload)
    }

    /// All rows as one group; they stay.
    pub fn as_one_group(&self) -> Grouped<P> {
        let (ticks, payload) = (&self.ticks[self.head..], &self.payload[self.head..]);
        Grouped::new(vec![0, ticks.len()], ticks.to_vec(), payload.to_vec())
    }

    /// Takes the row that came first of those still here.
    pub fn pop_first(&mut self) -> Option<(i64, P)> {
        let row = (*self.ticks.get(self.head)?, *self.payload.get(self.head)?);
        self.head += 1;
        if self.head * 2 >= self.groups.len() {
            self.compact();
        }
        Some(row)
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.groups.capacity() * size_of::<u32>()
            + self.ticks.capacity() * size_of::<i64>()
            + self.payload.capacity() * size_of::<P>()
    }

    #[inline]
    fn number(&mut self, group: usize) -> Result<u32, TooManyGroups> {
        let group = u32::try_from(group).map_err(|_| TooManyGroups)?;
        match self.base.checked_add(group) {
            Some(number) => Ok(number),
            None => {
                self.compact();
                self.base.checked_add(group).ok_or(TooManyGroups)
            }
        }
    }

    fn compact(&mut self) {
        self.groups.drain(..self.head);
        self.ticks.drain(..self.head);
        self.payload.drain(..self.head);
        self.head = 0;
        self.groups.iter_mut().for_each(|group| *group -= self.base);
        self.base = 0;
        self.in_order = self.in_order || self.groups.is_empty();
    }

    /// Deals the rows to their groups, keeping the order of arrival within each.
    fn arrange(&mut self) {
        if self.in_order {
            return;
        }
        self.compact();
        let n = self.groups.iter().max().map_or(0, |last| *last as usize + 1);
        let mut place = offsets(&self.groups, 0, n);
        let mut groups = self.groups.clone();
        let mut ticks = self.ticks.clone();
        let mut payload = self.payload.clone();
        for ((group, tick), load) in self.groups.iter().zip(&self.ticks).zip(&self.payload) {
            let at = &mut place[*group as usize];
            groups[*at] = *group;
            ticks[*at] = *tick;
            payload[*at] = *load;
            *at += 1;
        }
        (self.groups, self.ticks, self.payload) = (groups, ticks, payload);
        self.in_order = true;
    }
}

/// Where each of `n` groups starts, and where the last one ends.
fn offsets(groups: &[u32], base: u32, n: usize) -> Vec<usize> {
    let mut offsets = vec![0; n + 1];
    for group in groups {
        offsets[(*group - base) as usize + 1] += 1;
    }
    for group in 0..n {
        offsets[group + 1] += offsets[group];
    }
    offsets
}

/// Rows dealt to their groups.
#[derive(Debug)]
pub struct Grouped<P> {
    offsets: Vec<usize>,
    ticks: Vec<i64>,
    payload: Vec<P>,
}

impl<P: Copy> Grouped<P> {
    /// Group `i` owns the rows from `offsets[i]` up to `offsets[i + 1]`.
    pub fn new(offsets: Vec<usize>, ticks: Vec<i64>, payload: Vec<P>) -> Self {
        debug_assert_eq!(ticks.len(), payload.len());
        debug_assert_eq!(offsets.last(), Some(&ticks.len()));
        Self { offsets, ticks, payload }
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of each group.
    pub fn iter(&self) -> impl Iterator<Item = (&[i64], &[P])> {
        self.offsets.windows(2).map(|pair| {
            let rows = pair[0]..pair[1];
            (&self.ticks[rows.clone()], &self.payload[rows])
        })
    }

    /// The number of rows in each group.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0])
    }

    /// The columns, all groups on end.
    pub fn into_columns(self) -> (Vec<i64>, Vec<P>) {
        (self.ticks, self.payload)
    }

    /// Sorts each group by time; `ties` decides between rows of one time.
    pub fn sort_by(&mut self, mut ties: impl FnMut(&P, &P) -> Ordering) {
        let mut scratch = vec![];
        for pair in self.offsets.windows(2) {
            let rows = pair[0]..pair[1];
            sort_rows(&mut self.ticks[rows.clone()], &mut self.payload[rows], &mut scratch, &mut ties);
        }
    }

    /// Sorts each group by time, rows of one time by their payload.
    pub fn sort(&mut self)
    where
        P: Ord,
    {
        self.sort_by(Ord::cmp);
    }
}

fn sort_rows<P: Copy>(
    ticks: &mut [i64],
    payload: &mut [P],
    scratch: &mut Vec<(i64, P)>,
    ties: &mut impl FnMut(&P, &P) -> Ordering,
) {
    let sorted = (1..ticks.len()).all(|i| match ticks[i - 1].cmp(&ticks[i]) {
        Ordering::Less => true,
        Ordering::Equal => ties(&payload[i - 1], &payload[i]) != Ordering::Greater,
        Ordering::Greater => false,
    });
    if sorted {
        return;
    }
    scratch.clear();
    scratch.extend(ticks.iter().copied().zip(payload.iter().copied()));
    scratch.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| ties(&a.1, &b.1)));
    for ((tick, load), row) in ticks.iter_mut().zip(payload).zip(&*scratch) {
        (*tick, *load) = *row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(grouped: &Grouped<u32>) -> Vec<Vec<(i64, u32)>> {
        grouped.iter().map(|(t, p)| t.iter().copied().zip(p.iter().copied()).collect()).collect()
    }

    #[test]
    fn deals_rows_to_groups() {
        let mut buffer = EventBuffer::default();
        for (group, tick, load) in [(1, 5, 1), (0, 9, 2), (1, 3, 4), (3, 1, 8)] {
            buffer.push(group, tick, load).unwrap();
        }
        let mut all = buffer.take_all(5);
        assert_eq!(rows(&all), [vec![(9, 2)], vec![(5, 1), (3, 4)], vec![], vec![(1, 8)], vec![]]);
        all.sort();
        assert_eq!(rows(&all)[1], [(3, 4), (5, 1)]);
        assert_eq!(rows(&buffer.take_all(2)), [vec![], vec![]]);
    }

    #[test]
    fn groups_leave_piece_by_piece() {
        let mut buffer = EventBuffer::default();
        for i in 0..40 {
            buffer.push(i % 4, i64::try_from(i).unwrap(), 0).unwrap();
        }
        assert_eq!(rows(&buffer.take_first(1).unwrap())[0].len(), 10);
        // What was group 3 is group 2 now.
        buffer.extend(2, &[100, 101], &[7, 7]).unwrap();
        buffer.push(5, 102, 7).unwrap();
        let two = rows(&buffer.take_first(2).unwrap());
        assert_eq!((two[0].len(), two[1].len()), (10, 10));
        buffer.push(0, 103, 7).unwrap();
        let rest = rows(&buffer.take_all(4));
        assert_eq!(rest.iter().map(Vec::len).collect::<Vec<_>>(), [13, 0, 0, 1]);
        assert_eq!(rest[0][10..], [(100, 7), (101, 7), (103, 7)]);
    }

    #[test]
    fn ties_are_ordered_by_payload() {
        let mut one = Grouped::new(vec![0, 3], vec![2, 1, 1], vec![0_u32, 9, 3]);
        one.sort();
        assert_eq!(rows(&one), [[(1, 3), (1, 9), (2, 0)]]);
    }
}
