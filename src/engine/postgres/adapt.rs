//! PostgreSQL's ways to say things, put into DataFusion's, in the syntax tree.
//!
//! What a user means with her own tables is left alone but for [parameters](super::parameters) and the
//! [patterns](super::patterns) of times. Statements about the
//! catalog, which no person writes, are changed wherever DataFusion would not understand them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement as DFStatement};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, LimitClause,
    ObjectName, ObjectNamePart, OrderByKind, Query, Select, SelectItem, SetExpr, Statement as SqlStatement,
    Subscript, TableAliasColumnDef, TableFactor, Value, Visitor, VisitorMut,
};

use super::super::visit;
use super::parameters::{Arrays, Casts};
use super::patterns::Patterns;
use super::tree::{call, call_of, cast, is_placeholder, string, string_of, unnested};
use super::{catalog, lateral, subquery};

/// Function that turns a name into a number: `pg_oid_of('regclass', 'public.profiles')`.
pub(super) const OID_OF: &str = "pg_oid_of";
/// Function that turns a number into a name.
pub(super) const NAME_OF: &str = "pg_name_of";
/// Function that turns a name into a number, or NULL where nothing is called so.
pub(super) const OID_OR_NULL: &str = "pg_oid_or_null";
/// How columns begin that are true or false.
const SWITCHES: &[&str] = &[
    "indis",
    "relhas",
    "relis",
    "rolc",
    "rols",
    "atthas",
    "attis",
    "attnotnull",
    "convalidated",
    "condefer",
    "typnotnull",
    "datis",
    "datallow",
];
/// The columns of `pg_type` that are functions: their names here, their numbers to those who join them.
const FUNCTION_COLUMNS: &[&str] =
    &["typreceive", "typinput", "typoutput", "typsend", "typmodin", "typmodout", "amproc"];

/// The columns that are vectors, whose items PostgreSQL counts from 0; those of its arrays, and all of ours, from 1.
const VECTORS: &[&str] = &["indkey", "indclass", "indcollation", "indoption"];
/// The columns that list the columns of a key, which is always one here.
const KEYS: &[&str] = &["conkey", "confkey", "indkey"];

/// Adapts a statement of which `text` is the text.
pub(super) fn adapt(statement: &mut DFStatement, text: &str, casts: &[Option<&'static str>]) {
    let Some(inner) = inner(statement) else { return };
    if casts.iter().any(Option::is_some) {
        let _ = visit::change(inner, &mut Casts(casts));
    }
    let _ = visit::change(inner, &mut Arrays);
    let _ = visit::change(inner, &mut Patterns);
    if is_about_catalog(text) {
        let _ = visit::change(inner, &mut CatalogWords);
        if let SqlStatement::Query(query) = inner {
            name_columns(query);
        }
    }
}

fn inner(statement: &mut DFStatement) -> Option<&mut SqlStatement> {
    match statement {
        DFStatement::Statement(inner) => Some(inner),
        DFStatement::Explain(explain) => inner(&mut explain.statement),
        _ => None,
    }
}

/// Whether a statement asks about the database and not about its data.
fn is_about_catalog(text: &str) -> bool {
    const MARKS: &[&str] = &[
        "pg_",
        "information_schema",
        "::reg",
        "as reg",
        "current_",
        "session_user",
        "version()",
        "::oid",
        "::name",
        "txid_",
        "to_reg",
        "inet_",
    ];
    // No driver asks for more than this.
    if text.len() > 64 * 1024 {
        return false;
    }
    let text = text.to_ascii_lowercase();
    MARKS.iter().any(|mark| text.contains(mark))
}

/// Whether an expression puts a name together.
fn makes_text(expr: &Expr) -> bool {
    match unnested(expr) {
        Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => true,
        Expr::Cast { data_type: DataType::Text | DataType::Varchar(_), .. } => true,
        Expr::Function(function) => {
            matches!(
                function.name.to_string().to_lowercase().as_str(),
                "format" | "concat" | "quote_ident" | "pg_get_serial_sequence"
            )
        }
        _ => false,
    }
}

/// What drivers and tools say when they ask about the catalog.
struct CatalogWords;

impl VisitorMut for CatalogWords {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match &mut *query.body {
            SetExpr::Select(select) => {
                lateral::unnest(select, &mut query.order_by);
                take_apart(select);
            }
            parts => each_select(parts, &mut |select| {
                lateral::unnest(select, &mut None);
                take_apart(select);
            }),
        }
        if visit_select(&mut query.body) {
            query.order_by = None;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { name, args: None, .. } => {
                if let [ObjectNamePart::Identifier(only)] = &name.0[..]
                    && catalog::is_table(&only.value.to_lowercase())
                {
                    name.0.insert(0, ObjectNamePart::Identifier(Ident::new(catalog::NAME)));
                }
            }
            TableFactor::Table { name, args: Some(arguments), alias, .. } => {
                unqualify(name);
                let function = name.to_string().to_lowercase();
                let Some(alias) = alias else { return ControlFlow::Continue(()) };
                // The only column of a function is called as its table is.
                if alias.columns.is_empty() && matches!(function.as_str(), "generate_series" | "range") {
                    alias.columns = vec![TableAliasColumnDef::from_name(alias.name.value.clone())];
                }
                // Tables have no parts here.
                if function == "pg_partition_tree"
                    && let Some(subquery) = query_of(NO_PARTS)
                {
                    let (subquery, alias) = (Box::new(subquery), Some(alias.clone()));
                    *table = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
                    return ControlFlow::Continue(());
                }
                // A function that returns one value is a table of one row.
                if function == "string_to_array" {
                    let (duplicate_treatment, args, clauses) = (None, arguments.args.clone(), vec![]);
                    let list = FunctionArgumentList { duplicate_treatment, args, clauses };
                    let expr = call_of(&function, FunctionArguments::List(list));
                    if let Some(subquery) = one_row(expr, alias.name.clone()) {
                        let (subquery, alias) = (Box::new(subquery), Some(alias.clone()));
                        *table = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
                    }
                }
            }
            TableFactor::Function { name, .. } => unqualify(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                unqualify(&mut function.name);
                // `ARRAY (SELECT …)`
                if let FunctionArguments::Subquery(query) = &function.args
                    && function.name.to_string().eq_ignore_ascii_case("array")
                {
                    *expr = array_of_rows((**query).clone());
                }
            }
            // `'abs'::regproc::oid`; else functions are known by their names.
            Expr::Cast { expr: inner, data_type, .. } if is_number(data_type) => {
                if let Expr::Cast { expr: name, data_type: kind, .. } = unnested(inner)
                    && is_function(kind)
                    && string_of(name).is_some()
                {
                    *expr = call(OID_OF, vec![string("regprocedure"), (**name).clone()]);
                }
            }
            Expr::Subquery(query) => {
                if let Some(replacement) = subquery::replacement(query) {
                    *expr = replacement;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(changed) = changed(expr) {
            *expr = changed;
        }
        ControlFlow::Continue(())
    }
}

/// Puts what DataFusion would not take of one SELECT into words that it takes.
fn take_apart(select: &mut Select) {
    subquery::exists_as_counts(select);
    subquery::name_tables(select);
}

/// Each SELECT of a query that is put together of several.
fn each_select(body: &mut SetExpr, f: &mut impl FnMut(&mut Select)) {
    match body {
        SetExpr::Select(select) => f(select),
        SetExpr::SetOperation { left, right, .. } => {
            each_select(left, f);
            each_select(right, f);
        }
        // Others are visited as queries of their own, or are none.
        _ => {}
    }
}

/// `pg_partition_tree` of a table that is none.
const NO_PARTS: &str = "SELECT CAST(NULL AS INT) AS relid, CAST(NULL AS INT) AS parentrelid, false AS isleaf, \
                        CAST(0 AS INT) AS level WHERE false";

fn query_of(text: &str) -> Option<Query> {
    let mut parser = DFParserBuilder::new(text).build().ok()?;
    let Ok(DFStatement::Statement(statement)) = parser.parse_statement() else { return None };
    let SqlStatement::Query(query) = *statement else { return None };
    Some(*query)
}

/// `SELECT expr AS name`
pub(super) fn one_row(expr: Expr, name: Ident) -> Option<Query> {
    let mut query = query_of("SELECT NULL AS one")?;
    let SetExpr::Select(select) = &mut *query.body else { return None };
    select.projection = vec![SelectItem::ExprWithAlias { expr, alias: name }];
    Some(query)
}

/// The name of a type that only PostgreSQL has.
fn custom(kind: &DataType) -> String {
    let DataType::Custom(name, _) = kind else { return String::new() };
    let mut name = name.clone();
    unqualify(&mut name);
    name.to_string().trim_matches('"').to_lowercase()
}

fn is_number(kind: &DataType) -> bool {
    matches!(kind, DataType::Int(_) | DataType::BigInt(_) | DataType::Integer(_)) || custom(kind) == "oid"
}

fn is_function(kind: &DataType) -> bool {
    matches!(custom(kind).as_str(), "regproc" | "regprocedure")
}

/// Functions have no schema.
fn unqualify(name: &mut ObjectName) {
    let is_system = |part: &ObjectNamePart| {
        part.as_ident().is_some_and(|part| {
            part.value.eq_ignore_ascii_case(catalog::NAME)
                || part.value.eq_ignore_ascii_case("information_schema")
        })
    };
    if name.0.len() == 2 && name.0.first().is_some_and(is_system) {
        name.0.remove(0);
    }
}

fn changed(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Collate { expr: inner, .. } => Some((**inner).clone()),
        // Only a backslash escapes here.
        Expr::Like { pattern, escape_char, .. } => {
            let escape = escape_char.take()?.value.into_string().filter(|escape| escape != "\\");
            if let Some(escape) = escape {
                **pattern = call("replace", vec![(**pattern).clone(), string(&escape), string("\\")]);
            }
            None
        }
        Expr::Identifier(name) if name.quote_style.is_none() => {
            let word = name.value.to_lowercase();
            matches!(word.as_str(), "current_schema").then(|| call(&word, vec![]))
        }
        Expr::CompoundFieldAccess { root, access_chain } => match &mut access_chain[..] {
            // `indkey[0]`, and `i.indkey[0]`
            [AccessExpr::Subscript(Subscript::Index { index })] if is_vector(root) => {
                *index = plus(index, 1);
                None
            }
            [AccessExpr::Dot(name), AccessExpr::Subscript(Subscript::Index { index })] if is_vector(name) => {
                *index = plus(index, 1);
                None
            }
            // `(f(x)).n`
            [AccessExpr::Dot(Expr::Identifier(field))]
                if matches!(**root, Expr::Nested(_) | Expr::Function(_)) =>
            {
                Some(call("get_field", vec![unnested(root).clone(), string(&field.value)]))
            }
            _ => None,
        },
        Expr::BinaryOp { left, op, right } => {
            if let BinaryOperator::PGCustomBinaryOperator(path) = op {
                *op = match path.last().map(String::as_str)? {
                    "~" => BinaryOperator::PGRegexMatch,
                    "~*" => BinaryOperator::PGRegexIMatch,
                    "!~" => BinaryOperator::PGRegexNotMatch,
                    "!~*" => BinaryOperator::PGRegexNotIMatch,
                    "=" => BinaryOperator::Eq,
                    "<>" | "!=" => BinaryOperator::NotEq,
                    "<" => BinaryOperator::Lt,
                    ">" => BinaryOperator::Gt,
                    "<=" => BinaryOperator::LtEq,
                    ">=" => BinaryOperator::GtEq,
                    "+" => BinaryOperator::Plus,
                    "-" => BinaryOperator::Minus,
                    "~~" => {
                        let (left, right) = (left.clone(), right.clone());
                        return Some(Expr::Like {
                            negated: false,
                            any: false,
                            expr: left,
                            pattern: right,
                            escape_char: None,
                        });
                    }
                    "||" => BinaryOperator::StringConcat,
                    _ => return None,
                };
                return None;
            }
            // `conrelid::regclass = 't'::regclass` compares numbers.
            let number = |side: &Expr| argument(side, NAME_OF);
            let literal = |side: &Expr| argument(side, OID_OF).is_some();
            match (number(left), number(right)) {
                (Some(number), None) if literal(right) => **left = number,
                (None, Some(number)) if literal(left) => **right = number,
                (Some(one), Some(other)) => (**left, **right) = (one, other),
                // `oid = to_regtype('t')`
                (Some(number), None)
                    if argument(&number, OID_OR_NULL).is_some() && string_of(right).is_none() =>
                {
                    **left = number;
                }
                (None, Some(number))
                    if argument(&number, OID_OR_NULL).is_some() && string_of(left).is_none() =>
                {
                    **right = number;
                }
                _ => {}
            }
            if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
                mend_literal(left, right);
                mend_literal(right, left);
            }
            if *op == BinaryOperator::Eq {
                mend_number(left, right);
                mend_number(right, left);
            }
            None
        }
        Expr::Cast { expr: inner, data_type, .. } => cast_of(inner, data_type),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let first = first_argument(function)?;
            match name.as_str() {
                // Shown as a name, and NULL where there is no such thing.
                "to_regclass" | "to_regtype" | "to_regnamespace" | "to_regrole" => {
                    let kind = string(&name["to_".len()..]);
                    Some(call(NAME_OF, vec![kind.clone(), call(OID_OR_NULL, vec![kind, first])]))
                }
                // Numbers of types stay such.
                "array_agg" if last_part(&first) == Some("atttypid") => {
                    Some(call("pg_oids", vec![Expr::Function(function.clone())]))
                }
                // Lists of grants are kept as text in some tables.
                "array_to_string" => {
                    let mut changed = function.clone();
                    changed.name =
                        ObjectName(vec![ObjectNamePart::Identifier(Ident::new("pg_array_to_string"))]);
                    Some(Expr::Function(changed))
                }
                "generate_subscripts" => {
                    let begin = number(if is_vector(&first) { 0 } else { 1 });
                    Some(call("unnest", vec![call("pg_subscripts", vec![first, begin])]))
                }
                "array_lower" | "array_upper" if is_vector(&first) => {
                    Some(plus(&Expr::Function(function.clone()), -1))
                }
                // `attnum = ANY (conkey)` as an equality, by which a subquery can be joined.
                "array_has" if last_part(&first).is_some_and(|name| KEYS.contains(&name)) => {
                    let left = Box::new(second_argument(function)?);
                    let right = Box::new(call("array_element", vec![first, number(1)]));
                    Some(Expr::BinaryOp { left, op: BinaryOperator::Eq, right })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// `indisprimary = 't'` and `typreceive != 0`, in the types that these columns have here.
fn mend_literal(literal: &mut Expr, column: &Expr) {
    let Some(name) = last_part(column) else { return };
    let is_switch = SWITCHES.iter().any(|start| name.starts_with(start));
    let changed = match string_of(literal) {
        Some("t" | "true") if is_switch => Value::Boolean(true),
        Some("f" | "false") if is_switch => Value::Boolean(false),
        None if FUNCTION_COLUMNS.contains(&name) && literal.to_string() == "0" => {
            Value::SingleQuotedString("-".to_owned())
        }
        _ => return,
    };
    *literal = Expr::Value(changed.into());
}

/// `pg_proc.oid = typreceive`: that column has the function's name.
fn mend_number(number: &mut Expr, name: &Expr) {
    if last_part(name).is_some_and(|name| FUNCTION_COLUMNS.contains(&name))
        && let Expr::CompoundIdentifier(parts) = number
        && let Some(last) = parts.last_mut()
        && last.value == "oid"
    {
        last.value = "proname".to_owned();
    }
}

fn first_argument(function: &Function) -> Option<Expr> {
    argument_at(function, 0)
}

fn second_argument(function: &Function) -> Option<Expr> {
    argument_at(function, 1)
}

fn argument_at(function: &Function, at: usize) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.get(at)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

fn is_vector(expr: &Expr) -> bool {
    last_part(expr).is_some_and(|name| VECTORS.contains(&name))
}

fn number(number: i32) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).into())
}

fn plus(expr: &Expr, more: i32) -> Expr {
    let (left, right) = (Box::new(expr.clone()), Box::new(number(more)));
    Expr::Nested(Box::new(Expr::BinaryOp { left, op: BinaryOperator::Plus, right }))
}

/// The second argument of a call of one of our functions.
fn argument(expr: &Expr, name: &str) -> Option<Expr> {
    let Expr::Function(function) = unnested(expr) else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    match &list.args[..] {
        [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] if function.name.to_string() == name => {
            Some(argument.clone())
        }
        _ => None,
    }
}

fn cast_of(inner: &mut Box<Expr>, data_type: &mut DataType) -> Option<Expr> {
    let (elements, is_array) = match &*data_type {
        DataType::Array(of) => match of {
            ArrayElemTypeDef::SquareBracket(kind, _)
            | ArrayElemTypeDef::AngleBracket(kind)
            | ArrayElemTypeDef::Parenthesis(kind) => ((**kind).clone(), true),
            ArrayElemTypeDef::None => return None,
        },
        other => (other.clone(), false),
    };
    let name = match &elements {
        DataType::Regclass => "regclass".to_owned(),
        kind @ DataType::Custom(..) => custom(kind),
        DataType::Text | DataType::Varchar(_) | DataType::CharVarying(_) | DataType::CharacterVarying(_) => {
            // `'t'::regclass::text` is a name.
            let Expr::Function(_) = unnested(inner) else { return None };
            let literal = argument(inner, OID_OF)?;
            let kind = kind_of(inner)?;
            return Some(call(NAME_OF, vec![kind, call(OID_OF, vec![kind_of(inner)?, literal])]));
        }
        // `x::regtype::oid` and the like are numbers.
        DataType::Int(_) | DataType::BigInt(_) | DataType::Integer(_) => return argument(inner, NAME_OF),
        _ => return None,
    };
    if name.starts_with("reg")
        && let Expr::Value(value) = &mut **inner
        && let Value::SingleQuotedString(text) = &mut value.value
        && matches!(name.as_str(), "regproc" | "regprocedure")
    {
        *text = text.trim_start_matches("pg_catalog.").to_owned();
    }
    let plain = match name.as_str() {
        "oid" | "xid" | "cid" => {
            if let Some(number) = argument(inner, NAME_OF) {
                return Some(number);
            }
            DataType::Int(None)
        }
        "name" | "char" | "cstring" | "pg_node_tree" | "aclitem" | "regproc" | "regprocedure" | "regoper"
        | "regoperator" | "regconfig" | "regdictionary" | "tid" | "sql_identifier" | "character_data"
        | "yes_or_no" | "refcursor" | "anyarray" | "bpchar" | "varchar" | "text" | "unknown" | "inet"
        | "xml" | "citext" | "json" | "jsonb" => DataType::Text,
        "int2" => DataType::SmallInt(None),
        "int4" | "cardinal_number" => DataType::Int(None),
        "int8" => DataType::BigInt(None),
        "bool" | "boolean" => DataType::Boolean,
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "int2vector" | "oidvector" => return Some((**inner).clone()),
        "regclass" | "regtype" | "regnamespace" | "regrole" | "regcollation" => {
            // A name becomes a number, a number is shown as its name.
            let is_name = string_of(inner).is_some() || is_placeholder(inner) || makes_text(inner);
            let function = if is_name { OID_OF } else { NAME_OF };
            return Some(call(function, vec![string(&name), (**inner).clone()]));
        }
        _ => return None,
    };
    *data_type = if is_array {
        DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(plain), None))
    } else {
        plain
    };
    None
}

fn kind_of(expr: &Expr) -> Option<Expr> {
    let Expr::Function(function) = unnested(expr) else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(kind)) => Some(kind.clone()),
        _ => None,
    }
}

/// The only projection of a query that is one SELECT of one column.
fn only_column(query: &mut Query) -> Option<(&mut Select, Expr)> {
    let SetExpr::Select(select) = &mut *query.body else { return None };
    let expr = match &select.projection[..] {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => expr.clone(),
        _ => return None,
    };
    Some((select, expr))
}

const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "first_value",
    "json_agg",
    "jsonb_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Whether an expression aggregates rows of its own query; subqueries have theirs.
pub(super) fn has_aggregate(expr: &Expr) -> bool {
    #[derive(Default)]
    struct Look {
        depth: usize,
    }
    impl Visitor for Look {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if self.depth == 0 => {
                    // It may be written with its schema still.
                    let name = function.name.0.last().and_then(|name| name.as_ident());
                    let name = name.map(|name| name.value.to_lowercase()).unwrap_or_default();
                    if AGGREGATES.contains(&name.as_str()) {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    visit::read(expr, &mut Look::default()).is_break()
}

/// A subquery as a value returns one row at most: DataFusion believes that of an aggregate only.
pub(super) fn to_one_row(query: &mut Query) {
    let order = order_of(query);
    let is_grouped = |select: &Select| {
        !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty())
            || select.distinct.is_some()
            || select.from.is_empty()
    };
    let Some((select, expr)) = only_column(query) else { return };
    if is_grouped(select) || has_aggregate(&expr) || select.selection.is_none() {
        return;
    }
    let clauses = if order.is_empty() { vec![] } else { vec![FunctionArgumentClause::OrderBy(order)] };
    let args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))];
    let list = FunctionArgumentList { duplicate_treatment: None, args, clauses };
    select.projection = vec![SelectItem::UnnamedExpr(call_of("first_value", FunctionArguments::List(list)))];
    query.order_by = None;
    query.fetch = None;
    // `LIMIT 1` is what one row means.
    if matches!(&query.limit_clause, Some(LimitClause::LimitOffset { offset: None, .. })) {
        query.limit_clause = None;
    }
}

fn order_of(query: &Query) -> Vec<datafusion::sql::sqlparser::ast::OrderByExpr> {
    match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(exprs)) => {
            // A number means a column, and there is one.
            exprs.iter().filter(|expr| !matches!(expr.expr, Expr::Value(_))).cloned().collect()
        }
        _ => vec![],
    }
}

/// `ARRAY (SELECT 'toast.' || x FROM unnest(list) x)`: the list, with something before each item.
fn each_item(select: &Select) -> Option<Expr> {
    let ([from], [SelectItem::UnnamedExpr(item)], None) =
        (&select.from[..], &select.projection[..], &select.selection)
    else {
        return None;
    };
    let (name, list) = from.joins.is_empty().then(|| lateral::list_of(&from.relation)).flatten()?;
    let is_item = |expr: &Expr| matches!(expr, Expr::Identifier(known) if known == name);
    match item {
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right }
            if string_of(left).is_some() && is_item(right) =>
        {
            Some(call("pg_prefix_each", vec![(**left).clone(), list]))
        }
        item => is_item(item).then_some(list),
    }
}

/// `ARRAY (SELECT …)`: its rows as an array.
fn array_of_rows(mut query: Query) -> Expr {
    if let SetExpr::Select(select) = &*query.body {
        // What is asked of no rows need not be understood.
        if subquery::reads_nothing(select) {
            let texts = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
            return cast(super::tree::array_of(vec![]), DataType::Array(texts));
        }
        if let Some(list) = each_item(select) {
            return list;
        }
    }
    let by_number = matches!(
        query.order_by.as_ref().map(|order| &order.kind),
        Some(OrderByKind::Expressions(exprs)) if exprs.iter().any(|expr| matches!(expr.expr, Expr::Value(_)))
    );
    let mut order = order_of(&query);
    if let Some((select, expr)) = only_column(&mut query) {
        if by_number && order.is_empty() {
            let options = datafusion::sql::sqlparser::ast::OrderByOptions { asc: None, nulls_first: None };
            order.push(datafusion::sql::sqlparser::ast::OrderByExpr {
                expr: expr.clone(),
                options,
                with_fill: None,
            });
        }
        let clauses = if order.is_empty() { vec![] } else { vec![FunctionArgumentClause::OrderBy(order)] };
        let args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))];
        let list = FunctionArgumentList { duplicate_treatment: None, args, clauses };
        select.projection =
            vec![SelectItem::UnnamedExpr(call_of("array_agg", FunctionArguments::List(list)))];
        query.order_by = None;
    }
    Expr::Subquery(Box::new(query))
}

/// Columns that have one name twice get different ones: DataFusion takes no others.
/// Returns whether the query was replaced with one that has no rows.
fn visit_select(body: &mut SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            if nothing(select) {
                return true;
            }
            let mut seen = HashSet::new();
            let has_wildcard = select
                .projection
                .iter()
                .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
            let several = select.projection.len() > 1;
            for (at, item) in select.projection.iter_mut().enumerate() {
                let name = match item {
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) if has_wildcard && several => {
                        // `SELECT n.oid, n.*`
                        parts.last().map(|part| part.value.clone()).map(|name| format!("{name}\u{0}wild"))
                    }
                    SelectItem::UnnamedExpr(expr) => Some(expr.to_string()),
                    SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
                    _ => None,
                };
                let Some(name) = name else { continue };
                let clashes = name.ends_with("\u{0}wild") || !seen.insert(name.to_lowercase());
                if clashes {
                    let plain = name.trim_end_matches("\u{0}wild");
                    let short: String = if plain.chars().all(|c| c.is_alphanumeric() || c == '_') {
                        plain.to_owned()
                    } else {
                        "column".to_owned()
                    };
                    let alias = Ident::with_quote('"', format!("{short}_{}", at + 1));
                    let expr = match item {
                        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                            expr.clone()
                        }
                        _ => continue,
                    };
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            visit_select(left);
            visit_select(right);
        }
        _ => {}
    }
    false
}

/// A query over a table that is always empty has no rows, whatever it asks of them: what DataFusion does not know needs
/// no words then.
fn nothing(select: &mut Select) -> bool {
    struct Look;
    impl Visitor for Look {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Subquery(_)
                | Expr::AnyOp { .. }
                | Expr::AllOp { .. }
                | Expr::CompoundFieldAccess { .. } => ControlFlow::Break(()),
                Expr::Value(value) if value.value == Value::Null => ControlFlow::Break(()),
                Expr::Function(function)
                    if matches!(function.args, FunctionArguments::Subquery(_))
                        || function.name.to_string() == "array_has" =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let is_plain = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => !has_aggregate(expr),
        _ => false,
    };
    let is_ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
    if !subquery::reads_nothing(select)
        || !select.projection.iter().all(is_plain)
        || !is_ungrouped
        || visit::read(&*select, &mut Look).is_continue()
    {
        return false;
    }
    let mut taken = HashSet::new();
    for (at, item) in select.projection.iter_mut().enumerate() {
        let alias = match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                taken.insert(alias.value.clone());
                alias.clone()
            }
            SelectItem::UnnamedExpr(expr) => {
                let name = last_part(expr).map(str::to_owned).or_else(|| natural(expr));
                let name = name.filter(|name| taken.insert(name.clone()));
                Ident::with_quote('"', name.unwrap_or_else(|| format!("column_{}", at + 1)))
            }
            _ => continue,
        };
        let expr = cast(Expr::Value(Value::Null.into()), DataType::Text);
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
    select.from = vec![];
    select.selection = Some(Expr::Value(Value::Boolean(false).into()));
    true
}

/// Columns without a name are called as PostgreSQL calls them, where that is their only claim.
fn name_columns(query: &mut Query) {
    let mut body = &mut *query.body;
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    let SetExpr::Select(select) = body else { return };
    let taken = |projection: &[SelectItem], name: &str| {
        projection
            .iter()
            .filter(|item| match item {
                SelectItem::UnnamedExpr(expr) => {
                    natural(expr).is_some_and(|natural| natural == name) || last_part(expr) == Some(name)
                }
                SelectItem::ExprWithAlias { alias, .. } => alias.value == name,
                _ => true,
            })
            .count()
    };
    let projection = select.projection.clone();
    // Beside what is unnested, DataFusion confuses a column with an expression of its name.
    let unnests = projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            matches!(expr, Expr::Function(function) if function.name.to_string() == "unnest")
        }
        _ => false,
    });
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(name) = natural(expr)
            && taken(&projection, &name) == 1
            && !(unnests && argument(expr, NAME_OF).as_ref().and_then(last_part) == Some(&name))
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) };
        }
    }
}

fn last_part(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.as_str()),
        _ => None,
    }
}

/// How PostgreSQL calls the column of an expression that has no name.
fn natural(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            if name == NAME_OF || name == OID_OF {
                // `conrelid::regclass` is called as the column is.
                let column = argument(expr, &name).as_ref().and_then(last_part).map(str::to_owned);
                return column.or_else(|| kind_of(expr).as_ref().and_then(string_of).map(str::to_owned));
            }
            name.rsplit('.').next().map(str::to_owned)
        }
        Expr::Cast { expr, .. } => last_part(expr).map(str::to_owned).or_else(|| natural(expr)),
        Expr::Case { .. } => Some("case".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        _ => None,
    }
}
