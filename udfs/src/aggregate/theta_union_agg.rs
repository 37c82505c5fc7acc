//! `theta_union_agg`

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::function::udaf;
use super::sketch::coerce_sketches;
use super::summary::{Collect, Collected};
use crate::kernel::theta::Theta;

/// `theta_union_agg(sketch [, lg_k])`
pub fn theta_union_agg_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<ThetaUnionAgg>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The theta sketch of what is in the sketch of some row; without rows, of the empty set. A group takes at most 2^(lg_k + 4) bytes of memory.",
    syntax_example = "theta_union_agg(sketch [, lg_k])",
    sql_example = "```sql
> SELECT theta_estimate(theta_union_agg(s)) AS different FROM (SELECT theta_sketch(x) AS s FROM (VALUES (1, 1), (1, 2), (2, 2), (2, 3)) AS t(g, x) GROUP BY g);
+-----------+
| different |
+-----------+
| 3.0       |
+-----------+
```",
    argument(name = "sketch", description = "A theta sketch. NULL is ignored."),
    argument(
        name = "lg_k",
        description = "Constant from 5 to 26: the logarithm (base 2) of the number of hashes kept; 12 if left out."
    ),
    related_udf(name = "theta_union"),
    related_udf(name = "theta_intersect_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaUnionAgg;

impl Collect for ThetaUnionAgg {
    const NAME: &'static str = "theta_union_agg";
    type State = Theta;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_sketches::<CompactThetaSketch>(Self::NAME, "lg_k", types)
    }
}
