//! `period_end`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::scalar_udf;
use super::period::{Edge, Edges};

/// `period_end(unit, time)`
pub fn period_end_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Edges<PeriodEnd>>()
}

#[user_doc(
    doc_section(label = "Calendar"),
    description = "The end of the hour, day, week, month, quarter or year that a time lies in, which is the start of the next: a time lies in the period if it is at or after `period_start` and before `period_end`, be it a date or a timestamp. Weeks begin on Monday. The clock is that of the timestamp's zone, UTC without one; an hour that is shown twice when clocks go back is one period. The answer has the type of `time`. NULL for NULL.",
    syntax_example = "period_end(unit, time)",
    sql_example = "```sql
> SELECT period_end('week', DATE '2026-05-17') AS week, period_end('quarter', TIMESTAMP '2026-05-17T10:00:00') AS quarter;
+------------+---------------------+
| week       | quarter             |
+------------+---------------------+
| 2026-05-18 | 2026-07-01T00:00:00 |
+------------+---------------------+
```",
    argument(
        name = "unit",
        description = "Constant: 'hour' (of timestamps only), 'day', 'week', 'month', 'quarter' or 'year'."
    ),
    argument(name = "time", description = "A date or a timestamp."),
    related_udf(name = "period_start")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct PeriodEnd;

impl Edge for PeriodEnd {
    const NAME: &'static str = "period_end";
    const AHEAD: i64 = 1;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
