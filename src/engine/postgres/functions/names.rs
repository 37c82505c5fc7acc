//! Names and numbers of objects and types, one from the other.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, Int32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use pgwire::api::Type;

use crate::diagnostic::{Diagnostic, Kind};
use crate::statement::quote;

use super::super::objects::{NAMESPACES, ROLE, namespace};
use super::super::{routines, types};
use super::{Call, wrong};

pub(super) fn format_type(call: &Call<'_>) -> Result<ArrayRef> {
    let oids = cast(call.argument(0)?, &DataType::Int64)?;
    let oids = oids.as_primitive::<arrow::datatypes::Int64Type>();
    let modifiers = call.ints(1)?;
    let names = (0..call.rows).map(|row| {
        if oids.is_null(row) {
            return None;
        }
        let modifier = if modifiers.is_null(row) { -1 } else { modifiers.value(row) };
        let name = u32::try_from(oids.value(row)).ok().and_then(|oid| type_name(oid, modifier));
        Some(name.unwrap_or_else(|| if oids.value(row) == 0 { "-" } else { "???" }.to_owned()))
    });
    Ok(Arc::new(names.collect::<StringArray>()))
}

/// A type by its name in SQL.
pub(in crate::engine::postgres) fn type_name(oid: u32, modifier: i32) -> Option<String> {
    let kind = Type::from_oid(oid)?;
    if let Some(item) = types::item_of(&kind) {
        return type_name(item.oid(), modifier).map(|item| format!("{item}[]"));
    }
    let name = match kind {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::VARCHAR => "character varying",
        Type::BPCHAR => "character",
        Type::CHAR => "\"char\"",
        Type::TIME => "time without time zone",
        Type::TIMETZ => "time with time zone",
        Type::TIMESTAMP => "timestamp without time zone",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        Type::BIT => "bit",
        Type::VARBIT => "bit varying",
        Type::NUMERIC if modifier >= 4 => {
            let digits = modifier - 4;
            return Some(format!("numeric({},{})", digits >> 16, digits & 0xffff));
        }
        other => {
            return Some(
                other.name().trim_start_matches('_').to_owned()
                    + if other.name().starts_with('_') { "[]" } else { "" },
            );
        }
    };
    Some(match kind {
        Type::VARCHAR | Type::BPCHAR if modifier > 4 => format!("{name}({})", modifier - 4),
        _ => name.to_owned(),
    })
}

fn lookup(call: &Call<'_>, kind: &str, name: &str) -> Option<i32> {
    let name = name.trim();
    if let Ok(number) = name.parse::<i32>() {
        return Some(number);
    }
    match kind {
        "regclass" => Some(call.facts.objects()?.named(name, call.schema)?.oid),
        "regnamespace" => {
            let plain = name.trim_matches('"');
            NAMESPACES.iter().any(|(known, _)| *known == plain).then(|| namespace(plain))
        }
        "regtype" => i32::try_from(type_number(name)?).ok(),
        "regrole" => (name.trim_matches('"') == call.facts.user).then_some(ROLE),
        "regcollation" => (name.trim_matches('"').ends_with("default")).then_some(100),
        _ => None,
    }
}

/// The number of a type by one of its names.
pub(in crate::engine::postgres) fn type_number(name: &str) -> Option<u32> {
    let plain = name.trim().trim_start_matches("pg_catalog.").replace('"', "").to_lowercase();
    static NUMBERS: LazyLock<HashMap<String, u32>> = LazyLock::new(|| {
        let mut numbers = HashMap::new();
        for kind in (1..10_000).filter_map(Type::from_oid) {
            numbers.insert(kind.name().to_owned(), kind.oid());
            if let Some(name) = type_name(kind.oid(), -1) {
                numbers.entry(name).or_insert(kind.oid());
            }
        }
        numbers
    });
    NUMBERS.get(&plain).copied()
}

fn numbers(call: &Call<'_>, lenient: bool) -> Result<ArrayRef> {
    let (kinds, names) = (call.texts(0)?, call.texts(1)?);
    let values = kinds.iter().zip(&names).map(|(kind, name)| {
        let (Some(kind), Some(name)) = (kind, name) else { return Ok(None) };
        if kind == "regprocedure" {
            return routines::number(name).map(Some).map_err(wrong);
        }
        match lookup(call, kind, name) {
            Some(number) => Ok(Some(number)),
            None if lenient => Ok(None),
            None => {
                let what = match kind {
                    "regclass" => "table",
                    "regnamespace" => "schema",
                    "regtype" => "type",
                    "regrole" => "role",
                    _ => "object",
                };
                Err(wrong(Diagnostic::new(Kind::NotFound, format!("{what} `{name}` does not exist"))))
            }
        }
    });
    Ok(Arc::new(values.collect::<Result<Int32Array>>()?))
}

pub(super) fn oid_of(call: &Call<'_>) -> Result<ArrayRef> {
    numbers(call, false)
}

pub(super) fn oid_or_null(call: &Call<'_>) -> Result<ArrayRef> {
    numbers(call, true)
}

pub(super) fn name_of(call: &Call<'_>) -> Result<ArrayRef> {
    let (kinds, objects) = (call.texts(0)?, call.facts.objects());
    // What is a name already stays one.
    if matches!(call.argument(1)?.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) {
        return Ok(Arc::new(call.texts(1)?));
    }
    let name = |kind: Option<&str>, oid: Option<i32>| {
        let (kind, oid) = (kind?, oid?);
        if oid == 0 {
            return Some("-".to_owned());
        }
        let known = match kind {
            "regclass" => {
                objects.as_ref().and_then(|objects| Some(objects.relation(oid)?.shown(call.schema)))
            }
            "regnamespace" => {
                NAMESPACES.iter().find(|(_, number)| *number == oid).map(|(name, _)| (*name).to_owned())
            }
            "regtype" => u32::try_from(oid).ok().and_then(|oid| type_name(oid, -1)),
            "regrole" => (oid == ROLE).then(|| quote(&call.facts.user)),
            _ => None,
        };
        Some(known.unwrap_or_else(|| oid.to_string()))
    };
    let names = kinds.iter().zip(&call.ints(1)?).map(|(kind, oid)| name(kind, oid)).collect::<StringArray>();
    Ok(Arc::new(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_names_in_sql() {
        let name = |kind: &Type, modifier| type_name(kind.oid(), modifier).unwrap();
        assert_eq!(name(&Type::INT4, -1), "integer");
        assert_eq!(name(&Type::NUMERIC, ((18 << 16) | 2) + 4), "numeric(18,2)");
        assert_eq!(name(&Type::TEXT_ARRAY, -1), "text[]");
        assert_eq!(name(&Type::VARCHAR, 14), "character varying(10)");
        assert_eq!(type_number("double precision"), Some(701));
        assert_eq!(type_number("pg_catalog.int8"), Some(20));
    }
}
