//! `steps_in_order`: whether events that are kept in an array happened in a given order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Fields, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::{Function, scalar_udf};
use crate::args::{coerce_counts, plain, wrong_arity, wrong_counts, wrong_type};

/// `steps_in_order(events, counts)`
pub fn steps_in_order_udf() -> Arc<ScalarUDF> {
    scalar_udf::<StepsInOrder>()
}

#[user_doc(
    doc_section(label = "Sequences"),
    description = "Whether the events hold the steps in order. Each event is a struct: its time first, then one boolean a step, whether the event matches it. The first step needs as many matching events as the first count says, the next as many as its count strictly later than those, and so on; other events may lie between. Events without a time are left out, a NULL boolean is no match, and a NULL array of events holds nothing. The order of the array does not matter.",
    syntax_example = "steps_in_order(events, counts)",
    sql_example = r#"```sql
> SELECT steps_in_order([{'t': DATE '2026-01-01', 'view': true, 'buy': false}, {'t': DATE '2026-01-02', 'view': false, 'buy': true}], [1, 1]) AS bought;
+--------+
| bought |
+--------+
| true   |
+--------+
```"#,
    argument(name = "events", description = "An array of structs: a date or timestamp, then booleans."),
    argument(
        name = "counts",
        description = "How many events each step needs: an array with a number above 0 a step. NULL gives NULL."
    )
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct StepsInOrder;

impl StepsInOrder {
    /// The fields of an event: its time, and a condition a step.
    fn event(item: &DataType) -> Option<&Fields> {
        let DataType::Struct(fields) = item else { return None };
        let (time, steps) = fields.split_first()?;
        let timed =
            matches!(plain(time.data_type()), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
        let conditions =
            steps.iter().all(|step| matches!(step.data_type(), DataType::Boolean | DataType::Null));
        (timed && conditions && !steps.is_empty()).then_some(fields)
    }
}

impl Function for StepsInOrder {
    const NAME: &'static str = "steps_in_order";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [events, counts] = types else {
            return wrong_arity(Self::NAME, "(events, counts)", types.len());
        };
        let item = match events {
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _)
                if Self::event(item.data_type()).is_some() =>
            {
                item
            }
            _ => {
                let expected = "an array of structs, a date or timestamp and then booleans";
                return Err(wrong_type(Self::NAME, "events", expected, events));
            }
        };
        let counts = coerce_counts(Self::NAME, counts)?;
        Ok(vec![DataType::List(Arc::clone(item)), counts])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn check(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
        let (Some(DataType::List(item)), Some(Some(ScalarValue::List(counts)))) =
            (types.first(), constants.get(1))
        else {
            return Ok(());
        };
        let n_steps = Self::event(item.data_type()).map_or(0, |fields| fields.len() - 1);
        if counts.is_valid(0) && !may_be_counts(counts.value(0).as_primitive(), n_steps) {
            return Err(DataFusionError::Plan(wrong_counts(Self::NAME, n_steps)));
        }
        Ok(())
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let arrays = args.iter().map(|arg| arg.to_array(n_rows)).collect::<Result<Vec<_>>>()?;
        let (events, counts) = (arrays[0].as_list::<i32>(), arrays[1].as_list::<i32>());
        let elements = Elements::new(events.values().as_struct())?;
        let n_steps = elements.steps.len();
        let held = (0..events.len()).map(|row| {
            if counts.is_null(row) {
                return Ok(None);
            }
            let counts = counts.value(row);
            let counts = counts.as_primitive::<Int64Type>();
            if !may_be_counts(counts, n_steps) {
                return Err(DataFusionError::Execution(wrong_counts(Self::NAME, n_steps)));
            }
            let places = if events.is_null(row) { 0..0 } else { range(events.value_offsets(), row) };
            Ok(Some(elements.hold(places, counts.values())))
        });
        Ok(Arc::new(held.collect::<Result<BooleanArray>>()?))
    }
}

fn may_be_counts(counts: &Int64Array, n_steps: usize) -> bool {
    counts.len() == n_steps && counts.null_count() == 0 && counts.values().iter().all(|count| *count > 0)
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    // Offsets of a valid array are never negative.
    let at = |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
    at(row)..at(row + 1)
}

/// The times of all events, and which steps each matches.
struct Elements {
    times: Vec<Option<i64>>,
    steps: Vec<BooleanArray>,
}

impl Elements {
    fn new(elements: &StructArray) -> Result<Self> {
        let Some((time, steps)) = elements.columns().split_first() else {
            return internal_err!("steps_in_order planned with empty structs");
        };
        let time = cast(time, plain(time.data_type()))?;
        let time = if time.data_type() == &DataType::Date32 { cast(&time, &DataType::Int32)? } else { time };
        let time = cast(&time, &DataType::Int64)?;
        let steps = steps.iter().map(|step| Ok(cast(step, &DataType::Boolean)?.as_boolean().clone()));
        Ok(Self {
            times: time.as_primitive::<Int64Type>().iter().collect(),
            steps: steps.collect::<Result<_>>()?,
        })
    }

    /// Whether the events at `places` hold the steps: the earliest match of each is the best.
    fn hold(&self, places: std::ops::Range<usize>, counts: &[i64]) -> bool {
        let mut events: Vec<(i64, usize)> =
            places.filter_map(|place| self.times[place].map(|time| (time, place))).collect();
        events.sort_unstable();
        let (mut at, mut found) = (0, 0);
        for instant in events.chunk_by(|(a, _), (b, _)| a == b) {
            let (Some(step), Some(count)) = (self.steps.get(at), counts.get(at)) else { break };
            let matches =
                instant.iter().filter(|(_, place)| step.is_valid(*place) && step.value(*place)).count();
            found += i64::try_from(matches).unwrap_or(i64::MAX);
            if found >= *count {
                (at, found) = (at + 1, 0);
            }
        }
        at >= self.steps.len().min(counts.len())
    }
}
