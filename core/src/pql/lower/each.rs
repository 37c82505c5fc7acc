//! Functions that evaluate an expression for each element: over events as part of an aggregate where that can be
//! said, else over a list with a lambda.

use crate::segment::Expr;

use super::super::typed::{self, Each, Variable};
use super::super::types::Type;
use super::{Element, Lowered, Lowering, Stop, Stream, Value, sql};

impl Lowering<'_> {
    pub(super) fn each(
        &mut self,
        function: Each,
        of: &typed::Expr,
        variable: Variable,
        body: &typed::Expr,
    ) -> Lowered<Value> {
        let source = self.value(of)?;
        match function {
            Each::Filter => self.filter(source, of, variable, &[body]),
            Each::Map => self.map(source, of, variable, body),
            Each::Exists => Ok(Value::Sql(sql::two_valued(self.exists_each(source, of, variable, body)?))),
            Each::Forall => Ok(Value::Sql(sql::two_valued(self.forall_each(source, of, variable, body)?))),
            Each::Fold(fold) => {
                let integer = body.of == Type::Integer;
                let values = self.map(source, of, variable, body)?;
                Ok(Value::Sql(self.fold(fold, values, integer)?))
            }
            Each::Top(count, greatest) => {
                let list = self.native(source, of)?;
                let key = self.lambda(variable, |lowering| lowering.sql(body))?;
                let name = if greatest { "array_top_n" } else { "array_bottom_n" };
                Ok(Value::Sql(Expr::call(name, vec![list, sql::number(count), key])))
            }
            Each::Group => {
                let list = self.native(source, of)?;
                let key = self.lambda(variable, |lowering| lowering.sql(body))?;
                Ok(Value::Sql(Expr::call("array_group_by", vec![list, key])))
            }
        }
    }

    pub(super) fn exists_each(
        &mut self,
        source: Value,
        of: &typed::Expr,
        variable: Variable,
        body: &typed::Expr,
    ) -> Lowered<Expr> {
        if let Value::Events(stream) = source {
            return match self.filter(Value::Events(stream), of, variable, &[body])? {
                Value::Events(filtered) => Ok(self.any(&filtered)),
                other => not_empty(self.native(other, of)?),
            };
        }
        let list = self.native(source, of)?;
        let condition = self.lambda(variable, |lowering| lowering.condition(body))?;
        Ok(Expr::call("array_any_match", vec![list, condition]))
    }

    pub(super) fn forall_each(
        &mut self,
        source: Value,
        of: &typed::Expr,
        variable: Variable,
        body: &typed::Expr,
    ) -> Lowered<Expr> {
        let fails =
            self.exists_such(source, of, variable, &mut |lowering| Ok(sql::not(lowering.condition(body)?)))?;
        Ok(sql::not(fails))
    }

    /// Whether some element satisfies what `condition` lowers.
    pub(super) fn exists_such(
        &mut self,
        source: Value,
        of: &typed::Expr,
        variable: Variable,
        condition: &mut dyn FnMut(&mut Self) -> Lowered<Expr>,
    ) -> Lowered<Expr> {
        if let Value::Events(stream) = &source {
            match self.filter_stream(stream, variable, condition) {
                Ok(filtered) => return Ok(self.any(&filtered)),
                Err(Stop::Blocked) if !self.in_event => {}
                Err(stop) => return Err(stop),
            }
            let list = self.events_list(stream, false)?;
            let condition = self.lambda(variable, condition)?;
            return Ok(Expr::call("array_any_match", vec![list, condition]));
        }
        let list = self.native(source, of)?;
        let condition = self.lambda(variable, condition)?;
        Ok(Expr::call("array_any_match", vec![list, condition]))
    }

    /// The elements that satisfy all conditions. Those of the conditions that are about one event alone go into the
    /// aggregate, even if others do not.
    pub(super) fn filter(
        &mut self,
        source: Value,
        of: &typed::Expr,
        variable: Variable,
        conditions: &[&typed::Expr],
    ) -> Lowered<Value> {
        let mut parts = vec![];
        conditions.iter().for_each(|condition| conjuncts(condition, &mut parts));
        let (list, rest) = match source {
            Value::Events(mut stream) => {
                let mut rest = vec![];
                for part in parts {
                    match self.filter_stream(&stream, variable, &mut |lowering| lowering.condition(part)) {
                        Ok(filtered) => stream = filtered,
                        Err(Stop::Blocked) if !self.in_event => rest.push(part),
                        Err(stop) => return Err(stop),
                    }
                }
                if rest.is_empty() {
                    return Ok(Value::Events(stream));
                }
                (self.events_list(&stream, true)?, rest)
            }
            other => (self.native(other, of)?, parts),
        };
        let condition = self.lambda(variable, |lowering| {
            let parts = rest.iter().map(|part| lowering.condition(part)).collect::<Lowered<Vec<_>>>()?;
            Ok(sql::and(parts))
        })?;
        Ok(Value::Sql(Expr::call("array_filter", vec![list, condition])))
    }

    /// The stream with one condition more.
    pub(super) fn filter_stream(
        &mut self,
        stream: &Stream,
        variable: Variable,
        condition: &mut dyn FnMut(&mut Self) -> Lowered<Expr>,
    ) -> Lowered<Stream> {
        let mut filtered = stream.clone();
        match &stream.element {
            Element::Event | Element::Sql(_) => {
                let condition = self.about_element(stream, variable, condition)?;
                filtered.conditions.push(condition);
            }
            Element::Flat(list) => {
                let condition = self.about_element(stream, variable, condition)?;
                filtered.element = Element::Flat(Expr::call("array_filter", vec![list.clone(), condition]));
            }
        }
        Ok(filtered)
    }

    /// Lowers something about an element of a stream: for an event or value an expression about one event, for the
    /// elements of a list a lambda.
    pub(super) fn about_element(
        &mut self,
        stream: &Stream,
        variable: Variable,
        body: &mut dyn FnMut(&mut Self) -> Lowered<Expr>,
    ) -> Lowered<Expr> {
        self.about_event(|lowering| match &stream.element {
            Element::Event => {
                lowering.bind(variable, Value::Event);
                body(lowering)
            }
            Element::Sql(value) => {
                lowering.bind(variable, Value::Sql(value.clone()));
                body(lowering)
            }
            Element::Flat(_) => lowering.lambda(variable, body),
        })
    }

    pub(super) fn map(
        &mut self,
        source: Value,
        of: &typed::Expr,
        variable: Variable,
        body: &typed::Expr,
    ) -> Lowered<Value> {
        let list = match source {
            Value::Events(stream) => match self.map_stream(&stream, variable, body) {
                Ok(mapped) => return Ok(Value::Events(mapped)),
                Err(Stop::Blocked) if !self.in_event => self.events_list(&stream, true)?,
                Err(stop) => return Err(stop),
            },
            other => self.native(other, of)?,
        };
        let body = self.lambda(variable, |lowering| lowering.sql(body))?;
        Ok(Value::Sql(Expr::call("array_transform", vec![list, body])))
    }

    fn map_stream(&mut self, stream: &Stream, variable: Variable, body: &typed::Expr) -> Lowered<Stream> {
        let mut is_event = false;
        let mapped = self.about_element(stream, variable, &mut |lowering| {
            let value = lowering.value(body)?;
            is_event = matches!(value, Value::Event);
            lowering.native(value, body)
        })?;
        let element = match &stream.element {
            Element::Event if is_event => Element::Event,
            Element::Event | Element::Sql(_) => Element::Sql(mapped),
            Element::Flat(list) => Element::Flat(Expr::call("array_transform", vec![list.clone(), mapped])),
        };
        Ok(Stream { conditions: stream.conditions.clone(), element })
    }

    /// A lambda whose parameter is the variable.
    pub(super) fn lambda(
        &mut self,
        variable: Variable,
        body: impl FnOnce(&mut Self) -> Lowered<Expr>,
    ) -> Lowered<Expr> {
        let param = self.param();
        self.bind(variable, Value::Sql(Expr::column([param.clone()])));
        let body = body(self)?;
        Ok(sql::lambda(&param, body))
    }

    pub(super) fn projection(&mut self, of: Value, name: &str, flatten: bool) -> Lowered<Value> {
        let field_of = |lowering: &mut Self, element: &dyn Fn(Expr) -> Expr| {
            let param = lowering.param();
            sql::lambda(&param, element(Expr::column([param.clone()])))
        };
        let project = |lowering: &mut Self, list: Expr| {
            let field = field_of(lowering, &|element| sql::field(element, name));
            let projected = Expr::call("array_transform", vec![list, field]);
            if flatten { Expr::call("flatten", vec![projected]) } else { projected }
        };
        match of {
            Value::Events(mut stream) => {
                stream.element = match stream.element {
                    Element::Event if flatten => Element::Flat(self.event_column(name)),
                    Element::Event => Element::Sql(self.event_column(name)),
                    Element::Sql(object) if flatten => Element::Flat(sql::field(object, name)),
                    Element::Sql(object) => Element::Sql(sql::field(object, name)),
                    Element::Flat(list) => Element::Flat(project(self, list)),
                };
                Ok(Value::Events(stream))
            }
            Value::Sql(list) => Ok(Value::Sql(project(self, list))),
            Value::Entries(_) | Value::Profile | Value::Event | Value::FirstEvent(_) => Err(Stop::Blocked),
        }
    }
}

/// Whether a list has elements; NULL has none.
pub(super) fn not_empty(list: Expr) -> Lowered<Expr> {
    let length = Expr::call("array_length", vec![list]);
    Ok(length.binary(crate::segment::BinaryOp::Gt, sql::number(0)))
}

/// The parts of a condition that must all hold.
pub(super) fn conjuncts<'a>(condition: &'a typed::Expr, parts: &mut Vec<&'a typed::Expr>) {
    match &condition.node {
        typed::Node::And(inner) => inner.iter().for_each(|part| conjuncts(part, parts)),
        _ => parts.push(condition),
    }
}
