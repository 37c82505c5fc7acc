//! `sequence_steps(counts, ts, e1, … en)`

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold};
use super::function::{Aggregate, udaf};
use super::steps;
use crate::args::{coerce_counts, coerce_ts, wrong_arity};
use crate::kernel::events::Grouped;
use crate::kernel::steps::Steps;

/// `sequence_steps(counts, ts, e1, … en)`
pub fn sequence_steps_udaf() -> Arc<AggregateUDF> {
    udaf::<SequenceSteps>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "Whether the steps were taken one after the other: for each step as many rows where its condition holds \
                   as `counts` says, all strictly later than those of the step before. False where there are no \
                   rows.\n\n\
                   A group takes 16 bytes of memory for each row where a condition holds.",
    syntax_example = "sequence_steps(counts, ts, e1, … en)",
    sql_example = "```sql
> SELECT sequence_steps([2, 1], ts, kind = 'view', kind = 'order') AS bought
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'view'), (TIMESTAMP '2026-01-01T10:30:00', 'view'),
               (TIMESTAMP '2026-01-01T12:00:00', 'order')) AS t(ts, kind);
+--------+
| bought |
+--------+
| true   |
+--------+
```",
    argument(name = "counts", description = "Constant array: how many rows each step needs, 1 or more."),
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "e1, … en", description = "Up to 32 conditions, one for each step. NULL does not hold."),
    related_udf(name = "sequence_linked"),
    related_udf(name = "steps_in_order"),
    related_udf(name = "window_funnel")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct SequenceSteps;

const SYNTAX: &str = "(counts, ts, e1, … en)";

impl Aggregate for SequenceSteps {
    const NAME: &'static str = "sequence_steps";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [counts, ts, steps @ ..] = types else {
            return wrong_arity(Self::NAME, SYNTAX, types.len());
        };
        let coerced = [coerce_counts(Self::NAME, counts), coerce_ts(Self::NAME, "ts", ts)];
        coerced.into_iter().chain(steps::coerce_steps(Self::NAME, SYNTAX, steps)?).collect()
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Boolean(Some(false)))
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let counts = steps::counts(call, 0, call.n_args() - 2)?;
        let steps = Steps::new(counts, vec![])
            .map_err(|step| internal_datafusion_err!("step {step} is linked, and there are no links"))?;
        Ok(EventGroups::new(steps::input(1, 2..call.n_args()), InOrder { steps }))
    }
}

#[derive(Debug)]
struct InOrder {
    steps: Steps,
}

impl Fold for InOrder {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let answers = groups.iter().map(|(ticks, masks)| self.steps.taken(ticks, masks, |_, _| true));
        let answers = answers.collect::<Result<Vec<_>, _>>();
        Ok(Arc::new(BooleanArray::from(answers.map_err(steps::too_hard(SequenceSteps::NAME))?)))
    }
}
