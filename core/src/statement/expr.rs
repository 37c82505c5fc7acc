//! sqlparser's expressions to the rule's form.
//!
//! Functions that SQL spells with keywords (`EXTRACT`, `SUBSTRING`, `TRIM`, …) become the plain calls that mean the
//! same, the short forms their own nodes, and what a rule cannot hold is refused with its place.

use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, CeilFloorKind, DuplicateTreatment, Expr as SqlExpr,
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, NullTreatment, OrderByExpr,
    Spanned, Subscript, TrimWhereField, UnaryOperator, Value as SqlValue, WindowType,
};

use crate::diagnostic::{Diagnostic, Kind, Lines, Result, Span};
use crate::segment::{
    BinaryOp, Call, Expr, Form, LONGEST_CHAIN, Name, Node, Order, Over, Test, UnaryOp, Value,
};

use super::RECURSION_LIMIT;
use super::parser::{normalise, place};

/// What lowering needs of the text: to find places.
pub(super) struct Lowering<'a> {
    pub(super) text: &'a str,
    pub(super) lines: &'a Lines<'a>,
    /// Where the text begins that places are places of.
    pub(super) start: usize,
}

impl Lowering<'_> {
    /// Lowers an expression that stands at `span` where it does not know better.
    pub(super) fn expr(&self, expr: &SqlExpr, span: Span) -> Result<Expr> {
        let span = self.span(expr, span);
        let node = match expr {
            SqlExpr::Nested(inner) => return self.expr(inner, span),
            SqlExpr::Identifier(ident) => Node::Column(vec![self.name(ident)]),
            SqlExpr::CompoundIdentifier(idents) => {
                Node::Column(idents.iter().map(|ident| self.name(ident)).collect())
            }
            SqlExpr::Value(value) => Node::Literal(literal(&value.value, span)?),
            SqlExpr::TypedString(typed) => {
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                Node::Literal(Value::Typed(typed.data_type.to_string(), text))
            }
            SqlExpr::Interval(interval) => Node::Literal(Value::Interval(interval_text(interval, span)?)),
            SqlExpr::UnaryOp { op, expr } => self.unary(*op, expr, span)?,
            SqlExpr::BinaryOp { left, op, right } => {
                let op = binary_op(op).ok_or_else(|| unsupported(format!("operator `{op}`"), span))?;
                let length = spine(expr);
                if length > LONGEST_CHAIN && matches!(op, BinaryOp::And | BinaryOp::Or) {
                    return self.chain(expr, op, span);
                }
                if length > RECURSION_LIMIT {
                    let message = format!("more than {RECURSION_LIMIT} operators one after another");
                    return Err(Diagnostic::new(Kind::Syntax, message)
                        .at(span)
                        .help("put parts into parentheses"));
                }
                self.binary(left, op, right, span)?
            }
            SqlExpr::IsDistinctFrom(left, right) => {
                self.binary(left, BinaryOp::IsDistinctFrom, right, span)?
            }
            SqlExpr::IsNotDistinctFrom(left, right) => {
                self.binary(left, BinaryOp::IsNotDistinctFrom, right, span)?
            }
            SqlExpr::IsNull(expr) => self.is(expr, Test::Null, false, span)?,
            SqlExpr::IsNotNull(expr) => self.is(expr, Test::Null, true, span)?,
            SqlExpr::IsTrue(expr) => self.is(expr, Test::True, false, span)?,
            SqlExpr::IsNotTrue(expr) => self.is(expr, Test::True, true, span)?,
            SqlExpr::IsFalse(expr) => self.is(expr, Test::False, false, span)?,
            SqlExpr::IsNotFalse(expr) => self.is(expr, Test::False, true, span)?,
            SqlExpr::IsUnknown(expr) => self.is(expr, Test::Unknown, false, span)?,
            SqlExpr::IsNotUnknown(expr) => self.is(expr, Test::Unknown, true, span)?,
            SqlExpr::InList { expr, list, negated } => {
                Node::In { expr: self.boxed(expr, span)?, list: self.list(list, span)?, negated: *negated }
            }
            SqlExpr::Between { expr, negated, low, high } => Node::Between {
                expr: self.boxed(expr, span)?,
                low: self.boxed(low, span)?,
                high: self.boxed(high, span)?,
                negated: *negated,
            },
            SqlExpr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), false, *negated, span)?
            }
            SqlExpr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), true, *negated, span)?
            }
            SqlExpr::Case { operand, conditions, else_result, .. } => Node::Case {
                operand: operand.as_ref().map(|operand| self.boxed(operand, span)).transpose()?,
                branches: conditions
                    .iter()
                    .map(|case| Ok((self.expr(&case.condition, span)?, self.expr(&case.result, span)?)))
                    .collect::<Result<_>>()?,
                otherwise: else_result.as_ref().map(|expr| self.boxed(expr, span)).transpose()?,
            },
            SqlExpr::Cast { kind, expr, data_type, format: None, .. } => Node::Cast {
                expr: self.boxed(expr, span)?,
                to: data_type.to_string(),
                lenient: matches!(kind, CastKind::TryCast | CastKind::SafeCast),
            },
            SqlExpr::AtTimeZone { timestamp, time_zone } => {
                let zone = match &**time_zone {
                    SqlExpr::Value(value) => value.value.clone().into_string(),
                    _ => None,
                };
                let zone = zone.ok_or_else(|| unsupported("a time zone that is not a string", span))?;
                Node::AtTimeZone { expr: self.boxed(timestamp, span)?, zone }
            }
            SqlExpr::Function(function) => return self.function(function, span),
            SqlExpr::Lambda(lambda) => Node::Lambda {
                params: lambda.params.iter().map(|param| normalise(&param.name)).collect(),
                body: self.boxed(&lambda.body, span)?,
            },
            SqlExpr::Array(array) => Node::List(self.list(&array.elem, span)?),
            SqlExpr::Dictionary(fields) => Node::Struct(
                fields
                    .iter()
                    .map(|field| Ok((field.key.value.clone(), self.expr(&field.value, span)?)))
                    .collect::<Result<_>>()?,
            ),
            SqlExpr::Map(map) => {
                let keys =
                    map.entries.iter().map(|entry| self.expr(&entry.key, span)).collect::<Result<_>>()?;
                let values =
                    map.entries.iter().map(|entry| self.expr(&entry.value, span)).collect::<Result<_>>()?;
                plain_call(
                    "map",
                    vec![Expr::new(Node::List(keys), span), Expr::new(Node::List(values), span)],
                )
            }
            SqlExpr::CompoundFieldAccess { root, access_chain } => {
                return self.access(root, access_chain, span);
            }
            SqlExpr::Extract { field, expr, .. } => {
                let field = Value::String(field.to_string().to_lowercase());
                let args = vec![Expr::new(Node::Literal(field), span), self.expr(expr, span)?];
                plain_call("date_part", args)
            }
            SqlExpr::Ceil { expr, field: CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                plain_call("ceil", vec![self.expr(expr, span)?])
            }
            SqlExpr::Floor { expr, field: CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                plain_call("floor", vec![self.expr(expr, span)?])
            }
            SqlExpr::Position { expr, r#in } => {
                plain_call("strpos", vec![self.expr(r#in, span)?, self.expr(expr, span)?])
            }
            SqlExpr::Substring { expr, substring_from, substring_for, .. } => {
                let one = || Expr::new(Node::Literal(Value::Number("1".into())), span);
                let from = match substring_from {
                    Some(from) => self.expr(from, span)?,
                    None => one(),
                };
                let mut args = vec![self.expr(expr, span)?, from];
                if let Some(length) = substring_for {
                    args.push(self.expr(length, span)?);
                }
                plain_call("substr", args)
            }
            SqlExpr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "btrim",
                };
                let mut args = vec![self.expr(expr, span)?];
                let listed = trim_characters.iter().flatten();
                for what in trim_what.as_deref().into_iter().chain(listed) {
                    args.push(self.expr(what, span)?);
                }
                plain_call(name, args)
            }
            SqlExpr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let parts = [Some(expr), Some(overlay_what), Some(overlay_from), overlay_for.as_ref()];
                let args =
                    parts.into_iter().flatten().map(|part| self.expr(part, span)).collect::<Result<_>>()?;
                plain_call("overlay", args)
            }
            SqlExpr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
                plain_call("array_has", vec![self.expr(right, span)?, self.expr(left, span)?])
            }
            SqlExpr::Subquery(_) | SqlExpr::Exists { .. } | SqlExpr::InSubquery { .. } => {
                let fault = Diagnostic::new(Kind::Type, "a rule is an expression, it cannot hold a `SELECT`");
                return Err(fault
                    .at(span)
                    .help("aggregates range over the profile's own events: `did(event_type = 'purchase')`")
                    .help("another segment is asked with `in_segment('name')`"));
            }
            _ => return Err(unsupported("this expression", span)),
        };
        Ok(Expr::new(node, span))
    }

    fn boxed(&self, expr: &SqlExpr, span: Span) -> Result<Box<Expr>> {
        self.expr(expr, span).map(Box::new)
    }

    fn list(&self, exprs: &[SqlExpr], span: Span) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.expr(expr, span)).collect()
    }

    fn name(&self, ident: &ast::Ident) -> Name {
        Name {
            value: normalise(ident),
            span: place(ident.span, self.text, self.lines).relative_to(self.start),
        }
    }

    /// The place of an expression, or that of what holds it where sqlparser does not know. A call's place ends with
    /// its closing parenthesis, which sqlparser leaves out.
    fn span(&self, expr: &SqlExpr, outer: Span) -> Span {
        // Not by recursion along a chain of operators, which may be long.
        let known = match expr {
            SqlExpr::BinaryOp { right, .. } => leftmost(expr).span().union(&right.span()),
            _ => expr.span(),
        };
        if known.start.line == 0 || matches!(expr, SqlExpr::Nested(_)) {
            return outer;
        }
        let mut span = place(known, self.text, self.lines);
        if matches!(expr, SqlExpr::Function(_)) {
            let rest = &self.text[span.end..];
            if rest.trim_start().starts_with(')') {
                span.end += rest.len() - rest.trim_start().len() + 1;
            }
        }
        span.relative_to(self.start)
    }

    fn unary(&self, op: UnaryOperator, expr: &SqlExpr, span: Span) -> Result<Node> {
        let op = match op {
            UnaryOperator::Not | UnaryOperator::BangNot => UnaryOp::Not,
            UnaryOperator::Minus => UnaryOp::Minus,
            UnaryOperator::Plus => return Ok(self.expr(expr, span)?.node),
            other => return Err(unsupported(format!("operator `{other}`"), span)),
        };
        Ok(Node::Unary { op, expr: self.boxed(expr, span)? })
    }

    fn binary(&self, left: &SqlExpr, op: BinaryOp, right: &SqlExpr, span: Span) -> Result<Node> {
        Ok(Node::Binary { op, left: self.boxed(left, span)?, right: self.boxed(right, span)? })
    }

    /// Very many conditions one after another: a tree that is not as deep as they are many.
    fn chain(&self, expr: &SqlExpr, op: BinaryOp, span: Span) -> Result<Expr> {
        let (mut rest, mut operands) = (expr, vec![]);
        while let SqlExpr::BinaryOp { left, op: own, right } = rest
            && binary_op(own) == Some(op)
        {
            operands.push(&**right);
            rest = left;
        }
        operands.push(rest);
        let parts = operands.into_iter().rev().map(|operand| self.expr(operand, span));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        Expr::chain(op, parts).ok_or_else(|| unsupported("nothing", span))
    }

    fn is(&self, expr: &SqlExpr, test: Test, negated: bool, span: Span) -> Result<Node> {
        Ok(Node::Is { expr: self.boxed(expr, span)?, test, negated })
    }

    fn like(
        &self,
        expr: &SqlExpr,
        pattern: &SqlExpr,
        escape: Option<&ast::ValueWithSpan>,
        case_insensitive: bool,
        negated: bool,
        span: Span,
    ) -> Result<Node> {
        let escape = match escape {
            None => None,
            Some(value) => {
                let text = value.value.clone().into_string().unwrap_or_default();
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Some(c),
                    _ => {
                        let message = "expected one character after `ESCAPE`";
                        return Err(Diagnostic::new(Kind::Syntax, message).at(span));
                    }
                }
            }
        };
        let (expr, pattern) = (self.boxed(expr, span)?, self.boxed(pattern, span)?);
        Ok(Node::Like { expr, pattern, escape, case_insensitive, negated })
    }

    fn access(&self, root: &SqlExpr, chain: &[AccessExpr], span: Span) -> Result<Expr> {
        let mut expr = self.expr(root, span)?;
        for access in chain {
            let of = Box::new(expr);
            let node = match access {
                AccessExpr::Dot(SqlExpr::Identifier(field)) => Node::Field { of, name: normalise(field) },
                AccessExpr::Dot(_) => return Err(unsupported("this field access", span)),
                AccessExpr::Subscript(Subscript::Index { index }) => match self.expr(index, span)? {
                    Expr { node: Node::Literal(Value::String(name)), .. } => Node::Field { of, name },
                    index => Node::Index { of, index: Box::new(index) },
                },
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                    let number = |text: &str| SqlExpr::value(SqlValue::Number(text.into(), false));
                    let lower = lower_bound.clone().unwrap_or_else(|| number("1"));
                    let upper = upper_bound.clone().unwrap_or_else(|| number("-1"));
                    let mut args = vec![*of, self.expr(&lower, span)?, self.expr(&upper, span)?];
                    if let Some(stride) = stride {
                        args.push(self.expr(stride, span)?);
                    }
                    plain_call("array_slice", args)
                }
            };
            expr = Expr::new(node, span);
        }
        Ok(expr)
    }

    fn function(&self, function: &ast::Function, span: Span) -> Result<Expr> {
        let Some(ident) = function.name.0.last().and_then(|part| part.as_ident()) else {
            return Err(unsupported("this function's name", span));
        };
        let name = self.name(ident);
        // sqlparser takes `user` and its like for functions even without parentheses: here they are columns.
        if matches!(function.args, FunctionArguments::None)
            && !name.value.starts_with("current_")
            && !CLOCKS.contains(&name.value.as_str())
        {
            return Ok(Expr::new(Node::Column(vec![name]), span));
        }
        let mut call = Call { name: name.value, name_span: name.span, ..Call::default() };
        // ClickHouse's `f(parameters)(arguments)`: DataFusion would drop the parameters without a word.
        for list in [&function.parameters, &function.args] {
            self.arguments(list, &mut call, span)?;
        }
        call.within_group = self.orders(&function.within_group, span)?;
        call.filter = function.filter.as_ref().map(|filter| self.boxed(filter, span)).transpose()?;
        call.ignore_nulls |= function.null_treatment == Some(NullTreatment::IgnoreNulls);
        call.over = function.over.as_ref().map(|over| self.over(over, span)).transpose()?.map(Box::new);
        match Form::from_name(&call.name) {
            Some(form) => short_form(form, call, span),
            None => Ok(Expr::new(Node::Call(Box::new(call)), span)),
        }
    }

    fn arguments(&self, arguments: &FunctionArguments, call: &mut Call, span: Span) -> Result<()> {
        let list = match arguments {
            FunctionArguments::None => return Ok(()),
            FunctionArguments::Subquery(_) => return Err(unsupported("a `SELECT` as an argument", span)),
            FunctionArguments::List(list) => list,
        };
        call.distinct |= list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => call.args.push(self.expr(expr, span)?),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => call.star = true,
                FunctionArg::Unnamed(_) => return Err(unsupported("this kind of `*`", span)),
                FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                    return Err(
                        unsupported("a named argument", span).help("give arguments by their position")
                    );
                }
            }
        }
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(orders) => call.order_by = self.orders(orders, span)?,
                FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => {
                    call.ignore_nulls = *treatment == NullTreatment::IgnoreNulls;
                }
                other => return Err(unsupported(format!("`{other}`"), span)),
            }
        }
        Ok(())
    }

    fn orders(&self, orders: &[OrderByExpr], span: Span) -> Result<Vec<Order>> {
        orders
            .iter()
            .map(|order| {
                Ok(Order {
                    expr: self.expr(&order.expr, span)?,
                    descending: order.options.asc == Some(false),
                    nulls_first: order.options.nulls_first,
                })
            })
            .collect()
    }

    fn over(&self, over: &WindowType, span: Span) -> Result<Over> {
        match over {
            WindowType::WindowSpec(spec) if spec.window_name.is_none() => Ok(Over {
                partition_by: self.list(&spec.partition_by, span)?,
                order_by: self.orders(&spec.order_by, span)?,
                frame: spec.window_frame.as_ref().map(|frame| {
                    let (units, start) = (&frame.units, &frame.start_bound);
                    match &frame.end_bound {
                        Some(end) => format!("{units} BETWEEN {start} AND {end}"),
                        None => format!("{units} {start}"),
                    }
                }),
            }),
            _ => Err(unsupported("a named window", span).help("write the window out: `OVER (ORDER BY …)`")),
        }
    }
}

/// The functions that are called without parentheses.
const CLOCKS: &[&str] = &["localtime", "localtimestamp"];

/// The first operand of a chain of operators.
fn leftmost(mut expr: &SqlExpr) -> &SqlExpr {
    while let SqlExpr::BinaryOp { left, .. } = expr {
        expr = left;
    }
    expr
}

/// How many binary operators stand one after another.
fn spine(mut expr: &SqlExpr) -> usize {
    let mut length = 0;
    while let SqlExpr::BinaryOp { left, .. } = expr {
        length += 1;
        expr = left;
    }
    length
}

/// A short form: its arguments counted, and nothing else about it.
fn short_form(form: Form, call: Call, span: Span) -> Result<Expr> {
    let Call { args, star, distinct, order_by, within_group, filter, ignore_nulls, over, .. } = call;
    if star
        || distinct
        || ignore_nulls
        || filter.is_some()
        || over.is_some()
        || !order_by.is_empty()
        || !within_group.is_empty()
    {
        let message = format!("`{}` takes arguments only", form.name());
        return Err(Diagnostic::new(Kind::Syntax, message)
            .at(span)
            .help(format!("write `{}`, with all conditions inside", form.signature())));
    }
    if !form.arity().contains(&args.len()) {
        let (least, most) = (form.arity().start().to_owned(), form.arity().end().to_owned());
        let wanted = if least == most { least.to_string() } else { format!("{least} or {most}") };
        let plural = if wanted == "1" { "" } else { "s" };
        let message = format!("`{}` takes {wanted} argument{plural}, found {}", form.name(), args.len());
        return Err(Diagnostic::new(Kind::Type, message)
            .at(span)
            .help(format!("write `{}`", form.signature())));
    }
    Ok(Expr::new(Node::Form { form, args }, span))
}

fn literal(value: &SqlValue, span: Span) -> Result<Value> {
    Ok(match value {
        SqlValue::Number(text, _) => Value::Number(text.clone()),
        SqlValue::Boolean(value) => Value::Boolean(*value),
        SqlValue::Null => Value::Null,
        SqlValue::Placeholder(name) => {
            let fault =
                Diagnostic::new(Kind::Unsupported, format!("a rule cannot hold the parameter `{name}`"));
            return Err(fault.at(span).help("a segment is kept: write the value itself"));
        }
        other => match other.clone().into_string() {
            Some(text) => Value::String(text),
            None => return Err(unsupported(format!("the literal `{other}`"), span)),
        },
    })
}

/// `INTERVAL '30 days'`, `INTERVAL '30' DAY`, `INTERVAL 30 DAY`: one text.
fn interval_text(interval: &ast::Interval, span: Span) -> Result<String> {
    let amount = match &*interval.value {
        SqlExpr::Value(value) => match &value.value {
            SqlValue::Number(number, _) => Some(number.clone()),
            other => other.clone().into_string(),
        },
        _ => None,
    };
    let Some(amount) = amount else {
        let fault = Diagnostic::new(Kind::Syntax, "expected an interval as a string").at(span);
        return Err(fault.help("write `INTERVAL '30 days'`"));
    };
    Ok(match &interval.leading_field {
        Some(field) => format!("{amount} {}", field.to_string().to_lowercase()),
        None => amount,
    })
}

fn binary_op(op: &BinaryOperator) -> Option<BinaryOp> {
    Some(match op {
        BinaryOperator::Or => BinaryOp::Or,
        BinaryOperator::And => BinaryOp::And,
        BinaryOperator::Eq => BinaryOp::Eq,
        BinaryOperator::NotEq => BinaryOp::NotEq,
        BinaryOperator::Lt => BinaryOp::Lt,
        BinaryOperator::LtEq => BinaryOp::LtEq,
        BinaryOperator::Gt => BinaryOp::Gt,
        BinaryOperator::GtEq => BinaryOp::GtEq,
        BinaryOperator::PGRegexMatch => BinaryOp::Match,
        BinaryOperator::PGRegexIMatch => BinaryOp::IMatch,
        BinaryOperator::PGRegexNotMatch => BinaryOp::NotMatch,
        BinaryOperator::PGRegexNotIMatch => BinaryOp::NotIMatch,
        BinaryOperator::StringConcat => BinaryOp::Concat,
        BinaryOperator::AtArrow => BinaryOp::Contains,
        BinaryOperator::ArrowAt => BinaryOp::ContainedBy,
        BinaryOperator::BitwiseOr => BinaryOp::BitOr,
        BinaryOperator::BitwiseAnd => BinaryOp::BitAnd,
        BinaryOperator::BitwiseXor | BinaryOperator::PGBitwiseXor => BinaryOp::BitXor,
        BinaryOperator::PGBitwiseShiftLeft => BinaryOp::ShiftLeft,
        BinaryOperator::PGBitwiseShiftRight => BinaryOp::ShiftRight,
        BinaryOperator::Plus => BinaryOp::Plus,
        BinaryOperator::Minus => BinaryOp::Minus,
        BinaryOperator::Multiply => BinaryOp::Multiply,
        BinaryOperator::Divide => BinaryOp::Divide,
        BinaryOperator::Modulo => BinaryOp::Modulo,
        _ => return None,
    })
}

fn plain_call(name: &str, args: Vec<Expr>) -> Node {
    Node::Call(Box::new(Call { name: name.to_owned(), args, ..Call::default() }))
}

fn unsupported(what: impl AsRef<str>, span: Span) -> Diagnostic {
    Diagnostic::new(Kind::Unsupported, format!("{} is not allowed in a rule", what.as_ref())).at(span)
}
