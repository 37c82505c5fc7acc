//! What `sequence_match`, `sequence_count` and `sequence_match_events` have in common: their arguments.

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_datafusion_err, plan_err};

use super::call::Call;
use super::events::{EventGroups, Fold, Input, Keep};
use crate::args::{coerce_condition, coerce_ts, is_text, wrong_arity, wrong_type};
use crate::kernel::pattern::Pattern;

const MAX_CONDITIONS: usize = 32;

/// `(pattern, ts, c1, … cn)`
pub(crate) fn coerce(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let [pattern, ts, conditions @ ..] = types else {
        return wrong_arity(function, "(pattern, ts, c1, … cn)", types.len());
    };
    if !is_text(pattern) {
        return Err(wrong_type(function, "pattern", "a text like `(?1).*(?2)`", pattern));
    }
    if conditions.is_empty() {
        return plan_err!("{function} takes (pattern, ts, c1, … cn), found no condition");
    }
    if conditions.len() > MAX_CONDITIONS {
        return plan_err!("{function} takes up to {MAX_CONDITIONS} conditions, found {}", conditions.len());
    }
    let mut coerced = vec![DataType::Utf8, coerce_ts(function, "ts", ts)?];
    for (i, condition) in conditions.iter().enumerate() {
        coerced.push(coerce_condition(function, &format!("c{}", i + 1), condition)?);
    }
    Ok(coerced)
}

/// Reads the pattern. As in ClickHouse, rows where no condition holds are not part of the sequence.
pub(crate) fn bind<F: Fold + 'static>(call: &Call, fold: impl FnOnce(Pattern) -> F) -> Result<EventGroups> {
    let n_conditions = call.n_args() - 2;
    let text = call.text(0, "pattern")?;
    let pattern = Pattern::parse(text, n_conditions, &call.scale(1)?)
        .map_err(|error| plan_datafusion_err!("{}: `pattern` '{text}' {error}", call.function))?;
    let input = Input { ts: 1, conditions: 2..call.n_args(), keep: Keep::Matching };
    Ok(EventGroups::new(input, fold(pattern)))
}
