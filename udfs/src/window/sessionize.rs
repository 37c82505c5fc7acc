//! `sessionize(ts, gap)`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::function::{
    PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Documentation, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};
use datafusion_macros::user_doc;

use super::checked;
use crate::aggregate::call::Call;
use crate::args::{coerce_span, coerce_ts, wrong_arity};
use crate::kernel::session::sessions;
use crate::kernel::span::Span;
use crate::ticks::Ticks;

/// `sessionize(ts, gap)`
pub fn sessionize_udwf() -> Arc<WindowUDF> {
    Arc::new(WindowUDF::from(Sessionize::default()))
}

#[user_doc(
    doc_section(label = "Session"),
    description = "The number of the session a row belongs to, from 1 within each partition: a row more than `gap` \
                   after the one before it begins a new one. The order of time counts, whatever `ORDER BY` says and \
                   whether there is one. NULL where `ts` is.",
    syntax_example = "sessionize(ts, gap) OVER (PARTITION BY …)",
    sql_example = "```sql
> SELECT seconds, sessionize(seconds, 1800) OVER () AS visit FROM (VALUES (0), (1800), (3601)) AS t(seconds) ORDER BY seconds;
+---------+-------+
| seconds | visit |
+---------+-------+
| 0       | 1     |
| 1800    | 1     |
| 3601    | 2     |
+---------+-------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds."),
    argument(
        name = "gap",
        description = "Constant INTERVAL or number of seconds (days, if `ts` is a date): the longest pause within a session."
    ),
    related_udf(name = "session_count"),
    related_udf(name = "session_durations")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sessionize {
    signature: Signature,
}

impl Default for Sessionize {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl WindowUDFImpl for Sessionize {
    fn name(&self) -> &str {
        "sessionize"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, gap] = types else { return wrong_arity("sessionize", "(ts, gap)", types.len()) };
        Ok(vec![coerce_ts("sessionize", "ts", ts)?, coerce_span("sessionize", "gap", gap)?])
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int64, true)))
    }

    fn simplify(&self) -> Option<WindowFunctionSimplification> {
        Some(checked("sessionize", |call| Sessions::bind(call).map(drop)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let call = Call::of("sessionize", args.input_fields(), args.input_exprs());
        Ok(Box::new(Sessions::bind(&call)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

#[derive(Debug)]
struct Sessions {
    gap: Span,
}

impl Sessions {
    fn bind(call: &Call) -> Result<Self> {
        Ok(Self { gap: call.span(1, "gap", &call.scale(0)?)? })
    }
}

impl PartitionEvaluator for Sessions {
    fn evaluate_all(&mut self, values: &[ArrayRef], n_rows: usize) -> Result<ArrayRef> {
        let ticks = Ticks::of(&values[0])?;
        let mut rows = (0..n_rows).filter(|row| ticks.is_valid(*row)).collect::<Vec<_>>();
        if !rows.is_sorted_by_key(|row| ticks.values[*row]) {
            rows.sort_by_key(|row| ticks.values[*row]);
        }
        let sorted = rows.iter().map(|row| ticks.values[*row]).collect::<Vec<_>>();
        let mut numbers = vec![None; n_rows];
        let mut number = 0;
        sessions(&sorted, &self.gap, |first, last| {
            number += 1;
            rows[first..=last].iter().for_each(|row| numbers[*row] = Some(number));
        });
        Ok(Arc::new(Int64Array::from(numbers)))
    }
}
