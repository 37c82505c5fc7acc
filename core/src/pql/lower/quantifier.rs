//! Quantifiers and aggregates over bindings.

use crate::segment::Expr;

use super::super::ast::Aggregate;
use super::super::typed::{self, Binding, Fold};
use super::{Element, Lowered, Lowering, Stop, Stream, Value, each::not_empty, sql};

impl Lowering<'_> {
    pub(super) fn exists(&mut self, bindings: &[Binding]) -> Lowered<Expr> {
        let Some((binding, rest)) = bindings.split_first() else { return Ok(sql::boolean(true)) };
        let source = self.value(&binding.source)?;
        // What is about the first event alone goes into its aggregate, whatever the rest needs.
        let conditions: Vec<&typed::Expr> = binding.condition.iter().collect();
        let filtered = match &source {
            Value::Events(_) => self.filter(source, &binding.source, binding.variable, &conditions)?,
            _ if rest.is_empty() && conditions.is_empty() => source,
            _ => {
                return self.exists_such(source, &binding.source, binding.variable, &mut |lowering| {
                    lowering.satisfied(binding, rest)
                });
            }
        };
        if rest.is_empty() {
            return match filtered {
                Value::Events(stream) => Ok(self.any(&stream)),
                other => not_empty(self.native(other, &binding.source)?),
            };
        }
        self.exists_such(filtered, &binding.source, binding.variable, &mut |lowering| lowering.exists(rest))
    }

    /// A binding's condition, and that the bindings after it can be satisfied.
    fn satisfied(&mut self, binding: &Binding, rest: &[Binding]) -> Lowered<Expr> {
        let mut parts = vec![];
        if let Some(condition) = &binding.condition {
            parts.push(self.condition(condition)?);
        }
        if !rest.is_empty() {
            parts.push(self.exists(rest)?);
        }
        Ok(sql::and(parts))
    }

    pub(super) fn forall(&mut self, bindings: &[Binding]) -> Lowered<Expr> {
        let Some((binding, rest)) = bindings.split_first() else { return Ok(sql::boolean(true)) };
        if binding.condition.is_none() && rest.is_empty() {
            return Ok(sql::boolean(true));
        }
        let source = self.value(&binding.source)?;
        let fails = self.exists_such(source, &binding.source, binding.variable, &mut |lowering| {
            let mut parts = vec![];
            if let Some(condition) = &binding.condition {
                parts.push(lowering.condition(condition)?);
            }
            if !rest.is_empty() {
                parts.push(lowering.forall(rest)?);
            }
            Ok(sql::not(sql::and(parts)))
        })?;
        Ok(sql::not(fails))
    }

    pub(super) fn select(&mut self, bindings: &[Binding]) -> Lowered<Value> {
        let Some((binding, rest)) = bindings.split_first() else { return Err(Stop::Blocked) };
        let source = self.value(&binding.source)?;
        let conditions: Vec<&typed::Expr> = binding.condition.iter().collect();
        let filtered = if conditions.is_empty() {
            source
        } else {
            self.filter(source, &binding.source, binding.variable, &conditions)?
        };
        if rest.is_empty() {
            return Ok(filtered);
        }
        let list = match filtered {
            Value::Events(stream) => {
                let kept =
                    self.filter_stream(&stream, binding.variable, &mut |lowering| lowering.exists(rest));
                match kept {
                    Ok(stream) => return Ok(Value::Events(stream)),
                    Err(Stop::Blocked) if !self.in_event => self.events_list(&stream, true)?,
                    Err(stop) => return Err(stop),
                }
            }
            other => self.native(other, &binding.source)?,
        };
        let condition = self.lambda(binding.variable, |lowering| lowering.exists(rest))?;
        Ok(Value::Sql(Expr::call("array_filter", vec![list, condition])))
    }

    pub(super) fn over(
        &mut self,
        aggregate: Aggregate,
        value: &typed::Expr,
        bindings: &[Binding],
        integer: bool,
    ) -> Lowered<Expr> {
        let values = self.values_over(value, bindings)?;
        let fold = match aggregate {
            Aggregate::Count => {
                return Ok(match values {
                    Value::Events(stream) => self.count_known(&stream),
                    other => {
                        let list = self.native(other, value)?;
                        let known = self.known(list);
                        sql::length(known)
                    }
                });
            }
            Aggregate::Sum => Fold::Sum,
            Aggregate::Average => Fold::Average,
            Aggregate::Min => Fold::Min,
            Aggregate::Max => Fold::Max,
        };
        self.fold(fold, values, integer)
    }

    /// The values of an expression over all assignments.
    fn values_over(&mut self, value: &typed::Expr, bindings: &[Binding]) -> Lowered<Value> {
        let Some((binding, rest)) = bindings.split_first() else { return Err(Stop::Blocked) };
        let source = self.value(&binding.source)?;
        let conditions: Vec<&typed::Expr> = binding.condition.iter().collect();
        let source = if conditions.is_empty() {
            source
        } else {
            self.filter(source, &binding.source, binding.variable, &conditions)?
        };
        if rest.is_empty() {
            return self.map(source, &binding.source, binding.variable, value);
        }
        let list = match source {
            Value::Events(stream) => match self.flat_map_stream(&stream, binding, rest, value) {
                Ok(stream) => return Ok(Value::Events(stream)),
                Err(Stop::Blocked) if !self.in_event => self.events_list(&stream, false)?,
                Err(stop) => return Err(stop),
            },
            other => self.native(other, &binding.source)?,
        };
        let inner = self.lambda(binding.variable, |lowering| lowering.list_over(value, rest))?;
        Ok(Value::Sql(flat_map(list, inner)))
    }

    fn list_over(&mut self, value: &typed::Expr, bindings: &[Binding]) -> Lowered<Expr> {
        match self.values_over(value, bindings)? {
            Value::Events(stream) => self.events_list(&stream, false),
            other => self.native(other, value),
        }
    }

    fn flat_map_stream(
        &mut self,
        stream: &Stream,
        binding: &Binding,
        rest: &[Binding],
        value: &typed::Expr,
    ) -> Lowered<Stream> {
        let inner =
            self.about_element(stream, binding.variable, &mut |lowering| lowering.list_over(value, rest))?;
        let element = match &stream.element {
            Element::Event | Element::Sql(_) => Element::Flat(inner),
            Element::Flat(list) => Element::Flat(flat_map(list.clone(), inner)),
        };
        Ok(Stream { conditions: stream.conditions.clone(), element })
    }
}

fn flat_map(list: Expr, inner: Expr) -> Expr {
    Expr::call("flatten", vec![Expr::call("array_transform", vec![list, inner])])
}
