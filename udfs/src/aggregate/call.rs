//! One call of a function as planned: its argument types and its constants.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use arrow::util::display::array_value_to_string;
use datafusion::common::{Result, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::utils::collect_columns;

use crate::kernel::span::{Scale, Span, SpanError};
use crate::ticks::Ticks;

/// What is known of an argument before any row is seen.
#[derive(Debug, Clone)]
pub(crate) enum Constant {
    Is(ScalarValue),
    /// Depends on the row.
    Varies,
}

/// One call as planned.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) function: &'static str,
    pub(crate) types: Vec<DataType>,
    constants: Vec<Constant>,
}

impl Call {
    /// The call an accumulator is made for.
    pub(crate) fn physical(function: &'static str, args: &AccumulatorArgs) -> Result<Self> {
        without_distinct(function, args.is_distinct)?;
        Ok(Self::of(function, args.expr_fields, args.exprs))
    }

    /// The call a window is evaluated for.
    pub(crate) fn of(function: &'static str, fields: &[FieldRef], exprs: &[Arc<dyn PhysicalExpr>]) -> Self {
        Self {
            function,
            types: fields.iter().map(|field| field.data_type().clone()).collect(),
            constants: exprs.iter().map(constant).collect(),
        }
    }

    /// The call the optimizer sees. `None` while an argument is still waiting to be folded.
    pub(crate) fn logical(
        function: &'static str,
        args: &[Expr],
        distinct: bool,
        context: &SimplifyContext,
    ) -> Result<Option<Self>> {
        without_distinct(function, distinct)?;
        let mut constants = vec![];
        let mut types = vec![];
        for arg in args {
            types.push(context.get_data_type(arg)?);
            constants.push(match arg {
                Expr::Literal(value, _) => Constant::Is(value.clone()),
                arg if arg.column_refs().is_empty() => return Ok(None),
                _ => Constant::Varies,
            });
        }
        Ok(Some(Self { function, types, constants }))
    }

    /// The number of arguments.
    pub(crate) fn n_args(&self) -> usize {
        self.types.len()
    }

    /// The constant at `i`, never null.
    pub(crate) fn value(&self, i: usize, argument: &str) -> Result<&ScalarValue> {
        let function = self.function;
        match &self.constants[i] {
            Constant::Varies => {
                plan_err!("{function}: `{argument}` must be a constant, found an expression over columns")
            }
            Constant::Is(value) if value.is_null() => {
                plan_err!("{function}: `{argument}` must not be NULL")
            }
            Constant::Is(value) => Ok(value),
        }
    }

    /// The constant text at `i`.
    pub(crate) fn text(&self, i: usize, argument: &str) -> Result<&str> {
        let function = self.function;
        match self.value(i, argument)?.try_as_str() {
            Some(Some(text)) => Ok(text),
            _ => plan_err!("{function}: `{argument}` must be a text constant, found {}", self.types[i]),
        }
    }

    /// The constant whole number at `i`.
    pub(crate) fn integer(&self, i: usize, argument: &str) -> Result<i64> {
        let function = self.function;
        match self.value(i, argument)?.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(number))) => Ok(number),
            _ => plan_err!("{function}: `{argument}` must be a whole number, found {}", self.types[i]),
        }
    }

    /// What a tick of the time column at `i` is.
    pub(crate) fn scale(&self, i: usize) -> Result<Scale> {
        Scale::of(&self.types[i]).ok_or_else(|| {
            let (function, found) = (self.function, &self.types[i]);
            plan_datafusion_err!("{function}: `ts` must be a timestamp, a date or seconds, found {found}")
        })
    }

    /// The constant length of time at `i`, in the ticks of `scale`.
    pub(crate) fn span(&self, i: usize, argument: &str, scale: &Scale) -> Result<Span> {
        let value = self.value(i, argument)?;
        span(self.function, argument, value, scale)
    }

    /// The constant point in time at `i`, in its own ticks.
    pub(crate) fn tick(&self, i: usize, argument: &str) -> Result<i64> {
        let value = self.value(i, argument)?.to_array()?;
        Ok(Ticks::of(&value)?.values[0])
    }
}

fn constant(expr: &Arc<dyn PhysicalExpr>) -> Constant {
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return Constant::Is(literal.value().clone());
    }
    // A cast around a literal, say, when the plan was not optimised.
    if collect_columns(expr).is_empty()
        && let Ok(Some(value)) = fold(expr)
    {
        return Constant::Is(value);
    }
    Constant::Varies
}

fn fold(expr: &Arc<dyn PhysicalExpr>) -> Result<Option<ScalarValue>> {
    use arrow::array::{RecordBatch, RecordBatchOptions};
    use arrow::datatypes::Schema;
    use datafusion::logical_expr::ColumnarValue;

    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Schema::empty().into(), vec![], &options)?;
    match expr.evaluate(&row)? {
        ColumnarValue::Scalar(value) => Ok(Some(value)),
        ColumnarValue::Array(array) if array.len() == 1 => ScalarValue::try_from_array(&array, 0).map(Some),
        ColumnarValue::Array(_) => Ok(None),
    }
}

/// Reads a length of time.
pub(crate) fn span(
    function: &'static str,
    argument: &str,
    value: &ScalarValue,
    scale: &Scale,
) -> Result<Span> {
    use arrow::datatypes::{
        IntervalDayTimeType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalYearMonthType, TimeUnit,
    };

    let span = match value {
        ScalarValue::Int64(Some(number)) => Span::from_number(*number, scale),
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            let (months, days, nanos) = IntervalMonthDayNanoType::to_parts(*interval);
            Span::from_interval(IntervalMonthDayNano::new(months, days, nanos), scale)
        }
        ScalarValue::IntervalYearMonth(Some(months)) => {
            let months = IntervalYearMonthType::to_months(*months);
            Span::from_interval(IntervalMonthDayNano::new(months, 0, 0), scale)
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            let (days, millis) = IntervalDayTimeType::to_parts(*interval);
            Span::from_interval(IntervalMonthDayNano::new(0, days, i64::from(millis) * 1_000_000), scale)
        }
        ScalarValue::DurationSecond(Some(n)) => Span::from_duration(*n, TimeUnit::Second, scale),
        ScalarValue::DurationMillisecond(Some(n)) => Span::from_duration(*n, TimeUnit::Millisecond, scale),
        ScalarValue::DurationMicrosecond(Some(n)) => Span::from_duration(*n, TimeUnit::Microsecond, scale),
        ScalarValue::DurationNanosecond(Some(n)) => Span::from_duration(*n, TimeUnit::Nanosecond, scale),
        other => {
            return plan_err!(
                "{function}: `{argument}` must be an INTERVAL or a number of seconds, found {}",
                other.data_type()
            );
        }
    };
    span.map_err(|error| match error {
        SpanError::Negative => {
            // `Display` of an interval shows its parts; this is how a result is printed.
            let shown = value.to_array().and_then(|value| Ok(array_value_to_string(&value, 0)?));
            let shown = shown.unwrap_or_else(|_| value.to_string());
            plan_datafusion_err!("{function}: `{argument}` must not be negative, found {shown}")
        }
        SpanError::Zone(zone) => plan_datafusion_err!("{function}: unknown time zone `{zone}`"),
    })
}

/// `DISTINCT` would be about rows, which none of the functions here compare.
pub(crate) fn without_distinct(function: &str, distinct: bool) -> Result<()> {
    if distinct {
        return plan_err!("{function} does not take DISTINCT; select the distinct rows in a subquery");
    }
    Ok(())
}
