//! The values of aggregates for the profiles of a partition, by DataFusion's own accumulators.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::Schema;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;

use crate::bug;
use crate::compile::Arg;
use crate::error::Result;

use super::counting::{Counting, Known};
use super::finish::Scratch;
use super::partition::times;

impl Counting {
    /// The value of an aggregate for each profile of the partition at hand.
    pub(super) fn aggregate(
        &self,
        known: &Known,
        at: usize,
        n: usize,
        scratch: &Scratch,
    ) -> Result<ArrayRef> {
        let (aggregate, bound, fed) = (&self.table().aggregates[at], &self.aggregates[at], &scratch.fed[at]);
        let function = Arc::clone(&bound.function);
        let mut accumulator: Box<dyn GroupsAccumulator> = if function.groups_accumulator_supported() {
            function.create_groups_accumulator()?
        } else {
            Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator()))
        };
        let groups: Vec<usize> = fed.iter().map(|(profile, _)| *profile as usize).collect();
        let partition = &scratch.partition;
        let events = || fed.iter().map(|(_, at)| partition.events[*at as usize]);
        let mut columns: Vec<ArrayRef> = vec![];
        for (arg, data_type) in bound.types.iter().enumerate() {
            let column: ArrayRef = match (aggregate.args.get(arg), &bound.constants[arg]) {
                (_, Some(constant)) => {
                    let empty = RecordBatch::new_empty(Arc::new(Schema::empty()));
                    constant.evaluate(&empty)?.into_array(fed.len().max(1))?.slice(0, fed.len())
                }
                (Some(Arg::Time), _) => times(events(), &self.events.time_type)?,
                (Some(Arg::Condition(atom, since)), _) => {
                    let truths = events().map(|event| Some(known.is_one(event, *atom, *since)));
                    Arc::new(truths.collect::<BooleanArray>())
                }
                (Some(Arg::Channel(channel)), _) => {
                    let value = |(_, at): &(u32, u32)| partition.value(*at as usize, *channel, &known.kept);
                    let values: Vec<Option<u64>> = fed.iter().map(value).collect();
                    self.events.channels[*channel].decode(&values, &known.texts[*channel])?
                }
                (Some(Arg::Constant) | None, None) => return Err(bug!("a constant without a value")),
            };
            columns.push(cast(&column, data_type).map_err(|error| bug!("an argument: {error}"))?);
        }
        // Without a filter DataFusion's accumulators take every group for one that has rows: a profile without events
        // would get a value, 0, instead of none.
        let all = BooleanArray::new(BooleanBuffer::new_set(groups.len()), None);
        accumulator.update_batch(&columns, &groups, Some(&all), n)?;
        Ok(accumulator.evaluate(EmitTo::All)?)
    }

    /// The strings of each channel whose values some aggregate takes.
    pub(super) fn texts(
        table: &crate::compile::Table,
        channels: &[super::channel::Channel],
    ) -> Vec<StringArray> {
        let args = table.aggregates.iter().flat_map(|aggregate| &aggregate.args);
        let taken: Vec<usize> = args
            .filter_map(|arg| match arg {
                Arg::Channel(channel) => Some(*channel),
                _ => None,
            })
            .collect();
        let texts = channels.iter().enumerate().map(|(at, channel)| {
            if taken.contains(&at) { channel.texts() } else { StringArray::from(Vec::<Option<&str>>::new()) }
        });
        texts.collect()
    }
}
