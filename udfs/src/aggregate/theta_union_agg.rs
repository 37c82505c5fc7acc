//! `theta_union_agg`

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::sketch::{coerce_sketches, option};
use super::summary::{Summary, summary_udaf};
use crate::kernel::theta::{DEFAULT_LG_K, LG_K, Theta};
use crate::scalar::sketch::{THETA, failed, read_theta};

/// `theta_union_agg(sketch [, lg_k])`
pub fn theta_union_agg_udaf() -> Arc<AggregateUDF> {
    summary_udaf::<ThetaUnionAgg>()
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

impl Summary for ThetaUnionAgg {
    const NAME: &'static str = "theta_union_agg";
    type Options = u8;
    type State = Theta;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_sketches(Self::NAME, THETA, "lg_k", types)
    }

    fn bind(call: &Call) -> Result<u8> {
        option(call, "lg_k", &LG_K, DEFAULT_LG_K)
    }

    fn empty(option: &u8) -> Result<Theta> {
        Ok(Theta::new(*option))
    }

    fn update(states: &mut [Theta], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()> {
        let sketches = values.as_binary::<i64>();
        rows.iter().try_for_each(|(row, group)| Self::merge(&mut states[*group], sketches.value(*row)))
    }

    fn merge(state: &mut Theta, bytes: &[u8]) -> Result<()> {
        state.merge(&read_theta(bytes)?).map_err(failed(Self::NAME))
    }

    fn write(state: &mut Theta) -> Result<Option<Vec<u8>>> {
        Ok(Some(state.write().map_err(failed(Self::NAME))?))
    }

    fn size(state: &Theta) -> usize {
        state.size()
    }
}
