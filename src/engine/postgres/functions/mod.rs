//! PostgreSQL's functions about a session and its catalog.
//!
//! They are called with facts of the session; functions about numbers of objects answer from what the newest statement
//! about `pg_catalog` saw, which is the one that calls them.

mod arrays;
mod names;

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use arrow::array::cast::AsArray;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Int32Array, Int64Array, ListBuilder, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, TimeUnit};
use chrono::Utc;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion_pg_catalog::pg_catalog::quote_ident_udf::create_parse_ident_udf;

use crate::diagnostic::{Diagnostic, Kind};
use crate::engine::Principal;
use crate::session::CATALOG;
use crate::statement::{quote, quote_string};

use super::adapt::{NAME_OF, OID_OF, OID_OR_NULL};
use super::objects::{Objects, ROLE, Relation, RelationSort};
use super::types::type_of;
use super::{Facts, facts, routines};

use arrays::{array_lower, array_to_string, array_upper, expand_array, pg_oids, prefix_each, subscripts};
use names::{format_type, name_of, oid_of, oid_or_null};

pub(super) use names::{type_name, type_number};

/// Adds the functions to a state.
pub(in crate::engine) fn register(state: &mut SessionState) -> Result<()> {
    for (name, returns, body) in FUNCTIONS {
        let function = PgFunction { name, returns: returns(), body: *body, volatility: volatility(name) };
        state.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    state.register_udf(Arc::new(create_parse_ident_udf()))?;
    let keywords = super::catalog::keywords()?;
    state.register_udtf("pg_get_keywords", keywords);
    for name in ["generate_series", "range"] {
        if let Some(known) = state.table_functions().get(name) {
            let wide = Wide(Arc::clone(known.function()));
            state.register_udtf(name, Arc::new(wide));
        }
    }
    Ok(())
}

/// A table function that takes `int` where it wants `bigint`: bounds of arrays are `int` in PostgreSQL. A NULL that a client
/// declared to be a number is any NULL.
#[derive(Debug)]
struct Wide(Arc<dyn TableFunctionImpl>);

impl TableFunctionImpl for Wide {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let widened = args.exprs().iter().map(|expr| match expr {
            Expr::Literal(
                ScalarValue::Int16(None) | ScalarValue::Int32(None) | ScalarValue::Int64(None),
                metadata,
            ) => Expr::Literal(ScalarValue::Null, metadata.clone()),
            Expr::Literal(ScalarValue::Int16(Some(value)), metadata) => {
                Expr::Literal(ScalarValue::from(i64::from(*value)), metadata.clone())
            }
            Expr::Literal(ScalarValue::Int32(Some(value)), metadata) => {
                Expr::Literal(ScalarValue::from(i64::from(*value)), metadata.clone())
            }
            other => other.clone(),
        });
        let widened: Vec<Expr> = widened.collect();
        self.0.call_with_args(TableFunctionArgs::new(&widened, args.session()))
    }
}

fn volatility(name: &str) -> Volatility {
    if matches!(name, "set_config" | "clock_timestamp") { Volatility::Volatile } else { Volatility::Stable }
}

/// One call on some rows.
struct Call<'a> {
    arguments: &'a [ArrayRef],
    fields: &'a [Arc<Field>],
    rows: usize,
    facts: &'a Facts,
    schema: &'a str,
}

type Body = fn(&Call<'_>) -> Result<ArrayRef>;

fn text() -> DataType {
    DataType::Utf8
}

fn bool() -> DataType {
    DataType::Boolean
}

fn int() -> DataType {
    DataType::Int32
}

fn long() -> DataType {
    DataType::Int64
}

fn texts() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn ints() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)))
}

/// Numbers of objects, which their clients know as such.
fn oids() -> DataType {
    let metadata = [(arrow_pg::datatypes::PG_OID_ALIAS_KEY.to_owned(), "oid".to_owned())];
    DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true).with_metadata(metadata.into())))
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn pair() -> DataType {
    DataType::Struct(pair_fields())
}

fn pair_fields() -> Fields {
    vec![Field::new("x", DataType::Int16, true), Field::new("n", DataType::Int32, true)].into()
}

/// A name, what it returns, what it does.
type Entry = (&'static str, fn() -> DataType, Body);

/// The functions.
const FUNCTIONS: &[Entry] = &[
    (NAME_OF, text, name_of),
    (OID_OF, int, oid_of),
    (OID_OR_NULL, int, oid_or_null),
    ("_pg_expandarray", pair, expand_array),
    ("array_lower", int, array_lower),
    ("array_upper", int, array_upper),
    ("clock_timestamp", instant, clock),
    ("col_description", text, |call| Ok(call.nothing())),
    ("current_catalog", text, |call| Ok(call.each(CATALOG))),
    ("current_database", text, |call| Ok(call.each(CATALOG))),
    ("current_role", text, |call| Ok(call.each(&call.facts.user))),
    ("current_schema", text, |call| Ok(call.each(call.schema))),
    ("current_schemas", texts, current_schemas),
    ("current_setting", text, current_setting),
    ("current_user", text, |call| Ok(call.each(&call.facts.user))),
    ("format", text, format),
    ("format_type", text, format_type),
    ("getdatabaseencoding", text, |call| Ok(call.each("UTF8"))),
    ("has_any_column_privilege", bool, has_privilege),
    ("has_column_privilege", bool, has_privilege),
    ("has_database_privilege", bool, has_privilege),
    ("has_foreign_data_wrapper_privilege", bool, has_privilege),
    ("has_function_privilege", bool, has_privilege),
    ("has_language_privilege", bool, has_privilege),
    ("has_schema_privilege", bool, has_privilege),
    ("has_sequence_privilege", bool, has_privilege),
    ("has_server_privilege", bool, has_privilege),
    ("has_table_privilege", bool, has_privilege),
    ("has_tablespace_privilege", bool, has_privilege),
    ("has_type_privilege", bool, has_privilege),
    ("inet_client_addr", text, |call| Ok(call.each(&call.facts.address.ip().to_string()))),
    ("inet_client_port", int, |call| Ok(call.number(i32::from(call.facts.address.port())))),
    ("inet_server_addr", text, |call| Ok(call.nothing())),
    ("inet_server_port", int, |call| Ok(call.no_number())),
    ("json_build_object", text, json_build_object),
    ("obj_description", text, obj_description),
    ("oidvectortypes", text, |call| Ok(call.nothing())),
    ("pg_advisory_unlock_all", text, |call| Ok(call.each(""))),
    ("pg_array_to_string", text, array_to_string),
    ("pg_oids", oids, pg_oids),
    ("pg_backend_pid", int, |call| Ok(call.number(call.facts.number))),
    ("pg_char_to_encoding", int, |call| Ok(call.number(6))),
    ("pg_client_encoding", text, |call| Ok(call.each("UTF8"))),
    ("pg_collation_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_conf_load_time", instant, |call| Ok(call.moment(call.facts.since.timestamp_micros()))),
    ("pg_conversion_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_database_size", long, |call| Ok(call.no_size())),
    ("pg_describe_object", text, |call| Ok(call.nothing())),
    ("pg_encoding_to_char", text, encoding_to_char),
    ("pg_function_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_get_constraintdef", text, |call| {
        call.by_oid(|objects, oid| objects.constraint(oid).map(|c| c.definition.clone()))
    }),
    ("pg_get_expr", text, first_text),
    ("pg_get_function_arguments", text, |call| call.by_number(|oid| Ok(routines::arguments(oid)))),
    ("pg_get_function_identity_arguments", text, |call| call.by_number(|oid| Ok(routines::arguments(oid)))),
    ("pg_get_function_result", text, |call| call.by_number(|oid| Ok(routines::result(oid)))),
    ("pg_get_function_sqlbody", text, |call| Ok(call.nothing())),
    ("pg_get_functiondef", text, |call| call.by_number(routines::definition)),
    ("pg_get_indexdef", text, |call| {
        call.by_oid(|objects, oid| index_definition(objects, objects.relation(oid)?))
    }),
    ("pg_get_partition_constraintdef", text, |call| Ok(call.nothing())),
    ("pg_get_partkeydef", text, |call| Ok(call.nothing())),
    ("pg_get_ruledef", text, |call| Ok(call.nothing())),
    ("pg_get_serial_sequence", text, |call| Ok(call.nothing())),
    ("pg_get_statisticsobjdef_columns", text, |call| Ok(call.nothing())),
    ("pg_get_triggerdef", text, |call| Ok(call.nothing())),
    ("pg_get_userbyid", text, user_by_id),
    ("pg_get_viewdef", text, |call| call.by_oid(|objects, oid| objects.relation(oid)?.query.clone())),
    ("pg_has_role", bool, |call| Ok(call.always(true))),
    ("pg_indexes_size", long, |call| Ok(call.no_size())),
    ("pg_is_in_recovery", bool, |call| Ok(call.always(false))),
    ("pg_is_other_temp_schema", bool, |call| Ok(call.always(false))),
    ("pg_my_temp_schema", int, |call| Ok(call.number(0))),
    ("pg_opclass_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_operator_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_opfamily_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_prefix_each", texts, prefix_each),
    ("pg_postmaster_start_time", instant, |call| Ok(call.no_moment())),
    ("pg_relation_filenode", int, |call| Ok(call.no_number())),
    ("pg_relation_filepath", text, |call| Ok(call.nothing())),
    ("pg_relation_is_publishable", bool, |call| Ok(call.always(false))),
    ("pg_relation_size", long, |call| Ok(call.no_size())),
    ("pg_size_pretty", text, size_pretty),
    ("pg_stat_get_numscans", long, |call| Ok(call.no_size())),
    ("pg_statistics_obj_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_subscripts", ints, subscripts),
    ("pg_table_is_visible", bool, table_is_visible),
    ("pg_table_size", long, |call| Ok(call.no_size())),
    ("pg_tablespace_location", text, |call| Ok(call.each(""))),
    ("pg_tablespace_size", long, |call| Ok(call.no_size())),
    ("pg_total_relation_size", long, |call| Ok(call.no_size())),
    ("pg_ts_config_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_ts_dict_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_ts_parser_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_ts_template_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_type_is_visible", bool, |call| Ok(call.always(true))),
    ("pg_typeof", text, type_of_value),
    ("quote_ident", text, |call| call.map(|text| Some(quote(text)))),
    ("quote_literal", text, |call| call.map(|text| Some(quote_string(text)))),
    ("row_security_active", bool, |call| Ok(call.always(false))),
    ("session_user", text, |call| Ok(call.each(&call.facts.user))),
    ("set_config", text, set_config),
    ("shobj_description", text, |call| Ok(call.nothing())),
    ("txid_current", long, |call| Ok(call.no_size())),
    ("user", text, |call| Ok(call.each(&call.facts.user))),
    ("version", text, version),
];

impl Call<'_> {
    fn each(&self, value: &str) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, self.rows)))
    }

    fn nothing(&self) -> ArrayRef {
        Arc::new(StringArray::new_null(self.rows))
    }

    fn always(&self, value: bool) -> ArrayRef {
        Arc::new(BooleanArray::from(vec![value; self.rows]))
    }

    fn number(&self, value: i32) -> ArrayRef {
        Arc::new(Int32Array::from(vec![value; self.rows]))
    }

    fn no_number(&self) -> ArrayRef {
        Arc::new(Int32Array::new_null(self.rows))
    }

    /// Files are not PostgreSQL's: nobody knows how large a table is.
    fn no_size(&self) -> ArrayRef {
        Arc::new(Int64Array::new_null(self.rows))
    }

    fn moment(&self, micros: i64) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![micros; self.rows]).with_timezone("UTC"))
    }

    fn no_moment(&self) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::new_null(self.rows).with_timezone("UTC"))
    }

    fn argument(&self, at: usize) -> Result<&ArrayRef> {
        self.arguments.get(at).ok_or_else(|| DataFusionError::Plan(format!("argument {} is missing", at + 1)))
    }

    /// An argument as texts.
    fn texts(&self, at: usize) -> Result<StringArray> {
        Ok(cast(self.argument(at)?, &DataType::Utf8)?.as_string::<i32>().clone())
    }

    /// An argument as whole numbers.
    fn ints(&self, at: usize) -> Result<Int32Array> {
        Ok(cast(self.argument(at)?, &DataType::Int32)?.as_primitive::<Int32Type>().clone())
    }

    fn map(&self, value: impl Fn(&str) -> Option<String>) -> Result<ArrayRef> {
        let values = self.texts(0)?.iter().map(|text| text.and_then(&value)).collect::<StringArray>();
        Ok(Arc::new(values))
    }

    /// What is known of something of PostgreSQL's own by its number.
    fn by_number(
        &self,
        value: impl Fn(i32) -> std::result::Result<Option<String>, Diagnostic>,
    ) -> Result<ArrayRef> {
        let value = |oid: Option<i32>| oid.map_or(Ok(None), &value).map_err(wrong);
        Ok(Arc::new(self.ints(0)?.iter().map(value).collect::<Result<StringArray>>()?))
    }

    /// What is known of an object by its number.
    fn by_oid(&self, value: impl Fn(&Objects, i32) -> Option<String>) -> Result<ArrayRef> {
        let Some(objects) = self.facts.objects() else { return Ok(self.nothing()) };
        let values = self.ints(0)?.iter().map(|oid| value(&objects, oid?)).collect::<StringArray>();
        Ok(Arc::new(values))
    }
}

fn wrong(fault: Diagnostic) -> DataFusionError {
    DataFusionError::from(crate::error::Error::from(fault))
}

fn version(call: &Call<'_>) -> Result<ArrayRef> {
    let number = call.facts.get("server_version").unwrap_or_default();
    let number = number.split(' ').next().unwrap_or_default();
    let machine = std::env::consts::ARCH;
    Ok(call.each(&format!("PostgreSQL {number} (coterie {} on {machine})", env!("CARGO_PKG_VERSION"))))
}

fn clock(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(call.moment(Utc::now().timestamp_micros()))
}

fn current_schemas(call: &Call<'_>) -> Result<ArrayRef> {
    let implicit = cast(call.argument(0)?, &DataType::Boolean)?;
    let mut list = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        if implicit.as_boolean().value(row) {
            list.values().append_value("pg_catalog");
        }
        list.values().append_value(call.schema);
        list.append(true);
    }
    Ok(Arc::new(list.finish()))
}

fn current_setting(call: &Call<'_>) -> Result<ArrayRef> {
    let names = call.texts(0)?;
    let lenient = match call.arguments.get(1) {
        Some(lenient) => {
            cast(lenient, &DataType::Boolean)?.as_boolean().iter().all(|value| value == Some(true))
        }
        None => false,
    };
    let values = names.iter().map(|name| {
        let Some(name) = name else { return Ok(None) };
        match call.facts.get(&name.to_lowercase()) {
            Some(value) => Ok(Some(value)),
            None if lenient => Ok(None),
            None => {
                let fault = Diagnostic::new(Kind::Name, format!("no setting is called `{name}`"));
                Err(DataFusionError::from(crate::error::Error::from(fault)))
            }
        }
    });
    Ok(Arc::new(values.collect::<Result<StringArray>>()?))
}

/// Settings that mean nothing to the engine can be set by a function, too.
fn set_config(call: &Call<'_>) -> Result<ArrayRef> {
    let (names, values) = (call.texts(0)?, call.texts(1)?);
    for (name, value) in names.iter().zip(&values) {
        let (Some(name), Some(value)) = (name, value) else { continue };
        let name = name.to_lowercase();
        let is_plain = call.facts.get(&name).is_some() || name.contains('.');
        if !is_plain
            || matches!(
                name.as_str(),
                "search_path" | "statement_timeout" | "timezone" | "client_encoding" | "datestyle"
            )
        {
            let fault = Diagnostic::new(Kind::Unsupported, format!("`{name}` cannot be set by a function"));
            return Err(crate::error::Error::from(fault.help("say `SET`")).into());
        }
        call.facts.put(&name, Some(value.to_owned()));
    }
    Ok(Arc::new(values))
}

/// Reading is allowed where a thing is seen at all; changing takes a role.
fn has_privilege(call: &Call<'_>) -> Result<ArrayRef> {
    let privileges = call.texts(call.arguments.len().saturating_sub(1))?;
    let reads = |privilege: &str| {
        let privilege = privilege.trim().to_uppercase();
        matches!(privilege.as_str(), "SELECT" | "USAGE" | "CONNECT" | "EXECUTE")
    };
    let allowed = |list: &str| list.split(',').any(|privilege| reads(privilege) || call.facts.can_write);
    Ok(Arc::new(privileges.iter().map(|list| list.map(allowed)).collect::<BooleanArray>()))
}

fn table_is_visible(call: &Call<'_>) -> Result<ArrayRef> {
    let objects = call.facts.objects();
    let visible = |oid: i32| {
        let relation = objects.as_ref()?.relation(oid)?;
        Some(relation.schema == call.schema || relation.schema == super::catalog::NAME)
    };
    Ok(Arc::new(call.ints(0)?.iter().map(|oid| visible(oid?)).collect::<BooleanArray>()))
}

fn obj_description(call: &Call<'_>) -> Result<ArrayRef> {
    call.by_oid(|objects, oid| objects.relation(oid)?.comment.clone())
}

fn user_by_id(call: &Call<'_>) -> Result<ArrayRef> {
    let name = |oid: i32| if oid == ROLE { call.facts.user.clone() } else { format!("unknown (OID={oid})") };
    Ok(Arc::new(call.ints(0)?.iter().map(|oid| oid.map(name)).collect::<StringArray>()))
}

fn encoding_to_char(call: &Call<'_>) -> Result<ArrayRef> {
    let name = |number| match number {
        6 => "UTF8",
        0 => "SQL_ASCII",
        _ => "",
    };
    Ok(Arc::new(call.ints(0)?.iter().map(|number| number.map(name)).collect::<StringArray>()))
}

fn first_text(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(call.texts(0)?))
}

fn size_pretty(call: &Call<'_>) -> Result<ArrayRef> {
    let sizes = cast(call.argument(0)?, &DataType::Int64)?;
    let pretty = |size: i64| {
        let mut size = size;
        for unit in ["bytes", "kB", "MB", "GB"] {
            if size.unsigned_abs() < 10 * 1024 {
                return format!("{size} {unit}");
            }
            size = (size + size.signum() * 512) / 1024;
        }
        format!("{size} TB")
    };
    let sizes = sizes.as_primitive::<arrow::datatypes::Int64Type>();
    Ok(Arc::new(sizes.iter().map(|size| size.map(pretty)).collect::<StringArray>()))
}

fn type_of_value(call: &Call<'_>) -> Result<ArrayRef> {
    let field = call.fields.first().ok_or_else(|| DataFusionError::Plan("a value is missing".to_owned()))?;
    let kind = type_of(field);
    Ok(call.each(&type_name(kind.oid(), -1).unwrap_or_else(|| kind.name().to_owned())))
}

/// `%s`, `%I`, `%L` and `%%`, one argument after another.
fn format(call: &Call<'_>) -> Result<ArrayRef> {
    let arguments = (0..call.arguments.len()).map(|at| call.texts(at)).collect::<Result<Vec<_>>>()?;
    let Some((patterns, values)) = arguments.split_first() else { return Ok(call.nothing()) };
    let row = |row: usize| {
        if patterns.is_null(row) {
            return Ok(None);
        }
        let mut values = values.iter().map(|values| (!values.is_null(row)).then(|| values.value(row)));
        let mut text = String::new();
        let mut pattern = patterns.value(row).chars();
        while let Some(c) = pattern.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            let kind = pattern.next();
            if kind == Some('%') {
                text.push('%');
                continue;
            }
            let Some(value) = values.next() else { return exec_err!("too few arguments for format()") };
            match (kind, value) {
                (Some('s'), value) => text.push_str(value.unwrap_or_default()),
                (Some('I'), Some(value)) => text.push_str(&quote(value)),
                (Some('L'), value) => text.push_str(&value.map_or_else(|| "NULL".to_owned(), quote_string)),
                _ => return exec_err!("unrecognized format() type specifier"),
            }
        }
        Ok(Some(text))
    };
    Ok(Arc::new((0..call.rows).map(row).collect::<Result<StringArray>>()?))
}

/// Names and values in turn, as text of JSON.
fn json_build_object(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = (0..call.arguments.len()).map(|at| call.texts(at)).collect::<Result<Vec<_>>>()?;
    let value = |at: usize, row: usize| {
        let texts = &texts[at];
        if texts.is_null(row) {
            return "null".to_owned();
        }
        match call.arguments[at].data_type() {
            DataType::Boolean => texts.value(row).to_owned(),
            kind if kind.is_numeric() => texts.value(row).to_owned(),
            _ => serde_json::Value::from(texts.value(row)).to_string(),
        }
    };
    let object = |row: usize| {
        let pairs = (0..texts.len() / 2).map(|pair| {
            let name = serde_json::Value::from(texts[2 * pair].value(row)).to_string();
            format!("{name} : {}", value(2 * pair + 1, row))
        });
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    };
    Ok(Arc::new(StringArray::from_iter_values((0..call.rows).map(object))))
}

/// The definition of an index.
pub(super) fn index_definition(objects: &Objects, index: &Relation) -> Option<String> {
    let RelationSort::Index(table, column) = index.sort else { return None };
    let table = objects.relation(table)?;
    let column = table.columns.as_ref()?.fields().get(usize::try_from(column - 1).ok()?)?;
    let (schema, name) = (quote(&table.schema), quote(&table.name));
    Some(format!(
        "CREATE UNIQUE INDEX {} ON {schema}.{name} USING btree ({})",
        quote(&index.name),
        quote(column.name())
    ))
}

#[derive(Debug)]
struct PgFunction {
    name: &'static str,
    returns: DataType,
    body: Body,
    volatility: Volatility,
}

impl PartialEq for PgFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for PgFunction {}

impl Hash for PgFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for PgFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        static STABLE: LazyLock<Signature> = LazyLock::new(|| any(Volatility::Stable));
        static VOLATILE: LazyLock<Signature> = LazyLock::new(|| any(Volatility::Volatile));
        if self.volatility == Volatility::Volatile { &VOLATILE } else { &STABLE }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // While a plan is simplified nobody knows the session: it is called again when it is run.
        let facts = match facts(&args.config_options) {
            Some(facts) => facts,
            None if PURE.contains(&self.name) => Arc::clone(&NOBODY),
            None => return exec_err!("{} is about a session", self.name),
        };
        let constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arguments =
            args.args.into_iter().map(|argument| argument.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let schema = Facts::schema(&args.config_options);
        let call = Call { arguments: &arguments, fields: &args.arg_fields, rows, facts: &facts, schema };
        let array = (self.body)(&call)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// The functions that need no session.
const PURE: &[&str] = &[
    "_pg_expandarray",
    "array_lower",
    "array_upper",
    "format",
    "json_build_object",
    "pg_array_to_string",
    "pg_oids",
    "pg_prefix_each",
    "pg_subscripts",
    "quote_ident",
    "quote_literal",
];

static NOBODY: LazyLock<Arc<Facts>> = LazyLock::new(|| {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    Arc::new(Facts::new(String::new(), 0, &Principal::owner(), address))
});

fn any(volatility: Volatility) -> Signature {
    Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], volatility)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_there_once() {
        let mut names: Vec<_> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
