//! `kll_union`

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::{Encoded, Function, collect_bytes, scalar_udf};
use super::sketch::{KLL, coerce_two, failed, read_kll};
use crate::kernel::kll;

/// `kll_union(a, b)`
pub fn kll_union_udf() -> Arc<ScalarUDF> {
    scalar_udf::<KllUnion>()
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

impl Function for KllUnion {
    const NAME: &'static str = "kll_union";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_two(Self::NAME, KLL, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let (a, b) = (Encoded::new(&args[0], read_kll)?, Encoded::new(&args[1], read_kll)?);
        collect_bytes(n_rows, |row| {
            let combined = a.map(row, |a| {
                b.map(row, |b| {
                    let mut union = a.clone();
                    kll::merge(&mut union, b).map_err(failed(Self::NAME))?;
                    Ok(union.serialize())
                })
            })?;
            Ok(combined.flatten())
        })
    }
}
