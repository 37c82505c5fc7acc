//! `steps_in_order`: whether events that are kept in an array happened in a given order.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_macros::user_doc;

use crate::args::{wrong_arity, wrong_type};

/// `steps_in_order(events, counts)`
pub fn steps_in_order_udf() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(StepsInOrder {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[user_doc(
    doc_section(label = "Sequences"),
    description = "Whether the events hold the steps in order. Each event is a struct: its time first, then one boolean a step, whether the event matches it. The first step needs as many matching events as the first count says, the next as many as its count strictly later than those, and so on; other events may lie between. Events without a time are left out, a NULL boolean is no match, and a NULL array holds nothing. The order of the array does not matter.",
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
        description = "How many events each step needs: an array with a number a step."
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct StepsInOrder {
    signature: Signature,
}

impl ScalarUDFImpl for StepsInOrder {
    fn name(&self) -> &str {
        "steps_in_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [events, _] = arg_types else {
            return wrong_arity(self.name(), "(events, counts)", arg_types.len());
        };
        let item = match events {
            DataType::List(item) | DataType::LargeList(item) => item,
            _ => return Err(wrong_type(self.name(), "events", "an array of structs", events)),
        };
        let counts = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
        Ok(vec![DataType::List(Arc::clone(item)), counts])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [events, counts] = &arrays[..] else {
            return internal_err!("steps_in_order planned with {} arguments", arrays.len());
        };
        let (Some(events), Some(counts)) = (events.as_list_opt::<i32>(), counts.as_list_opt::<i32>()) else {
            return internal_err!("steps_in_order planned without arrays");
        };
        let Some(elements) = events.values().as_struct_opt() else {
            return internal_err!("steps_in_order planned without structs");
        };
        let elements = Elements::new(elements)?;
        let held: BooleanArray = (0..events.len())
            .map(|row| {
                let counts = counts.value(row);
                let counts = counts.as_primitive::<Int64Type>().values();
                let places = if events.is_null(row) { 0..0 } else { range(events.value_offsets(), row) };
                Some(elements.hold(places, counts))
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(held)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
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
        let time = match time.data_type() {
            DataType::Date32 => cast(time, &DataType::Int32)?,
            _ => Arc::clone(time),
        };
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
