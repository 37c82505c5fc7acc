//! The objects that PostgreSQL numbers: tables with their columns, keys, schemas.
//!
//! Numbers come from names, so that they are the same in every session and after a restart.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::engine::listing::{Place, Sort};
use crate::engine::scope::Scope;
use crate::error::Result;
use crate::session::PUBLIC;
use crate::statement::quote;
use crate::warehouse::Kind;

use super::catalog;
use super::information_schema;

/// The number of the database, of the role that the session acts as, and of the schemas.
pub(super) const DATABASE: i32 = 16_384;
pub(super) const ROLE: i32 = 10;
pub(super) const NAMESPACES: &[(&str, i32)] = &[
    (catalog::NAME, 11),
    (information_schema::NAME, 13_000),
    (PUBLIC, 2200),
    ("segment", 16_385),
    ("audience", 16_386),
    ("coterie", 16_387),
];
/// Where the numbers of tables begin.
const FIRST: u32 = 20_000;

/// All objects that a statement sees.
#[derive(Debug)]
pub(in crate::engine) struct Objects {
    pub(super) relations: Vec<Relation>,
    pub(super) constraints: Vec<Constraint>,
    by_number: HashMap<i32, usize>,
}

/// A table, view or index.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: i32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) sort: RelationSort,
    pub(super) columns: Option<SchemaRef>,
    /// The query of a view.
    pub(super) query: Option<String>,
    /// What a person says of it.
    pub(super) comment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelationSort {
    Table,
    View,
    /// Of a primary key: the table's number and the column's.
    Index(i32, i16),
}

/// A key.
#[derive(Debug)]
pub(super) struct Constraint {
    pub(super) oid: i32,
    pub(super) name: String,
    pub(super) table: i32,
    pub(super) column: i16,
    pub(super) column_name: String,
    /// The table and column that a foreign key refers to.
    pub(super) refers: Option<(i32, i16)>,
    /// The index of a primary key.
    pub(super) index: i32,
    pub(super) definition: String,
}

impl Relation {
    pub(super) fn namespace(&self) -> i32 {
        namespace(&self.schema)
    }

    /// The letter that PostgreSQL has for it.
    pub(super) fn letter(&self) -> &'static str {
        match self.sort {
            RelationSort::Table => "r",
            RelationSort::View => "v",
            RelationSort::Index(..) => "i",
        }
    }

    /// The name as a client writes it: without a schema that is looked up anyway.
    pub(super) fn shown(&self, current: &str) -> String {
        if self.schema == current || self.schema == catalog::NAME {
            quote(&self.name)
        } else {
            format!("{}.{}", quote(&self.schema), quote(&self.name))
        }
    }

    fn column(&self, name: &str) -> Option<i16> {
        let at = self.columns.as_ref()?.index_of(name).ok()?;
        i16::try_from(at + 1).ok()
    }
}

/// The number of a schema.
pub(super) fn namespace(name: &str) -> i32 {
    NAMESPACES.iter().find(|(known, _)| *known == name).map_or(PUBLIC_NUMBER, |(_, number)| *number)
}

const PUBLIC_NUMBER: i32 = 2200;

impl Objects {
    /// Those that the scope may read.
    pub(in crate::engine) async fn of(scope: &Arc<Scope>) -> Result<Self> {
        let mut columns_of_stores: BTreeMap<String, Option<SchemaRef>> = BTreeMap::new();
        let mut relations = vec![];
        let mut numbers = Numbers::default();
        for listed in scope.tables(false, |_, _| true).await? {
            let columns = match listed.schema.as_str() {
                // All audiences of a store have the same columns, and finding them reads its table.
                "audience" => {
                    let store = scope.segment(&listed.name)?.map(|segment| segment.store.clone());
                    let store = store.unwrap_or_default();
                    match columns_of_stores.get(&store) {
                        Some(known) => known.clone(),
                        None => {
                            let found = columns(scope, &listed.schema, &listed.name).await;
                            columns_of_stores.insert(store, found.clone());
                            found
                        }
                    }
                }
                schema => columns(scope, schema, &listed.name).await,
            };
            let sort = if listed.sort == Sort::View { RelationSort::View } else { RelationSort::Table };
            let segment = match listed.schema.as_str() {
                "segment" | "audience" => scope.segment(&listed.name)?,
                _ => None,
            };
            let query = match (sort, &segment) {
                (RelationSort::View, Some(segment)) => Some(crate::statement::create_statement(segment)),
                (RelationSort::View, None) => scope.view(&listed.name)?,
                _ => None,
            };
            relations.push(Relation {
                oid: numbers.of(&format!("{}.{}", listed.schema, listed.name)),
                schema: listed.schema,
                name: listed.name,
                sort,
                columns,
                query,
                comment: segment.and_then(|segment| segment.comment.clone()),
            });
        }
        let constraints = constraints(scope, &mut relations, &mut numbers)?;
        relations.extend(catalog::relations()?);
        let by_number = relations.iter().enumerate().map(|(at, relation)| (relation.oid, at)).collect();
        Ok(Self { relations, constraints, by_number })
    }

    pub(super) fn relation(&self, oid: i32) -> Option<&Relation> {
        self.by_number.get(&oid).and_then(|at| self.relations.get(*at))
    }

    /// A relation by a name as SQL has it, looked up in a schema.
    pub(super) fn named(&self, name: &str, current: &str) -> Option<&Relation> {
        let reference = datafusion::common::TableReference::parse_str(name);
        let schemas = match reference.schema() {
            Some(schema) => vec![schema],
            None => vec![current, catalog::NAME],
        };
        schemas.into_iter().find_map(|schema| {
            self.relations
                .iter()
                .find(|relation| relation.schema == schema && relation.name == reference.table())
        })
    }

    pub(super) fn constraint(&self, oid: i32) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.oid == oid)
    }
}

async fn columns(scope: &Arc<Scope>, schema: &str, name: &str) -> Option<SchemaRef> {
    // A table whose files are gone is listed without its columns.
    let provider = scope.provider(schema, name).await.ok().flatten()?;
    Some(crate::engine::postgres::types::sent(&provider.schema()))
}

/// Numbers by name; the few that would clash move on.
#[derive(Default)]
struct Numbers(HashMap<i32, String>);

impl Numbers {
    fn of(&mut self, name: &str) -> i32 {
        // FNV-1a: it must not change between versions of the standard library.
        let hash = name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let room = i32::MAX.unsigned_abs() - FIRST;
        let mut number = FIRST + hash % room;
        loop {
            let signed = i32::try_from(number).unwrap_or(i32::MAX);
            if self.0.get(&signed).is_none_or(|taken| taken == name) {
                self.0.insert(signed, name.to_owned());
                return signed;
            }
            number = FIRST + (number - FIRST + 1) % room;
        }
    }
}

/// The keys that profile stores declare, each once however many stores declare it.
fn constraints(
    scope: &Scope,
    relations: &mut Vec<Relation>,
    numbers: &mut Numbers,
) -> Result<Vec<Constraint>> {
    let keys = scope.keys()?;
    let mut constraints: Vec<Constraint> = vec![];
    let mut indexes = vec![];
    let find = |place: &Place| {
        let relation = relations.iter().find(|r| r.schema == place.schema && r.name == place.table)?;
        Some((relation.oid, relation.column(&place.column)?))
    };
    for (_, place) in &keys.primary {
        let Some((table, column)) = find(place) else { continue };
        // A table has one primary key.
        if constraints.iter().any(|known| known.table == table) {
            continue;
        }
        let name = format!("{}_pkey", place.table);
        let index = numbers.of(&format!("{}.{name}", place.schema));
        indexes.push(Relation {
            oid: index,
            schema: place.schema.clone(),
            name: name.clone(),
            sort: RelationSort::Index(table, column),
            columns: None,
            query: None,
            comment: None,
        });
        constraints.push(Constraint {
            oid: numbers.of(&format!("{}.{name} key", place.schema)),
            name,
            table,
            column,
            column_name: place.column.clone(),
            refers: None,
            index,
            definition: format!("PRIMARY KEY ({})", quote(&place.column)),
        });
    }
    for (_, primary, referring) in &keys.foreign {
        let (Some(to), Some((table, column))) = (find(primary), find(referring)) else { continue };
        let name = format!("{}_{}_fkey", referring.table, referring.column);
        if constraints
            .iter()
            .any(|known| known.table == table && known.name == name && known.refers == Some(to))
        {
            continue;
        }
        let target = if primary.schema == PUBLIC {
            quote(&primary.table)
        } else {
            format!("{}.{}", primary.schema, quote(&primary.table))
        };
        constraints.push(Constraint {
            oid: numbers.of(&format!("{}.{name} {} key", referring.schema, primary.table)),
            name,
            table,
            column,
            column_name: referring.column.clone(),
            refers: Some(to),
            index: 0,
            definition: format!(
                "FOREIGN KEY ({}) REFERENCES {target}({})",
                quote(&referring.column),
                quote(&primary.column)
            ),
        });
    }
    relations.extend(indexes);
    Ok(constraints)
}

impl Scope {
    /// The query of a view of schema `public`.
    fn view(&self, name: &str) -> Result<Option<String>> {
        use crate::engine::entry::Relation as Kept;
        let Some(entry) = self.snapshot.get(Kind::Table, name) else { return Ok(None) };
        Ok(match &*self.engine.typed::<Kept>(entry)? {
            Kept::View { sql } => Some(sql.clone()),
            Kept::Table(_) => None,
        })
    }

    /// A table by schema and name.
    async fn provider(
        self: &Arc<Self>,
        schema: &str,
        name: &str,
    ) -> Result<Option<Arc<dyn datafusion::catalog::TableProvider>>> {
        let state = self.state();
        let catalog = state.catalog_list().catalog(crate::session::CATALOG);
        match catalog.and_then(|catalog| catalog.schema(schema)) {
            Some(schema) => Ok(schema.table(name).await?),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_never_the_same() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.of("public.profiles"), numbers.of("public.profiles"));
        let all: std::collections::HashSet<i32> =
            (0..20_000).map(|at| numbers.of(&format!("audience.a{at}"))).collect();
        assert_eq!(all.len(), 20_000);
        assert!(all.iter().all(|number| *number >= 20_000));
    }
}
