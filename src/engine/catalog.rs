//! The catalog as DataFusion and its clients see it: schemas `public`, `segment`, `audience` and `coterie`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, ScanArgs, SchemaProvider, Session, TableProvider,
};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use futures::future::BoxFuture;

use crate::evaluation::MembersExec;
use crate::provider;
use crate::session::{CATALOG, PUBLIC};
use crate::warehouse::Kind;

use super::postgres::{INFORMATION_SCHEMA, InformationSchema, PG_CATALOG, PgCatalog};
use super::scope::Scope;
use super::system;

/// The only catalog there is.
#[derive(Debug)]
pub(super) struct Catalogs(Arc<Catalog>);

impl Catalogs {
    pub(super) fn new(scope: Arc<Scope>) -> Self {
        Self(Arc::new(Catalog(scope)))
    }
}

impl CatalogProviderList for Catalogs {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::clone(&self.0) as _)
    }
}

#[derive(Debug)]
struct Catalog(Arc<Scope>);

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        Part::ALL.iter().map(|part| part.name().to_owned()).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if super::postgres::facts(self.0.options()).is_some() {
            match name {
                PG_CATALOG => return Some(provider::schema(PgCatalog(Arc::clone(&self.0)))),
                INFORMATION_SCHEMA => return Some(provider::schema(InformationSchema(Arc::clone(&self.0)))),
                _ => {}
            }
        }
        let part = Part::ALL.iter().copied().find(|part| part.name() == name)?;
        Some(provider::schema(Tables { scope: Arc::clone(&self.0), part }))
    }
}

/// The schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Public,
    Segment,
    Audience,
    System,
}

impl Part {
    const ALL: [Self; 4] = [Self::Public, Self::Segment, Self::Audience, Self::System];

    fn name(self) -> &'static str {
        match self {
            Self::Public => PUBLIC,
            Self::Segment => "segment",
            Self::Audience => "audience",
            Self::System => "coterie",
        }
    }
}

/// One schema.
#[derive(Debug)]
struct Tables {
    scope: Arc<Scope>,
    part: Part,
}

impl provider::Schema for Tables {
    fn names(&self) -> Vec<String> {
        let mut names = match self.part {
            Part::Public => owned(self.scope.names(Kind::Table)),
            Part::Segment => owned(self.scope.names(Kind::Segment)),
            Part::Audience => self.scope.audience_names(),
            Part::System => owned(system::NAMES.to_vec()),
        };
        // What may not be read is not listed either.
        names.retain(|name| self.scope.principal.may_read(self.part.name(), name));
        names
    }

    fn table<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>>> {
        Box::pin(async move {
            Ok(match self.part {
                Part::Public => self.scope.table(name).await?,
                Part::Segment => self.scope.live_segment(name).await?,
                Part::Audience => self.scope.audience_table(name).await?,
                Part::System => system::table(&self.scope, name).await?,
            })
        })
    }

    fn table_type<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<TableType>>> {
        Box::pin(async move {
            Ok(match self.part {
                Part::Segment => self.has(name).then_some(TableType::View),
                Part::Public => self.table(name).await?.map(|table| table.table_type()),
                Part::Audience | Part::System => self.has(name).then_some(TableType::Base),
            })
        })
    }

    fn has(&self, name: &str) -> bool {
        match self.part {
            Part::Public => self.scope.snapshot.get(Kind::Table, name).is_some(),
            Part::Segment => self.scope.snapshot.get(Kind::Segment, name).is_some(),
            Part::Audience => self.scope.audience_names().iter().any(|known| known == name),
            Part::System => system::NAMES.contains(&name),
        }
    }
}

impl Scope {
    async fn live_segment(self: &Arc<Self>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(segment) = self.segment(name)? else { return Ok(None) };
        let bound = self.bound(&segment.store).await?;
        let key = bound.profiles.field_with_name(&bound.store.profiles.key)?;
        let schema = Arc::new(Schema::new(vec![key.clone()]));
        let live = LiveSegment { scope: Arc::clone(self), name: name.to_owned(), schema };
        Ok(Some(provider::table(live)))
    }
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// `segment.<name>`: the members now. The rule is planned when the table is scanned, so that listing ten thousand
/// segments plans none of them.
#[derive(Debug)]
struct LiveSegment {
    scope: Arc<Scope>,
    name: String,
    schema: SchemaRef,
}

impl provider::Table for LiveSegment {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    fn scan<'a>(
        &'a self,
        _: &'a dyn Session,
        args: ScanArgs<'a>,
    ) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
        Box::pin(self.scanning(args))
    }
}

impl LiveSegment {
    async fn scanning(&self, args: ScanArgs<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let (projection, limit) = (args.projection(), args.limit());
        let filters = args.filters().unwrap_or_default();
        let condition = conjunction(filters.iter().cloned().map(unqualified));
        if let Some(condition) = &condition
            && let Some(plan) = self.some(condition.clone(), projection, limit).await?
        {
            return Ok(plan);
        }
        if condition.is_none()
            && let Some((tables, prepared)) = Box::pin(self.scope.segment_program(&self.name)).await?
            // A few members by their attributes are found before all profiles have been read.
            && (limit.is_none() || prepared.reads_events())
        {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(MembersExec::new(Arc::new(prepared), tables, schema, limit)));
        }
        let mut plan = LogicalPlanBuilder::from(self.scope.segment_plan(&self.name).await?);
        if let Some(condition) = condition {
            plan = plan.filter(condition)?;
        }
        if let Some(columns) = projection {
            plan = plan.select(columns.iter().copied())?;
        }
        let plan = plan.limit(0, limit)?.build()?;
        // The query that holds this one optimises both: what was optimised already, DataFusion may refuse to change.
        let state = SessionStateBuilder::new_from_existing(self.scope.state());
        state.with_physical_optimizer_rules(vec![]).build().create_physical_plan(&plan).await
    }

    /// The members for whom a condition holds, where it can hold for some keys only and their events are found without
    /// reading all others.
    async fn some(
        &self,
        condition: Expr,
        projection: Option<&[usize]>,
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let condition = self.scope.state().create_physical_expr(condition, &schema)?;
        let Some(keys) = only_keys(&condition, self.schema.field(0)) else { return Ok(None) };
        let Some((tables, prepared)) = Box::pin(self.scope.segment_program(&self.name)).await? else {
            return Ok(None);
        };
        if !prepared.is_cut(&*tables).await? {
            return Ok(None);
        }
        let members = MembersExec::new(Arc::new(prepared), tables, Arc::clone(&self.schema), None);
        let filter = FilterExecBuilder::new(condition, Arc::new(members.of_keys(keys)))
            .apply_projection(projection.map(<[usize]>::to_vec))?
            .with_fetch(limit);
        Ok(Some(Arc::new(filter.build()?)))
    }
}

/// The keys for which alone a condition can hold; `None` where it may hold for any.
fn only_keys(condition: &Arc<dyn PhysicalExpr>, key: &Field) -> Option<ArrayRef> {
    let guarantees = LiteralGuarantee::analyze(condition).into_iter();
    let of_key =
        guarantees.filter(|known| known.guarantee == Guarantee::In && known.column.name == *key.name());
    let fewest = of_key.min_by_key(|known| known.literals.len())?;
    cast(&ScalarValue::iter_to_array(fewest.literals).ok()?, key.data_type()).ok()
}

/// A filter as the live segment's own plan has it: its column belongs to the profile table there.
fn unqualified(filter: Expr) -> Expr {
    use datafusion::common::Column;
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let transformed = filter.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    });
    transformed.map_or(filter, |transformed| transformed.data)
}
