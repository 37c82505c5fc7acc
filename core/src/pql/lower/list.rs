//! Functions of whole lists, and lists as sets.

use crate::segment::{BinaryOp, Expr, Node};

use super::super::ast::Comparison;
use super::super::typed::{self, Fold, Set};
use super::super::types::Type;
use super::{Element, Lowered, Lowering, Stream, Value, sql, stream::zero};

impl Lowering<'_> {
    pub(super) fn count(&mut self, of: &typed::Expr) -> Lowered<Expr> {
        if let typed::Node::Distinct(inner) = &of.node
            && let Value::Events(Stream { conditions, element: Element::Sql(value) }) = self.value(inner)?
        {
            let mut call = sql::aggregate("count", vec![value], &conditions);
            call.distinct = true;
            return Ok(sql::called(call));
        }
        Ok(match self.value(of)? {
            Value::Events(stream) => self.count_stream(&stream),
            Value::Entries(entries) => sql::length(entries),
            other => {
                let native = self.native(other, of)?;
                match of.of {
                    Type::Map(..) => {
                        let count = Expr::call("cardinality", vec![native]);
                        sql::cast(sql::coalesce(count, sql::number(0)), "BIGINT")
                    }
                    _ => sql::length(native),
                }
            }
        })
    }

    pub(super) fn fold(&mut self, fold: Fold, of: Value, integer: bool) -> Lowered<Expr> {
        let list = match of {
            Value::Events(stream) => return self.fold_stream(fold, &stream, integer),
            Value::Sql(list) => list,
            Value::Entries(_) | Value::Profile | Value::Event | Value::FirstEvent(_) => {
                return Err(super::Stop::Blocked);
            }
        };
        if matches!(&list.node, Node::List(items) if items.is_empty()) {
            return Ok(if fold == Fold::Sum {
                zero(integer)
            } else {
                Expr::literal(crate::segment::Value::Null)
            });
        }
        Ok(match fold {
            Fold::Sum => {
                let sum = sql::coalesce(Expr::call("array_sum", vec![list]), sql::double(0.0));
                if integer { sql::cast(sum, "BIGINT") } else { sum }
            }
            Fold::Average => Expr::call("array_avg", vec![list]),
            Fold::Min => Expr::call("array_min", vec![list]),
            Fold::Max => Expr::call("array_max", vec![list]),
        })
    }

    /// The elements of a list that are not NULL.
    pub(super) fn known(&mut self, list: Expr) -> Expr {
        let param = self.param();
        let body = sql::is_null(Expr::column([param.clone()]), true);
        Expr::call("array_filter", vec![list, sql::lambda(&param, body)])
    }

    /// Whether some element of a list satisfies a condition.
    pub(super) fn any_match(
        &mut self,
        list: Expr,
        condition: impl FnOnce(&mut Self, Expr) -> Lowered<Expr>,
    ) -> Lowered<Expr> {
        let param = self.param();
        let condition = condition(self, Expr::column([param.clone()]))?;
        Ok(Expr::call("array_any_match", vec![list, sql::lambda(&param, condition)]))
    }

    pub(super) fn set(&mut self, function: Set, of: &typed::Expr, other: &typed::Expr) -> Lowered<Expr> {
        match function {
            Set::Includes => self.contains(other, of),
            Set::Intersects => {
                if is_empty(of) || is_empty(other) {
                    return Ok(sql::boolean(false));
                }
                let (a, b) = self.two_lists(of, other)?;
                Ok(Expr::call("array_has_any", vec![Expr::call("array_compact", vec![a]), b]))
            }
            Set::Subset => self.subset(of, other),
            Set::Superset => self.subset(other, of),
            Set::Intersection => Ok(super::each::not_empty(self.intersection(of, other)?)?),
        }
    }

    pub(super) fn intersection(&mut self, of: &typed::Expr, other: &typed::Expr) -> Lowered<Expr> {
        let (a, b) = self.two_lists(of, other)?;
        self.shared(b, |lowering, b| {
            let param = lowering.param();
            let body = Expr::call("array_has", vec![b.clone(), Expr::column([param.clone()])]);
            let common = Expr::call(
                "array_filter",
                vec![Expr::call("array_distinct", vec![a]), sql::lambda(&param, body)],
            );
            Ok(if sql::never_null(&b) { common } else { sql::case(sql::is_null(b, true), common, None) })
        })
    }

    fn subset(&mut self, of: &typed::Expr, other: &typed::Expr) -> Lowered<Expr> {
        let known = |list: &Expr| (!sql::never_null(list)).then(|| sql::is_null(list.clone(), true));
        if is_empty(of) {
            let other = self.sql(other)?;
            return Ok(known(&other).unwrap_or_else(|| sql::boolean(true)));
        }
        let (a, b) = self.two_lists(of, other)?;
        self.shared(a, |lowering, a| lowering.shared(b, |lowering, b| lowering.subset_of(&a, &b)))
    }

    fn subset_of(&mut self, a: &Expr, b: &Expr) -> Lowered<Expr> {
        let lists = [a, b].into_iter().filter(|list| !sql::never_null(list));
        let mut parts: Vec<Expr> = lists.map(|list| sql::is_null(list.clone(), true)).collect();
        let missing = self.any_match(a.clone(), |_, element| {
            let has = Expr::call("array_has", vec![b.clone(), element.clone()]);
            Ok(sql::and(vec![sql::is_null(element, true), sql::not(has)]))
        })?;
        parts.push(sql::not(missing));
        Ok(sql::and(parts))
    }

    /// Whether two arrays hold the same values.
    pub(super) fn same_set(&mut self, left: &typed::Expr, right: &typed::Expr) -> Lowered<Expr> {
        if is_empty(left) || is_empty(right) {
            let other = if is_empty(left) { right } else { left };
            let other = self.sql(other)?;
            if is_empty(left) && is_empty(right) {
                return Ok(sql::boolean(true));
            }
            // No element, or only elements that are NULL.
            return self.shared(other, |lowering, other| {
                let some = lowering.any_match(other.clone(), |_, element| Ok(sql::is_null(element, true)))?;
                Ok(sql::and(vec![sql::is_null(other, true), sql::not(some)]))
            });
        }
        let (a, b) = self.two_lists(left, right)?;
        self.shared(a, |lowering, a| {
            lowering.shared(b, |lowering, b| {
                Ok(sql::and(vec![lowering.subset_of(&a, &b)?, lowering.subset_of(&b, &a)?]))
            })
        })
    }

    /// Two arrays with elements of one type.
    fn two_lists(&mut self, left: &typed::Expr, right: &typed::Expr) -> Lowered<(Expr, Expr)> {
        let (a, b) = (self.sql(left)?, self.sql(right)?);
        let (of_a, of_b) = (item(&left.of), item(&right.of));
        Ok(match (of_a, of_b) {
            (Type::Date, Type::Timestamp) => (self.each_to_timestamp(a), b),
            (Type::Timestamp, Type::Date) => (a, self.each_to_timestamp(b)),
            (Type::Integer, Type::Double) => (self.each_to_double(a), b),
            (Type::Double, Type::Integer) => (a, self.each_to_double(b)),
            _ => (a, b),
        })
    }

    fn each_to_timestamp(&mut self, list: Expr) -> Expr {
        let param = self.param();
        let body = self.to_timestamp(Expr::column([param.clone()]));
        Expr::call("array_transform", vec![list, sql::lambda(&param, body)])
    }

    fn each_to_double(&mut self, list: Expr) -> Expr {
        let param = self.param();
        let body = sql::cast(Expr::column([param.clone()]), "DOUBLE");
        Expr::call("array_transform", vec![list, sql::lambda(&param, body)])
    }

    /// Whether an array contains a scalar.
    pub(super) fn contains(&mut self, value: &typed::Expr, array: &typed::Expr) -> Lowered<Expr> {
        self.any_compares(Comparison::Equal, array, value, false)
    }

    /// Whether some element compares with a scalar; `flipped` if the scalar is on the left.
    pub(super) fn any_compares(
        &mut self,
        op: Comparison,
        array: &typed::Expr,
        scalar: &typed::Expr,
        flipped: bool,
    ) -> Lowered<Expr> {
        let op = if flipped { op.flipped() } else { op };
        let of = item(&array.of).clone();
        if of == Type::Nothing {
            return Ok(sql::boolean(false));
        }
        let source = self.value(array)?;
        if let Value::Events(stream) = &source {
            // The element has no variable of its own: one is made up that nothing else can have.
            let variable = self.fresh_variable();
            let element =
                typed::Expr { node: typed::Node::Variable(variable), of: of.clone(), span: array.span };
            return self.exists_such(Value::Events(stream.clone()), array, variable, &mut |lowering| {
                lowering.compare_scalars(op, &element, scalar)
            });
        }
        let list = self.native(source, array)?;
        let one_type = of == scalar.of || (of.is_number() && scalar.of.is_number());
        if op == Comparison::Equal && one_type {
            let scalar = self.sql(scalar)?;
            if let Node::List(items) = list.node {
                return Ok(in_list(scalar, items));
            }
            return Ok(Expr::call("array_has", vec![list, scalar]));
        }
        let scalar_sql = self.sql(scalar)?;
        self.shared(scalar_sql, |lowering, scalar_sql| {
            lowering.any_match(list, |lowering, element| {
                Ok(lowering.compare_sql(op, (element, &of), (scalar_sql, &scalar.of)))
            })
        })
    }
}

/// `value IN (items)`.
fn in_list(value: Expr, mut items: Vec<Expr>) -> Expr {
    if items.len() == 1
        && let Some(only) = items.pop()
    {
        return value.binary(BinaryOp::Eq, only);
    }
    Expr::synthetic(Node::In { expr: Box::new(value), list: items, negated: false })
}

pub(super) fn item(array: &Type) -> &Type {
    match array {
        Type::Array(item) => item,
        other => other,
    }
}

/// `[]`.
fn is_empty(expr: &typed::Expr) -> bool {
    matches!(&expr.node, typed::Node::Array(items) if items.is_empty())
}
