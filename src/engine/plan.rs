//! A statement → a plan.

use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{DdlStatement, Expr, LogicalPlan, Statement as PlannedStatement};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement as DFStatement;

use crate::bug;
use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result, from_datafusion_in};
use crate::statement::{Command, Statement};

use super::execute::{self, Task};
use super::scope::Scope;
use super::{Session, command, expand, placed};

impl Session {
    /// Plans a statement, to learn what it returns. Nothing happens before it is executed.
    pub async fn plan(&self, statement: &Statement) -> Result<LogicalPlan> {
        let scope = self.scope().await?;
        self.plan_in(&scope, statement).await.map_err(|error| placed(error, statement))
    }

    pub(super) async fn plan_in(&self, scope: &Arc<Scope>, statement: &Statement) -> Result<LogicalPlan> {
        let Command::Sql(sql) = &statement.command else { return self.command(Task::Statement, statement) };
        let plan = self.plan_sql(scope, (**sql).clone(), statement).await?;
        self.intercept(scope, plan, statement).await
    }

    /// Plans a statement of DataFusion's; its errors get their place in the user's text.
    async fn plan_sql(
        &self,
        scope: &Arc<Scope>,
        sql: DFStatement,
        statement: &Statement,
    ) -> Result<LogicalPlan> {
        let sql = expand::matching(sql, scope, statement).await?;
        let state = scope.state();
        let listed =
            |table: &TableReference| matches!(table.schema(), Some("information_schema" | "pg_catalog"));
        if state.resolve_table_references(&sql)?.iter().any(listed) {
            scope.list_audiences().await?;
        }
        let piece = &statement.source.text[statement.piece.clone()];
        state.statement_to_plan(sql).await.map_err(|error| match from_datafusion_in(error, piece) {
            Error::Wrong(faults) => {
                let placed = faults.into_iter().map(|fault| match fault.source {
                    // A fault that has its own text is about that one.
                    Some(_) => fault,
                    None => scope.suggest(fault).shifted(statement.piece.start),
                });
                Error::Wrong(placed.collect())
            }
            failed => failed,
        })
    }

    /// Statements that change the catalog or the session become commands, so that they act when they are run.
    async fn intercept(
        &self,
        scope: &Arc<Scope>,
        plan: LogicalPlan,
        statement: &Statement,
    ) -> Result<LogicalPlan> {
        match plan {
            LogicalPlan::Ddl(ddl) => match &ddl {
                DdlStatement::CreateExternalTable(_)
                | DdlStatement::CreateMemoryTable(_)
                | DdlStatement::CreateView(_)
                | DdlStatement::DropTable(_)
                | DdlStatement::DropView(_) => self.command(Task::Ddl(Arc::new(ddl)), statement),
                DdlStatement::CreateCatalogSchema(_)
                | DdlStatement::CreateCatalog(_)
                | DdlStatement::CreateIndex(_)
                | DdlStatement::DropCatalogSchema(_)
                | DdlStatement::CreateFunction(_)
                | DdlStatement::DropFunction(_) => {
                    Err(Diagnostic::new(Kind::Unsupported, format!("`{}` is not possible here", ddl.name()))
                        .into())
                }
            },
            LogicalPlan::Statement(inner) => match inner {
                PlannedStatement::SetVariable(_) | PlannedStatement::ResetVariable(_) => {
                    self.command(Task::Setting(Arc::new(inner)), statement)
                }
                PlannedStatement::Prepare(prepare) => self.command(Task::Prepare(prepare.name), statement),
                PlannedStatement::Deallocate(deallocate) => {
                    self.command(Task::Deallocate(deallocate.name), statement)
                }
                PlannedStatement::Execute(call) => self.prepared(scope, &call.name, call.parameters).await,
                PlannedStatement::TransactionStart(_) | PlannedStatement::TransactionEnd(_) => {
                    let fault = Diagnostic::new(Kind::Unsupported, "transactions are not possible here");
                    Err(fault.help("every statement is a transaction of its own").into())
                }
            },
            plan => Ok(plan),
        }
    }

    fn command(&self, task: Task, statement: &Statement) -> Result<LogicalPlan> {
        let schema = execute::schema(&task, &statement.command);
        let text = statement.command.to_string();
        let (session, statement, task) = (self.clone(), Arc::new(statement.clone()), Arc::new(task));
        let action: command::Action = Arc::new(move || {
            let (session, statement, task) = (session.clone(), Arc::clone(&statement), Arc::clone(&task));
            Box::pin(async move {
                let done = execute::run(&session, &task, &statement).await;
                done.map_err(|error| placed(error, &statement))
            })
        });
        Ok(command::plan(text, schema, action)?)
    }

    /// A prepared statement with its parameters.
    async fn prepared(&self, scope: &Arc<Scope>, name: &str, parameters: Vec<Expr>) -> Result<LogicalPlan> {
        let Some(statement) = self.remembered(|state| state.prepared.get(name).cloned()) else {
            let names: Vec<String> = self.remembered(|state| state.prepared.keys().cloned().collect());
            let fault = Diagnostic::new(Kind::NotFound, format!("no prepared statement is called `{name}`"));
            return Err(fault.suggest(name, names.iter().map(String::as_str)).into());
        };
        let values = parameters.into_iter().map(constant).collect::<Result<Vec<ScalarValue>>>()?;
        let Command::Sql(sql) = &statement.command else {
            return Err(bug!("`{name}` was prepared from no SQL"));
        };
        match self.plan_sql(scope, (**sql).clone(), &statement).await? {
            LogicalPlan::Statement(PlannedStatement::Prepare(prepare)) => {
                let plan = prepare.input.as_ref().clone();
                Ok(plan.with_param_values(ParamValues::from(values))?)
            }
            _ => Err(bug!("`{name}` was prepared from something else")),
        }
    }
}

fn constant(expr: Expr) -> Result<ScalarValue> {
    match ExprSimplifier::new(SimplifyContext::default()).simplify(expr)? {
        Expr::Literal(value, _) => Ok(value),
        other => {
            Err(Diagnostic::new(Kind::Type, format!("a parameter is a constant, found `{other}`")).into())
        }
    }
}
