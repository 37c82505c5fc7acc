//! Where names in an evaluation lead: to the tables of a statement's scope.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use futures::future::BoxFuture;

use crate::bug;
use crate::error::Result;
use crate::evaluation::{Buckets, LaidOut, Register, Tables};
use crate::layout::bucket_of;
use crate::profile::Bound;

use super::scope::Scope;

/// A scope with one session state for all that an evaluation plans.
#[derive(Debug)]
pub(super) struct ScopeTables {
    scope: Arc<Scope>,
    state: SessionState,
}

impl ScopeTables {
    pub(super) fn new(scope: &Arc<Scope>) -> Self {
        Self { scope: Arc::clone(scope), state: scope.state() }
    }
}

impl Tables for ScopeTables {
    fn state(&self) -> &SessionState {
        &self.state
    }

    fn plan<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<LogicalPlan>> {
        Box::pin(self.scope.plan_sql(sql))
    }

    fn provider<'a>(&'a self, table: &'a str) -> BoxFuture<'a, Result<Arc<dyn TableProvider>>> {
        Box::pin(async move {
            let reference = TableReference::parse_str(table);
            let schema = self.state.schema_for_ref(reference.clone())?;
            let provider = schema.table(reference.table()).await?;
            provider.ok_or_else(|| bug!("the table `{table}` has vanished"))
        })
    }

    fn laid_out<'a>(&'a self, store: &'a Bound, events: usize) -> BoxFuture<'a, Result<Option<LaidOut>>> {
        Box::pin(self.copy(store, events))
    }
}

impl ScopeTables {
    async fn copy(&self, store: &Bound, events: usize) -> Result<Option<LaidOut>> {
        // Only declared tables have copies; a view has none.
        let Ok(tables) = self.scope.event_tables(store) else { return Ok(None) };
        let Some(table) = tables.get(events) else { return Ok(None) };
        let layouts = self.scope.engine.layouts();
        let Some(layout) = layouts.current(&table.source(store), &self.state).await else { return Ok(None) };
        let n = usize::try_from(layout.buckets).map_err(|error| bug!("buckets: {error}"))?;
        let register = layout.registered.as_ref().map(|registered| Register {
            number: layout.number.clone(),
            scan: DataSourceExec::from_data_source(registered.scan()),
            starts: registered.starts.clone(),
            files: registered.files.clone(),
        });
        Ok(Some(LaidOut {
            schema: layout.numbered(),
            buckets: Buckets { n, of: bucket_of },
            register,
            scan: Box::new(move |projection, since, buckets| {
                let mut files = layout.within(since, None);
                if let Some(wanted) = buckets {
                    let others = files.iter_mut().enumerate().filter(|(bucket, _)| !wanted.contains(bucket));
                    others.for_each(|(_, files)| files.clear());
                }
                let scan = layout.scan(&files, Some(projection))?;
                Ok(DataSourceExec::from_data_source(scan))
            }),
        }))
    }
}
