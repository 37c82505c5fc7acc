//! `kll_sketch`

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::function::udaf;
use super::sketch::with_option;
use super::summary::{Collect, Collected};
use crate::args::{plain, wrong_type};
use crate::kernel::kll::{self, Kll};

/// `kll_sketch(value [, k])`
pub fn kll_sketch_udaf() -> Arc<AggregateUDF> {
    udaf::<Collected<KllSketch>>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "A sketch of numbers from which any quantile can be estimated: see `kll_quantile`, `kll_rank`. The bytes are those of `KllDoublesSketch` of DataSketches for Java and of `kll_sketch<double>` for C++. Up to `k` numbers the answers are exact; beyond, which numbers are kept is drawn by lot, and answers differ from run to run within the error. A group takes about 3k numbers of 8 bytes at most (5 KB with 200), and less while it has few.",
    syntax_example = "kll_sketch(value [, k])",
    sql_example = "```sql
> SELECT kll_quantile(kll_sketch(x), 0.5) AS median FROM (VALUES (3), (1), (2)) AS t(x);
+--------+
| median |
+--------+
| 2.0    |
+--------+
```",
    argument(name = "value", description = "A number. NULL and NaN are ignored."),
    argument(
        name = "k",
        description = "Constant from 8 to 65535: how many numbers the largest level keeps; 200 if left out, for a rank error of 1.33 % with 99 % confidence."
    ),
    related_udf(name = "kll_quantile"),
    related_udf(name = "kll_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct KllSketch;

impl Collect for KllSketch {
    const NAME: &'static str = "kll_sketch";
    type State = Kll;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let (value, option) = with_option(Self::NAME, "value", "k", types)?;
        if !plain(value).is_numeric() && !plain(value).is_null() {
            return Err(wrong_type(Self::NAME, "value", "a number", value));
        }
        Ok(std::iter::once(DataType::Float64).chain(option).collect())
    }

    fn update(states: &mut [Kll], rows: &[(usize, usize)], values: &ArrayRef) -> Result<()> {
        let values = values.as_primitive::<Float64Type>();
        rows.iter().for_each(|(row, group)| kll::update(&mut states[*group], values.value(*row)));
        Ok(())
    }
}
