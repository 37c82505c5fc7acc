//! The functions that `pg_proc` lists, which are PostgreSQL's own: by name, and what they look like.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::diagnostic::{Diagnostic, Kind};

use super::catalog;
use super::functions::{type_name, type_number};

/// A row of `pg_proc`.
#[derive(Debug)]
struct Routine {
    name: String,
    /// The types of what goes in.
    takes: Vec<u32>,
    is_variadic: bool,
    returns: u32,
    returns_rows: bool,
    language: i32,
    kind: String,
    volatility: String,
    parallel: String,
    is_strict: bool,
    source: String,
}

static ROUTINES: LazyLock<HashMap<i32, Routine>> = LazyLock::new(|| {
    // What cannot be read is a fault of the crate that ships it, and shows where the table is read.
    let batches = catalog::routines().unwrap_or_default();
    batches.iter().filter_map(read).flatten().collect()
});

fn read(batch: &RecordBatch) -> Option<Vec<(i32, Routine)>> {
    let texts = |name: &str| {
        let column = cast(batch.column_by_name(name)?, &DataType::Utf8).ok()?;
        Some(column.as_string::<i32>().clone())
    };
    let (oid, name, takes) = (texts("oid")?, texts("proname")?, texts("proargtypes")?);
    let (variadic, returns, set) = (texts("provariadic")?, texts("prorettype")?, texts("proretset")?);
    let (language, kind, volatility) = (texts("prolang")?, texts("prokind")?, texts("provolatile")?);
    let (parallel, strict, source) = (texts("proparallel")?, texts("proisstrict")?, texts("prosrc")?);
    let row = |row: usize| {
        let numbers = if takes.is_valid(row) { takes.value(row) } else { "" };
        let routine = Routine {
            name: name.value(row).to_owned(),
            takes: numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect(),
            is_variadic: variadic.value(row) != "0",
            returns: returns.value(row).parse().ok()?,
            returns_rows: set.value(row) == "true",
            language: language.value(row).parse().ok()?,
            kind: kind.value(row).to_owned(),
            volatility: volatility.value(row).to_owned(),
            parallel: parallel.value(row).to_owned(),
            is_strict: strict.value(row) == "true",
            source: if source.is_valid(row) { source.value(row) } else { "" }.to_owned(),
        };
        Some((oid.value(row).parse().ok()?, routine))
    };
    Some((0..batch.num_rows()).filter_map(row).collect())
}

/// The number of the function that is called so: `abs`, or where there are several `abs(integer)`.
pub(super) fn number(name: &str) -> Result<i32, Diagnostic> {
    let (plain, takes) = match name.split_once('(') {
        Some((plain, rest)) => {
            let types = rest.trim_end().trim_end_matches(')').split(',').map(str::trim);
            let types = types.filter(|kind| !kind.is_empty()).map(type_number);
            (plain, Some(types.collect::<Option<Vec<_>>>()))
        }
        None => (name, None),
    };
    let plain = plain.trim().trim_start_matches("pg_catalog.").trim_matches('"');
    let is_meant = |routine: &Routine| {
        routine.name == plain
            && takes.as_ref().is_none_or(|takes| takes.as_deref() == Some(&routine.takes[..]))
    };
    let mut found = ROUTINES.iter().filter(|(_, routine)| is_meant(routine)).map(|(number, _)| *number);
    match (found.next(), found.next()) {
        (Some(number), None) => Ok(number),
        (Some(_), Some(_)) => {
            let fault = Diagnostic::new(Kind::Name, format!("more than one function named `{plain}`"));
            Err(fault.help(format!("write its types: `{plain}(integer)`")))
        }
        (None, _) => {
            let fault = Diagnostic::new(Kind::Name, format!("unknown function `{name}` of PostgreSQL"));
            Err(fault
                .help(format!("coterie's own have no source: `SHOW FUNCTIONS LIKE '{plain}'` tells of them")))
        }
    }
}

fn named(kind: u32) -> String {
    type_name(kind, -1).unwrap_or_else(|| kind.to_string())
}

/// What a function takes.
pub(super) fn arguments(number: i32) -> Option<String> {
    let routine = ROUTINES.get(&number)?;
    let last = routine.takes.len().checked_sub(1).filter(|_| routine.is_variadic);
    let argument = |(at, kind): (usize, &u32)| {
        let kind = named(*kind);
        if Some(at) == last { format!("VARIADIC {kind}") } else { kind }
    };
    Some(routine.takes.iter().enumerate().map(argument).collect::<Vec<_>>().join(", "))
}

/// What a function returns.
pub(super) fn result(number: i32) -> Option<String> {
    let routine = ROUTINES.get(&number)?;
    let kind = named(routine.returns);
    Some(if routine.returns_rows { format!("SETOF {kind}") } else { kind })
}

/// The statement that would create a function; `None` where there is no such function.
pub(super) fn definition(number: i32) -> Result<Option<String>, Diagnostic> {
    let Some(routine) = ROUTINES.get(&number) else { return Ok(None) };
    if routine.kind == "a" {
        return Err(Diagnostic::new(Kind::Type, format!("`{}` is an aggregate function", routine.name)));
    }
    let language = match routine.language {
        13 => "c",
        14 => "sql",
        _ => "internal",
    };
    let mut traits = vec![];
    traits.extend((routine.kind == "w").then_some("WINDOW"));
    match routine.volatility.as_str() {
        "i" => traits.push("IMMUTABLE"),
        "s" => traits.push("STABLE"),
        _ => {}
    }
    match routine.parallel.as_str() {
        "s" => traits.push("PARALLEL SAFE"),
        "r" => traits.push("PARALLEL RESTRICTED"),
        _ => {}
    }
    traits.extend(routine.is_strict.then_some("STRICT"));
    let traits = if traits.is_empty() { String::new() } else { format!(" {}\n", traits.join(" ")) };
    Ok(Some(format!(
        "CREATE OR REPLACE FUNCTION pg_catalog.{}({})\n RETURNS {}\n LANGUAGE {language}\n{traits}AS $function${}$function$\n",
        routine.name,
        arguments(number).unwrap_or_default(),
        result(number).unwrap_or_default(),
        routine.source,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_name_and_types() {
        assert_eq!(number("int4abs").unwrap(), 1251);
        assert_eq!(number("pg_catalog.abs(integer)").unwrap(), 1397);
        assert_eq!(number("abs(nothing)").unwrap_err().kind, Kind::Name);
        assert!(number("abs").unwrap_err().message.contains("more than one"));
        assert!(number("sequence_match").unwrap_err().message.contains("unknown function"));
        assert_eq!(arguments(3539).unwrap(), "text, VARIADIC any");
        assert_eq!(result(1067).unwrap(), "SETOF integer");
    }

    #[test]
    fn definitions_are_statements() {
        let shown = definition(1251).unwrap().unwrap();
        assert_eq!(
            shown,
            "CREATE OR REPLACE FUNCTION pg_catalog.int4abs(integer)\n RETURNS integer\n LANGUAGE internal\n \
             IMMUTABLE PARALLEL SAFE STRICT\nAS $function$int4abs$function$\n"
        );
        assert_eq!(definition(0).unwrap(), None);
        assert!(definition(number("avg(integer)").unwrap()).is_err());
    }
}
