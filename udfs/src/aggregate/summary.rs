//! The accumulator of every function whose state is a set or a sketch: a value per group that
//! takes in rows one by one and can be merged with another.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeBinaryBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, Expr, GroupsAccumulator, Signature,
    Volatility,
};

use super::call::Call;

/// One function.
pub(crate) trait Summary: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    /// What the constants of a call say.
    type Options: Debug + Clone + Send + Sync;
    /// The value of a group.
    type State: Debug + Send + Sync;

    fn documentation(&self) -> Option<&Documentation>;
    /// The types the arguments are read as.
    fn coerce(types: &[DataType]) -> Result<Vec<DataType>>;
    /// Reads the constants of a call, and refuses those that will not do.
    fn bind(call: &Call) -> Result<Self::Options>;
    /// The value of a group that has no rows.
    fn empty(options: &Self::Options) -> Result<Self::State>;
    /// Takes in rows of the first argument: each is a row, never NULL, and the group it belongs to.
    fn update(states: &mut [Self::State], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()>;
    /// Takes in a state that [`Self::write`] wrote.
    fn merge(state: &mut Self::State, bytes: &[u8]) -> Result<()>;
    /// The state, which is the answer too.
    fn write(state: &mut Self::State) -> Result<Option<Vec<u8>>>;
    /// About the bytes of memory a state has on the heap.
    fn size(state: &Self::State) -> usize;
}

/// The aggregate function of a [`Summary`].
pub(crate) fn summary_udaf<S: Summary>() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(SummaryAggregate {
        summary: S::default(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SummaryAggregate<S> {
    summary: S,
    signature: Signature,
}

impl<S: Summary> SummaryAggregate<S> {
    fn groups(args: &AccumulatorArgs) -> Result<SummaryGroups<S>> {
        let options = S::bind(&Call::physical(S::NAME, args)?)?;
        Ok(SummaryGroups { options, states: vec![], size: 0 })
    }
}

impl<S: Summary> AggregateUDFImpl for SummaryAggregate<S> {
    fn name(&self) -> &str {
        S::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        S::coerce(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        // Nothing is rewritten: this is where constants are first seen, so that a wrong one is an
        // error of the plan and not of its execution.
        Some(Box::new(|call: AggregateFunction, context: &SimplifyContext| {
            if let Some(call) = Call::logical(S::NAME, &call, context)? {
                S::bind(&call)?;
            }
            Ok(Expr::AggregateFunction(call))
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "state");
        Ok(vec![Arc::new(Field::new(name, DataType::LargeBinary, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let mut groups = Self::groups(&args)?;
        groups.grow(1)?;
        Ok(Box::new(One(groups)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Self::groups(&args)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.summary.documentation()
    }
}

/// The states of all groups.
#[derive(Debug)]
struct SummaryGroups<S: Summary> {
    options: S::Options,
    states: Vec<S::State>,
    /// Of the states, on the heap.
    size: usize,
}

impl<S: Summary> SummaryGroups<S> {
    fn grow(&mut self, n_groups: usize) -> Result<()> {
        self.states.reserve(n_groups.saturating_sub(self.states.len()));
        while self.states.len() < n_groups {
            let state = S::empty(&self.options)?;
            self.size += S::size(&state);
            self.states.push(state);
        }
        Ok(())
    }

    /// Runs `change` and keeps count of the memory of the groups it may touch.
    fn counting(
        &mut self,
        touched: impl Iterator<Item = usize>,
        change: impl FnOnce(&mut [S::State]) -> Result<()>,
    ) -> Result<()> {
        let mut touched = touched.collect::<Vec<_>>();
        touched.sort_unstable();
        touched.dedup();
        let before = touched.iter().map(|group| S::size(&self.states[*group])).sum::<usize>();
        change(&mut self.states)?;
        let after = touched.iter().map(|group| S::size(&self.states[*group])).sum::<usize>();
        self.size = (self.size + after).saturating_sub(before);
        Ok(())
    }
}

impl<S: Summary> GroupsAccumulator for SummaryGroups<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups)?;
        let rows = wanted(&values[0], filter).map(|row| (row, group_indices[row])).collect::<Vec<_>>();
        self.counting(rows.iter().map(|(_, group)| *group), |states| S::update(states, &rows, &values[0]))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups)?;
        let bytes = values[0].as_binary::<i64>();
        let filled = || (0..bytes.len()).filter(|row| bytes.is_valid(*row));
        self.counting(filled().map(|row| group_indices[row]), |states| {
            filled().try_for_each(|row| S::merge(&mut states[group_indices[row]], bytes.value(row)))
        })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut states = emit_to.take_needed(&mut self.states);
        self.size = self.size.saturating_sub(states.iter().map(S::size).sum());
        let mut answers = LargeBinaryBuilder::with_capacity(states.len(), 0);
        for state in &mut states {
            answers.append_option(S::write(state)?);
        }
        Ok(Arc::new(answers.finish()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
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
            S::update(&mut state, &[(row, 0)], &values[0])?;
            states.append_option(S::write(&mut state[0])?);
        }
        Ok(vec![Arc::new(states.finish())])
    }

    fn size(&self) -> usize {
        self.size + self.states.capacity() * size_of::<S::State>()
    }
}

/// The rows that count: not NULL, and chosen by the filter.
fn wanted<'a>(values: &'a ArrayRef, filter: Option<&'a BooleanArray>) -> impl Iterator<Item = usize> + 'a {
    let nulls = values.logical_nulls();
    (0..values.len()).filter(move |row| {
        nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row))
            && filter.is_none_or(|filter| filter.is_valid(*row) && filter.value(*row))
    })
}

/// The state of one group.
#[derive(Debug)]
struct One<S: Summary>(SummaryGroups<S>);

impl<S: Summary> One<S> {
    fn written(&mut self) -> Result<ScalarValue> {
        match self.0.states.as_mut_slice() {
            [state] => Ok(ScalarValue::LargeBinary(S::write(state)?)),
            states => internal_err!("{} states of one group", states.len()),
        }
    }
}

impl<S: Summary> Accumulator for One<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values, &vec![0; values[0].len()], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &vec![0; states[0].len()], 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.written()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.written()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
