//! Parameters of lambdas get numbers that no column has.
//!
//! A parameter is a number after those of the columns around it, and stays what it is when its expression moves to where
//! there are more columns: it is then taken for one of them (<https://github.com/apache/datafusion/issues/24372>).

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::LambdaVariable;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// More than any table has columns.
const FIRST_PARAMETER: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Parameters;

impl PhysicalOptimizerRule for Parameters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_up(renumbered_node)?.data)
    }

    fn name(&self) -> &'static str {
        "LambdaParameters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Expressions move from and to projections, filters and the conditions of joins.
fn renumbered_node(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let renumbered: Option<Arc<dyn ExecutionPlan>> = if let Some(projection) = plan.downcast_ref() {
        renumbered_projection(projection)?
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let filtered = |predicate| FilterExecBuilder::from(filter).with_predicate(predicate).build();
        renumbered(filter.predicate())?.map(filtered).transpose()?.map(|filter| Arc::new(filter) as _)
    } else if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let joined = |condition| join.builder().with_filter(Some(condition)).build_exec();
        renumbered_condition(join.filter())?.map(joined).transpose()?
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        let joined = |condition| NestedLoopJoinExecBuilder::from(join).with_filter(Some(condition)).build();
        renumbered_condition(join.filter())?.map(joined).transpose()?.map(|join| Arc::new(join) as _)
    } else {
        None
    };
    Ok(renumbered.map_or(Transformed::no(plan), Transformed::yes))
}

fn renumbered_projection(projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut columns = projection.expr().to_vec();
    let mut changed = false;
    for ProjectionExpr { expr, .. } in &mut columns {
        if let Some(other) = renumbered(expr)? {
            (*expr, changed) = (other, true);
        }
    }
    if !changed {
        return Ok(None);
    }
    let (input, schema) = (Arc::clone(projection.input()), projection.schema());
    Ok(Some(Arc::new(ProjectionExec::try_new_with_schema_metadata(columns, input, &schema)?)))
}

fn renumbered_condition(condition: Option<&JoinFilter>) -> Result<Option<JoinFilter>> {
    let Some(condition) = condition else { return Ok(None) };
    let expr = renumbered(condition.expression())?;
    let (columns, schema) = (condition.column_indices().to_vec(), Arc::clone(condition.schema()));
    Ok(expr.map(|expr| JoinFilter::new(expr, columns, schema)))
}

/// An expression whose parameters have numbers that no column has; `None` if it has no parameters.
fn renumbered(expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let transformed = Arc::clone(expr).transform_down(|part| {
        Ok(match part.downcast_ref::<LambdaVariable>() {
            // A plan within another has gone through here already.
            Some(parameter) if parameter.index() < FIRST_PARAMETER => {
                let index = FIRST_PARAMETER + parameter.index();
                Transformed::yes(Arc::new(LambdaVariable::new(index, Arc::clone(parameter.field()))))
            }
            _ => Transformed::no(part),
        })
    })?;
    Ok(transformed.transformed.then_some(transformed.data))
}
