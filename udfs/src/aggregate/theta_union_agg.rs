//! `theta_union_agg`

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::call::Call;
use super::function::{Aggregate, udaf};
use super::sketch::{coerce_sketches, option};
use super::summary::{SummaryGroups, empty_summary};
use crate::kernel::theta::{DEFAULT_LG_K, LG_K, Theta};

/// `theta_union_agg(sketch [, lg_k])`
pub fn theta_union_agg_udaf() -> Arc<AggregateUDF> {
    udaf::<ThetaUnionAgg>()
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

impl Aggregate for ThetaUnionAgg {
    const NAME: &'static str = "theta_union_agg";
    type Groups = SummaryGroups<Theta>;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_sketches::<CompactThetaSketch>(Self::NAME, "lg_k", types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        empty_summary::<Theta>(&DEFAULT_LG_K)
    }

    fn bind(call: &Call) -> Result<Self::Groups> {
        Ok(SummaryGroups::of_summaries(option(call, "lg_k", &LG_K, DEFAULT_LG_K)?))
    }
}
