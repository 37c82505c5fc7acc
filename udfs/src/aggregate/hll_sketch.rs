//! `hll_sketch`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::function::udaf;
use super::sketch::{coerce_values, items};
use super::summary::{Collect, Collected};
use crate::kernel::hll::Hll;

/// `hll_sketch(value [, lg_k])`
pub fn hll_sketch_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<HllSketch>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "A sketch of the set of the values that is smaller than a theta sketch and knows unions only: see `hll_estimate`, `hll_union`. Has 2^lg_k registers of a byte: with 12, 4 KB and a relative error of 1.6 % (one standard deviation); small sets are kept exactly, in less. Strings and binary are hashed by their bytes, integers, booleans (0 and 1), dates (days) and timestamps (microseconds) as 64-bit integers, floats as doubles, all as DataSketches for Java and C++ does: the sketch can be merged with theirs. As there, the empty string is no value. A group takes at most 2^lg_k bytes of memory and about 100 besides. The same values give the same bytes in any order.",
    syntax_example = "hll_sketch(value [, lg_k])",
    sql_example = "```sql
> SELECT round(hll_estimate(hll_sketch(x)), 3) AS different FROM (VALUES ('a'), ('b'), ('a')) AS t(x);
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
        description = "Constant from 4 to 21: the logarithm (base 2) of the number of registers; 12 if left out."
    ),
    related_udf(name = "hll_estimate"),
    related_udf(name = "hll_union_agg"),
    related_udf(name = "theta_sketch")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct HllSketch;

impl Collect for HllSketch {
    const NAME: &'static str = "hll_sketch";
    type State = Hll;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_values(Self::NAME, "lg_k", types)
    }

    fn update(states: &mut [Hll], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()> {
        items(rows, values, |group, item| {
            states[group].update(item);
            Ok(())
        })
    }
}
