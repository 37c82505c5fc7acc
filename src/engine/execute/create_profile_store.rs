//! `CREATE PROFILE STORE`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};

use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::engine::Session;
use crate::engine::scope::Scope;
use crate::error::{Error, Result};
use crate::profile::{Bound, Events, Lookup, ProfileStore, Profiles, Referrer, alias};
use crate::statement::{CreateProfileStore, quote};
use crate::warehouse;

pub(super) async fn run(session: &Session, create: &CreateProfileStore) -> Result<()> {
    let scope = session.scope().await?;
    let known = scope.snapshot.get(warehouse::Kind::ProfileStore, &create.name.value);
    if known.is_some() && create.if_not_exists {
        return Ok(());
    }
    if known.is_some() && !create.or_replace {
        let message = format!("a profile store is called `{}` already", create.name.value);
        let fault = Diagnostic::new(Kind::Conflict, message).at(create.name.span);
        return Err(fault.help("`CREATE OR REPLACE PROFILE STORE` replaces it").into());
    }
    let store = declaration(create)?;
    check_tables(&scope, create).await?;
    let bound = scope.bind(&store).await.map_err(|error| at_table(error, create))?;
    check_types(create, &bound)?;
    for (lookup, clause) in store.lookups.iter().zip(&create.lookups) {
        check_unique(&scope, &lookup.table, &lookup.key, clause.key.span).await?;
    }
    let version = known.map(|entry| entry.version);
    session.engine.put(warehouse::Kind::ProfileStore, &store.name, version, &store).await
}

/// The declaration, with references between its tables found.
fn declaration(create: &CreateProfileStore) -> Result<ProfileStore> {
    let events: Vec<Events> = create
        .events
        .iter()
        .map(|clause| Events {
            table: clause.table.value.clone(),
            key: clause.key.value.clone(),
            timestamp: clause.timestamp.value.clone(),
            id: clause.id.as_ref().map(|id| id.value.clone()),
        })
        .collect();
    let mut lookups = vec![];
    for clause in &create.lookups {
        let on = match events.iter().position(|events| events.table == clause.on.value) {
            Some(at) => Referrer::Events(at),
            None if clause.on.value == create.profiles.0.value => Referrer::Profiles,
            None => {
                let message = format!("`{}` is no table of this store", clause.on.value);
                let tables = std::iter::once(&create.profiles.0)
                    .chain(create.events.iter().map(|events| &events.table));
                let fault = Diagnostic::new(Kind::Name, message).at(clause.on.span);
                return Err(fault.suggest(&clause.on.value, tables.map(|table| table.value.as_str())).into());
            }
        };
        let (table, key, column) =
            (clause.table.value.clone(), clause.key.value.clone(), clause.column.value.clone());
        lookups.push(Lookup { table, key, on, column });
    }
    let (table, key) = (create.profiles.0.value.clone(), create.profiles.1.value.clone());
    Ok(ProfileStore { name: create.name.value.clone(), profiles: Profiles { table, key }, events, lookups })
}

/// All tables exist, and each has a name of its own in rules.
async fn check_tables(scope: &Arc<Scope>, create: &CreateProfileStore) -> Result<()> {
    let mut aliases: Vec<String> = vec![];
    let mut tables = vec![&create.profiles.0];
    tables.extend(create.events.iter().map(|clause| &clause.table));
    tables.extend(create.lookups.iter().map(|clause| &clause.table));
    for table in tables {
        scope.schema(&table.value).await.map_err(|error| at(error, table.span))?;
        let alias = alias(&table.value);
        if aliases.contains(&alias) {
            let message = format!("two tables of the store are called `{alias}`");
            let fault = Diagnostic::new(Kind::Conflict, message).at(table.span);
            return Err(fault
                .help("rules could not tell them apart: declare a view with another name")
                .into());
        }
        aliases.push(alias);
    }
    Ok(())
}

/// Keys compare, and timestamps are instants.
fn check_types(create: &CreateProfileStore, bound: &Bound) -> Result<()> {
    let key = bound.key_type();
    for (clause, schema) in create.events.iter().zip(&bound.events) {
        let timestamp = type_of(schema, &clause.timestamp.value);
        if !matches!(timestamp, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) {
            let message =
                format!("`{}` is not a timestamp, it is of type {timestamp}", clause.timestamp.value);
            let name = quote(&clause.timestamp.value);
            return Err(Diagnostic::new(Kind::Type, message)
                .at(clause.timestamp.span)
                .help(format!("declare a view with a column such as `to_timestamp({name}) AS {name}`"))
                .into());
        }
        let own = type_of(schema, &clause.key.value);
        if class(&own) != class(&key) {
            return Err(incomparable(&own, &key, "the profile key", clause.key.span));
        }
    }
    for ((clause, lookup), schema) in create.lookups.iter().zip(&bound.store.lookups).zip(&bound.lookups) {
        let referrer = match lookup.on {
            Referrer::Profiles => Some(&bound.profiles),
            Referrer::Events(at) => bound.events.get(at),
        };
        let Some(referrer) = referrer else { continue };
        let (own, other) = (type_of(referrer, &lookup.column), type_of(schema, &lookup.key));
        if class(&own) != class(&other) {
            return Err(incomparable(&own, &other, "the lookup's key", clause.column.span));
        }
    }
    Ok(())
}

fn incomparable(own: &DataType, other: &DataType, what: &str, span: Span) -> Error {
    let message = format!("the types differ: {own} here, {other} in {what}");
    Diagnostic::new(Kind::Type, message).at(span).help("declare a view that casts one of them").into()
}

fn type_of(schema: &Schema, column: &str) -> DataType {
    schema.field_with_name(column).map_or(DataType::Null, |field| field.data_type().clone())
}

/// Types whose values compare with each other.
fn class(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Dictionary(_, values) => class(values),
        other if other.is_integer() => "integer",
        DataType::Decimal128(..) | DataType::Decimal256(..) => "decimal",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary"
        }
        _ => "other",
    }
}

/// A lookup with two rows a key would count events twice.
async fn check_unique(scope: &Arc<Scope>, table: &str, key: &str, span: Span) -> Result<()> {
    let column = quote(key);
    let sql = format!(
        "SELECT CAST({column} AS VARCHAR) FROM {table} WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1 LIMIT 1"
    );
    let state = scope.state();
    let plan = scope.plan_sql(&sql).await?;
    let physical = state.create_physical_plan(&plan).await?;
    let batches = datafusion::physical_plan::collect(physical, state.task_ctx()).await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(()) };
    let value = arrow::util::display::array_value_to_string(batch.column(0), 0).unwrap_or_default();
    let message = format!("`{column}` is no key of `{table}`: `{value}` stands in more than one row");
    let fault = Diagnostic::new(Kind::Data, message).at(span);
    Err(fault.help("a lookup has one row a key: declare a view that picks one").into())
}

/// Puts a fault about a table's column where the table is named.
fn at_table(error: Error, create: &CreateProfileStore) -> Error {
    let message = error.message();
    let events = create.events.iter().flat_map(|clause| {
        let columns = [Some(&clause.key), Some(&clause.timestamp), clause.id.as_ref()];
        columns.into_iter().flatten().map(move |column| (&clause.table, column))
    });
    let lookups =
        create.lookups.iter().flat_map(|clause| [(&clause.table, &clause.key), (&clause.on, &clause.column)]);
    let columns = std::iter::once((&create.profiles.0, &create.profiles.1)).chain(events).chain(lookups);
    let place = columns
        .filter(|(_, column)| message.ends_with(&format!("has no column `{}`", column.value)))
        .max_by_key(|(table, _)| message.starts_with(&format!("`{}`", table.value)));
    match place {
        Some((_, column)) => at(error, column.span),
        None => error,
    }
}

fn at(error: Error, span: Span) -> Error {
    match error {
        Error::Wrong(faults) => Error::Wrong(faults.into_iter().map(|fault| fault.at(span)).collect()),
        failed => failed,
    }
}
