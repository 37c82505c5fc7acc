//! What `sequence_steps` and `sequence_linked` have in common: steps that each need a number of rows.

use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, plan_err};

use super::call::Call;
use super::events::{Input, Keep};
use crate::args::{coerce_condition, wrong_counts};
use crate::kernel::steps::{MAX_STEPS, TooHard};

/// The types of the conditions.
pub(crate) fn coerce_steps<'a>(
    function: &str,
    syntax: &str,
    steps: &'a [DataType],
) -> Result<impl Iterator<Item = Result<DataType>> + use<'a>> {
    if steps.is_empty() {
        return plan_err!("{function} takes {syntax}, found no step");
    }
    if steps.len() > MAX_STEPS {
        return plan_err!("{function} takes up to {MAX_STEPS} steps, found {}", steps.len());
    }
    let function = function.to_owned();
    let coerced = move |(i, step)| coerce_condition(&function, &format!("e{}", i + 1), step);
    Ok(steps.iter().enumerate().map(coerced))
}

/// Reads how many rows each step needs.
pub(crate) fn counts(call: &Call, at: usize, n_steps: usize) -> Result<Vec<usize>> {
    let value = call.value(at, "counts")?;
    let counts = match value {
        ScalarValue::List(list) => {
            let counts = list.value(0);
            let counts = counts.as_primitive_opt::<Int64Type>().filter(|counts| counts.null_count() == 0);
            let positive = |count: &i64| usize::try_from(*count).ok().filter(|count| *count > 0);
            counts.and_then(|counts| counts.values().iter().map(positive).collect::<Option<Vec<_>>>())
        }
        _ => None,
    };
    counts
        .filter(|counts| counts.len() == n_steps)
        .ok_or_else(|| DataFusionError::Plan(wrong_counts(call.function, n_steps)))
}

/// The rows that can be one of a step.
pub(crate) fn input(ts: usize, steps: Range<usize>) -> Input {
    Input { ts, conditions: steps, keep: Keep::Matching }
}

pub(crate) fn too_hard(function: &str) -> impl Fn(TooHard) -> DataFusionError {
    move |_| {
        exec_datafusion_err!(
            "{function}: a group took more than a hundred million tries; let fewer rows match its steps"
        )
    }
}
