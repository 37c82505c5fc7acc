//! Calls in `FROM` whose arguments are parameters: `generate_series(1, $1)`.
//!
//! DataFusion calls such a function while it plans, when nobody knows the values yet. So the call is kept, as a table that
//! has the columns which the function has for NULL, and is made when the values come.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::ExecutionPlan;

/// The functions whose arguments may be parameters. All of them are whole numbers.
const FUNCTIONS: &[&str] = &["generate_series", "range"];

/// Lets parameters be arguments.
pub(super) fn register(state: &mut SessionState) {
    for name in FUNCTIONS {
        if let Some(known) = state.table_functions().get(*name) {
            let function = Arc::new(Open(Arc::clone(known.function())));
            state.register_udtf(name, function);
        }
    }
}

/// A function that waits for the values of its arguments.
#[derive(Debug)]
struct Open(Arc<dyn TableFunctionImpl>);

impl TableFunctionImpl for Open {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let arguments = args.exprs().to_vec();
        if !arguments.iter().any(has_parameter) {
            return self.0.call_with_args(args);
        }
        let nothing = |argument: &Expr| {
            if has_parameter(argument) {
                Expr::Literal(ScalarValue::Int64(None), None)
            } else {
                argument.clone()
            }
        };
        let unknown: Vec<Expr> = arguments.iter().map(nothing).collect();
        let empty = self.0.call_with_args(TableFunctionArgs::new(&unknown, args.session()))?;
        Ok(Arc::new(OpenCall { function: Arc::clone(&self.0), arguments, schema: empty.schema() }))
    }
}

fn has_parameter(argument: &Expr) -> bool {
    argument.exists(|part| Ok(matches!(part, Expr::Placeholder(_)))).unwrap_or(false)
}

/// A call that waits for values.
#[derive(Debug)]
struct OpenCall {
    function: Arc<dyn TableFunctionImpl>,
    arguments: Vec<Expr>,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for OpenCall {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan_err!("a parameter in FROM has no value")
    }
}

/// The names of parameters in calls that wait, with the type that they are to have.
pub(super) fn parameters(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>> {
    let mut found = vec![];
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(call) = provider.downcast_ref::<OpenCall>()
        {
            for argument in &call.arguments {
                argument.apply(|part| {
                    if let Expr::Placeholder(placeholder) = part {
                        found.push((placeholder.id.clone(), DataType::Int64));
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Makes the calls that wait: `values` by number.
pub(super) fn close(plan: LogicalPlan, values: &[ScalarValue], state: &SessionState) -> Result<LogicalPlan> {
    let closed = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
        let provider = source_as_provider(&scan.source)?;
        let Some(call) = provider.downcast_ref::<OpenCall>() else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        let simplifier = ExprSimplifier::new(SimplifyContext::default());
        let arguments = call.arguments.iter().map(|argument| {
            let known = argument.clone().transform(|part| match &part {
                Expr::Placeholder(placeholder) => {
                    let number = placeholder.id.trim_start_matches('$').parse::<usize>().ok();
                    match number.and_then(|number| values.get(number.checked_sub(1)?)) {
                        Some(value) => {
                            Ok(Transformed::yes(Expr::Literal(value.cast_to(&DataType::Int64)?, None)))
                        }
                        None => Ok(Transformed::no(part)),
                    }
                }
                _ => Ok(Transformed::no(part)),
            })?;
            // Casts around a parameter are those that its client asks for: the function wants one type.
            match simplifier.simplify(known.data)? {
                Expr::Literal(value, metadata) if value.data_type().is_integer() => {
                    Ok(Expr::Literal(value.cast_to(&DataType::Int64)?, metadata))
                }
                other => Ok(other),
            }
        });
        let arguments = arguments.collect::<Result<Vec<Expr>>>()?;
        let table = call.function.call_with_args(TableFunctionArgs::new(&arguments, state))?;
        scan.source = provider_as_source(table);
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(closed.data)
}
