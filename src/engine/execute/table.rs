//! External tables, views and tables: `CREATE EXTERNAL TABLE`, `CREATE VIEW`, `CREATE TABLE`, `DROP TABLE`, `DROP VIEW`.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{CreateMemoryTable, DdlStatement};
use datafusion::sql::parser::Statement as DFStatement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::engine::Session;
use crate::engine::entry::Relation;
use crate::engine::ingest::write_files;
use crate::engine::scope::{Scope, public_name};
use crate::error::Result;
use crate::segment::Name;
use crate::source;
use crate::statement::{Command, Statement, quote};
use crate::warehouse;

use super::drop::refuse;

pub(super) async fn run(session: &Session, ddl: &DdlStatement, statement: &Statement) -> Result<()> {
    let scope = session.scope().await?;
    match ddl {
        DdlStatement::CreateExternalTable(create) => {
            let name = free_name(&scope, statement, &create.name, create.or_replace, create.if_not_exists)?;
            let Some((name, version)) = name else { return Ok(()) };
            let mut table = source::declare(create, &scope.state()).await?;
            table.name = name.clone();
            session.engine.put(warehouse::Kind::Table, &name, version, &Relation::Table(table)).await
        }
        DdlStatement::CreateView(create) => {
            let Some((name, version)) = free_name(&scope, statement, &create.name, create.or_replace, false)?
            else {
                return Ok(());
            };
            let sql = view_query(statement)?;
            session.engine.put(warehouse::Kind::Table, &name, version, &Relation::View { sql }).await
        }
        DdlStatement::CreateMemoryTable(create) => {
            let free = free_name(&scope, statement, &create.name, create.or_replace, create.if_not_exists)?;
            let Some((name, version)) = free else { return Ok(()) };
            let table = write_table(session, &scope, create, &name).await?;
            session.engine.put(warehouse::Kind::Table, &name, version, &Relation::Table(table)).await
        }
        DdlStatement::DropTable(drop) => {
            remove(session, &scope, statement, &drop.name, drop.if_exists, "table").await
        }
        DdlStatement::DropView(drop) => {
            remove(session, &scope, statement, &drop.name, drop.if_exists, "view").await
        }
        other => Err(crate::bug!("{} became a command", other.name())),
    }
}

/// The name of a relation to create, and the version of what it replaces; `None` when there is nothing to do.
fn free_name(
    scope: &Scope,
    statement: &Statement,
    reference: &TableReference,
    or_replace: bool,
    if_not_exists: bool,
) -> Result<Option<(String, Option<u64>)>> {
    let name = own_name(reference)?;
    match scope.snapshot.get(warehouse::Kind::Table, name) {
        None => Ok(Some((name.to_owned(), None))),
        Some(_) if if_not_exists => Ok(None),
        Some(entry) if or_replace => Ok(Some((name.to_owned(), Some(entry.version)))),
        Some(_) => {
            let fault =
                Diagnostic::new(Kind::Conflict, format!("a table or view is called `{name}` already"))
                    .at(place(statement, name));
            Err(fault.at(place(statement, name)).help("`CREATE OR REPLACE …` replaces it").into())
        }
    }
}

fn own_name(reference: &TableReference) -> Result<&str> {
    public_name(reference).ok_or_else(|| {
        let message = format!(
            "tables and views live in schema `public`, not in `{}`",
            reference.schema().unwrap_or("")
        );
        Diagnostic::new(Kind::Unsupported, message).into()
    })
}

/// The text of a view's query.
fn view_query(statement: &Statement) -> Result<String> {
    match &statement.command {
        Command::Sql(sql) => match &**sql {
            DFStatement::Statement(inner) => match &**inner {
                SqlStatement::CreateView(view) => Ok(view.query.to_string()),
                _ => Err(crate::bug!("a view without a query")),
            },
            _ => Err(crate::bug!("a view without a query")),
        },
        _ => Err(crate::bug!("a view without a query")),
    }
}

/// `CREATE TABLE`: the rows go to Parquet files in the warehouse, so that the table survives a restart like any other.
async fn write_table(
    session: &Session,
    scope: &Arc<Scope>,
    create: &CreateMemoryTable,
    name: &str,
) -> Result<source::Table> {
    let location = session.engine.table_location(name);
    let plan = create.input.as_ref().clone();
    let schema = Arc::clone(plan.schema().inner());
    write_files(DataFrame::new(scope.state(), plan), &location).await?;
    Ok(source::Table {
        name: name.to_owned(),
        format: source::Format::Parquet,
        locations: vec![source::Location { url: location, pattern: None, deep: false }],
        columns: schema.as_ref().clone(),
        columns_declared: true,
        partition_columns: vec![],
        options: BTreeMap::new(),
        order: vec![],
    })
}

async fn remove(
    session: &Session,
    scope: &Arc<Scope>,
    statement: &Statement,
    reference: &TableReference,
    if_exists: bool,
    what: &str,
) -> Result<()> {
    let name = own_name(reference)?;
    let Some(entry) = scope.snapshot.get(warehouse::Kind::Table, name) else {
        if if_exists {
            return Ok(());
        }
        let names = scope.names(warehouse::Kind::Table);
        let fault = Diagnostic::new(Kind::NotFound, format!("no {what} is called `{name}`"));
        return Err(fault.at(place(statement, name)).suggest(name, names).into());
    };
    let relation = session.engine.typed::<Relation>(entry)?;
    let is_view = matches!(&*relation, Relation::View { .. });
    if is_view != (what == "view") {
        let other = if is_view { "view" } else { "table" };
        let fault = Diagnostic::new(Kind::Type, format!("`{name}` is a {other}"));
        return Err(fault
            .at(place(statement, name))
            .help(format!("write `DROP {} {name}`", other.to_uppercase()))
            .into());
    }
    let mut users = vec![];
    for store in scope.names(warehouse::Kind::ProfileStore) {
        let quoted = quote(name);
        if scope.store(store)?.is_some_and(|store| store.tables().any(|table| table == quoted)) {
            users.push(store);
        }
    }
    let name_at = Name { value: name.to_owned(), span: place(statement, name) };
    refuse(&users, what, "profile stores", &name_at)?;
    session.engine.delete(warehouse::Kind::Table, name, entry.version).await
}

/// Where a name stands in a statement that DataFusion planned: plans keep no places.
fn place(statement: &Statement, name: &str) -> Span {
    let piece = statement.piece.clone();
    let text = statement.source.text[piece.clone()].to_lowercase();
    match text.find(&name.to_lowercase()) {
        Some(at) if text.len() == piece.len() => Span::new(at, at + name.len()).shifted(piece.start),
        _ => statement.span,
    }
}
