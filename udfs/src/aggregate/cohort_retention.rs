//! `cohort_retention(ts, cohort_ts, unit, n)`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::function::{Aggregate, udaf};
use super::list::list_type;
use super::masks::{MaskGroups, Masks};
use crate::args::{coerce_integer, coerce_ts, is_text, wrong_arity};
use crate::kernel::period::{Periods, Unit};
use crate::ticks::Ticks;

/// `cohort_retention(ts, cohort_ts, unit, n)`
pub fn cohort_retention_udaf() -> Arc<AggregateUDF> {
    udaf::<CohortRetention>()
}

#[user_doc(
    doc_section(label = "Retention"),
    description = "In which of `n` calendar periods, from that of `cohort_ts` on, there was a row: the first element \
                   stands for the period of `cohort_ts` itself. Weeks begin on Monday; periods follow the zone of the \
                   timestamps. Rows before `cohort_ts`'s period or after the last one do not count. All false where there are no rows; NULL for a window frame without rows.\n\n\
                   A group takes 8 bytes of memory.",
    syntax_example = "cohort_retention(ts, cohort_ts, unit, n)",
    sql_example = "```sql
> SELECT cohort_retention(day, DATE '2026-01-31', 'month', 4) AS active
  FROM (VALUES (DATE '2026-01-31'), (DATE '2026-02-01'), (DATE '2026-04-30')) AS t(day);
+---------------------------+
| active                    |
+---------------------------+
| [true, true, false, true] |
+---------------------------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(
        name = "cohort_ts",
        description = "When the customer joined; of the type of `ts`, the same in all rows of a group. Rows where it is NULL are ignored."
    ),
    argument(
        name = "unit",
        description = "Constant: `'hour'`, `'day'`, `'week'`, `'month'`, `'quarter'` or `'year'`."
    ),
    argument(name = "n", description = "Constant number of periods, 1 to 64."),
    related_udf(name = "retention")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct CohortRetention;

impl Aggregate for CohortRetention {
    const NAME: &'static str = "cohort_retention";
    type Groups = MaskGroups;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, cohort_ts, unit, n] = types else {
            return wrong_arity(Self::NAME, "(ts, cohort_ts, unit, n)", types.len());
        };
        coerce_ts(Self::NAME, "cohort_ts", cohort_ts)?;
        let ts = coerce_ts(Self::NAME, "ts", ts)?;
        if !is_text(unit) {
            return plan_err!("cohort_retention: `unit` must be {}, found {unit}", Unit::NAMES);
        }
        Ok(vec![ts.clone(), ts, DataType::Utf8, coerce_integer(Self::NAME, "n", n)?])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(list_type(&DataType::Boolean))
    }

    fn bind(call: &Call) -> Result<MaskGroups> {
        let unit = call.text(2, "unit")?;
        let unit = Unit::named(unit).ok_or_else(|| {
            plan_datafusion_err!("cohort_retention: `unit` must be {}, found '{unit}'", Unit::NAMES)
        })?;
        let n = match usize::try_from(call.integer(3, "n")?) {
            Ok(n @ 1..=64) => n,
            _ => return plan_err!("cohort_retention: `n` must be 1 to 64, found {}", call.integer(3, "n")?),
        };
        let periods = Periods::new(unit, &call.scale(0)?).ok_or_else(|| {
            plan_datafusion_err!("cohort_retention: unknown time zone of {}", call.types[0])
        })?;
        Ok(MaskGroups::new(Since { periods, n }))
    }
}

#[derive(Debug)]
struct Since {
    periods: Periods,
    n: usize,
}

impl Since {
    fn mask(&self, tick: i64, cohort: i64) -> Option<u64> {
        let since = self.periods.number(tick)?.checked_sub(self.periods.number(cohort)?)?;
        let since = usize::try_from(since).ok()?;
        (since < self.n).then(|| 1 << since)
    }
}

impl Masks for Since {
    fn masks(&self, values: &[ArrayRef]) -> Result<Vec<u64>> {
        let (ts, cohort) = (Ticks::of(&values[0])?, Ticks::of(&values[1])?);
        let mask = |row| {
            if ts.is_valid(row) && cohort.is_valid(row) {
                self.mask(ts.values[row], cohort.values[row]).unwrap_or(0)
            } else {
                0
            }
        };
        Ok((0..values[0].len()).map(mask).collect())
    }

    fn len(&self) -> usize {
        self.n
    }

    fn answer(&self, mask: u64, i: usize) -> bool {
        mask >> i & 1 != 0
    }
}
