//! `most_frequent(value)`
//!
//! Memory: 16 bytes for each different value of a group, at most three times that between two
//! foldings, and each different value once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{AggregateUDF, Documentation, EmitTo, GroupsAccumulator};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::truths;
use super::function::{Aggregate, Groups, udaf};
use super::list::{list_type, lists, nullable_list_type, nullable_lists};
use super::values::Interner;
use crate::args::{plain, wrong_arity};
use crate::kernel::counts::{Counts, Entry, modes};

/// `most_frequent(value)`
pub fn most_frequent_udaf() -> Arc<AggregateUDF> {
    udaf::<MostFrequent>()
}

#[user_doc(
    doc_section(label = "First and last"),
    description = "The value that comes most often. NULL where two come equally often, and where there is none. \
                   NULLs are not counted.\n\n\
                   A group takes at most 32 bytes of memory for each of its different values, which are kept once for all groups.",
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
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct MostFrequent;

impl Aggregate for MostFrequent {
    const NAME: &'static str = "most_frequent";
    type Groups = ModeGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [value] = types else { return wrong_arity(Self::NAME, "(value)", types.len()) };
        Ok(vec![plain(value).clone()])
    }

    fn return_type(types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn bind(call: &Call) -> Result<ModeGroups> {
        let values = Interner::new(&call.types[0])?;
        Ok(ModeGroups { values, counts: Counts::default(), n_groups: 0 })
    }
}

/// How often each value came, by group.
#[derive(Debug)]
struct ModeGroups {
    values: Interner,
    counts: Counts,
    n_groups: usize,
}

impl ModeGroups {
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
        mode_state(&lengths, values, counts)
    }
}

fn mode_state(lengths: &[usize], values: ArrayRef, counts: Int64Array) -> Result<Vec<ArrayRef>> {
    let lengths = || lengths.iter().copied();
    Ok(vec![nullable_lists(lengths(), values)?, lists(lengths(), Arc::new(counts))?])
}

fn number(group: usize) -> Result<u32> {
    u32::try_from(group).map_err(|_| exec_datafusion_err!("more groups than one aggregation can hold"))
}

impl Groups for ModeGroups {
    const RETRACTS: bool = true;

    fn state_fields(types: &[DataType]) -> Vec<(&'static str, DataType, bool)> {
        vec![("values", nullable_list_type(&types[0]), false), ("counts", list_type(&DataType::Int64), false)]
    }

    fn grow(&mut self, n_groups: usize) -> Result<()> {
        self.n_groups = n_groups;
        Ok(())
    }

    fn peek(&mut self) -> Result<ArrayRef> {
        let mode = modes(self.counts.entries(), 1);
        self.values.column(mode)
    }

    fn retract(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count(&values[0], |_| Some(0), -1)
    }
}

impl GroupsAccumulator for ModeGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.n_groups = n_groups;
        let wanted = filter.map(truths);
        let wanted = |row| wanted.as_ref().is_none_or(|wanted| wanted.value(row));
        self.count(&values[0], |row| wanted(row).then(|| groups[row]), 1)
    }

    fn merge_batch(&mut self, state: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        self.n_groups = n_groups;
        let (values, counts) = (state[0].as_list::<i32>(), state[1].as_list::<i32>());
        // All lists at once: to look values up one list at a time would cost more than the rest.
        let start = values.value_offsets()[0] as usize;
        let n_values = values.value_offsets()[values.len()] as usize - start;
        let numbers = self.values.intern(&values.values().slice(start, n_values))?;
        let mut numbers = numbers.into_iter();
        for (row, group) in groups.iter().enumerate() {
            let counts = counts.value(row);
            for (count, value) in counts.as_primitive::<Int64Type>().values().iter().zip(&mut numbers) {
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
        let wanted = filter.map(truths);
        let counted = (0..values[0].len())
            .map(|row| {
                nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
                    && wanted.as_ref().is_none_or(|wanted| wanted.value(row))
            })
            .collect::<Vec<_>>();
        let lengths = counted.iter().map(|counted| usize::from(*counted)).collect::<Vec<_>>();
        let kept = arrow::compute::filter(&values[0], &BooleanArray::from(counted))?;
        let counts = Int64Array::from(vec![1; kept.len()]);
        mode_state(&lengths, kept, counts)
    }

    fn size(&self) -> usize {
        self.values.size() + self.counts.size()
    }
}
