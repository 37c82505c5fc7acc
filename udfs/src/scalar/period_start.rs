//! `period_start`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::scalar_udf;
use super::period::{Edge, Edges};

/// `period_start(unit, time)`
pub fn period_start_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Edges<PeriodStart>>()
}

#[user_doc(
    doc_section(label = "Calendar"),
    description = "The start of the hour, day, week, month, quarter or year that a time lies in. Weeks begin on Monday. The clock is that of the timestamp's zone, UTC without one; an hour that is shown twice when clocks go back is one period. The answer has the type of `time`. NULL for NULL.",
    syntax_example = "period_start(unit, time)",
    sql_example = "```sql
> SELECT period_start('week', DATE '2026-05-17') AS week, period_start('quarter', TIMESTAMP '2026-05-17T10:00:00') AS quarter;
+------------+---------------------+
| week       | quarter             |
+------------+---------------------+
| 2026-05-11 | 2026-04-01T00:00:00 |
+------------+---------------------+
```",
    argument(
        name = "unit",
        description = "Constant: 'hour' (of timestamps only), 'day', 'week', 'month', 'quarter' or 'year'."
    ),
    argument(name = "time", description = "A date or a timestamp."),
    related_udf(name = "period_end")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct PeriodStart;

impl Edge for PeriodStart {
    const NAME: &'static str = "period_start";
    const AHEAD: i64 = 0;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
