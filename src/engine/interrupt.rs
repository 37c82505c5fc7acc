//! Joins that end when their statement does.
//!
//! A join without equality looks at all pairs of rows and may find none for minutes: it does not come back to the
//! runtime in between, which therefore cannot end it. Its condition is computed for a few thousand pairs at a time, so
//! that is where it is told.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Kind;
use crate::error::Error;

/// The plan, with joins that end when `stop` says so.
pub(super) fn interruptible(
    plan: Arc<dyn ExecutionPlan>,
    stop: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|plan| {
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let filter = join.filter().map(|filter| until(filter, stop));
            let join = NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?;
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(Arc::new(join))) as _));
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>()
            && let Some(filter) = &join.filter
        {
            let join = join.builder().with_filter(Some(until(filter, stop))).build()?;
            return Ok(Transformed::yes(Arc::new(join) as _));
        }
        if plan.is::<CrossJoinExec>() {
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(plan)) as _));
        }
        Ok(Transformed::no(plan))
    })?;
    Ok(plan.data)
}

fn until(filter: &JoinFilter, stop: &CancellationToken) -> JoinFilter {
    let condition = Until { condition: Arc::clone(filter.expression()), stop: stop.clone() };
    JoinFilter::new(Arc::new(condition), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// A condition that fails once its statement is to end.
#[derive(Debug)]
struct Until {
    condition: Arc<dyn PhysicalExpr>,
    stop: CancellationToken,
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PartialEq for Until {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Until {}

impl Hash for Until {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl PhysicalExpr for Until {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stop.is_cancelled() {
            return Err(DataFusionError::from(Error::new(Kind::Cancelled, "the statement was stopped")));
        }
        self.condition.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let condition = children.pop().unwrap_or_else(|| Arc::clone(&self.condition));
        Ok(Arc::new(Self { condition, stop: self.stop.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
