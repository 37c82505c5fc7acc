//! `hll_union`

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use datasketches::hll::HllSketch;

use super::encoded::{Combine, Combined};
use super::function::scalar_udf;
use super::sketch::failed;
use crate::kernel::hll::Hll;

/// `hll_union(a, b)`
pub fn hll_union_udf() -> Arc<ScalarUDF> {
    scalar_udf::<Combined<HllUnion>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The HLL sketch of what is in either of two sketches; of different precision, the lower is kept. NULL if either is NULL.",
    syntax_example = "hll_union(a, b)",
    sql_example = "```sql
> SELECT round(hll_estimate(hll_union(a, b)), 3) AS different
  FROM (SELECT hll_sketch(x) FILTER (WHERE x < 3) AS a, hll_sketch(x) FILTER (WHERE x > 1) AS b FROM (VALUES (1), (2), (3), (4)) AS t(x));
+-----------+
| different |
+-----------+
| 4.0       |
+-----------+
```",
    argument(name = "a", description = "A sketch."),
    argument(name = "b", description = "A sketch."),
    related_udf(name = "hll_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct HllUnion;

impl Combine for HllUnion {
    const NAME: &'static str = "hll_union";
    type Value = HllSketch;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn combine(a: &HllSketch, b: &HllSketch) -> Result<Vec<u8>> {
        let mut union = Hll::new(a.lg_config_k().max(b.lg_config_k())).map_err(failed(Self::NAME))?;
        union.merge(a);
        union.merge(b);
        Ok(union.write())
    }
}
