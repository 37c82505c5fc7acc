//! What an aggregate function says of itself, and the accumulators DataFusion asks it for.
//!
//! A function has one implementation, its [`Groups`]: the state of all groups in one object. The
//! accumulator of a single group is that with one group; where rows cannot be taken back, a
//! moving window frame is answered from its rows again.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, Expr, GroupsAccumulator, Signature,
    Volatility,
};

use super::call::Call;

/// One aggregate function.
pub(crate) trait Aggregate: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    type Groups: Groups;

    fn documentation(&self) -> Option<&Documentation>;

    /// The types the arguments are read as, or what is wrong with them.
    fn coerce(types: &[DataType]) -> Result<Vec<DataType>>;

    /// The type of the answer.
    fn return_type(types: &[DataType]) -> Result<DataType>;

    /// The answer where there is no row at all.
    fn empty(return_type: &DataType) -> Result<ScalarValue> {
        ScalarValue::try_from(return_type)
    }

    /// Reads the constants of a call, or says what is wrong with them.
    fn bind(call: &Call) -> Result<Self::Groups>;
}

/// The state of all groups of a call.
pub(crate) trait Groups: GroupsAccumulator + Debug + Sync + 'static {
    /// Whether rows can be taken back.
    const RETRACTS: bool = false;

    /// Name, type and nullability of the columns of a state, for arguments of these types.
    fn state_fields(types: &[DataType]) -> Vec<(&'static str, DataType, bool)>;

    /// Makes room for so many groups.
    fn grow(&mut self, n_groups: usize) -> Result<()>;

    /// The answer of the only group, which stays as it is: a window asks after every row.
    fn peek(&mut self) -> Result<ArrayRef>;

    /// Takes rows of the only group back, which leave in the order in which they came.
    fn retract(&mut self, _values: &[ArrayRef]) -> Result<()> {
        internal_err!("rows are taken back from a state that cannot")
    }
}

/// The function as DataFusion knows it.
pub(crate) fn udaf<F: Aggregate>() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(Udaf {
        function: F::default(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Udaf<F> {
    function: F,
    signature: Signature,
}

impl<F: Aggregate> Udaf<F> {
    fn one_group(args: &AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let mut groups = F::bind(&Call::physical(F::NAME, args)?)?;
        groups.grow(1)?;
        Ok(Box::new(OneGroup { groups, zeros: vec![] }))
    }
}

impl<F: Aggregate> AggregateUDFImpl for Udaf<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        F::coerce(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        F::return_type(types)
    }

    fn is_nullable(&self) -> bool {
        // The type does not matter: an answer that is never null has its own value for "no rows".
        F::empty(&DataType::Null).is_ok_and(|value| value.is_null())
    }

    fn default_value(&self, return_type: &DataType) -> Result<ScalarValue> {
        F::empty(return_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        // What a NULL means is part of each function.
        false
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        // Nothing is rewritten: this is where constants are first seen, so that a wrong one is an
        // error of the plan and not of its execution.
        Some(Box::new(|call, context| {
            let (args, distinct) = (&call.params.args, call.params.distinct);
            if let Some(call) = Call::logical(F::NAME, args, distinct, context)? {
                F::bind(&call)?;
            }
            Ok(Expr::AggregateFunction(call))
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let types = args.input_fields.iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        let fields = F::Groups::state_fields(&types).into_iter().map(|(name, data_type, nullable)| {
            Arc::new(Field::new(format_state_name(args.name, name), data_type, nullable))
        });
        Ok(fields.collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Self::one_group(&args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if F::Groups::RETRACTS {
            return Self::one_group(&args);
        }
        let call = Call::physical(F::NAME, &args)?;
        F::bind(&call)?;
        Ok(Box::new(Replay::<F> { call, frame: vec![], function: PhantomData }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(F::bind(&Call::physical(F::NAME, &args)?)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// One group: no `GROUP BY`, or a window.
#[derive(Debug)]
struct OneGroup<G> {
    groups: G,
    /// The group of each row of a batch.
    zeros: Vec<usize>,
}

impl<G: Groups> Accumulator for OneGroup<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.zeros.resize(values[0].len(), 0);
        self.groups.update_batch(values, &self.zeros, None, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.groups.retract(values)
    }

    fn supports_retract_batch(&self) -> bool {
        G::RETRACTS
    }

    fn merge_batch(&mut self, state: &[ArrayRef]) -> Result<()> {
        self.zeros.resize(state[0].len(), 0);
        self.groups.merge_batch(state, &self.zeros, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.groups.peek()?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = self.groups.state(EmitTo::All)?;
        self.groups.grow(1)?;
        state.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.size() + self.zeros.capacity() * size_of::<usize>()
    }
}

/// A moving frame of a function that cannot take rows back: its rows.
#[derive(Debug)]
struct Replay<F> {
    call: Call,
    frame: Vec<ArrayRef>,
    function: PhantomData<F>,
}

impl<F: Aggregate> Accumulator for Replay<F> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.frame.is_empty() {
            self.frame = values.to_vec();
            return Ok(());
        }
        for (kept, new) in self.frame.iter_mut().zip(values) {
            *kept = concat(&[kept.as_ref(), new.as_ref()])?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let gone = values[0].len();
        for kept in &mut self.frame {
            if gone > kept.len() {
                return internal_err!("{}: a row left a window it had not entered", F::NAME);
            }
            *kept = kept.slice(gone, kept.len() - gone);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("{}: a moving frame is not merged", F::NAME)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut groups = F::bind(&self.call)?;
        groups.grow(1)?;
        if let Some(first) = self.frame.first() {
            groups.update_batch(&self.frame, &vec![0; first.len()], None, 1)?;
        }
        ScalarValue::try_from_array(&groups.peek()?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("{}: a moving frame is not merged", F::NAME)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.frame.iter().map(|column| column.get_array_memory_size()).sum::<usize>()
    }
}
