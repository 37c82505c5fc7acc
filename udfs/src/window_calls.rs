//! Aggregates that are called with `OVER`.
//!
//! Where an aggregate is called with `GROUP BY`, DataFusion shows it its constants while the query
//! is planned, and a wrong one is an error then. With `OVER` it does not, and the error would wait
//! for the first rows.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use crate::registry::all_aggregate;

/// Checks the constants of aggregates that are called with `OVER`; plans stay as they are.
#[derive(Debug)]
pub(crate) struct WindowCalls;

impl AnalyzerRule for WindowCalls {
    fn name(&self) -> &str {
        "window_calls"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Window(window) = node {
                let context = SimplifyContext::builder()
                    .with_schema(Arc::clone(window.input.schema()))
                    .with_current_time()
                    .build();
                for expr in &window.window_expr {
                    expr.apply(|expr| {
                        if let Expr::WindowFunction(call) = expr {
                            check(call, &context)?;
                        }
                        Ok(TreeNodeRecursion::Continue)
                    })?;
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

static NAMES: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| all_aggregate().iter().map(|function| function.name().to_string()).collect());

/// Shows the function its constants, as the optimizer does without `OVER`.
fn check(call: &WindowFunction, context: &SimplifyContext) -> Result<()> {
    let WindowFunctionDefinition::AggregateUDF(function) = &call.fun else { return Ok(()) };
    let Some(look_at) = function.simplify().filter(|_| NAMES.contains(function.name())) else {
        return Ok(());
    };
    let simplifier = ExprSimplifier::new(context.clone());
    let folded = |arg: &Expr| {
        if arg.column_refs().is_empty() { simplifier.simplify(arg.clone()) } else { Ok(arg.clone()) }
    };
    let args = call.params.args.iter().map(folded).collect::<Result<Vec<_>>>()?;
    let distinct = call.params.distinct;
    let call = AggregateFunction::new_udf(Arc::clone(function), args, distinct, None, vec![], None);
    look_at(call, context).map(drop)
}
