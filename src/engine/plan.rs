//! A statement → a plan.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ParamValues, ScalarValue, TableReference};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{DdlStatement, Expr, LogicalPlan, Statement as PlannedStatement};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as DFStatement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::bug;
use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result, from_datafusion_in};
use crate::statement::{Command, Statement};

use super::execute::{self, Task};
use super::interrupt::interruptible;
use super::open_call::{self, Open};
use super::queries::Running;
use super::scope::Scope;
use super::{Answer, Session, command, expand, permission, placed};

/// A planned statement: what it returns is known, and nothing has happened.
#[derive(Clone)]
pub struct Planned {
    session: Session,
    statement: Statement,
    scope: Arc<Scope>,
    plan: LogicalPlan,
    /// Parameters that the plan has stand-ins for: it is made anew when their values come.
    open: Open,
}

impl std::fmt::Debug for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planned").field("statement", &self.statement.command).finish_non_exhaustive()
    }
}

impl Planned {
    /// The plan.
    pub fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The columns that it returns; none for a statement without rows. While parameters are open, types may be.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    /// The parameters `$1`, `$2`, … that are open, with their types where the statement tells them.
    pub fn parameters(&self) -> Result<Vec<(String, Option<DataType>)>> {
        let mut parameters = self.plan.get_parameter_types()?;
        // Numbers of rows are integers, and DataFusion does not say so of them.
        self.plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Limit(limit) = node {
                for expr in [&limit.skip, &limit.fetch].into_iter().flatten() {
                    if let Expr::Placeholder(placeholder) = &**expr {
                        parameters.entry(placeholder.id.clone()).or_default().get_or_insert(DataType::Int64);
                    }
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        for (name, kind) in &self.open {
            parameters.entry(name.clone()).or_default().get_or_insert_with(|| kind.clone());
        }
        let mut parameters: Vec<_> = parameters.into_iter().collect();
        let position = |name: &str| name.trim_start_matches('$').parse().unwrap_or(usize::MAX);
        parameters.sort_by(|(left, _), (right, _)| (position(left), left).cmp(&(position(right), right)));
        Ok(parameters)
    }

    /// Whether parameters decide on the plan, so that values make it anew.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The statement with values for its parameters, by position.
    pub async fn bind(&self, values: Vec<ScalarValue>) -> Result<Self> {
        let wanted = self.parameters()?.len();
        if wanted != values.len() {
            let message =
                format!("the statement has {wanted} parameters, and {} values are given", values.len());
            return Err(placed(Diagnostic::new(Kind::Type, message).into(), &self.statement));
        }
        self.bind_by_number(values).await
    }

    /// The statement with values for its parameters: `$3` has the third. Values that it does not ask for are fine.
    pub async fn bind_by_number(&self, values: Vec<ScalarValue>) -> Result<Self> {
        if !self.is_open() {
            return Ok(Self { plan: self.filled(values)?, ..self.clone() });
        }
        let planned = self.session.planned_in(&self.scope, &self.statement, Some(&values));
        let planned = self.session.stoppable(&self.statement, planned).await?;
        Ok(Self { plan: planned.filled(values)?, ..planned })
    }

    /// The columns that it returns when its parameters have values of these types.
    pub fn schema_with(&self, types: &[DataType]) -> Result<SchemaRef> {
        let nulls = types.iter().map(ScalarValue::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::clone(self.filled(nulls)?.schema().inner()))
    }

    /// The plan with values for the parameters in it.
    fn filled(&self, mut values: Vec<ScalarValue>) -> Result<LogicalPlan> {
        // Drivers send the types of their language: a number for a date is refused, `1` for a bigint is not.
        for (name, kind) in self.parameters()? {
            let number: Option<usize> = name.trim_start_matches('$').parse().ok();
            let value = number.and_then(|number| values.get_mut(number.checked_sub(1)?));
            if let (Some(value), Some(kind)) = (value, kind)
                && kind != value.data_type()
                && kind != DataType::Null
            {
                *value = value.cast_to(&kind).map_err(|error| {
                    placed(Diagnostic::new(Kind::Type, Error::from(error).message()).into(), &self.statement)
                })?;
            }
        }
        let bound = self.plan.clone().with_param_values(ParamValues::from(values));
        bound.map_err(|error| placed(error.into(), &self.statement))
    }

    /// Whether running it changes something: the catalog, audiences, files or the session.
    pub fn changes(&self) -> bool {
        match &self.statement.command {
            Command::Sql(_) => changes(&self.plan),
            Command::ShowProfileStores
            | Command::ShowSegments
            | Command::ShowCreateSegment(_)
            | Command::DescribeSegment(_)
            | Command::ExplainSegment(_)
            | Command::Evaluate { explain: true, .. } => false,
            Command::CreateProfileStore(_)
            | Command::DropProfileStore { .. }
            | Command::CreateSegment(_)
            | Command::DropSegment { .. }
            | Command::CancelQuery { .. }
            | Command::OptimizeEvents(_)
            | Command::Evaluate { explain: false, .. } => true,
        }
    }

    /// Runs it.
    pub async fn run(&self) -> Result<Answer> {
        let session = &self.session;
        let limit = session.timeout();
        self.start(session.engine.queries.begin(&session.client, &self.statement, limit)).await
    }

    /// Runs what was entered into the list of queries already.
    pub(super) async fn start(&self, mut running: Running) -> Result<Answer> {
        if let Some(name) = self.open.keys().next() {
            return Err(placed(open_call::no_value(name), &self.statement));
        }
        let stop = running.query().stop().clone();
        let started = running.during(async {
            if let Some(rows) = command::run(&self.plan) {
                return Ok(rows);
            }
            let state = self.scope.state();
            let physical = state.create_physical_plan(&self.plan).await?;
            let physical = interruptible(physical, &stop)?;
            Ok(execute_stream(physical, state.task_ctx())?)
        });
        let rows = started.await.map_err(|error| placed(error, &self.statement))?;
        let query = Arc::clone(running.query());
        query.set_running();
        Ok(Answer { schema: rows.schema(), stream: running.track(rows), query })
    }
}

/// Whether a plan of DataFusion's, or what became of it, changes something.
fn changes(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Ddl(_) | LogicalPlan::Statement(_) => true,
        // Of DataFusion's statements those became commands that change something.
        LogicalPlan::Extension(node) => command::is_command(node),
        _ => false,
    }
}

impl Session {
    /// Plans a statement, to learn what it returns. Nothing happens before it is run.
    pub async fn prepare(&self, statement: &Statement) -> Result<Planned> {
        self.stoppable(statement, self.planned(statement)).await
    }

    /// Plans a statement with values for its parameters: `$3` has the third.
    pub async fn prepare_with(&self, statement: &Statement, values: Vec<ScalarValue>) -> Result<Planned> {
        let planned = async { self.planned_in(&self.scope().await?, statement, Some(&values)).await };
        let planned = self.stoppable(statement, planned).await?;
        Ok(Planned { plan: planned.filled(values)?, ..planned })
    }

    /// Planning may read files: it is listed and can be stopped, too.
    async fn stoppable(
        &self,
        statement: &Statement,
        planning: impl Future<Output = Result<Planned>>,
    ) -> Result<Planned> {
        let mut running = self.engine.queries.begin(&self.client, statement, self.timeout());
        let planned = running.during(planning).await?;
        running.forget();
        Ok(planned)
    }

    pub(super) async fn planned(&self, statement: &Statement) -> Result<Planned> {
        let scope = self.scope().await?;
        self.planned_in(&scope, statement, None).await
    }

    /// Boxed, because what plans is large and is a part of whatever runs a statement.
    fn planned_in<'a>(
        &'a self,
        scope: &'a Arc<Scope>,
        statement: &'a Statement,
        values: Option<&'a [ScalarValue]>,
    ) -> BoxFuture<'a, Result<Planned>> {
        async move {
            let planned = self.plan_in(scope, statement, values).await;
            let (plan, open) = planned.map_err(|error| placed(error, statement))?;
            let (session, scope, statement) = (self.clone(), Arc::clone(scope), statement.clone());
            Ok(Planned { session, statement, scope, plan, open })
        }
        .boxed()
    }

    /// Plans a statement, to learn what it returns. Nothing happens before it is executed.
    pub async fn plan(&self, statement: &Statement) -> Result<LogicalPlan> {
        Ok(self.prepare(statement).await?.plan)
    }

    /// Plans a statement. Returned with the plan are the parameters that it has stand-ins for: none when they have
    /// values.
    async fn plan_in(
        &self,
        scope: &Arc<Scope>,
        statement: &Statement,
        values: Option<&[ScalarValue]>,
    ) -> Result<(LogicalPlan, Open)> {
        let Command::Sql(sql) = &statement.command else {
            permission::check_command(&scope.principal, &statement.command)?;
            return Ok((self.command(Task::Statement, statement)?, Open::new()));
        };
        // What is prepared takes its values from `EXECUTE`.
        let is_prepare = matches!(
            &**sql,
            DFStatement::Statement(sql) if matches!(**sql, SqlStatement::Prepare { .. })
        );
        let values = values.filter(|_| !is_prepare);
        let (plan, open) = self.plan_sql(scope, (**sql).clone(), statement, values).await?;
        permission::check_plan(scope, &plan)?;
        let plan = self.intercept(scope, plan, statement).await?;
        Ok((plan, if values.is_some() { Open::new() } else { open }))
    }

    /// Plans a statement of DataFusion's; its errors get their place in the user's text.
    async fn plan_sql(
        &self,
        scope: &Arc<Scope>,
        sql: DFStatement,
        statement: &Statement,
        values: Option<&[ScalarValue]>,
    ) -> Result<(LogicalPlan, Open)> {
        let mut sql = expand::number_parameters(sql);
        let piece = &statement.source.text[statement.piece.clone()];
        // Most statements have no parameters, and some are long.
        let open = if piece.contains(['$', '?']) { open_call::fill(&mut sql, values)? } else { Open::new() };
        let sql = expand::matching(sql, scope, statement).await?;
        let state = scope.state();
        let listed =
            |table: &TableReference| matches!(table.schema(), Some("information_schema" | "pg_catalog"));
        let tables = state.resolve_table_references(&sql)?;
        permission::check_tables(&scope.principal, &tables)?;
        let is_listed = tables.iter().any(listed);
        if is_listed {
            scope.list_audiences().await?;
        }
        if super::postgres::facts(scope.options()).is_some()
            && (is_listed || super::postgres::asks_for_objects(piece))
        {
            scope.objects().await?;
        }
        let plan =
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
            })?;
        Ok((plan, open))
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
        match self.plan_sql(scope, (**sql).clone(), &statement, Some(&values)).await?.0 {
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
