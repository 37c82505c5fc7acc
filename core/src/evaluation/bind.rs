//! Expressions of an evaluation program bound to the columns of tables: planned by DataFusion, computed by batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::functions::core::getfield::GetFieldFunc;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{AggregateUDF, Expr as LogicalExpr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::{Column, Literal};

use crate::bug;
use crate::compile::{Aggregate, Arg};
use crate::error::Result;
use crate::planner::Printer;
use crate::profile::alias;
use crate::resolve::Program;
use crate::segment::{Expr, Relation};
use crate::statement::quote;

use super::Tables;

/// An expression over a row of a table and what the row refers to.
#[derive(Clone, Debug)]
pub(super) struct RowExpr {
    expr: Arc<dyn PhysicalExpr>,
    /// The columns that it needs, in the order in which it has them.
    pub(super) inputs: Vec<Input>,
    schema: SchemaRef,
    /// What it yields.
    pub(super) data_type: DataType,
}

/// Where a column comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The row's own table: a column, or a field below it.
    Event(Vec<String>),
    /// The profile, by name.
    Profile(String),
    /// The row of a lookup that the row refers to.
    Lookup(usize, String),
    /// A feature of the profile, by its position in the resolved program.
    Feature(usize),
}

impl RowExpr {
    /// The values for some rows, given its inputs.
    pub(super) fn evaluate(&self, columns: Vec<ArrayRef>, n_rows: usize) -> Result<ArrayRef> {
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| bug!("the inputs of an expression: {error}"))?;
        Ok(self.expr.evaluate(&batch)?.into_array(n_rows)?)
    }

    /// The expression and its schema.
    pub(super) fn parts(&self) -> (&Arc<dyn PhysicalExpr>, &SchemaRef) {
        (&self.expr, &self.schema)
    }
}

/// A field of a struct, given the names on the way to it.
pub(super) fn field_below<'f>(field: &'f Field, path: &[String]) -> Option<&'f Field> {
    path.iter().try_fold(field, |field, name| match field.data_type() {
        DataType::Struct(fields) => fields.find(name).map(|(_, field)| field.as_ref()),
        _ => None,
    })
}

/// The column that an expression is, or is a field of, and the names on the way from the one to the other.
fn field_of(expr: &Arc<dyn PhysicalExpr>) -> Option<(&Column, Vec<String>)> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some((column, vec![]));
    }
    let (from, names) =
        ScalarFunctionExpr::try_downcast_func::<GetFieldFunc>(expr.as_ref())?.args().split_first()?;
    let (column, mut path) = field_of(from)?;
    for name in names {
        path.push(name.downcast_ref::<Literal>()?.value().try_as_str()??.to_owned());
    }
    Some((column, path))
}

/// An aggregate that can be computed.
#[derive(Clone, Debug)]
pub(super) struct BoundAggregate {
    /// The function with its constants.
    pub(super) function: Arc<AggregateFunctionExpr>,
    /// The types of its arguments.
    pub(super) types: Vec<DataType>,
    /// Its constant arguments.
    pub(super) constants: Vec<Option<Arc<dyn PhysicalExpr>>>,
}

/// Binds the expressions of one program.
pub(super) struct Binder<'a> {
    pub(super) tables: &'a dyn Tables,
    pub(super) program: &'a Program,
}

impl Binder<'_> {
    fn state(&self) -> &SessionState {
        self.tables.state()
    }

    /// Prints expressions about rows and, by their columns, features.
    pub(super) fn printer(&self) -> Printer<'_> {
        let features = &self.program.features;
        let column = |at: usize| format!("features.f{at}");
        let features = features.iter().enumerate().map(|(at, feature)| match feature.empty() {
            None => column(at),
            Some(value) => {
                let printer = Printer {
                    program: self.program,
                    qualified: true,
                    features: vec![],
                    groups: vec![],
                    partition: None,
                };
                format!("coalesce({}, {})", column(at), printer.print(&Expr::literal(value)))
            }
        });
        Printer {
            program: self.program,
            qualified: true,
            features: features.collect(),
            groups: vec![],
            partition: None,
        }
    }

    /// A table with all that its rows refer to. Only its schema matters: nothing of it is run.
    fn from(&self, home: Relation) -> String {
        let store = &self.program.store.store;
        let mut tables = vec![store.profiles.table.as_str()];
        if let Relation::Events(at) = home {
            tables.insert(0, store.events.get(at).map_or("", |events| events.table.as_str()));
        }
        tables.extend(store.lookups.iter().map(|lookup| lookup.table.as_str()));
        tables.dedup();
        tables.join(", ")
    }

    async fn analyzed(&self, sql: &str) -> Result<LogicalPlan> {
        let plan = self.tables.plan(sql).await?;
        let state = self.state();
        Ok(state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?)
    }

    /// Binds expressions about the rows of a table.
    pub(super) async fn rows(&self, home: Relation, exprs: &[&Expr]) -> Result<Vec<RowExpr>> {
        if exprs.is_empty() {
            return Ok(vec![]);
        }
        self.select(exprs, &self.from(home)).await
    }

    /// Binds expressions about profiles and features.
    pub(super) async fn values(&self, exprs: &[&Expr], features: &[(usize, usize)]) -> Result<Vec<RowExpr>> {
        if exprs.is_empty() {
            return Ok(vec![]);
        }
        let mut from = vec![self.program.store.store.profiles.table.clone()];
        let mut by_table: Vec<(usize, Vec<String>)> = vec![];
        for &(events, feature) in features {
            let crate::resolve::Feature::Aggregate { call, .. } = &self.program.features[feature] else {
                continue;
            };
            let mut text = String::new();
            self.printer().call(call, &mut text);
            let column = format!("{text} AS f{feature}");
            match by_table.iter_mut().find(|(known, _)| *known == events) {
                Some((_, columns)) => columns.push(column),
                None => by_table.push((events, vec![column])),
            }
        }
        if let [(events, columns)] = &by_table[..] {
            let inner = self.from(Relation::Events(*events));
            from.push(format!("(SELECT {} FROM {inner}) AS features", columns.join(", ")));
        } else {
            // Features of several tables are put side by side.
            let parts: Vec<String> = by_table
                .iter()
                .map(|(events, columns)| {
                    let inner = self.from(Relation::Events(*events));
                    format!("(SELECT {} FROM {inner}) AS t{events}", columns.join(", "))
                })
                .collect();
            let names: Vec<String> = features.iter().map(|(events, at)| format!("t{events}.f{at}")).collect();
            from.push(format!("(SELECT {} FROM {}) AS features", names.join(", "), parts.join(", ")));
        }
        self.select(exprs, &from.join(", ")).await
    }

    async fn select(&self, exprs: &[&Expr], from: &str) -> Result<Vec<RowExpr>> {
        let printer = self.printer();
        let columns: Vec<String> =
            exprs.iter().enumerate().map(|(at, expr)| format!("{} AS x{at}", printer.print(expr))).collect();
        let plan = self.analyzed(&format!("SELECT {} FROM {from}", columns.join(", "))).await?;
        let LogicalPlan::Projection(projection) = plan else {
            return Err(bug!("expressions are planned as something else"));
        };
        let schema = projection.input.schema();
        projection.expr.into_iter().map(|expr| self.row_expr(expr, schema)).collect()
    }

    /// An expression that can be computed. Some functions are no more than what they simplify to.
    fn physical(&self, expr: LogicalExpr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        let state = self.state();
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(state.config_options()))
            .with_query_execution_start_time(state.execution_props().query_execution_start_time)
            .build();
        let expr = ExprSimplifier::new(context).simplify(expr)?;
        Ok(state.create_physical_expr(expr, schema)?)
    }

    fn row_expr(&self, expr: LogicalExpr, schema: &DFSchema) -> Result<RowExpr> {
        let physical = self.physical(expr, schema)?;
        let mut inputs: Vec<Input> = vec![];
        let mut fields: Vec<Field> = vec![];
        let mut fault = None;
        let expr = physical.transform_down(|part| {
            let Some((column, below)) = field_of(&part) else { return Ok(Transformed::no(part)) };
            let (qualifier, field) = schema.qualified_field(column.index());
            let Some(mut input) = self.input(qualifier.map(|table| table.table()), field.name()) else {
                fault = Some(column.name().to_owned());
                return Ok(Transformed::no(part));
            };
            let mut field = field.as_ref().clone();
            if !below.is_empty() {
                // Of a struct of an event the field alone is read.
                let (Input::Event(path), Some(found)) = (&mut input, field_below(&field, &below)) else {
                    return Ok(Transformed::no(part));
                };
                path.extend(below);
                field = Field::new(path.join("."), found.data_type().clone(), true);
            }
            let at = inputs.iter().position(|known| *known == input).unwrap_or_else(|| {
                inputs.push(input);
                fields.push(field.with_nullable(true));
                fields.len() - 1
            });
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(fields[at].name(), at));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        if let Some(column) = fault {
            return Err(bug!("column `{column}` belongs to no table"));
        }
        let schema = Arc::new(Schema::new(fields));
        let data_type = expr.data.data_type(&schema)?;
        Ok(RowExpr { expr: expr.data, inputs, schema, data_type })
    }

    fn input(&self, qualifier: Option<&str>, column: &str) -> Option<Input> {
        let qualifier = qualifier?;
        let store = &self.program.store.store;
        if qualifier == "features" {
            return column.strip_prefix('f')?.parse().ok().map(Input::Feature);
        }
        if qualifier == alias(&store.profiles.table) {
            return Some(Input::Profile(column.to_owned()));
        }
        if store.events.iter().any(|events| alias(&events.table) == qualifier) {
            return Some(Input::Event(vec![column.to_owned()]));
        }
        let lookup = store.lookups.iter().position(|lookup| alias(&lookup.table) == qualifier)?;
        Some(Input::Lookup(lookup, column.to_owned()))
    }

    /// Binds aggregates over the events of one table.
    pub(super) async fn aggregates(
        &self,
        events: usize,
        aggregates: &[&Aggregate],
    ) -> Result<Vec<BoundAggregate>> {
        if aggregates.is_empty() {
            return Ok(vec![]);
        }
        let printer = self.printer();
        let columns: Vec<String> = aggregates
            .iter()
            .enumerate()
            .map(|(at, aggregate)| {
                let mut text = String::new();
                printer.call(&aggregate.call, &mut text);
                format!("{text} AS {}", quote(&format!("x{at}")))
            })
            .collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), self.from(Relation::Events(events)));
        let LogicalPlan::Projection(projection) = self.analyzed(&sql).await? else {
            return Err(bug!("aggregates are planned as something else"));
        };
        let LogicalPlan::Aggregate(plan) = projection.input.as_ref() else {
            return Err(bug!("aggregates are planned as something else"));
        };
        let mut out = vec![];
        for (expr, aggregate) in projection.expr.iter().zip(aggregates) {
            let LogicalExpr::Column(column) = expr.clone().unalias_nested().data else {
                return Err(bug!("an aggregate is planned as `{expr}`"));
            };
            let at = plan.schema.index_of_column(&column)?;
            let LogicalExpr::AggregateFunction(function) = plan.aggr_expr[at].clone().unalias_nested().data
            else {
                return Err(bug!("an aggregate is planned as `{expr}`"));
            };
            let schema = plan.input.schema();
            out.push(self.aggregate(&function.func, &function.params.args, aggregate, schema)?);
        }
        Ok(out)
    }

    fn aggregate(
        &self,
        function: &Arc<AggregateUDF>,
        args: &[LogicalExpr],
        aggregate: &Aggregate,
        schema: &DFSchema,
    ) -> Result<BoundAggregate> {
        let (mut fields, mut exprs, mut types, mut constants) = (vec![], vec![], vec![], vec![]);
        for (at, arg) in args.iter().enumerate() {
            let data_type = arg.get_type(schema)?;
            // `count(*)` has an argument that nobody wrote.
            let source = aggregate.args.get(at).copied().unwrap_or(Arg::Constant);
            fields.push(Field::new(format!("a{at}"), data_type.clone(), true));
            if source == Arg::Constant {
                let constant = self.physical(arg.clone(), schema)?;
                exprs.push(Arc::clone(&constant));
                constants.push(Some(constant));
            } else {
                exprs.push(Arc::new(Column::new(&format!("a{at}"), at)) as Arc<dyn PhysicalExpr>);
                constants.push(None);
            }
            types.push(data_type);
        }
        let built = AggregateExprBuilder::new(Arc::clone(function), exprs)
            .schema(Arc::new(Schema::new(fields)))
            .alias(function.name())
            .build()?;
        Ok(BoundAggregate { function: Arc::new(built), types, constants })
    }
}
