//! `most_frequent(value)`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature,
    Volatility,
};
use datafusion_macros::user_doc;

use super::call::{unpacked, without_distinct, wrong_arity};
use super::values::Interner;
use crate::kernel::counts::{Counts, Entry, modes};

/// `most_frequent(value)`
pub fn most_frequent_udaf() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(MostFrequent::default()))
}

#[user_doc(
    doc_section(label = "First and last"),
    description = "The value that comes most often. NULL where two come equally often, and where there is none. \
                   NULLs are not counted.",
    syntax_example = "most_frequent(value)",
    sql_example = "```sql
> SELECT most_frequent(channel) AS favourite FROM (VALUES ('mail'), ('app'), ('mail'), (NULL)) AS t(channel);
+-----------+
| favourite |
+-----------+
| mail      |
+-----------+
```",
    argument(name = "value", description = "Any type.")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct MostFrequent {
    signature: Signature,
}

impl Default for MostFrequent {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for MostFrequent {
    fn name(&self) -> &str {
        "most_frequent"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [value] = types else { return wrong_arity("most_frequent", "(value)", types.len()) };
        Ok(vec![unpacked(value)])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name, item| {
            let list = DataType::List(Arc::new(item));
            Arc::new(Field::new(format_state_name(args.name, name), list, false))
        };
        let value = args.return_type().clone();
        Ok(vec![
            list("values", Field::new_list_field(value, true)),
            list("counts", Field::new_list_field(DataType::Int64, false)),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        without_distinct("most_frequent", args.is_distinct)?;
        Ok(Box::new(OneGroup(AllGroups::new(args.return_type())?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        without_distinct("most_frequent", args.is_distinct)?;
        Ok(Box::new(AllGroups::new(args.return_type())?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

#[derive(Debug)]
struct AllGroups {
    data_type: DataType,
    values: Interner,
    counts: Counts,
    n_groups: usize,
}

impl AllGroups {
    fn new(data_type: &DataType) -> Result<Self> {
        let values = Interner::new(data_type)?;
        Ok(Self { data_type: data_type.clone(), values, counts: Counts::default(), n_groups: 0 })
    }

    fn count(&mut self, values: &ArrayRef, group_of: impl Fn(usize) -> Option<usize>, by: i64) -> Result<()> {
        let numbers = self.values.intern(values)?;
        let nulls = values.logical_nulls();
        for (row, value) in numbers.into_iter().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            if let Some(group) = group_of(row) {
                self.counts.add(number(group)?, value, by);
            }
        }
        Ok(())
    }

    fn take(&mut self, emit: EmitTo) -> Result<(Vec<Entry>, usize)> {
        let n = match emit {
            EmitTo::All => self.n_groups,
            EmitTo::First(n) => n,
        };
        self.n_groups -= n;
        Ok((self.counts.take_first(number(n)?), n))
    }

    fn to_state(&self, entries: &[Entry], n_groups: usize) -> Result<Vec<ArrayRef>> {
        let mut lengths = vec![0; n_groups];
        entries.iter().for_each(|entry| lengths[entry.group as usize] += 1);
        let counts = entries.iter().map(|entry| entry.count).collect::<Int64Array>();
        let values = self.values.column(entries.iter().map(|entry| Some(entry.value)))?;
        self.lists(lengths, values, counts)
    }

    fn lists(&self, lengths: Vec<usize>, values: ArrayRef, counts: Int64Array) -> Result<Vec<ArrayRef>> {
        let offsets = OffsetBuffer::from_lengths(lengths);
        let value = Arc::new(Field::new_list_field(self.data_type.clone(), true));
        let count = Arc::new(Field::new_list_field(DataType::Int64, false));
        Ok(vec![
            Arc::new(ListArray::try_new(value, offsets.clone(), values, None)?),
            Arc::new(ListArray::try_new(count, offsets, Arc::new(counts), None)?),
        ])
    }
}

fn number(group: usize) -> Result<u32> {
    u32::try_from(group).map_err(|_| exec_datafusion_err!("more groups than one aggregation can hold"))
}

impl GroupsAccumulator for AllGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.n_groups = n_groups;
        let wanted = |row| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        self.count(&values[0], |row| wanted(row).then(|| groups[row]), 1)
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.n_groups = n_groups;
        let (values, counts) = (state[0].as_list::<i32>(), state[1].as_list::<i32>());
        for (row, group) in groups.iter().enumerate() {
            let numbers = self.values.intern(&values.value(row))?;
            let counts = counts.value(row);
            for (value, count) in numbers.into_iter().zip(counts.as_primitive::<Int64Type>().values()) {
                self.counts.add(number(*group)?, value, *count);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let (entries, n) = self.take(emit)?;
        self.values.column(modes(&entries, n))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let (entries, n) = self.take(emit)?;
        self.to_state(&entries, n)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let nulls = values[0].logical_nulls();
        let counted = (0..values[0].len())
            .map(|row| {
                nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
                    && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
            })
            .collect::<Vec<_>>();
        let kept = arrow::compute::filter(&values[0], &BooleanArray::from(counted.clone()))?;
        let counts = Int64Array::from(vec![1; kept.len()]);
        self.lists(counted.into_iter().map(usize::from).collect(), kept, counts)
    }

    fn size(&self) -> usize {
        self.values.size() + self.counts.size()
    }
}

#[derive(Debug)]
struct OneGroup(AllGroups);

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.count(&values[0], |_| Some(0), 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.count(&values[0], |_| Some(0), -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, state: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; state[0].len()];
        GroupsAccumulator::merge_batch(&mut self.0, state, &groups, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mode = modes(self.0.counts.entries(), 1);
        ScalarValue::try_from_array(&self.0.values.column(mode)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let entries = self.0.counts.take_first(1);
        let state = self.0.to_state(&entries, 1)?;
        state.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + GroupsAccumulator::size(&self.0)
    }
}
