//! Catalogs, schemas, tables and keys, as Flight SQL's metadata calls ask for them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetTableTypes, CommandGetTables,
};

use crate::engine::{Listed, Place, Session, Sort};
use crate::error::{Error, Result};
use crate::server::wire;
use crate::session::CATALOG;

pub(super) fn catalogs(ask: CommandGetCatalogs) -> Result<RecordBatch> {
    let mut builder = ask.into_builder();
    builder.append(CATALOG);
    built(builder.build())
}

pub(super) async fn schemas(session: &Session, ask: CommandGetDbSchemas) -> Result<RecordBatch> {
    let mut builder = ask.into_builder();
    for schema in session.schemas().await? {
        builder.append(CATALOG, schema);
    }
    built(builder.build())
}

pub(super) async fn tables(session: &Session, mut ask: CommandGetTables) -> Result<RecordBatch> {
    // Drivers say so when they mean no filter.
    ask.catalog = ask.catalog.filter(|catalog| !catalog.is_empty());
    let with_columns = ask.include_schema;
    let (schemas, names) = (ask.db_schema_filter_pattern.clone(), ask.table_name_filter_pattern.clone());
    let wanted = move |schema: &str, name: &str| {
        schemas.as_deref().is_none_or(|pattern| like(schema, pattern))
            && names.as_deref().is_none_or(|pattern| like(name, pattern))
    };
    let listed = session.tables(with_columns, wanted).await?;
    let mut builder = ask.into_builder();
    for Listed { schema, name, sort, columns } in listed {
        let columns = match columns {
            Some(columns) => described(&columns, &schema, &name),
            None => Schema::empty(),
        };
        builder.append(CATALOG, &schema, &name, sort.as_str(), &columns).map_err(flight)?;
    }
    built(builder.build())
}

/// The columns of a table, of the types in which a query would send them.
fn described(columns: &Schema, schema: &str, table: &str) -> Schema {
    let fields = columns.fields().iter().map(|field| {
        let described = Field::new(field.name(), wire::data_type(field.data_type()), field.is_nullable());
        let mut metadata = field.metadata().clone();
        for (key, value) in [("CATALOG_NAME", CATALOG), ("SCHEMA_NAME", schema), ("TABLE_NAME", table)] {
            metadata.insert(format!("ARROW:FLIGHT:SQL:{key}"), value.to_owned());
        }
        described.with_metadata(metadata)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

pub(super) fn table_types(ask: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut builder = ask.into_builder();
    for sort in Sort::ALL {
        builder.append(sort.as_str());
    }
    built(builder.build())
}

pub(super) async fn primary_keys(session: &Session, ask: CommandGetPrimaryKeys) -> Result<RecordBatch> {
    let mut keys = session.keys().await?.primary;
    keys.retain(|(_, key)| is_of(key, ask.catalog.as_deref(), ask.db_schema.as_deref(), &ask.table));
    // Two stores may say the same of one table.
    keys.dedup_by(|(_, left), (_, right)| left == right);
    let text = |of: fn(&(String, Place)) -> &str| texts(keys.iter().map(of));
    let columns: Vec<ArrayRef> = vec![
        texts(keys.iter().map(|_| CATALOG)),
        text(|(_, key)| &key.schema),
        text(|(_, key)| &key.table),
        text(|(_, key)| &key.column),
        Arc::new(keys.iter().map(|_| Some(1)).collect::<Int32Array>()),
        text(|(store, _)| store),
    ];
    Ok(RecordBatch::try_new(primary_keys_schema(), columns)?)
}

pub(super) async fn exported_keys(session: &Session, ask: CommandGetExportedKeys) -> Result<RecordBatch> {
    foreign_keys(session, |key, _| is_of(key, ask.catalog.as_deref(), ask.db_schema.as_deref(), &ask.table))
        .await
}

pub(super) async fn imported_keys(session: &Session, ask: CommandGetImportedKeys) -> Result<RecordBatch> {
    foreign_keys(session, |_, referring| {
        is_of(referring, ask.catalog.as_deref(), ask.db_schema.as_deref(), &ask.table)
    })
    .await
}

pub(super) async fn cross_reference(session: &Session, ask: CommandGetCrossReference) -> Result<RecordBatch> {
    foreign_keys(session, |key, referring| {
        is_of(key, ask.pk_catalog.as_deref(), ask.pk_db_schema.as_deref(), &ask.pk_table)
            && is_of(referring, ask.fk_catalog.as_deref(), ask.fk_db_schema.as_deref(), &ask.fk_table)
    })
    .await
}

async fn foreign_keys(session: &Session, wanted: impl Fn(&Place, &Place) -> bool) -> Result<RecordBatch> {
    /// `NO ACTION`: nothing is enforced.
    const NO_ACTION: u8 = 3;
    let mut keys = session.keys().await?.foreign;
    keys.retain(|(_, key, referring)| wanted(key, referring));
    type Row = (String, Place, Place);
    let text = |of: fn(&Row) -> &str| texts(keys.iter().map(of));
    let catalogs = || texts(keys.iter().map(|_| CATALOG));
    let names: StringArray = keys
        .iter()
        .map(|(store, _, referring)| Some(format!("{store}_{}_{}", referring.table, referring.column)))
        .collect();
    let action = || Arc::new(keys.iter().map(|_| Some(NO_ACTION)).collect::<UInt8Array>());
    let columns: Vec<ArrayRef> = vec![
        catalogs(),
        text(|(_, key, _)| &key.schema),
        text(|(_, key, _)| &key.table),
        text(|(_, key, _)| &key.column),
        catalogs(),
        text(|(.., referring)| &referring.schema),
        text(|(.., referring)| &referring.table),
        text(|(.., referring)| &referring.column),
        Arc::new(keys.iter().map(|_| Some(1)).collect::<Int32Array>()),
        Arc::new(names),
        text(|(store, ..)| store),
        action(),
        action(),
    ];
    Ok(RecordBatch::try_new(foreign_keys_schema(), columns)?)
}

pub(super) fn primary_keys_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("key_name", true),
    ]))
}

pub(super) fn foreign_keys_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn is_of(place: &Place, catalog: Option<&str>, schema: Option<&str>, table: &str) -> bool {
    catalog.is_none_or(|catalog| catalog.is_empty() || catalog == CATALOG)
        && schema.is_none_or(|schema| schema.is_empty() || schema == place.schema)
        && table == place.table
}

/// Whether a name fits a pattern of `LIKE`: `%` any characters, `_` any one, `\\` before one that means itself.
fn like(name: &str, pattern: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // How far the pattern's begin fits each begin of the name.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        let escaped = if sign == '\\' { signs.next() } else { None };
        if sign == '%' {
            let mut any = false;
            for fit in &mut fits {
                any |= *fit;
                *fit = any;
            }
            continue;
        }
        for at in (1..fits.len()).rev() {
            let fit = escaped.map_or(sign == '_' || sign == name[at - 1], |plain| plain == name[at - 1]);
            fits[at] = fits[at - 1] && fit;
        }
        fits[0] = false;
    }
    fits.last().copied().unwrap_or(false)
}

pub(super) fn built(batch: arrow_flight::error::Result<RecordBatch>) -> Result<RecordBatch> {
    batch.map_err(flight)
}

fn flight(error: arrow_flight::error::FlightError) -> Error {
    crate::bug!("metadata cannot be written: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_like() {
        for (name, pattern, fits) in [
            ("events", "events", true),
            ("events", "ev%", true),
            ("events", "%", true),
            ("", "%", true),
            ("", "_", false),
            ("events", "_vents", true),
            ("events", "%t_", true),
            ("events", "ev", false),
            ("events", "%x%", false),
            ("a%b", "a%b", true),
            ("größe", "gr__e", true),
            ("a_b", "a\\_b", true),
            ("axb", "a\\_b", false),
        ] {
            assert_eq!(like(name, pattern), fits, "{name} {pattern}");
        }
    }
}
