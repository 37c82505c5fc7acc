//! Schema `information_schema` as PostgreSQL has it: with the types by their SQL names, and keys.
//!
//! What is not here is DataFusion's: settings and functions.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Result;
use futures::future::BoxFuture;
use pgwire::api::Type;

use crate::engine::catalog::Catalogs;
use crate::engine::scope::Scope;
use crate::provider;
use crate::session::CATALOG;

use super::catalog::{Attribute, Columns, attributes};
use super::objects::{Constraint, NAMESPACES, Objects, Relation, RelationSort};
use super::types::type_of;
use super::{Facts, facts, functions};

/// The name of the schema.
pub(in crate::engine) const NAME: &str = "information_schema";

const TABLES: &[&str] = &[
    "applicable_roles",
    "character_sets",
    "check_constraints",
    "column_privileges",
    "columns",
    "constraint_column_usage",
    "domains",
    "element_types",
    "enabled_roles",
    "information_schema_catalog_name",
    "key_column_usage",
    "referential_constraints",
    "role_table_grants",
    "schemata",
    "sequences",
    "table_constraints",
    "table_privileges",
    "tables",
    "triggers",
    "views",
];

/// The schema, as a statement sees it.
#[derive(Debug)]
pub(in crate::engine) struct InformationSchema(pub(in crate::engine) Arc<Scope>);

impl InformationSchema {
    fn others(&self) -> InformationSchemaProvider {
        let catalogs = Arc::new(Catalogs::new(Arc::clone(&self.0)));
        InformationSchemaProvider::new(catalogs)
            .with_table_functions(self.0.state().table_functions().clone())
    }
}

impl provider::Schema for InformationSchema {
    fn names(&self) -> Vec<String> {
        let mut names = self.others().table_names();
        names.extend(TABLES.iter().map(|name| (*name).to_owned()));
        names.sort();
        names.dedup();
        names
    }

    fn table<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>>> {
        Box::pin(async move {
            if !TABLES.contains(&name) {
                return self.others().table(name).await;
            }
            let Some(facts) = facts(self.0.options()) else { return Ok(None) };
            let objects = self.0.objects().await?;
            made(name, &objects, &facts).map(Some)
        })
    }

    fn has(&self, name: &str) -> bool {
        TABLES.contains(&name) || self.others().table_exist(name)
    }
}

fn made(name: &str, objects: &Objects, facts: &Facts) -> Result<Arc<dyn TableProvider>> {
    let user = facts.user.as_str();
    let relations: Vec<&Relation> = objects
        .relations
        .iter()
        .filter(|relation| !matches!(relation.sort, RelationSort::Index(..)))
        .collect();
    let schema_of = |oid: i32| objects.relation(oid).map(|relation| relation.schema.clone());
    let name_of = |oid: i32| objects.relation(oid).map(|relation| relation.name.clone());
    let nothing: &[()] = &[];
    match name {
        "schemata" => Columns::of(NAMESPACES)
            .word("catalog_name", CATALOG)
            .text("schema_name", |(name, _)| Some(*name))
            .text("schema_owner", |_| Some(user))
            .none("default_character_set_catalog")
            .none("default_character_set_schema")
            .none("default_character_set_name")
            .none("sql_path")
            .table(),
        "tables" => Columns::of(&relations)
            .word("table_catalog", CATALOG)
            .text("table_schema", |r| Some(&r.schema))
            .text("table_name", |r| Some(&r.name))
            .text("table_type", |r| Some(if r.sort == RelationSort::View { "VIEW" } else { "BASE TABLE" }))
            .none("self_referencing_column_name")
            .none("reference_generation")
            .none("user_defined_type_catalog")
            .none("user_defined_type_schema")
            .none("user_defined_type_name")
            .word("is_insertable_into", "NO")
            .word("is_typed", "NO")
            .none("commit_action")
            .table(),
        "columns" => columns(objects),
        "views" => {
            let views: Vec<&&Relation> = relations.iter().filter(|r| r.sort == RelationSort::View).collect();
            Columns::of(&views)
                .word("table_catalog", CATALOG)
                .text("table_schema", |r| Some(&r.schema))
                .text("table_name", |r| Some(&r.name))
                .text("view_definition", |r| r.query.clone())
                .word("check_option", "NONE")
                .word("is_updatable", "NO")
                .word("is_insertable_into", "NO")
                .word("is_trigger_updatable", "NO")
                .word("is_trigger_deletable", "NO")
                .word("is_trigger_insertable_into", "NO")
                .table()
        }
        "table_constraints" => Columns::of(&objects.constraints)
            .word("constraint_catalog", CATALOG)
            .text("constraint_schema", |c| schema_of(c.table))
            .text("constraint_name", |c| Some(&c.name))
            .word("table_catalog", CATALOG)
            .text("table_schema", |c| schema_of(c.table))
            .text("table_name", |c| name_of(c.table))
            .text("constraint_type", |c| Some(if c.refers.is_some() { "FOREIGN KEY" } else { "PRIMARY KEY" }))
            .word("is_deferrable", "NO")
            .word("initially_deferred", "NO")
            .word("enforced", "NO")
            .table(),
        "key_column_usage" => Columns::of(&objects.constraints)
            .word("constraint_catalog", CATALOG)
            .text("constraint_schema", |c| schema_of(c.table))
            .text("constraint_name", |c| Some(&c.name))
            .word("table_catalog", CATALOG)
            .text("table_schema", |c| schema_of(c.table))
            .text("table_name", |c| name_of(c.table))
            .text("column_name", |c| Some(&c.column_name))
            .int("ordinal_position", |_| Some(1))
            .int("position_in_unique_constraint", |c| c.refers.map(|_| 1))
            .table(),
        "constraint_column_usage" => {
            let target = |c: &Constraint| c.refers.unwrap_or((c.table, c.column));
            let column = |c: &Constraint| {
                let (table, column) = target(c);
                let columns = objects.relation(table)?.columns.as_ref()?;
                let field = columns.fields().get(usize::try_from(column - 1).ok()?)?;
                Some(field.name().clone())
            };
            Columns::of(&objects.constraints)
                .word("table_catalog", CATALOG)
                .text("table_schema", |c| schema_of(target(c).0))
                .text("table_name", |c| name_of(target(c).0))
                .text("column_name", column)
                .word("constraint_catalog", CATALOG)
                .text("constraint_schema", |c| schema_of(c.table))
                .text("constraint_name", |c| Some(&c.name))
                .table()
        }
        "referential_constraints" => {
            let foreign: Vec<&Constraint> =
                objects.constraints.iter().filter(|c| c.refers.is_some()).collect();
            let unique = |c: &Constraint| {
                let (table, column) = c.refers?;
                objects
                    .constraints
                    .iter()
                    .find(|key| key.index != 0 && key.table == table && key.column == column)
            };
            Columns::of(&foreign)
                .word("constraint_catalog", CATALOG)
                .text("constraint_schema", |c| schema_of(c.table))
                .text("constraint_name", |c| Some(&c.name))
                .word("unique_constraint_catalog", CATALOG)
                .text("unique_constraint_schema", |c| c.refers.and_then(|(table, _)| schema_of(table)))
                .text("unique_constraint_name", |c| unique(c).map(|key| key.name.clone()))
                .word("match_option", "NONE")
                .word("update_rule", "NO ACTION")
                .word("delete_rule", "NO ACTION")
                .table()
        }
        "table_privileges" | "role_table_grants" => Columns::of(&relations)
            .text("grantor", |_| Some(user))
            .text("grantee", |_| Some(user))
            .word("table_catalog", CATALOG)
            .text("table_schema", |r| Some(&r.schema))
            .text("table_name", |r| Some(&r.name))
            .word("privilege_type", "SELECT")
            .word("is_grantable", "NO")
            .word("with_hierarchy", "YES")
            .table(),
        "column_privileges" => Columns::of(&attributes(objects))
            .text("grantor", |_| Some(user))
            .text("grantee", |_| Some(user))
            .word("table_catalog", CATALOG)
            .text("table_schema", |a| Some(&a.relation.schema))
            .text("table_name", |a| Some(&a.relation.name))
            .text("column_name", |a| Some(a.field.name()))
            .word("privilege_type", "SELECT")
            .word("is_grantable", "NO")
            .table(),
        "enabled_roles" => Columns::of(&[user]).text("role_name", |name| Some(*name)).table(),
        "applicable_roles" => {
            Columns::of(nothing).none("grantee").none("role_name").none("is_grantable").table()
        }
        "information_schema_catalog_name" => Columns::of(&[()]).word("catalog_name", CATALOG).table(),
        "character_sets" => Columns::of(&[()])
            .none("character_set_catalog")
            .none("character_set_schema")
            .word("character_set_name", "UTF8")
            .word("character_repertoire", "UCS")
            .word("form_of_use", "UTF8")
            .word("default_collate_catalog", CATALOG)
            .word("default_collate_schema", "pg_catalog")
            .word("default_collate_name", "C")
            .table(),
        "sequences" => Columns::of(nothing)
            .none("sequence_catalog")
            .none("sequence_schema")
            .none("sequence_name")
            .none("data_type")
            .none("start_value")
            .none("minimum_value")
            .none("maximum_value")
            .none("increment")
            .none("cycle_option")
            .table(),
        "triggers" => Columns::of(nothing)
            .none("trigger_catalog")
            .none("trigger_schema")
            .none("trigger_name")
            .none("event_manipulation")
            .none("event_object_schema")
            .none("event_object_table")
            .none("action_statement")
            .none("action_timing")
            .table(),
        "check_constraints" => Columns::of(nothing)
            .none("constraint_catalog")
            .none("constraint_schema")
            .none("constraint_name")
            .none("check_clause")
            .table(),
        "domains" => Columns::of(nothing)
            .none("domain_catalog")
            .none("domain_schema")
            .none("domain_name")
            .none("data_type")
            .table(),
        _ => Columns::of(nothing)
            .none("object_catalog")
            .none("object_schema")
            .none("object_name")
            .none("object_type")
            .none("collection_type_identifier")
            .none("data_type")
            .table(),
    }
}

fn columns(objects: &Objects) -> Result<Arc<dyn TableProvider>> {
    let attributes: Vec<Attribute<'_>> = attributes(objects)
        .into_iter()
        .filter(|attribute| !matches!(attribute.relation.sort, RelationSort::Index(..)))
        .collect();
    let is_key = |a: &Attribute<'_>| {
        objects
            .constraints
            .iter()
            .any(|key| key.index != 0 && key.table == a.relation.oid && key.column == a.number)
    };
    let digits = |a: &Attribute<'_>| match a.field.data_type() {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            Some((i32::from(*precision), i32::from(*scale)))
        }
        _ => None,
    };
    Columns::of(&attributes)
        .word("table_catalog", CATALOG)
        .text("table_schema", |a| Some(&a.relation.schema))
        .text("table_name", |a| Some(&a.relation.name))
        .text("column_name", |a| Some(a.field.name()))
        .int("ordinal_position", |a| Some(i32::from(a.number)))
        .none("column_default")
        .text("is_nullable", |a| Some(if is_key(a) { "NO" } else { "YES" }))
        .text("data_type", |a| {
            let kind = type_of(&a.field);
            Some(if super::types::item_of(&kind).is_some() {
                "ARRAY".to_owned()
            } else {
                functions::type_name(kind.oid(), -1).unwrap_or_else(|| kind.name().to_owned())
            })
        })
        .int("character_maximum_length", |_| None)
        .int("character_octet_length", |a| (type_of(&a.field) == Type::TEXT).then_some(1_073_741_824))
        .int("numeric_precision", |a| match type_of(&a.field) {
            Type::INT2 => Some(16),
            Type::INT4 => Some(32),
            Type::INT8 => Some(64),
            Type::FLOAT4 => Some(24),
            Type::FLOAT8 => Some(53),
            _ => digits(a).map(|(precision, _)| precision),
        })
        .int("numeric_precision_radix", |a| match type_of(&a.field) {
            Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 => Some(2),
            Type::NUMERIC => Some(10),
            _ => None,
        })
        .int("numeric_scale", |a| match type_of(&a.field) {
            Type::INT2 | Type::INT4 | Type::INT8 => Some(0),
            _ => digits(a).map(|(_, scale)| scale),
        })
        .int("datetime_precision", |a| match type_of(&a.field) {
            Type::DATE => Some(0),
            Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::INTERVAL => Some(6),
            _ => None,
        })
        .none("interval_type")
        .int("interval_precision", |_| None)
        .none("character_set_catalog")
        .none("character_set_schema")
        .none("character_set_name")
        .none("collation_catalog")
        .none("collation_schema")
        .none("collation_name")
        .none("domain_catalog")
        .none("domain_schema")
        .none("domain_name")
        .word("udt_catalog", CATALOG)
        .word("udt_schema", "pg_catalog")
        .text("udt_name", |a| Some(type_of(&a.field).name().to_owned()))
        .none("scope_catalog")
        .none("scope_schema")
        .none("scope_name")
        .int("maximum_cardinality", |_| None)
        .text("dtd_identifier", |a| Some(a.number.to_string()))
        .word("is_self_referencing", "NO")
        .word("is_identity", "NO")
        .none("identity_generation")
        .none("identity_start")
        .none("identity_increment")
        .none("identity_maximum")
        .none("identity_minimum")
        .word("identity_cycle", "NO")
        .word("is_generated", "NEVER")
        .none("generation_expression")
        .word("is_updatable", "NO")
        .table()
}
