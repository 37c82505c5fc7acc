//! `matching('store', 'rule' [, 'language'])` in `FROM`: replaced by the query that the rule means, before planning.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::parser::{DFParserBuilder, Statement as DFStatement};
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, Statement as SqlStatement,
    TableAlias, TableFactor, Value, Visitor, VisitorMut,
};

use crate::diagnostic::{Diagnostic, Kind, Source, Span, offset_of};
use crate::error::{Error, Result};
use crate::planner;
use crate::segment::{self, Language, Segment};
use crate::statement::{Dialect, RECURSION_LIMIT, Statement, quote_string};

use super::scope::{Scope, parse_rule};
use super::visit;

const NAME: &str = "matching";

/// Replaces every `matching(…)` of a statement.
pub(super) async fn matching(
    mut sql: DFStatement,
    scope: &Arc<Scope>,
    statement: &Statement,
) -> Result<DFStatement> {
    let Some(inner) = query_of(&mut sql) else { return Ok(sql) };
    let mut calls = Calls::default();
    let _ = visit::read(inner, &mut calls);
    if calls.0.is_empty() {
        return Ok(sql);
    }
    let mut queries = HashMap::new();
    for call in calls.0 {
        let query = expand(&call, scope, statement).await?;
        queries.insert(call.text, query);
    }
    let _ = visit::change(inner, &mut Replace(queries));
    Ok(sql)
}

/// Numbers the parameters that are written `?`, as JDBC and ODBC write them, from left to right.
pub(super) fn number_parameters(mut sql: DFStatement) -> DFStatement {
    let Some(inner) = query_of(&mut sql) else { return sql };
    let mut found = Parameters::default();
    let _ = visit::read(inner, &mut found);
    if found.0.is_empty() {
        return sql;
    }
    found.0.sort_unstable();
    let _ = visit::change(inner, &mut found);
    sql
}

/// The places of parameters written `?`.
#[derive(Default)]
struct Parameters(Vec<(u64, u64)>);

fn parameter_of(expr: &Expr) -> Option<(u64, u64)> {
    match expr {
        Expr::Value(value) if matches!(&value.value, Value::Placeholder(name) if name == "?") => {
            Some((value.span.start.line, value.span.start.column))
        }
        _ => None,
    }
}

impl Visitor for Parameters {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0.extend(parameter_of(expr));
        ControlFlow::Continue(())
    }
}

impl VisitorMut for Parameters {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(at) = parameter_of(expr).and_then(|place| self.0.binary_search(&place).ok())
            && let Expr::Value(value) = expr
        {
            value.value = Value::Placeholder(format!("${}", at + 1));
        }
        ControlFlow::Continue(())
    }
}

/// The sqlparser statement inside of a DataFusion one.
pub(super) fn query_of(statement: &mut DFStatement) -> Option<&mut SqlStatement> {
    match statement {
        DFStatement::Statement(inner) => Some(inner),
        DFStatement::Explain(explain) => query_of(&mut explain.statement),
        DFStatement::CreateExternalTable(_) | DFStatement::CopyTo(_) | DFStatement::Reset(_) => None,
    }
}

/// Whether a function in `FROM` is `matching`.
pub(super) fn is_matching(name: &ObjectName) -> bool {
    name.to_string().eq_ignore_ascii_case(NAME)
}

/// One call, with its arguments.
struct Call {
    /// The whole call, by which it is found again.
    text: String,
    arguments: Vec<Argument>,
}

/// One argument of a call.
#[derive(Clone)]
enum Argument {
    /// A text, and where it is written; a parameter's value is written nowhere.
    Text(String, Option<(u64, u64)>),
    /// A parameter without a value.
    Open,
    /// Anything else.
    Other,
}

impl Argument {
    fn of(argument: &FunctionArg) -> Self {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Self::of_expr(expr),
            _ => Self::Other,
        }
    }

    fn of_expr(expr: &Expr) -> Self {
        match expr {
            Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => Self::Open,
            Expr::Value(value) => {
                let start = value.span.start;
                let place = (start.line > 0).then_some((start.line, start.column));
                value.value.clone().into_string().map_or(Self::Other, |text| Self::Text(text, place))
            }
            // Drivers say of their parameters that they are texts.
            Expr::Cast {
                expr,
                data_type: DataType::Text | DataType::Varchar(_) | DataType::String(_),
                ..
            } => Self::of_expr(expr),
            Expr::Nested(inner) => Self::of_expr(inner),
            _ => Self::Other,
        }
    }
}

#[derive(Default)]
struct Calls(Vec<Call>);

fn call_of(factor: &TableFactor) -> Option<Call> {
    let TableFactor::Table { name, args: Some(args), .. } = factor else { return None };
    if !is_matching(name) {
        return None;
    }
    let texts: Vec<String> = args.args.iter().map(ToString::to_string).collect();
    Some(Call { text: texts.join(", "), arguments: args.args.iter().map(Argument::of).collect() })
}

impl Visitor for Calls {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.0.extend(call_of(factor));
        ControlFlow::Continue(())
    }
}

struct Replace(HashMap<String, Box<Query>>);

fn named(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(name), columns: vec![], at: None }
}

impl VisitorMut for Replace {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let Some(query) = call_of(factor).and_then(|call| self.0.get(&call.text)) {
            let alias = match factor {
                TableFactor::Table { alias, .. } => alias.take(),
                _ => None,
            };
            // Without a name of its own, its columns would be those of the table of profiles.
            let alias = alias.or_else(|| Some(named(NAME)));
            let subquery = query.clone();
            *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
        }
        ControlFlow::Continue(())
    }
}

/// The query that a call means.
async fn expand(call: &Call, scope: &Arc<Scope>, statement: &Statement) -> Result<Box<Query>> {
    let (store, rule, language) = match &call.arguments[..] {
        [store, rule] => (store, rule, None),
        [store, rule, language] => (store, rule, Some(language)),
        _ => return Err(wrong_arguments()),
    };
    let piece = &statement.source.text[statement.piece.clone()];
    let place = |text: &str, at: Option<(u64, u64)>| {
        // The content stands after the quotes, when it holds no escapes.
        let literal = at.map(|(line, column)| offset_of(piece, line, column))?;
        let content = piece[literal..].find(text).map_or(literal, |at| literal + at);
        Some(Span::new(content, content + text.len()).shifted(statement.piece.start))
    };
    let at = |fault: Diagnostic, text: &str, at: Option<(u64, u64)>| match place(text, at) {
        Some(place) => fault.at(place),
        None => fault,
    };
    let language = match language {
        None | Some(Argument::Open) => Language::Sql,
        Some(Argument::Text(name, name_at)) => Language::from_name(name).ok_or_else(|| {
            let fault = Diagnostic::new(Kind::Name, format!("unknown rule language `{name}`"));
            at(fault, name, *name_at).help("rules are written in `sql`, `pql` or `pql/json`")
        })?,
        Some(Argument::Other) => return Err(wrong_arguments()),
    };
    let (store, store_at) = match store {
        Argument::Text(store, store_at) => (store, *store_at),
        Argument::Open => {
            let message = "the store of `matching` decides on the columns and cannot be a parameter";
            let fault = Diagnostic::new(Kind::Unsupported, message);
            return Err(fault.help("write its name: `matching('shop', $1)`").into());
        }
        Argument::Other => return Err(wrong_arguments()),
    };
    if scope.store(store)?.is_none() {
        return Err(at(scope.unknown_store(store), store, store_at).into());
    }
    let bound = scope.bound(store).await?;
    let (rule, place) = match rule {
        Argument::Text(rule, rule_at) => (rule, place(rule, *rule_at)),
        // Every rule gives the same columns.
        Argument::Open => {
            let everyone = segment::Expr::literal(segment::Value::Boolean(true));
            return query(&planner::to_sql(&scope.resolve(NAME, &everyone, &bound)?));
        }
        Argument::Other => return Err(wrong_arguments()),
    };
    let segment = Segment {
        name: NAME.to_owned(),
        store: store.clone(),
        id: None,
        comment: None,
        language,
        rule: rule.clone(),
    };
    let written = match place {
        Some(place) => written(&segment, place, &statement.source),
        None => Written::Otherwise(super::scope::source_of(&segment)),
    };
    let placed = |error| match error {
        Error::Wrong(faults) => {
            Error::Wrong(faults.into_iter().map(|fault| in_statement(fault, &written)).collect())
        }
        failed => failed,
    };
    let expr = parse_rule(scope, &segment, &bound).map_err(placed)?;
    let program = scope.resolve(&segment.name, &expr, &bound).map_err(placed)?;
    query(&planner::to_sql(&program))
}

fn wrong_arguments() -> Error {
    let fault = Diagnostic::new(Kind::Type, "`matching` takes a store, a rule and, if need be, its language");
    fault.help("write `matching('shop', $$ did(event_type = 'purchase') $$)`").into()
}

/// How a rule stands in a statement.
pub(super) enum Written {
    /// Letter by letter, from there on.
    AsItIs(usize),
    /// From there on, with each `'` twice, as in every literal.
    Doubled(usize, String),
    /// In another way: its places are shown in its own text.
    Otherwise(Source),
}

/// How a rule stands in a statement, given the place of its content, or else of the literal that it is written as.
pub(super) fn written(segment: &Segment, place: Span, statement: &Source) -> Written {
    if statement.text.get(place.start..place.end) == Some(segment.rule.as_str()) {
        return Written::AsItIs(place.start);
    }
    let literal = statement.text.get(place.start..).unwrap_or_default();
    if literal.starts_with(&quote_string(&segment.rule)) {
        return Written::Doubled(place.start + 1, segment.rule.clone());
    }
    Written::Otherwise(super::scope::source_of(segment))
}

/// A fault in a rule, shown in the statement where the rule stands there, else in the rule's own text.
pub(super) fn in_statement(mut fault: Diagnostic, written: &Written) -> Diagnostic {
    if fault.source.is_some() {
        return fault;
    }
    match written {
        Written::AsItIs(start) => fault.shifted(*start),
        Written::Doubled(start, rule) => {
            let quotes = |before: usize| rule.bytes().take(before).filter(|byte| *byte == b'\'').count();
            let at = |place: usize| start + place + quotes(place);
            fault.span = fault.span.map(|span| Span::new(at(span.start), at(span.end)));
            fault
        }
        Written::Otherwise(source) => fault.in_source(source),
    }
}

fn query(sql: &str) -> Result<Box<Query>> {
    let dialect = Dialect::default();
    let mut parser =
        DFParserBuilder::new(sql).with_dialect(&dialect).with_recursion_limit(8 * RECURSION_LIMIT).build()?;
    match parser.parse_statement()? {
        DFStatement::Statement(statement) => match *statement {
            SqlStatement::Query(query) => Ok(query),
            _ => Err(crate::bug!("a rule's SQL is not a query")),
        },
        _ => Err(crate::bug!("a rule's SQL is not a query")),
    }
}
