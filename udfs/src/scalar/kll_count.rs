//! `kll_count`

use std::sync::Arc;

use arrow::datatypes::Int64Type;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::encoded::{Measure, Measured};
use super::function::scalar_udf;
use crate::kernel::kll::Kll;

/// `kll_count(sketch)`
pub fn kll_count_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Measured<KllCount>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "How many numbers the KLL sketch has seen; exact. NULL for NULL.",
    syntax_example = "kll_count(sketch)",
    sql_example = "```sql
> SELECT kll_count(kll_sketch(x)) AS n FROM (VALUES (1.5), (2.5), (NULL)) AS t(x);
+---+
| n |
+---+
| 2 |
+---+
```",
    argument(
        name = "sketch",
        description = "A sketch made by `kll_sketch` or another DataSketches library."
    ),
    related_udf(name = "kll_sketch")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct KllCount;

impl Measure for KllCount {
    const NAME: &'static str = "kll_count";
    const ARGUMENT: &'static str = "sketch";
    type Value = Kll;
    type Number = Int64Type;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn measure(sketch: &Kll) -> Result<i64> {
        let count = i64::try_from(sketch.n());
        count.map_err(|_| exec_datafusion_err!("{}: more numbers than integers", Self::NAME))
    }
}
