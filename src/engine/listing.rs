//! Tables and keys, as the metadata calls of drivers ask for them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::logical_expr::TableType;

use crate::error::Result;
use crate::profile::Referrer;
use crate::session::{CATALOG, PUBLIC};
use crate::warehouse::Kind;

use super::Session;
use super::scope::Scope;

/// A table as a driver sees it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its schema.
    pub schema: String,
    /// Its name within the schema.
    pub name: String,
    /// What sort it is.
    pub sort: Sort,
    /// Its columns, if they were asked for and can be found out.
    pub columns: Option<SchemaRef>,
}

/// What sort of table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Rows that are stored.
    Table,
    /// A query under a name, live segments among them.
    View,
    /// What coterie knows about itself.
    System,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Table, Self::View, Self::System];

    /// The name that drivers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::System => "SYSTEM TABLE",
        }
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The table's schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

/// What profile stores declare about keys: nothing enforces it, and evaluations rely on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Primary keys, with the store that says so.
    pub primary: Vec<(String, Place)>,
    /// Foreign keys: the store, the primary key, and the column that refers to it.
    pub foreign: Vec<(String, Place, Place)>,
}

impl Session {
    /// The schemas.
    pub async fn schemas(&self) -> Result<Vec<String>> {
        let catalogs = self.scope().await?.state();
        let catalog = catalogs.catalog_list().catalog(CATALOG);
        Ok(catalog.map(|catalog| catalog.schema_names()).unwrap_or_default())
    }

    /// The tables that the session may read and that `wanted` chooses by schema and name, in order; their columns too,
    /// if that is asked for.
    pub async fn tables(
        &self,
        with_columns: bool,
        wanted: impl Fn(&str, &str) -> bool + Send,
    ) -> Result<Vec<Listed>> {
        self.scope().await?.tables(with_columns, wanted).await
    }

    /// The keys of profile stores whose tables the session may read.
    pub async fn keys(&self) -> Result<Keys> {
        self.scope().await?.keys()
    }
}

impl Scope {
    /// The tables that may be read and that `wanted` chooses.
    pub(super) async fn tables(
        self: &Arc<Self>,
        with_columns: bool,
        wanted: impl Fn(&str, &str) -> bool + Send,
    ) -> Result<Vec<Listed>> {
        self.list_audiences().await?;
        let state = self.state();
        let Some(catalog) = state.catalog_list().catalog(CATALOG) else { return Ok(vec![]) };
        let mut tables = vec![];
        for schema in catalog.schema_names() {
            let Some(provider) = catalog.schema(&schema) else { continue };
            let mut names = provider.table_names();
            names.sort();
            for name in names.into_iter().filter(|name| wanted(&schema, name)) {
                let sort = match provider.table_type(&name).await {
                    _ if schema == "coterie" => Sort::System,
                    Ok(Some(TableType::View)) => Sort::View,
                    // A table whose files are gone is listed all the same.
                    _ => Sort::Table,
                };
                let columns = if with_columns {
                    provider.table(&name).await.ok().flatten().map(|table| TableProvider::schema(&*table))
                } else {
                    None
                };
                tables.push(Listed { schema: schema.clone(), name, sort, columns });
            }
        }
        tables.sort_by(|left, right| (&left.schema, &left.name).cmp(&(&right.schema, &right.name)));
        Ok(tables)
    }

    /// The keys of profile stores whose tables may be read.
    pub(super) fn keys(&self) -> Result<Keys> {
        let scope = self;
        let mut keys = Keys::default();
        for name in scope.names(Kind::ProfileStore) {
            let Some(store) = scope.store(name)? else { continue };
            let profiles = place(&store.profiles.table, &store.profiles.key);
            keys.primary.push((store.name.clone(), profiles.clone()));
            for events in &store.events {
                let referring = place(&events.table, &events.key);
                keys.foreign.push((store.name.clone(), profiles.clone(), referring));
            }
            for lookup in &store.lookups {
                let key = place(&lookup.table, &lookup.key);
                let referrer = match lookup.on {
                    Referrer::Profiles => Some(&store.profiles.table),
                    Referrer::Events(at) => store.events.get(at).map(|events| &events.table),
                };
                keys.primary.push((store.name.clone(), key.clone()));
                if let Some(referrer) = referrer {
                    keys.foreign.push((store.name.clone(), key, place(referrer, &lookup.column)));
                }
            }
        }
        let may = |place: &Place| scope.principal.may_read(&place.schema, &place.table);
        keys.primary.retain(|(_, key)| may(key));
        keys.foreign.retain(|(_, key, referring)| may(key) && may(referring));
        Ok(keys)
    }
}

/// A column of a table that a store names as SQL does.
fn place(table: &str, column: &str) -> Place {
    let reference = TableReference::parse_str(table);
    Place {
        schema: reference.schema().unwrap_or(PUBLIC).to_owned(),
        table: reference.table().to_owned(),
        column: column.to_owned(),
    }
}
