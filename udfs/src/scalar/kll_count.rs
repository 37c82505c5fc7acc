//! `kll_count`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;

use super::function::{Encoded, Function, scalar_udf};
use super::sketch::{KLL, coerce_one, read_kll};

/// `kll_count(sketch)`
pub fn kll_count_udf() -> Arc<ScalarUDF> {
    scalar_udf::<KllCount>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "How many numbers the KLL sketch has seen; exact. NULL for NULL.",
    syntax_example = "kll_count(sketch)",
    sql_example = "```sql
> SELECT kll_count(kll_sketch(x)) AS n FROM (VALUES (1.5), (2.5), (NULL)) AS t(x);
+---+
| n |
+---+
| 2 |
+---+
```",
    argument(
        name = "sketch",
        description = "A sketch made by `kll_sketch` or another DataSketches library."
    ),
    related_udf(name = "kll_sketch")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct KllCount;

impl Function for KllCount {
    const NAME: &'static str = "kll_count";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_one(Self::NAME, KLL, types)
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let sketches = Encoded::new(&args[0], read_kll)?;
        let counts = (0..n_rows).map(|row| {
            sketches.map(row, |sketch| {
                let count = i64::try_from(sketch.n());
                count.map_err(|_| exec_datafusion_err!("{}: more numbers than integers", Self::NAME))
            })
        });
        Ok(Arc::new(counts.collect::<Result<Int64Array>>()?))
    }
}
