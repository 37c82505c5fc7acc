//! Drives an aggregate through every road DataFusion may take with it, for the tests here and in
//! `tests/`, and for the benchmarks.
//!
//! The roads: one accumulator over all rows; partial accumulators merged through their states;
//! a groups accumulator, whole, merged, converted row by row, or emitted piece by piece; and the
//! sliding accumulator of a moving window frame.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, new_empty_array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{Accumulator, AggregateUDF, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};

/// One argument of a call: a column of the input or a constant.
#[derive(Debug, Clone)]
pub enum Arg {
    /// A value per row.
    Column(ArrayRef),
    /// The same value for all rows, known at planning time.
    Literal(ScalarValue),
}

/// A call of one aggregate over one set of rows.
#[derive(Debug)]
pub struct AggregateTester {
    call: AggregateFunctionExpr,
    values: Vec<ArrayRef>,
    n_rows: usize,
}

impl AggregateTester {
    /// Plans the call as DataFusion would: types are coerced, constants are cast.
    pub fn new(function: Arc<AggregateUDF>, args: &[Arg]) -> Result<Self> {
        let n_rows = args
            .iter()
            .find_map(|arg| match arg {
                Arg::Column(values) => Some(values.len()),
                Arg::Literal(_) => None,
            })
            .unwrap_or(0);
        let fields = args
            .iter()
            .enumerate()
            .map(|(i, arg)| {
                let data_type = match arg {
                    Arg::Column(values) => values.data_type().clone(),
                    Arg::Literal(value) => value.data_type(),
                };
                Arc::new(Field::new(format!("c{i}"), data_type, true))
            })
            .collect::<Vec<_>>();
        let fields = fields_with_udf(&fields, function.as_ref())?;
        let mut exprs: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut values = Vec::new();
        for (i, (arg, field)) in args.iter().zip(&fields).enumerate() {
            match arg {
                Arg::Column(column) => {
                    exprs.push(Arc::new(Column::new(&format!("c{i}"), i)));
                    values.push(arrow::compute::cast(column, field.data_type())?);
                }
                Arg::Literal(value) => {
                    let value = value.cast_to(field.data_type())?;
                    values.push(value.to_array_of_size(n_rows)?);
                    exprs.push(Arc::new(Literal::new(value)));
                }
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let call = AggregateExprBuilder::new(function, exprs).schema(schema).alias("tested").build()?;
        Ok(Self { call, values, n_rows })
    }

    /// The type of the answer.
    pub fn return_type(&self) -> DataType {
        self.call.field().data_type().clone()
    }

    /// One accumulator, all rows in the order given.
    pub fn evaluate(&self) -> Result<ScalarValue> {
        let mut whole = self.call.create_accumulator()?;
        whole.update_batch(&self.values)?;
        whole.evaluate()
    }

    /// Rows in `order`, cut after each of `cuts` places, one partial accumulator for each piece,
    /// their states merged in the order of the pieces.
    pub fn merged(&self, order: &[usize], cuts: &[usize]) -> Result<ScalarValue> {
        let mut merged = self.call.create_accumulator()?;
        for piece in pieces(order, cuts) {
            let mut partial = self.call.create_accumulator()?;
            partial.update_batch(&pick(&self.values, piece)?)?;
            let state = partial.state()?;
            let state = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
            merged.merge_batch(&state)?;
        }
        merged.evaluate()
    }

    /// A frame of `width` rows moved over the rows; the answer at each place.
    pub fn sliding(&self, width: usize) -> Result<Vec<ScalarValue>> {
        let mut sliding = self.call.create_sliding_accumulator()?;
        (0..self.n_rows)
            .map(|row| {
                sliding.update_batch(&pick(&self.values, &[row])?)?;
                if row >= width {
                    sliding.retract_batch(&pick(&self.values, &[row - width])?)?;
                }
                sliding.evaluate()
            })
            .collect()
    }

    /// The answer for the rows of one frame, from scratch: what [`Self::sliding`] must agree with.
    pub fn frame(&self, rows: &[usize]) -> Result<ScalarValue> {
        let mut whole = self.call.create_accumulator()?;
        whole.update_batch(&pick(&self.values, rows)?)?;
        whole.evaluate()
    }

    /// A groups accumulator, fed `batch` rows at a time.
    pub fn grouped(
        &self,
        groups: &[usize],
        n_groups: usize,
        batch: usize,
        filter: Option<&BooleanArray>,
    ) -> Result<ArrayRef> {
        let mut all = self.groups_accumulator()?;
        self.feed(all.as_mut(), groups, n_groups, batch, filter)?;
        all.evaluate(EmitTo::All)
    }

    /// As [`Self::grouped`], but the groups leave `step` at a time, as from sorted input.
    pub fn grouped_in_steps(
        &self,
        groups: &[usize],
        n_groups: usize,
        batch: usize,
        step: usize,
    ) -> Result<ArrayRef> {
        let mut all = self.groups_accumulator()?;
        self.feed(all.as_mut(), groups, n_groups, batch, None)?;
        let mut out = vec![];
        let mut left = n_groups;
        while left > step {
            out.push(all.evaluate(EmitTo::First(step))?);
            left -= step;
        }
        out.push(all.evaluate(EmitTo::All)?);
        self.concat(&out)
    }

    /// Two partial groups accumulators, rows dealt alternately, states merged second one first.
    pub fn grouped_merged(&self, groups: &[usize], n_groups: usize) -> Result<ArrayRef> {
        let mut merged = self.groups_accumulator()?;
        let identity = (0..n_groups).collect::<Vec<_>>();
        for part in [1, 0] {
            let rows = (0..self.n_rows).filter(|row| row % 2 == part).collect::<Vec<_>>();
            let part_groups = rows.iter().map(|row| groups[*row]).collect::<Vec<_>>();
            let mut partial = self.groups_accumulator()?;
            partial.update_batch(&pick(&self.values, &rows)?, &part_groups, None, n_groups)?;
            let state = partial.state(EmitTo::All)?;
            self.check_state(&state, n_groups)?;
            merged.merge_batch(&state, &identity, n_groups)?;
        }
        merged.evaluate(EmitTo::All)
    }

    /// Every row turned into a state of its own, as the partial stage does when it gives up.
    pub fn grouped_converted(
        &self,
        groups: &[usize],
        n_groups: usize,
        filter: Option<&BooleanArray>,
    ) -> Result<ArrayRef> {
        let state = self.groups_accumulator()?.convert_to_state(&self.values, filter)?;
        self.check_state(&state, self.n_rows)?;
        let mut merged = self.groups_accumulator()?;
        merged.merge_batch(&state, groups, n_groups)?;
        merged.evaluate(EmitTo::All)
    }

    /// Whether the function brings its own groups accumulator.
    pub fn has_groups_accumulator(&self) -> bool {
        self.call.groups_accumulator_supported()
    }

    /// A groups accumulator, DataFusion's adapter where the function has none of its own.
    pub fn groups_accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        if self.call.groups_accumulator_supported() {
            return self.call.create_groups_accumulator();
        }
        let call = self.call.clone();
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || call.create_accumulator())))
    }

    /// An accumulator for one group.
    pub fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.call.create_accumulator()
    }

    /// The arguments after coercion, one array for each.
    pub fn values(&self) -> &[ArrayRef] {
        &self.values
    }

    fn feed(
        &self,
        to: &mut dyn GroupsAccumulator,
        groups: &[usize],
        n_groups: usize,
        batch: usize,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let mut start = 0;
        let mut seen = 0;
        while start < self.n_rows {
            let len = batch.min(self.n_rows - start);
            let slice = self.values.iter().map(|v| v.slice(start, len)).collect::<Vec<_>>();
            let part = &groups[start..start + len];
            // DataFusion numbers groups as it meets them: the total grows with the batches.
            seen = part.iter().fold(seen, |seen, group| seen.max(group + 1));
            let filter = filter.map(|f| f.slice(start, len));
            to.update_batch(&slice, part, filter.as_ref(), seen)?;
            start += len;
        }
        let none = self.values.iter().map(|v| new_empty_array(v.data_type())).collect::<Vec<_>>();
        to.update_batch(&none, &[], None, n_groups)
    }

    fn check_state(&self, state: &[ArrayRef], n_rows: usize) -> Result<()> {
        let fields = self.call.state_fields()?;
        if fields.len() != state.len() {
            return exec_err!("{} state columns, {} declared", state.len(), fields.len());
        }
        for (field, column) in fields.iter().zip(state) {
            if field.data_type() != column.data_type() || column.len() != n_rows {
                return exec_err!(
                    "state column {} is {} x {}, declared {}, {n_rows} expected",
                    field.name(),
                    column.len(),
                    column.data_type(),
                    field.data_type()
                );
            }
        }
        Ok(())
    }

    fn concat(&self, parts: &[ArrayRef]) -> Result<ArrayRef> {
        let parts = parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>();
        Ok(concat(&parts)?)
    }
}

fn pieces<'a>(order: &'a [usize], cuts: &[usize]) -> Vec<&'a [usize]> {
    let mut cuts = cuts.iter().map(|cut| (*cut).min(order.len())).collect::<Vec<_>>();
    cuts.sort_unstable();
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(order.len()));
    starts.zip(ends).map(|(start, end)| &order[start..end]).collect()
}

fn pick(values: &[ArrayRef], rows: &[usize]) -> Result<Vec<ArrayRef>> {
    let Ok(rows) = rows.iter().map(|row| u32::try_from(*row)).collect::<Result<Vec<_>, _>>() else {
        return exec_err!("more rows than a tester takes");
    };
    let rows = UInt32Array::from(rows);
    values.iter().map(|v| Ok(take(v, &rows, None)?)).collect()
}
