//! The catalog as DataFusion and its clients see it: schemas `public`, `segment`, `audience` and `coterie`.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::evaluation::MembersExec;
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
                PG_CATALOG => return Some(Arc::new(PgCatalog(Arc::clone(&self.0)))),
                INFORMATION_SCHEMA => return Some(Arc::new(InformationSchema(Arc::clone(&self.0)))),
                _ => {}
            }
        }
        let part = Part::ALL.iter().copied().find(|part| part.name() == name)?;
        Some(Arc::new(Tables { scope: Arc::clone(&self.0), part }))
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

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
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

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(match self.part {
            Part::Public => self.scope.table(name).await?,
            Part::Segment => match self.scope.segment(name)? {
                None => None,
                Some(segment) => {
                    let bound = self.scope.bound(&segment.store).await?;
                    let key = bound.profiles.field_with_name(&bound.store.profiles.key)?;
                    let schema = Arc::new(Schema::new(vec![key.clone()]));
                    Some(Arc::new(LiveSegment {
                        scope: Arc::clone(&self.scope),
                        name: name.to_owned(),
                        schema,
                    }))
                }
            },
            Part::Audience => self.scope.audience_table(name).await?,
            Part::System => system::table(&self.scope, name).await?,
        })
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(match self.part {
            Part::Segment => self.table_exist(name).then_some(TableType::View),
            Part::Public => self.table(name).await?.map(|table| table.table_type()),
            Part::Audience | Part::System => self.table_exist(name).then_some(TableType::Base),
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        match self.part {
            Part::Public => self.scope.snapshot.get(Kind::Table, name).is_some(),
            Part::Segment => self.scope.snapshot.get(Kind::Segment, name).is_some(),
            Part::Audience => self.scope.audience_names().iter().any(|known| known == name),
            Part::System => system::NAMES.contains(&name),
        }
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

#[async_trait]
impl TableProvider for LiveSegment {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if filters.is_empty()
            && let Some((tables, prepared)) = Box::pin(self.scope.segment_program(&self.name)).await?
        {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(MembersExec::new(Arc::new(prepared), tables, schema, limit)));
        }
        let mut plan = LogicalPlanBuilder::from(self.scope.segment_plan(&self.name).await?);
        if let Some(condition) =
            datafusion::logical_expr::utils::conjunction(filters.iter().cloned().map(unqualified))
        {
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
