//! `CREATE EXTERNAL TABLE` → [`Table`].

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{Field, Schema};
use datafusion::datasource::file_format::FileFormat;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{CreateExternalTable, Expr};
use object_store::ObjectMeta;

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result};
use crate::storage::{Files, locate_files, shown};

use super::ahead::read_ahead;
use super::files::{Found, find};
use super::listing::file_format;
use super::{Format, Location, Order, Table, delta, partition};

/// Looks at the files that the statement names and says what table they make.
pub async fn declare(statement: &CreateExternalTable, state: &SessionState) -> Result<Table> {
    let format = Format::parse(&statement.file_type)?;
    refuse_what_is_ignored(statement, format)?;
    let named: Vec<Files> =
        statement.locations.iter().map(|text| locate_files(text)).collect::<Result<_>>()?;
    let mut options: BTreeMap<String, String> =
        statement.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let table = |locations: Vec<Location>, options| Table {
        name: statement.name.table().to_owned(),
        format,
        locations,
        columns: Schema::empty(),
        columns_declared: false,
        partition_columns: vec![],
        options,
        order: vec![],
    };
    if format == Format::Delta {
        let declared = table(delta::locations(statement, named)?, options);
        delta::open(&declared, state).await?;
        return Ok(declared);
    }

    let mut found = vec![];
    for files in named {
        found.push(find(files, format, state).await?);
    }
    one_store(&found)?;
    set_compression(&mut options, &found)?;
    let mut table = table(found.iter().map(|found| found.location.clone()).collect(), options);
    let declared: Vec<Field> = statement.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    let files: Vec<ObjectMeta> = found.iter().flat_map(|found| found.files.iter().cloned()).collect();
    let folder = table.locations.iter().all(|location| location.url.ends_with('/'));
    if files.is_empty() && !(folder && !declared.is_empty() && exists(&table.locations)?) {
        return Err(no_files(&statement.locations, &table)?);
    }

    let parts = &statement.table_partition_cols;
    table.partition_columns = partition_columns(parts, &declared, &found)?;
    table.columns_declared = !declared.is_empty();
    let columns = if declared.is_empty() {
        let store = state.runtime_env().object_store(found[0].url.object_store())?;
        let format: Arc<dyn FileFormat> = file_format(&table, state)?;
        // A file without any byte says nothing of columns; not even a header.
        let full: Vec<ObjectMeta> = files.into_iter().filter(|file| file.size > 0).collect();
        if full.is_empty() {
            return Err(Error::new(
                Kind::Storage,
                format!("`{}` is empty", statement.locations.join("`, `")),
            ));
        }
        if table.format == Format::Parquet {
            read_ahead(&full, &store, state).await;
        }
        let inferred = format.infer_schema(state, &store, &full).await?;
        // A file that comes later may lack the column, or have NULLs in it.
        inferred.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect()
    } else {
        declared
    };
    table.columns = Schema::new(without_partitions(columns, &table)?);
    table.order = statement.order_exprs.iter().map(|order| order_of(order, &table)).collect::<Result<_>>()?;
    Ok(table)
}

/// What DataFusion's grammar allows and would do nothing here.
fn refuse_what_is_ignored(statement: &CreateExternalTable, format: Format) -> Result<()> {
    // DataFusion 55 uses these when it guesses the columns and when it writes, and not when it reads.
    let nulls =
        ["format.null_value", "format.null_regex"].iter().find(|key| statement.options.contains_key(**key));
    if let (Some(key), Format::Csv) = (nulls, format) {
        let key = key.trim_start_matches("format.");
        let fault = Diagnostic::new(Kind::Unsupported, format!("the option `{key}` is not supported"));
        return Err(fault
            .help("an empty field is NULL; for other words declare the column as VARCHAR and write nullif(column, 'NA')")
            .into());
    }
    let what = if statement.unbounded {
        "UNBOUNDED tables are"
    } else if !statement.constraints.is_empty() {
        "constraints of external tables are"
    } else if !statement.column_defaults.is_empty() {
        "defaults of columns are"
    } else {
        return Ok(());
    };
    Err(Diagnostic::new(Kind::Unsupported, format!("{what} not supported")).into())
}

fn one_store(found: &[Found]) -> Result<()> {
    let Some((first, rest)) = found.split_first() else {
        return Err(Diagnostic::new(Kind::Storage, "the table has no location").into());
    };
    match rest.iter().find(|other| other.url.object_store() != first.url.object_store()) {
        Some(other) => {
            let message = format!(
                "the locations of a table lie in one bucket, not in `{}` and `{}`",
                first.url.object_store(),
                other.url.object_store()
            );
            Err(Diagnostic::new(Kind::Unsupported, message).into())
        }
        None => Ok(()),
    }
}

/// The ending says how files are compressed, unless the user does.
fn set_compression(options: &mut BTreeMap<String, String>, found: &[Found]) -> Result<()> {
    let key = "format.compression";
    if options.contains_key(key) {
        return Ok(());
    }
    let full = found.iter().filter(|found| !found.files.is_empty());
    let mut compressions: Vec<_> = full.map(|found| found.compression).collect();
    compressions.dedup();
    match compressions.as_slice() {
        [] | [None] => Ok(()),
        [Some(compression)] => {
            options.insert(key.to_owned(), (*compression).to_owned());
            Ok(())
        }
        _ => Err(Error::new(Kind::Storage, "the locations of a table are compressed differently")),
    }
}

/// A declared folder may have to be filled yet; it must be there.
fn exists(locations: &[Location]) -> Result<bool> {
    for location in locations {
        // Buckets have no folders; that the bucket exists was seen when it was listed.
        if location.url()?.to_file_path().is_ok_and(|path| !path.is_dir()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn no_files(written: &[String], table: &Table) -> Result<Error> {
    let folder =
        table.locations.iter().all(|location| exists(std::slice::from_ref(location)).unwrap_or(false));
    let shown: Vec<String> = match written {
        [] => table
            .locations
            .iter()
            .map(|location| location.url().map(|url| shown(&url)))
            .collect::<Result<_>>()?,
        written => written.to_vec(),
    };
    let shown = shown.join("`, `");
    Ok(match folder && table.locations.iter().all(|location| location.url.starts_with("file:")) {
        true => Error::new(Kind::Storage, format!("`{shown}` holds no {} file", table.format)).help(
            "files in subfolders are found when these are named k=v, or by a pattern such as folder/**/*.parquet",
        ),
        false => Error::new(Kind::Storage, format!("`{shown}` does not exist")),
    })
}

/// The columns of `PARTITIONED BY`, or those of the folders.
fn partition_columns(parts: &[String], declared: &[Field], found: &[Found]) -> Result<Vec<Field>> {
    let mut inferred: Option<Vec<Field>> = None;
    for found in found.iter().filter(|found| !found.files.is_empty()) {
        let next = partition::infer(&found.url, &found.files)?;
        inferred = Some(match inferred {
            None => next,
            Some(known) => common(known, next)?,
        });
    }
    let inferred = inferred.unwrap_or_default();
    if parts.is_empty() {
        // With declared columns, only those that are among them are wanted.
        let wanted =
            |field: &Field| declared.is_empty() || declared.iter().any(|known| known.name() == field.name());
        return Ok(inferred.into_iter().filter(wanted).collect());
    }
    let columns = parts.iter().map(|name| {
        let known = declared.iter().chain(&inferred).find(|field| field.name() == name);
        known.cloned().unwrap_or_else(|| Field::new(name, partition::text(), true))
    });
    let columns: Vec<Field> = columns.collect();
    for found in found {
        partition::check(&columns, &found.url, &found.files)?;
    }
    Ok(columns)
}

/// Two locations of one table have the same folders; types that differ become text.
fn common(one: Vec<Field>, other: Vec<Field>) -> Result<Vec<Field>> {
    if !one.iter().map(Field::name).eq(other.iter().map(Field::name)) {
        return Err(Error::new(Kind::Storage, "the locations of a table have differently named k=v folders"));
    }
    let pairs = one.into_iter().zip(other);
    Ok(pairs
        .map(|(one, other)| match one.data_type() == other.data_type() {
            true => one,
            false => one.with_data_type(partition::text()),
        })
        .collect())
}

/// The columns of the files without those of the folders, which say the same.
fn without_partitions(columns: Vec<Field>, table: &Table) -> Result<Vec<Field>> {
    let is_partition = |field: &Field| table.partition_columns.iter().any(|part| part.name() == field.name());
    let (twice, columns): (Vec<Field>, Vec<Field>) = columns.into_iter().partition(is_partition);
    match twice.first() {
        // The columns of CSV count by their place.
        Some(field) if table.format == Format::Csv && !table.columns_declared => {
            let message =
                format!("the column `{}` is in the files and in the names of their folders", field.name());
            Err(Error::new(Kind::Unsupported, message).help("declare the columns, or rename the folders"))
        }
        _ => Ok(columns),
    }
}

fn order_of(order: &[Sort], table: &Table) -> Result<Vec<Order>> {
    let columns = order.iter().map(|sort| {
        let Expr::Column(column) = &sort.expr else {
            let message = format!("WITH ORDER lists columns, not `{}`", sort.expr);
            return Err(Diagnostic::new(Kind::Unsupported, message).into());
        };
        let names = table.columns.fields().iter().map(|field| field.name().as_str());
        let mut names = names.chain(table.partition_columns.iter().map(|field| field.name().as_str()));
        if !names.clone().any(|name| name == column.name) {
            let fault = Diagnostic::new(Kind::Name, format!("unknown column `{}`", column.name));
            return Err(fault.suggest(&column.name, &mut names).into());
        }
        Ok(Order { column: column.name.clone(), descending: !sort.asc, nulls_first: sort.nulls_first })
    });
    columns.collect()
}
