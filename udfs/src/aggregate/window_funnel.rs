//! `window_funnel(window, ts, c1, … cn [, mode…])`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{EventGroups, Fold, Input, Keep};
use super::function::{Aggregate, udaf};
use crate::args::{coerce_condition, coerce_span, coerce_ts, is_text, wrong_arity};
use crate::kernel::events::Grouped;
use crate::kernel::funnel::{Funnel, MAX_STEPS};
use crate::kernel::span::{Scale, Span};

/// `window_funnel(window, ts, c1, … cn [, mode…])`
pub fn window_funnel_udaf() -> Arc<AggregateUDF> {
    udaf::<WindowFunnel>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "How many of the conditions were met in sequence, the last of them at most `window` after the \
                   first: 0 where the first never held, `n` where all did. A row where several conditions hold is an \
                   event of each, in the order of the conditions; at equal times, so are several rows.\n\n\
                   The answers are those of ClickHouse's `windowFunnel`, whose modes there are, and in addition a \
                   limit from step to step:\n\n\
                   - `'strict_order'`: a row of any other kind, or a step too early, ends the sequence.\n\
                   - `'strict_deduplication'`: a step that was met already ends the sequence when it comes again.\n\
                   - `'strict_increase'`: times must increase from step to step.\n\
                   - `'strict_once'`: a row counts for one step only.\n\
                   - `'allow_reentry'`: with `strict_order`, steps that are too early are passed over.\n\
                   - `'step <= 30 minutes'`: every step comes at most that long after the one before it.\n\
                   - `'step 3 <= 1 day'`: the same for the third step alone, whatever is said for every step.\n\n\
                   As in ClickHouse, a step is compared with the latest event of the step before it. Unlike there, \
                   a condition that is NULL does not hide the row from the others, and timestamps of any precision are taken.\n\n\
                   A group takes 16 bytes of memory for each row where a condition holds, with `strict_order` for each row.",
    syntax_example = "window_funnel(window, ts, c1, … cn [, mode…])",
    sql_example = "```sql
> SELECT window_funnel(INTERVAL '1' HOUR, ts, kind = 'view', kind = 'cart', kind = 'order') AS level
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'view'), (TIMESTAMP '2026-01-01T10:30:00', 'cart'),
               (TIMESTAMP '2026-01-01T12:00:00', 'order')) AS t(ts, kind);
+-------+
| level |
+-------+
| 2     |
+-------+
> SELECT window_funnel(86400, ts, kind = 'view', kind = 'cart', kind = 'order', 'step 2 <= 10 minutes') AS level
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'view'), (TIMESTAMP '2026-01-01T10:30:00', 'cart'),
               (TIMESTAMP '2026-01-01T12:00:00', 'order')) AS t(ts, kind);
+-------+
| level |
+-------+
| 1     |
+-------+
```",
    argument(
        name = "window",
        description = "Constant INTERVAL or number of seconds (days, if `ts` is a date), from the first step to the last."
    ),
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "c1, … cn", description = "Up to 32 conditions. NULL does not hold."),
    argument(name = "mode", description = "Constant text, see above; any number of them."),
    related_udf(name = "did_then")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct WindowFunnel;

const SYNTAX: &str = "(window, ts, c1, … cn [, mode…])";

impl Aggregate for WindowFunnel {
    const NAME: &'static str = "window_funnel";
    type Groups = EventGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [window, ts, rest @ ..] = types else {
            return wrong_arity(Self::NAME, SYNTAX, types.len());
        };
        let mut coerced = vec![coerce_span(Self::NAME, "window", window)?, coerce_ts(Self::NAME, "ts", ts)?];
        let n_steps = rest.iter().take_while(|found| !is_text(found)).count();
        if n_steps == 0 {
            return plan_err!("window_funnel takes {SYNTAX}, found no condition");
        }
        if n_steps > MAX_STEPS {
            return plan_err!("window_funnel takes up to {MAX_STEPS} conditions, found {n_steps}");
        }
        for (i, found) in rest.iter().enumerate() {
            coerced.push(if i < n_steps {
                coerce_condition(Self::NAME, &format!("c{}", i + 1), found)?
            } else if is_text(found) {
                DataType::Utf8
            } else {
                return plan_err!(
                    "window_funnel: modes come after all conditions, found {found} after a text"
                );
            });
        }
        Ok(coerced)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn bind(call: &Call) -> Result<EventGroups> {
        let scale = call.scale(1)?;
        let window = call.span(0, "window", &scale)?;
        let n_steps = call.types[2..].iter().take_while(|found| !is_text(found)).count();
        let mut funnel = Funnel::new(n_steps, window);
        let mut modes = Modes { funnel: &mut funnel, every_step: None, scale: &scale };
        for i in 2 + n_steps..call.n_args() {
            modes.add(call.text(i, "mode")?)?;
        }
        modes.finish()?;
        let keep = if funnel.needs_all_rows() { Keep::Timed } else { Keep::Matching };
        Ok(EventGroups::new(Input { ts: 1, conditions: 2..2 + n_steps, keep }, funnel))
    }
}

/// Reads modes into a funnel.
struct Modes<'a> {
    funnel: &'a mut Funnel,
    every_step: Option<Span>,
    scale: &'a Scale,
}

impl Modes<'_> {
    fn add(&mut self, mode: &str) -> Result<()> {
        match mode.trim() {
            "strict_order" => self.funnel.strict_order = true,
            "strict_deduplication" => self.funnel.strict_deduplication = true,
            "strict_increase" => self.funnel.strict_increase = true,
            "strict_once" => self.funnel.strict_once = true,
            "allow_reentry" => self.funnel.allow_reentry = true,
            "strict" => {
                return plan_err!("window_funnel: mode `strict` is called `strict_deduplication`");
            }
            limit if limit.starts_with("step") => return self.limit(limit),
            _ => {
                return plan_err!(
                    "window_funnel: unknown mode `{mode}`; there are strict_order, strict_deduplication, \
                     strict_increase, strict_once, allow_reentry, and limits like `step <= 30 minutes`"
                );
            }
        }
        Ok(())
    }

    fn limit(&mut self, mode: &str) -> Result<()> {
        let wrong = |what: &str| {
            plan_datafusion_err!(
                "window_funnel: mode `{mode}`: {what}; write `step <= 30 minutes` or `step 3 <= 1 day`"
            )
        };
        let (step, length) = mode.split_once("<=").ok_or_else(|| wrong("expected `<=`"))?;
        let interval = parse_interval_month_day_nano(length.trim())
            .map_err(|_| wrong(&format!("`{}` is not a length of time", length.trim())))?;
        let interval = ScalarValue::IntervalMonthDayNano(Some(interval));
        let span = super::call::span("window_funnel", "mode", &interval, self.scale)?;
        let step = step["step".len()..].trim();
        if step.is_empty() {
            self.every_step = Some(span);
            return Ok(());
        }
        let n_steps = self.funnel.n_steps;
        match step.parse::<usize>() {
            Ok(step) if (2..=n_steps).contains(&step) => {
                self.funnel.limits[step - 1] = Some(span);
                Ok(())
            }
            _ => Err(wrong(&format!("`{step}` is not a step between 2 and {n_steps}"))),
        }
    }

    fn finish(self) -> Result<()> {
        if self.funnel.allow_reentry && !self.funnel.strict_order {
            return plan_err!("window_funnel: mode `allow_reentry` needs mode `strict_order`");
        }
        if let Some(every) = self.every_step {
            for limit in &mut self.funnel.limits {
                limit.get_or_insert_with(|| every.clone());
            }
        }
        Ok(())
    }
}

impl Fold for Funnel {
    fn fold(&self, groups: &Grouped<u32>) -> Result<ArrayRef> {
        let levels = groups
            .iter()
            .map(|(ticks, masks)| i64::try_from(self.level(ticks, masks)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| exec_datafusion_err!("a funnel of more than 32 steps"))?;
        Ok(Arc::new(Int64Array::from(levels)))
    }
}
