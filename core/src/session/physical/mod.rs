//! Physical optimizer rules beside DataFusion's own, for what DataFusion 55 gets wrong.

mod nullable;
mod parameters;
mod sorts;

use std::sync::Arc;

use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use nullable::Nullable;
use parameters::Parameters;
use sorts::Sorts;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// DataFusion's rules and these.
pub(super) fn rules() -> Vec<Rule> {
    let mut rules = PhysicalOptimizer::new().rules;
    // Before any rule moves an expression.
    rules.insert(0, Arc::new(Parameters));
    insert_before(&mut rules, "EnsureRequirements", Arc::new(Nullable));
    insert_before(&mut rules, "SanityCheckPlan", Arc::new(Sorts));
    rules
}

fn insert_before(rules: &mut Vec<Rule>, name: &str, rule: Rule) {
    let at = rules.iter().position(|other| other.name() == name);
    debug_assert!(at.is_some(), "DataFusion has no rule `{name}`");
    rules.insert(at.unwrap_or(rules.len()), rule);
}
