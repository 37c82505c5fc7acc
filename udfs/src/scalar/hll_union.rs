//! `hll_union`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::{Encoded, Function, collect_bytes, scalar_udf};
use super::sketch::{HLL, coerce_two, failed, read_hll};
use crate::kernel::hll::Hll;

/// `hll_union(a, b)`
pub fn hll_union_udf() -> Arc<ScalarUDF> {
    scalar_udf::<HllUnion>()
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

impl Function for HllUnion {
    const NAME: &'static str = "hll_union";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_two(Self::NAME, HLL, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let (a, b) = (Encoded::new(&args[0], read_hll)?, Encoded::new(&args[1], read_hll)?);
        collect_bytes(n_rows, |row| {
            let combined = a.map(row, |a| {
                b.map(row, |b| {
                    let mut union =
                        Hll::new(a.lg_config_k().max(b.lg_config_k())).map_err(failed(Self::NAME))?;
                    union.merge(a);
                    union.merge(b);
                    Ok(union.write())
                })
            })?;
            Ok(combined.flatten())
        })
    }
}
