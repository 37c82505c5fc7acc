//! Sorts where a plan asks for an order that its input no longer has.
//!
//! A join forgets which columns of its right side are constant (`EquivalenceClass::try_with_offset`), so that a sort by
//! such columns among others, once it is below the join, counts for less than what is above it asks for.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions,
};

#[derive(Debug)]
pub(super) struct Sorts;

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
