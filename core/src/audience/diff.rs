//! What an evaluation does to one audience: stored rows and members, both in the order of their keys, walked once.

use std::cmp::Ordering;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Scalar, StringViewArray, TimestampMicrosecondArray,
};
use arrow::compute::kernels::cmp;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;

use super::layout::{REALIZED, column};
use super::population::{Population, arrow, comparator};
use super::report::Change;
use crate::error::Result;

/// Stored rows of one audience, in the columns of `Layout::row_schema`.
pub(super) struct Stored {
    pub(super) keys: ArrayRef,
    realized: BooleanArray,
    entered_at: TimestampMicrosecondArray,
    last_qualified_at: TimestampMicrosecondArray,
    exited_at: TimestampMicrosecondArray,
}

/// Where the key of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// This one of the stored rows at hand.
    Stored(usize),
    /// This one of the population.
    Member(usize),
}

/// One row of the audience to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) realized: bool,
    pub(super) entered_at: i64,
    pub(super) last_qualified_at: i64,
    pub(super) exited_at: Option<i64>,
}

/// Takes the rows of the audience to come, in the order of their keys.
pub(super) trait Sink {
    fn row(&mut self, row: Row);
}

/// For those who want the counts only.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn row(&mut self, _: Row) {}
}

/// One walk over an audience.
pub(super) struct Diff<'a> {
    population: &'a Population,
    /// The members' places in the population, ascending.
    members: Vec<u32>,
    /// The first member not met yet.
    next: usize,
    as_of: i64,
    change: Change,
    exited_rows: u64,
}

/// What a walk came to.
pub(super) struct Walked {
    /// The places of the members after the last stored row, all of which enter.
    pub(super) entering: Vec<u32>,
    /// The counts, of these, too.
    pub(super) change: Change,
    /// Rows of the audience to come whose profile is no member.
    pub(super) exited_rows: u64,
}

impl Stored {
    pub(super) fn new(batch: &RecordBatch) -> Result<Self> {
        let realized = Scalar::new(StringViewArray::from(vec![REALIZED]));
        let instants = |at: usize| batch.column(at).as_primitive::<TimestampMicrosecondType>().clone();
        Ok(Self {
            keys: batch.column(column::KEY).clone(),
            realized: cmp::eq(batch.column(column::STATUS), &realized).map_err(arrow)?,
            entered_at: instants(column::ENTERED_AT),
            last_qualified_at: instants(column::LAST_QUALIFIED_AT),
            exited_at: instants(column::EXITED_AT),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many of the rows are of members.
    pub(super) fn members(&self) -> usize {
        self.realized.true_count()
    }
}

impl<'a> Diff<'a> {
    pub(super) fn new(population: &'a Population, members: Vec<u32>, as_of: i64) -> Self {
        // A bitmap of 32-bit positions has at most 2³² of them.
        let change = Change { members: members.len() as u64, ..Change::default() };
        Self { population, members, next: 0, as_of, change, exited_rows: 0 }
    }

    /// Walks on over stored rows; their keys follow those of the call before.
    pub(super) fn stored(&mut self, rows: &Stored, sink: &mut impl Sink) -> Result<()> {
        let order = comparator(&rows.keys, &self.population.keys)?;
        for at in 0..rows.len() {
            let mut member = false;
            while let Some(&place) = self.members.get(self.next) {
                match order(at, place as usize) {
                    Ordering::Less => break,
                    Ordering::Equal => member = true,
                    Ordering::Greater => self.enter(place, sink),
                }
                self.next += 1;
                if member {
                    break;
                }
            }
            sink.row(self.again(rows, at, member));
        }
        Ok(())
    }

    /// What all of it comes to, when no stored rows are left.
    pub(super) fn finish(mut self) -> Walked {
        let entering = self.members.split_off(self.next);
        self.change.entered += entering.len() as u64;
        Walked { entering, change: self.change, exited_rows: self.exited_rows }
    }

    /// A member that no row told of.
    fn enter(&mut self, place: u32, sink: &mut impl Sink) {
        self.change.entered += 1;
        sink.row(Row {
            key: Key::Member(place as usize),
            realized: true,
            entered_at: self.as_of,
            last_qualified_at: self.as_of,
            exited_at: None,
        });
    }

    /// The row of a profile that has one already.
    fn again(&mut self, rows: &Stored, at: usize, member: bool) -> Row {
        let mut row = Row {
            key: Key::Stored(at),
            realized: member,
            entered_at: rows.entered_at.value(at),
            last_qualified_at: rows.last_qualified_at.value(at),
            exited_at: rows.exited_at.is_valid(at).then(|| rows.exited_at.value(at)),
        };
        match (rows.realized.value(at), member) {
            (true, true) => row.last_qualified_at = self.as_of,
            (false, true) => {
                self.change.entered += 1;
                (row.entered_at, row.last_qualified_at, row.exited_at) = (self.as_of, self.as_of, None);
            }
            (true, false) => {
                self.change.exited += 1;
                row.exited_at = Some(self.as_of);
            }
            (false, false) => {}
        }
        self.exited_rows += u64::from(!member);
        row
    }
}
