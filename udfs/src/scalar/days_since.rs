//! `days_since(ts [, as_of])`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_macros::user_doc;

use crate::args::{coerce_ts, wrong_arity};
use crate::kernel::period::{Periods, Unit};
use crate::kernel::span::Scale;
use crate::ticks::Ticks;

/// `days_since(ts [, as_of])`
pub fn days_since_udf() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(DaysSince::default()))
}

#[user_doc(
    doc_section(label = "Recency, frequency, monetary"),
    description = "How many days ago: the number of midnights from `ts` to `as_of`, in the zone of the timestamps. \
                   Yesterday is 1 at any hour, tomorrow -1.",
    syntax_example = "days_since(ts [, as_of])",
    sql_example = "```sql
> SELECT days_since(TIMESTAMP '2026-01-01T23:59:00', TIMESTAMP '2026-01-02T00:01:00') AS days;
+------+
| days |
+------+
| 1    |
+------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds; `max(ts)`, say. NULL gives NULL."),
    argument(
        name = "as_of",
        description = "Seen from when; read as the type of `ts`. Without it, from the start of the query. NULL gives NULL."
    ),
    related_udf(name = "inter_event_time")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct DaysSince {
    signature: Signature,
}

impl Default for DaysSince {
    fn default() -> Self {
        // Without `as_of` the answer is the same within one query only.
        Self { signature: Signature::user_defined(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for DaysSince {
    fn name(&self) -> &str {
        "days_since"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [ts] => Ok(vec![coerce_ts("days_since", "ts", ts)?]),
            [ts, as_of] => {
                coerce_ts("days_since", "as_of", as_of)?;
                let ts = coerce_ts("days_since", "ts", ts)?;
                Ok(vec![ts.clone(), ts])
            }
            _ => wrong_arity("days_since", "(ts [, as_of])", types.len()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let ([_], Some(now)) = (args.as_slice(), context.query_execution_start_time()) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        // The second argument is made where the type of the first is known, so that a plan without
        // one never reaches execution.
        let data_type = context.get_data_type(&args[0])?;
        let now = ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), Some("+00:00".into()));
        let now = match &data_type {
            DataType::Int64 => {
                now.cast_to(&DataType::Timestamp(TimeUnit::Second, None))?.cast_to(&DataType::Int64)?
            }
            DataType::Date32 | DataType::Date64 => {
                now.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, None))?.cast_to(&data_type)?
            }
            data_type => now.cast_to(data_type)?,
        };
        let function = datafusion::logical_expr::expr::ScalarFunction::new_udf(
            days_since_udf(),
            args.into_iter().chain([Expr::Literal(now, None)]).collect(),
        );
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(function)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.args.len() != 2 {
            return internal_err!("days_since was not given the start of the query");
        }
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let scale = Scale::of(columns[0].data_type())
            .ok_or_else(|| exec_datafusion_err!("days_since: `ts` is not a time"))?;
        let days = Periods::new(Unit::Day, &scale)
            .ok_or_else(|| exec_datafusion_err!("days_since: unknown time zone of `ts`"))?;
        let (from, to) = (Ticks::of(&columns[0])?, Ticks::of(&columns[1])?);
        let nulls = NullBuffer::union(from.nulls.as_ref(), to.nulls.as_ref());
        let since = |row: usize| {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                return None;
            }
            days.number(to.values[row])?.checked_sub(days.number(from.values[row])?)
        };
        let since: ArrayRef = Arc::new((0..columns[0].len()).map(since).collect::<Int64Array>());
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&since, 0)?));
        }
        Ok(ColumnarValue::Array(since))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
