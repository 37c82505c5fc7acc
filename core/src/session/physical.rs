//! Physical optimizer rules beside DataFusion's own, for two faults of DataFusion 55.
//!
//! A parameter of a lambda is a number of its own after those of the columns around it, and stays what it is when the
//! expression moves to where there are more columns: the parameter is then taken for one of them
//! (<https://github.com/apache/datafusion/issues/24372>). [`Parameters`] gives them numbers that no column has.
//!
//! A join forgets which columns of its right side are constant (`EquivalenceClass::try_with_offset`), so that a sort by
//! such columns among others, once it is below the join, counts for less than the parent asks for, and the plan is
//! refused. [`Sorts`] sorts where the parent is not content.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::LambdaVariable;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions,
};

/// DataFusion's rules and these.
pub(super) fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    // Before any rule moves an expression, and before the plan is checked.
    rules.insert(0, Arc::new(Parameters));
    let check = rules.iter().position(|rule| rule.name() == "SanityCheckPlan").unwrap_or(rules.len());
    rules.insert(check, Arc::new(Sorts));
    rules
}

/// More than any table has columns.
const FIRST_PARAMETER: usize = 1 << 20;

#[derive(Debug)]
struct Parameters;

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

#[derive(Debug)]
struct Sorts;

impl PhysicalOptimizerRule for Sorts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_up(sorted_below)?.data)
    }

    fn name(&self) -> &'static str {
        "SortsThatAreMissing"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn sorted_below(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let mut children: Vec<_> = plan.children().into_iter().cloned().collect();
    let mut is_sorted = false;
    for (child, required) in children.iter_mut().zip(plan.required_input_ordering()) {
        let Some(required) = required.map(|required| required.into_single()) else { continue };
        if !child.equivalence_properties().ordering_satisfy_requirement(required.clone())? {
            let has_more = child.output_partitioning().partition_count() > 1;
            let sort = SortExec::new(LexOrdering::from(required), Arc::clone(child));
            *child = Arc::new(sort.with_preserve_partitioning(has_more));
            is_sorted = true;
        }
    }
    if !is_sorted {
        return Ok(Transformed::no(plan));
    }
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Ok(Transformed::yes(plan.replace_children(children, options)?))
}
