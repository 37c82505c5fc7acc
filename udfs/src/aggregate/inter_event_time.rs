//! `inter_event_time(ts)`

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold, Input};
use super::function::{Aggregate, udaf};
use crate::args::{coerce_ts, wrong_arity};
use crate::kernel::events::Grouped;
use crate::kernel::spacing::{Spacing, spacing};
use crate::kernel::span::Scale;

/// `inter_event_time(ts)`
pub fn inter_event_time_udaf() -> Arc<AggregateUDF> {
    udaf::<InterEventTime>()
}

#[user_doc(
    doc_section(label = "Recency, frequency, monetary"),
    description = "The time from each row to the next, summed up in seconds: `{count, mean, sd, min, p25, median, p75, \
                   max}`. `count` is the number of distances, `sd` their standard deviation as of a sample (NULL for \
                   one distance), the quantiles lie on the line between their neighbours. NULL where there are fewer \
                   than two rows.\n\n\
                   A group takes 16 bytes of memory for each row.",
    syntax_example = "inter_event_time(ts)",
    sql_example = "```sql
> SELECT s['count'] AS count, s['mean'] AS mean, s['sd'] AS sd, s['median'] AS median
  FROM (SELECT inter_event_time(seconds) AS s FROM (VALUES (0), (10), (40)) AS t(seconds));
+-------+------+--------------------+--------+
| count | mean | sd                 | median |
+-------+------+--------------------+--------+
| 2     | 20.0 | 14.142135623730951 | 20.0   |
+-------+------+--------------------+--------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    related_udf(name = "session_durations")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct InterEventTime;

const QUARTILES: [&str; 5] = ["min", "p25", "median", "p75", "max"];

fn fields() -> Fields {
    let number = |name| Field::new(name, DataType::Float64, true);
    let mut fields = vec![Field::new("count", DataType::Int64, true), number("mean"), number("sd")];
    fields.extend(QUARTILES.map(number));
    fields.into()
}

impl Aggregate for InterEventTime {
    const NAME: &'static str = "inter_event_time";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts] = types else { return wrong_arity(Self::NAME, "(ts)", types.len()) };
        Ok(vec![coerce_ts(Self::NAME, "ts", ts)?])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let fold = Distances { scale: call.scale(0)? };
        Ok(EventGroups::new(Input::times(0), fold))
    }
}

#[derive(Debug)]
struct Distances {
    scale: Scale,
}

impl Fold for Distances {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let mut scratch = vec![];
        let found = groups
            .iter()
            .map(|(ticks, _)| spacing(ticks, |ticks| self.scale.seconds(ticks), &mut scratch))
            .collect::<Vec<Option<Spacing>>>();
        let number = |of: &dyn Fn(&Spacing) -> Option<f64>| -> ArrayRef {
            Arc::new(found.iter().map(|one| one.as_ref().and_then(of)).collect::<Float64Array>())
        };
        let counts = found.iter().map(|one| one.map(|one| one.count)).collect::<Int64Array>();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(counts), number(&|one| Some(one.mean)), number(&|one| one.sd)];
        columns.extend((0..QUARTILES.len()).map(|i| number(&|one| Some(one.quartiles[i]))));
        let nulls = NullBuffer::from_iter(found.iter().map(Option::is_some));
        Ok(Arc::new(StructArray::try_new(fields(), columns, Some(nulls))?))
    }
}
