//! `kll_union`

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::encoded::{Combine, Combined};
use super::function::scalar_udf;
use super::sketch::failed;
use crate::kernel::kll::{self, Kll};

/// `kll_union(a, b)`
pub fn kll_union_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Combined<KllUnion>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The KLL sketch of the numbers of two sketches. NULL if either is NULL.",
    syntax_example = "kll_union(a, b)",
    sql_example = "```sql
> SELECT kll_quantile(kll_union(a, b), 0.5) AS median
  FROM (SELECT kll_sketch(x) FILTER (WHERE x < 3) AS a, kll_sketch(x) FILTER (WHERE x > 1) AS b FROM (VALUES (1), (2), (3), (4)) AS t(x));
+--------+
| median |
+--------+
| 2.0    |
+--------+
```",
    argument(name = "a", description = "A sketch."),
    argument(name = "b", description = "A sketch."),
    related_udf(name = "kll_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct KllUnion;

impl Combine for KllUnion {
    const NAME: &'static str = "kll_union";
    type Value = Kll;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn combine(a: &Kll, b: &Kll) -> Result<Vec<u8>> {
        let mut union = a.clone();
        kll::merge(&mut union, b).map_err(failed(Self::NAME))?;
        Ok(union.serialize())
    }
}
