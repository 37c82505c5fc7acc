//! The state of every function whose state is a set or a sketch: a value per group that takes in
//! rows one by one and can be merged with another.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeBinaryBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Documentation, EmitTo, GroupsAccumulator};

use super::call::Call;
use super::events::truths;
use super::function::{Aggregate, Groups};

/// The value of a group.
pub(crate) trait Summary: Debug + Sized + Send + Sync + 'static {
    /// What the constants of a call say.
    type Options: Debug + Send + Sync;

    /// What they say where there are none.
    const DEFAULT: Self::Options;

    /// Reads the constants of a call.
    fn options(call: &Call) -> Result<Self::Options>;

    /// The value of a group that has no rows.
    fn empty(options: &Self::Options) -> Result<Self>;

    /// Takes in what [`Self::write`] wrote.
    fn merge(&mut self, bytes: &[u8]) -> Result<()>;

    /// The value as bytes, which is the state and the answer too.
    fn write(&mut self) -> Result<Option<Vec<u8>>>;

    /// About the bytes of memory the value has on the heap.
    fn size(&self) -> usize;
}

/// One function: what it collects, and from what. [`Collected`] makes it an aggregate.
pub(crate) trait Collect: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    /// What is kept of a group, and the answer.
    type State: Summary;

    fn documentation(&self) -> Option<&Documentation>;

    /// The types the arguments are read as, or what is wrong with them.
    fn coerce(types: &[DataType]) -> Result<Vec<DataType>>;

    /// Takes rows in: each is a row of the first argument, never NULL, and the group it belongs to. Unless said
    /// otherwise the argument is what another such function has made, and one is made of all.
    fn update(states: &mut [Self::State], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()> {
        let summaries = values.as_binary::<i64>();
        rows.iter().try_for_each(|(row, group)| states[*group].merge(summaries.value(*row)))
    }
}

/// The function of a [`Collect`].
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Collected<C>(C);

impl<C: Collect> Aggregate for Collected<C> {
    const NAME: &'static str = C::NAME;
    type Groups = SummaryGroups<C::State>;

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        C::coerce(types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        let mut nothing = C::State::empty(&C::State::DEFAULT)?;
        Ok(ScalarValue::LargeBinary(nothing.write()?))
    }

    fn bind(call: &Call) -> Result<Self::Groups> {
        Ok(SummaryGroups { options: C::State::options(call)?, update: C::update, states: vec![], size: 0 })
    }
}

/// How rows are taken in, as [`Collect::update`] does it.
type Update<S> = fn(states: &mut [S], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()>;

/// The values of all groups.
#[derive(Debug)]
pub(crate) struct SummaryGroups<S: Summary> {
    options: S::Options,
    update: Update<S>,
    states: Vec<S>,
    /// Of the states, on the heap.
    size: usize,
}

impl<S: Summary> SummaryGroups<S> {
    /// Runs `change` on the rows that count and keeps count of the memory of their groups.
    fn change(
        &mut self,
        mut rows: Vec<(usize, usize)>,
        change: impl FnOnce(&mut [S], &[(usize, usize)]) -> Result<()>,
    ) -> Result<()> {
        let size = |states: &[S], touched: &[(usize, usize)]| {
            touched.iter().map(|(_, group)| states[*group].size()).sum::<usize>()
        };
        // Group by group, so that each is counted once and stays in the cache while it changes.
        if !rows.is_sorted_by_key(|(_, group)| *group) {
            rows.sort_by_key(|(_, group)| *group);
        }
        let touched = rows.chunk_by(|a, b| a.1 == b.1).map(|run| run[0]).collect::<Vec<_>>();
        let before = size(&self.states, &touched);
        change(&mut self.states, &rows)?;
        self.size = (self.size + size(&self.states, &touched)).saturating_sub(before);
        Ok(())
    }
}

impl<S: Summary> Groups for SummaryGroups<S> {
    fn state_fields(_: &[DataType]) -> Vec<(&'static str, DataType, bool)> {
        vec![("state", DataType::LargeBinary, true)]
    }

    fn grow(&mut self, n_groups: usize) -> Result<()> {
        self.states.reserve(n_groups.saturating_sub(self.states.len()));
        while self.states.len() < n_groups {
            let state = S::empty(&self.options)?;
            self.size += state.size();
            self.states.push(state);
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<ArrayRef> {
        write_all(&mut self.states)
    }
}

impl<S: Summary> GroupsAccumulator for SummaryGroups<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.grow(n_groups)?;
        let update = self.update;
        let rows = wanted(&values[0], filter).map(|row| (row, groups[row])).collect();
        self.change(rows, |states, rows| update(states, rows, &values[0]))
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.grow(n_groups)?;
        let bytes = state[0].as_binary::<i64>();
        let rows = wanted(&state[0], None).map(|row| (row, groups[row])).collect();
        self.change(rows, |states, rows| {
            rows.iter().try_for_each(|(row, group)| states[*group].merge(bytes.value(*row)))
        })
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let mut states = emit.take_needed(&mut self.states);
        self.size = self.size.saturating_sub(states.iter().map(S::size).sum());
        write_all(&mut states)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut wanted = wanted(&values[0], filter).peekable();
        let mut states = LargeBinaryBuilder::with_capacity(values[0].len(), 0);
        for row in 0..values[0].len() {
            if wanted.next_if_eq(&row).is_none() {
                states.append_null();
                continue;
            }
            let mut state = [S::empty(&self.options)?];
            (self.update)(&mut state, &[(row, 0)], &values[0])?;
            states.append_option(state[0].write()?);
        }
        Ok(vec![Arc::new(states.finish())])
    }

    fn size(&self) -> usize {
        self.size + self.states.capacity() * size_of::<S>()
    }
}

fn write_all<S: Summary>(states: &mut [S]) -> Result<ArrayRef> {
    let mut written = LargeBinaryBuilder::with_capacity(states.len(), 0);
    for state in states {
        written.append_option(state.write()?);
    }
    Ok(Arc::new(written.finish()))
}

/// The rows that count: not NULL, and chosen by the filter.
fn wanted(values: &ArrayRef, filter: Option<&BooleanArray>) -> impl Iterator<Item = usize> + use<> {
    let nulls = values.logical_nulls();
    let filter = filter.map(truths);
    (0..values.len()).filter(move |row| {
        nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row))
            && filter.as_ref().is_none_or(|filter| filter.value(*row))
    })
}
