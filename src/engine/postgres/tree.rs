//! What syntax trees are made of.

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, TimezoneInfo, Value,
};

pub(super) fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

pub(super) fn array_of(elem: Vec<Expr>) -> Expr {
    Expr::Array(Array { elem, named: true })
}

pub(super) fn string(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

pub(super) fn string_of(expr: &Expr) -> Option<&str> {
    match unnested(expr) {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn is_placeholder(expr: &Expr) -> bool {
    matches!(unnested(expr), Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    call_of(
        name,
        FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
    )
}

pub(super) fn call_of(name: &str, args: FunctionArguments) -> Expr {
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

pub(super) fn type_named(name: &str) -> DataType {
    match name {
        "BOOLEAN" => DataType::Boolean,
        "SMALLINT" => DataType::SmallInt(None),
        "INT" => DataType::Int(None),
        "BIGINT" => DataType::BigInt(None),
        "REAL" => DataType::Real,
        "DOUBLE" => DataType::DoublePrecision,
        "DATE" => DataType::Date,
        "TIMESTAMP" => DataType::Timestamp(None, TimezoneInfo::None),
        "TIMESTAMP WITH TIME ZONE" => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        other => match other.strip_suffix("[]") {
            Some(item) => DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(type_named(item)), None)),
            None => DataType::Varchar(None),
        },
    }
}
