//! `matching('store', 'rule' [, 'language'])` in `FROM`: replaced by the query that the rule means, before planning.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::parser::{DFParserBuilder, Statement as DFStatement};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Query, Statement as SqlStatement, TableFactor, Value, Visitor,
    VisitorMut,
};

use crate::diagnostic::{Diagnostic, Kind, Source, Span, offset_of};
use crate::error::{Error, Result};
use crate::planner;
use crate::segment::{Language, Segment};
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
fn query_of(statement: &mut DFStatement) -> Option<&mut SqlStatement> {
    match statement {
        DFStatement::Statement(inner) => Some(inner),
        DFStatement::Explain(explain) => query_of(&mut explain.statement),
        DFStatement::CreateExternalTable(_) | DFStatement::CopyTo(_) | DFStatement::Reset(_) => None,
    }
}

/// One call, with its arguments.
struct Call {
    /// The whole call, by which it is found again.
    text: String,
    arguments: Vec<Option<(String, u64, u64)>>,
}

#[derive(Default)]
struct Calls(Vec<Call>);

fn call_of(factor: &TableFactor) -> Option<Call> {
    let TableFactor::Table { name, args: Some(args), .. } = factor else { return None };
    if !name.to_string().eq_ignore_ascii_case(NAME) {
        return None;
    }
    let arguments = args.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => {
            let start = value.span.start;
            value.value.clone().into_string().map(|text| (text, start.line, start.column))
        }
        _ => None,
    });
    let texts: Vec<String> = args.args.iter().map(ToString::to_string).collect();
    Some(Call { text: texts.join(", "), arguments: arguments.collect() })
}

impl Visitor for Calls {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.0.extend(call_of(factor));
        ControlFlow::Continue(())
    }
}

struct Replace(HashMap<String, Box<Query>>);

impl VisitorMut for Replace {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let Some(query) = call_of(factor).and_then(|call| self.0.get(&call.text)) {
            let alias = match factor {
                TableFactor::Table { alias, .. } => alias.take(),
                _ => None,
            };
            let subquery = query.clone();
            *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
        }
        ControlFlow::Continue(())
    }
}

/// The query that a call means.
async fn expand(call: &Call, scope: &Arc<Scope>, statement: &Statement) -> Result<Box<Query>> {
    let arguments: Option<Vec<_>> = call.arguments.iter().cloned().collect();
    let (store, rule, language) = match arguments.as_deref() {
        Some([store, rule]) => (store, rule, None),
        Some([store, rule, language]) => (store, rule, Some(language)),
        _ => {
            let fault =
                Diagnostic::new(Kind::Type, "`matching` takes a store, a rule and, if need be, its language");
            return Err(fault.help("write `matching('shop', $$ did(event_type = 'purchase') $$)`").into());
        }
    };
    let piece = &statement.source.text[statement.piece.clone()];
    let place = |(text, line, column): &(String, u64, u64)| {
        // The content stands after the quotes, when it holds no escapes.
        let literal = offset_of(piece, *line, *column);
        let content = piece[literal..].find(text.as_str()).map_or(literal, |at| literal + at);
        Span::new(content, content + text.len()).shifted(statement.piece.start)
    };
    let language = match language {
        None => Language::Sql,
        Some(name) => Language::from_name(&name.0).ok_or_else(|| {
            let fault = Diagnostic::new(Kind::Name, format!("unknown rule language `{}`", name.0));
            fault.at(place(name)).help("rules are written in `sql`, `pql` or `pql/json`")
        })?,
    };
    if scope.store(&store.0)?.is_none() {
        return Err(scope.unknown_store(&store.0).at(place(store)).into());
    }
    let bound = scope.bound(&store.0).await?;
    let segment = Segment {
        name: NAME.to_owned(),
        store: store.0.clone(),
        id: None,
        comment: None,
        language,
        rule: rule.0.clone(),
    };
    let place = place(rule);
    let written = written(&segment, place, &statement.source);
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
