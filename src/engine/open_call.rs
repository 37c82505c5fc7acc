//! Parameters in the arguments of table functions: `generate_series(1, $1)`, `matching('shop', $1)`.
//!
//! Such a function is called while its statement is planned, so its arguments must be known by then; and what
//! `matching` becomes depends on its rule, so that no node of a plan could wait for the value. A statement without
//! values is therefore planned with stand-ins, which shows its columns and what it asks for, and such a plan is never
//! run. When the values come, they are put in their places in the syntax tree and the statement is planned with them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::parser::Statement as DFStatement;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr, FunctionArg, FunctionArgExpr, Statement as SqlStatement,
    TableFactor, TimezoneInfo, Value, VisitorMut,
};

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result};

use super::expand::{self, query_of};
use super::visit;

/// The parameters that are arguments of table functions, with the types that they have there.
pub(super) type Open = BTreeMap<String, DataType>;

/// Puts values in the places of parameters in arguments of table functions, by number; without values, stand-ins.
/// Returns which parameters those were.
pub(super) fn fill(statement: &mut DFStatement, values: Option<&[ScalarValue]>) -> Result<Open> {
    let Some(inner) = query_of(statement) else { return Ok(Open::new()) };
    let mut calls = Calls { values, open: Open::new(), fault: None };
    let _ = visit::change(inner, &mut calls);
    if let Some(fault) = calls.fault {
        return Err(fault);
    }
    match inner {
        // Its parameters are those of `EXECUTE`.
        SqlStatement::Prepare { .. } => Ok(Open::new()),
        SqlStatement::CreateView { .. } if !calls.open.is_empty() => {
            Err(Diagnostic::new(Kind::Unsupported, "a view has no parameters").into())
        }
        _ => Ok(calls.open),
    }
}

/// That a parameter was given no value.
pub(super) fn no_value(name: &str) -> Error {
    Diagnostic::new(Kind::Type, format!("parameter `{name}` has no value")).into()
}

struct Calls<'a> {
    values: Option<&'a [ScalarValue]>,
    open: Open,
    fault: Option<Error>,
}

impl VisitorMut for Calls<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let (name, arguments) = match factor {
            TableFactor::Table { name, args: Some(args), .. } => (&*name, &mut args.args),
            TableFactor::Function { name, args, .. } => (&*name, args),
            _ => return ControlFlow::Continue(()),
        };
        let is_rule = expand::is_matching(name);
        let wanted = if is_rule { Wanted::Texts } else { Wanted::of_series(arguments) };
        for (at, argument) in arguments.iter_mut().enumerate() {
            let mut place = Place { calls: self, kind: wanted.kind(at), is_rule };
            visit::change(argument, &mut place)?;
        }
        ControlFlow::Continue(())
    }
}

/// One argument.
struct Place<'a, 'b> {
    calls: &'a mut Calls<'b>,
    kind: DataType,
    is_rule: bool,
}

impl VisitorMut for Place<'_, '_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = &*expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let literal = match self.calls.values {
            // `matching` knows what to do without a rule.
            None if self.is_rule => Ok(None),
            None => Ok(Some(stand_in(&self.kind))),
            Some(values) => given(name, values, &self.kind).map(Some),
        };
        self.calls.open.entry(name.clone()).or_insert_with(|| self.kind.clone());
        match literal {
            Ok(None) => {}
            Ok(Some(literal)) => *expr = literal,
            Err(fault) => {
                self.calls.fault = Some(fault);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// What a call wants of its arguments.
enum Wanted {
    /// `matching(store, rule, language)`
    Texts,
    /// `generate_series(first, last, step)` of numbers.
    Numbers,
    /// The same of days or instants.
    Times(DataType),
}

impl Wanted {
    /// A series is one of numbers unless any of its arguments says otherwise.
    fn of_series(arguments: &[FunctionArg]) -> Self {
        let said = arguments.iter().filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => said(expr),
            _ => None,
        });
        let said: Vec<DataType> = said.collect();
        let time = said.iter().find(|kind| matches!(kind, DataType::Timestamp(..) | DataType::Date32));
        match time {
            Some(time) => Self::Times(time.clone()),
            None if said.is_empty() => Self::Numbers,
            None => Self::Times(instant(false)),
        }
    }

    fn kind(&self, at: usize) -> DataType {
        match self {
            Self::Texts => DataType::Utf8,
            Self::Numbers => DataType::Int64,
            Self::Times(_) if at == 2 => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Times(time) => time.clone(),
        }
    }
}

fn instant(is_zoned: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, is_zoned.then(|| "+00:00".into()))
}

/// The type of an argument about time, where it is written down.
fn said(expr: &Expr) -> Option<DataType> {
    let written = match expr {
        Expr::Nested(inner) => return said(inner),
        Expr::Interval(_) => return Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        Expr::Cast { data_type, .. } => data_type,
        Expr::TypedString(typed) => &typed.data_type,
        _ => return None,
    };
    match written {
        SqlType::Date => Some(DataType::Date32),
        SqlType::Timestamp(_, zone) => {
            Some(instant(matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz)))
        }
        SqlType::Datetime(_) => Some(instant(false)),
        SqlType::Interval { .. } => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        _ => None,
    }
}

/// A value of which only the type matters: any series can begin or end there, or step so far.
fn stand_in(kind: &DataType) -> Expr {
    match kind {
        DataType::Int64 => number("1"),
        DataType::Interval(_) => typed("1 day", kind),
        _ => typed("2000-01-01", kind),
    }
}

/// The value of a parameter as it would be written.
fn given(name: &str, values: &[ScalarValue], kind: &DataType) -> Result<Expr> {
    let number_of: Option<usize> = name.trim_start_matches('$').parse().ok();
    let value = number_of.and_then(|number| values.get(number.checked_sub(1)?));
    let value = value.ok_or_else(|| no_value(name))?;
    let wrong = |error: Error| Error::from(Diagnostic::new(Kind::Type, error.message()));
    let value = value.cast_to(kind).and_then(|value| value.cast_to(&DataType::Utf8));
    let ScalarValue::Utf8(text) = value.map_err(|error| wrong(error.into()))? else {
        return Err(crate::bug!("a value that is cast to text is none"));
    };
    Ok(match (text, kind) {
        (None, _) => Expr::Value(Value::Null.into()),
        (Some(text), DataType::Int64) => number(&text),
        (Some(text), DataType::Utf8) => string(&text),
        (Some(text), kind) => typed(&text, kind),
    })
}

fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.to_owned(), false).into())
}

fn string(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

/// A value of a type about time.
fn typed(text: &str, kind: &DataType) -> Expr {
    let data_type = match kind {
        DataType::Date32 => SqlType::Date,
        DataType::Interval(_) => SqlType::Interval { fields: None, precision: None },
        DataType::Timestamp(_, Some(_)) => SqlType::Timestamp(None, TimezoneInfo::WithTimeZone),
        _ => SqlType::Timestamp(None, TimezoneInfo::None),
    };
    let expr = Box::new(string(text));
    Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None }
}
