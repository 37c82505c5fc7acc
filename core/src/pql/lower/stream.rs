//! Streams of events: the roads that end in an aggregate.

use crate::segment::{Expr, Order};

use super::super::typed::Fold;
use super::{Element, Lowered, Lowering, Stop, Stream, Value, sql};

impl Lowering<'_> {
    /// The event as a struct of the fields that the query uses.
    pub(super) fn event_struct(&self) -> Expr {
        let mut fields: Vec<&str> = self.event_fields.iter().map(String::as_str).collect();
        let timestamp = self.context.store.store.events.first().map(|events| events.timestamp.as_str());
        if fields.is_empty() {
            fields.extend(timestamp);
        }
        sql::record(fields.into_iter().map(|name| (name, self.event_column(name))).collect())
    }

    /// The order of events: by time, then by id.
    fn order(&self) -> Vec<Order> {
        let events = self.context.store.store.events.first();
        let columns =
            events.into_iter().flat_map(|events| std::iter::once(&events.timestamp).chain(&events.id));
        let order =
            |name: &String| Order { expr: self.event_column(name), descending: false, nulls_first: None };
        columns.map(order).collect()
    }

    /// The stream as a list. For a profile without such events it is empty if `exact`, else NULL or empty.
    pub(super) fn events_list(&mut self, stream: &Stream, exact: bool) -> Lowered<Expr> {
        if self.in_event {
            return Err(Stop::Blocked);
        }
        let (item, flat) = match &stream.element {
            Element::Event => (self.event_struct(), false),
            Element::Sql(value) => (value.clone(), false),
            Element::Flat(list) => (list.clone(), true),
        };
        let mut call = sql::aggregate("array_agg", vec![item], &stream.conditions);
        call.order_by = self.order();
        let list = sql::called(call);
        let list = if flat { Expr::call("flatten", vec![list]) } else { list };
        Ok(if exact { sql::coalesce(list, sql::list(vec![])) } else { list })
    }

    /// The first of a stream's values.
    pub(super) fn first_value(&self, stream: &Stream, value: Expr) -> Expr {
        let mut call = sql::aggregate("first_value", vec![value], &stream.conditions);
        call.order_by = self.order();
        sql::called(call)
    }

    pub(super) fn head(&mut self, stream: Stream) -> Value {
        match stream.element.clone() {
            Element::Event => Value::FirstEvent(stream),
            Element::Sql(value) => Value::Sql(self.first_value(&stream, value)),
            Element::Flat(list) => {
                // The first element is in the first list that has one.
                let mut holding = stream;
                let some = Expr::call("array_length", vec![list.clone()]);
                holding.conditions.push(some.binary(crate::segment::BinaryOp::Gt, sql::number(0)));
                Value::Sql(sql::first(self.first_value(&holding, list)))
            }
        }
    }

    /// Whether the stream has an element.
    pub(super) fn any(&self, stream: &Stream) -> Expr {
        let mut conditions = stream.conditions.clone();
        if let Element::Flat(list) = &stream.element {
            let length = Expr::call("array_length", vec![list.clone()]);
            conditions.push(length.binary(crate::segment::BinaryOp::Gt, sql::number(0)));
        }
        let count = sql::called(sql::aggregate("count", vec![], &conditions));
        count.binary(crate::segment::BinaryOp::Gt, sql::number(0))
    }

    /// How many elements the stream has.
    pub(super) fn count_stream(&self, stream: &Stream) -> Expr {
        match &stream.element {
            Element::Event | Element::Sql(_) => {
                sql::called(sql::aggregate("count", vec![], &stream.conditions))
            }
            Element::Flat(list) => {
                let length = Expr::call("array_length", vec![list.clone()]);
                let sum = sql::called(sql::aggregate("sum", vec![length], &stream.conditions));
                sql::cast(sql::coalesce(sum, sql::number(0)), "BIGINT")
            }
        }
    }

    /// How many elements are not NULL.
    pub(super) fn count_known(&mut self, stream: &Stream) -> Expr {
        match &stream.element {
            Element::Event => self.count_stream(stream),
            Element::Sql(value) => {
                sql::called(sql::aggregate("count", vec![value.clone()], &stream.conditions))
            }
            Element::Flat(list) => {
                let known = self.known(list.clone());
                self.count_stream(&Stream {
                    conditions: stream.conditions.clone(),
                    element: Element::Flat(known),
                })
            }
        }
    }

    pub(super) fn fold_stream(&mut self, fold: Fold, stream: &Stream, integer: bool) -> Lowered<Expr> {
        let conditions = &stream.conditions;
        let of = |name: &str, value: Expr| sql::called(sql::aggregate(name, vec![value], conditions));
        Ok(match (&stream.element, fold) {
            (Element::Event, _) => return Err(Stop::Blocked),
            (Element::Sql(value), Fold::Sum) => sql::coalesce(of("sum", value.clone()), zero(integer)),
            (Element::Sql(value), Fold::Average) => of("avg", value.clone()),
            (Element::Sql(value), Fold::Min) => of("min", value.clone()),
            (Element::Sql(value), Fold::Max) => of("max", value.clone()),
            (Element::Flat(list), Fold::Sum) => {
                let sum = of("sum", Expr::call("array_sum", vec![list.clone()]));
                let sum = sql::coalesce(sum, sql::double(0.0));
                if integer { sql::cast(sum, "BIGINT") } else { sum }
            }
            (Element::Flat(list), Fold::Average) => {
                let sum = of("sum", Expr::call("array_sum", vec![list.clone()]));
                let known = Expr::call("array_length", vec![Expr::call("array_compact", vec![list.clone()])]);
                let count = sql::cast(of("sum", known), "DOUBLE");
                sum.binary(
                    crate::segment::BinaryOp::Divide,
                    Expr::call("nullif", vec![count, sql::number(0)]),
                )
            }
            (Element::Flat(list), Fold::Min) => of("min", Expr::call("array_min", vec![list.clone()])),
            (Element::Flat(list), Fold::Max) => of("max", Expr::call("array_max", vec![list.clone()])),
        })
    }
}

/// Zero, as a sum of nothing is.
pub(super) fn zero(integer: bool) -> Expr {
    if integer { sql::number(0) } else { sql::double(0.0) }
}
