//! The members of one rule as a plan: the evaluation runs when the plan does.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;

use crate::bug;

use super::{Asked, Members, Outcome, Prepared, Tables};

/// Keys of a batch.
const BATCH: usize = 8192;

/// Yields the keys of the profiles that a prepared rule holds for, in one column.
pub struct MembersExec {
    prepared: Arc<Prepared>,
    tables: Arc<dyn Tables>,
    schema: SchemaRef,
    limit: Option<usize>,
    keys: Option<ArrayRef>,
    properties: Arc<PlanProperties>,
}

impl MembersExec {
    /// The members of the only rule of `prepared`, at most `limit` of them; `schema` has no column, or the key.
    pub fn new(
        prepared: Arc<Prepared>,
        tables: Arc<dyn Tables>,
        schema: SchemaRef,
        limit: Option<usize>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { prepared, tables, schema, limit, keys: None, properties: Arc::new(properties) }
    }

    /// Only members among these keys are of interest; others may be left out, and need not be.
    pub fn of_keys(self, keys: ArrayRef) -> Self {
        Self { keys: Some(keys), ..self }
    }
}

impl fmt::Debug for MembersExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MembersExec").field("prepared", &self.prepared).finish_non_exhaustive()
    }
}

impl DisplayAs for MembersExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MembersExec: one pass, {}", self.prepared.summary())?;
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        if let Some(keys) = &self.keys {
            write!(f, ", keys={}", keys.len())?;
        }
        Ok(())
    }
}

impl ExecutionPlan for MembersExec {
    fn name(&self) -> &str {
        "MembersExec"
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
        let (prepared, tables) = (Arc::clone(&self.prepared), Arc::clone(&self.tables));
        let (schema, limit, keys) = (Arc::clone(&self.schema), self.limit, self.keys.clone());
        let members = async move {
            let asked = Asked { members_only: true, limit, keys, ..Asked::default() };
            let mut outcome = prepared.run(&*tables, asked).await?;
            let Some((_, Members::Positions(members))) = outcome.members.pop() else {
                return Err(bug!("an evaluation of no rule").into());
            };
            let ordinals: Vec<u32> = members.iter().take(limit.unwrap_or(usize::MAX)).collect();
            let chunks: Vec<UInt32Array> =
                ordinals.chunks(BATCH).map(|chunk| UInt32Array::from(chunk.to_vec())).collect();
            let batches = chunks.into_iter().map(move |chunk| batch(&schema, &outcome, &chunk));
            Ok(futures::stream::iter(batches))
        };
        let stream = futures::stream::once(members).flat_map(|found| match found {
            Ok(batches) => batches.boxed(),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }
}

fn batch(schema: &SchemaRef, outcome: &Outcome, ordinals: &UInt32Array) -> Result<RecordBatch> {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(ordinals.values().len()));
    let columns = if schema.fields().is_empty() { vec![] } else { vec![outcome.keys_of(ordinals)?] };
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
