//! `theta_sketch`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::function::udaf;
use super::sketch::{coerce_values, items};
use super::summary::{Collect, Collected};
use crate::kernel::theta::Theta;
use crate::scalar::sketch::failed;

/// `theta_sketch(value [, lg_k])`
pub fn theta_sketch_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<ThetaSketch>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "A sketch of the set of the values, from which the size of the set, of unions, intersections and differences can be estimated: see `theta_estimate`, `theta_union`, `theta_intersect`, `theta_a_not_b`. Keeps at most 2^lg_k hashes: with 12, sets of up to 4096 values are exact, and sets of any size have a relative error of 1.6 % (one standard deviation). Strings and binary are hashed by their bytes, integers, booleans (0 and 1), dates (days) and timestamps (microseconds) as 64-bit integers, floats as doubles, all as DataSketches for Java and C++ does: the sketch can be merged with theirs. As there, the empty string is no value. A group takes at most 2^(lg_k + 4) bytes of memory (64 KB with 12), and less while it has few values. The same values give the same bytes in any order.",
    syntax_example = "theta_sketch(value [, lg_k])",
    sql_example = "```sql
> SELECT theta_estimate(theta_sketch(x)) AS different FROM (VALUES ('a'), ('b'), ('a')) AS t(x);
+-----------+
| different |
+-----------+
| 2.0       |
+-----------+
```",
    argument(
        name = "value",
        description = "A string, number, boolean, date, timestamp or binary. NULL is ignored."
    ),
    argument(
        name = "lg_k",
        description = "Constant from 5 to 26: the logarithm (base 2) of the number of hashes kept; 12 if left out."
    ),
    related_udf(name = "theta_estimate"),
    related_udf(name = "theta_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaSketch;

impl Collect for ThetaSketch {
    const NAME: &'static str = "theta_sketch";
    type State = Theta;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_values(Self::NAME, "lg_k", types)
    }

    fn update(states: &mut [Theta], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()> {
        items(rows, values, |group, item| states[group].update(item).map_err(failed(Self::NAME)))
    }
}
