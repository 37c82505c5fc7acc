//! Statements as plans: a node with a fixed schema that acts when it is executed.
//!
//! So prepared statements, `EXPLAIN`, and the schemas that servers announce need no special case.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use futures::future::BoxFuture;

/// What a command does when it is executed.
pub(super) type Action = Arc<dyn Fn() -> BoxFuture<'static, crate::error::Result<RecordBatch>> + Send + Sync>;

/// A command as a logical plan.
pub(super) fn plan(text: String, schema: SchemaRef, action: Action) -> Result<LogicalPlan> {
    let schema = Arc::new(DFSchema::try_from(schema)?);
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(CommandNode { text, schema, action }) }))
}

/// Whether a node is a command.
pub(super) fn is_command(node: &Extension) -> bool {
    node.node.as_any().is::<CommandNode>()
}

/// Runs a plan that is a command and nothing else: for that nothing has to be planned.
pub(super) fn run(plan: &LogicalPlan) -> Option<SendableRecordBatchStream> {
    let LogicalPlan::Extension(Extension { node }) = plan else { return None };
    let command = node.as_any().downcast_ref::<CommandNode>()?;
    Some(rows(Arc::clone(command.schema.inner()), &command.action))
}

/// The one batch that an action yields, once somebody asks for it.
fn rows(schema: SchemaRef, action: &Action) -> SendableRecordBatchStream {
    let action = Arc::clone(action);
    let batch = async move { Ok(action().await?) };
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(batch)))
}

struct CommandNode {
    text: String,
    schema: DFSchemaRef,
    action: Action,
}

impl fmt::Debug for CommandNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandNode").field("text", &self.text).finish_non_exhaustive()
    }
}

impl PartialEq for CommandNode {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.action, &other.action)
    }
}

impl Eq for CommandNode {}

impl PartialOrd for CommandNode {
    fn partial_cmp(&self, _: &Self) -> Option<std::cmp::Ordering> {
        None
    }
}

impl Hash for CommandNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for CommandNode {
    fn name(&self) -> &str {
        "Command"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command: {}", self.text.replace('\n', " "))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        let (text, schema) = (self.text.clone(), Arc::clone(&self.schema));
        Ok(Self { text, schema, action: Arc::clone(&self.action) })
    }
}

/// Plans commands; everything else is DataFusion's.
#[derive(Debug, Default)]
pub(super) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Self)]);
        planner.create_physical_plan(plan, session).await
    }
}

#[async_trait]
impl ExtensionPlanner for Planner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        _: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(command) = node.as_any().downcast_ref::<CommandNode>() else { return Ok(None) };
        let schema: SchemaRef = Arc::new(command.schema.as_arrow().clone());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let (text, action) = (command.text.clone(), Arc::clone(&command.action));
        Ok(Some(Arc::new(CommandExec { text, schema, action, properties: Arc::new(properties) })))
    }
}

struct CommandExec {
    text: String,
    schema: SchemaRef,
    action: Action,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for CommandExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandExec").field("text", &self.text).finish_non_exhaustive()
    }
}

impl DisplayAs for CommandExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandExec: {}", self.text.replace('\n', " "))
    }
}

impl ExecutionPlan for CommandExec {
    fn name(&self) -> &str {
        "CommandExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(rows(Arc::clone(&self.schema), &self.action))
    }
}
