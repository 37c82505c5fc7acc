//! `theta_intersect_agg`

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;
use datasketches::theta::CompactThetaSketch;

use super::call::Call;
use super::summary::{Summary, summary_udaf};
use crate::kernel::theta;
use crate::scalar::sketch::{THETA, coerce_one, failed, read_theta};

/// `theta_intersect_agg(sketch)`
pub fn theta_intersect_agg_udaf() -> Arc<AggregateUDF> {
    summary_udaf::<ThetaIntersectAgg>()
}

#[user_doc(
    doc_section(label = "Sketches"),
    description = "The theta sketch of what is in the sketches of all rows; without rows NULL. A group takes at most as much memory as its first sketch.",
    syntax_example = "theta_intersect_agg(sketch)",
    sql_example = "```sql
> SELECT theta_estimate(theta_intersect_agg(s)) AS common FROM (SELECT theta_sketch(x) AS s FROM (VALUES (1, 1), (1, 2), (2, 2), (2, 3)) AS t(g, x) GROUP BY g);
+--------+
| common |
+--------+
| 1.0    |
+--------+
```",
    argument(name = "sketch", description = "A theta sketch. NULL is ignored."),
    related_udf(name = "theta_intersect"),
    related_udf(name = "theta_union_agg")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ThetaIntersectAgg;

impl Summary for ThetaIntersectAgg {
    const NAME: &'static str = "theta_intersect_agg";
    type Options = ();
    type State = Option<CompactThetaSketch>;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_one(Self::NAME, THETA, types)
    }

    fn bind(_: &Call) -> Result<()> {
        Ok(())
    }

    fn empty(_: &()) -> Result<Option<CompactThetaSketch>> {
        Ok(None)
    }

    fn update(
        states: &mut [Option<CompactThetaSketch>],
        rows: &[(usize, usize)],
        values: &ArrayRef,
    ) -> Result<()> {
        let sketches = values.as_binary::<i64>();
        rows.iter().try_for_each(|(row, group)| Self::merge(&mut states[*group], sketches.value(*row)))
    }

    fn merge(state: &mut Option<CompactThetaSketch>, bytes: &[u8]) -> Result<()> {
        let sketch = read_theta(bytes)?;
        *state = Some(match state.take() {
            Some(so_far) => {
                let common = theta::intersect(&so_far, &sketch).map_err(failed(Self::NAME))?;
                read_theta(&common)?
            }
            None => sketch,
        });
        Ok(())
    }

    fn write(state: &mut Option<CompactThetaSketch>) -> Result<Option<Vec<u8>>> {
        Ok(state.as_ref().map(CompactThetaSketch::serialize))
    }

    fn size(state: &Option<CompactThetaSketch>) -> usize {
        state.as_ref().map_or(0, |sketch| sketch.num_retained() * size_of::<u64>())
    }
}
