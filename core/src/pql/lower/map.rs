//! Functions of maps.

use crate::segment::{BinaryOp, Expr};

use super::super::typed::{self, Variable};
use super::super::types::Type;
use super::{Lowered, Lowering, Stop, Value, sql};

impl Lowering<'_> {
    /// A map as a list of its entries.
    pub(super) fn entries(&mut self, map: Value, of: &typed::Expr) -> Lowered<Expr> {
        match map {
            Value::Entries(entries) => Ok(entries),
            other => Ok(Expr::call("map_to_entries", vec![self.native(other, of)?])),
        }
    }

    pub(super) fn get(&mut self, of: &typed::Expr, key: &typed::Expr) -> Lowered<Value> {
        let map = self.value(of)?;
        if let (Value::Sql(map), typed::Node::String(key)) = (&map, &key.node) {
            return Ok(Value::Sql(sql::entry(map.clone(), key)));
        }
        let key_type = match &of.of {
            Type::Map(key, _) => (**key).clone(),
            _ => return Err(Stop::Blocked),
        };
        let entries = self.entries(map, of)?;
        let wanted = self.sql(key)?;
        let param = self.param();
        let own = sql::entry(Expr::column([param.clone()]), "key");
        let same =
            self.compare_sql(super::super::ast::Comparison::Equal, (own, &key_type), (wanted, &key.of));
        let found = Expr::call("array_filter", vec![entries, sql::lambda(&param, same)]);
        Ok(Value::Sql(sql::entry(sql::first(found), "value")))
    }

    fn each_entry(&mut self, entries: Expr, field: &str) -> Expr {
        let param = self.param();
        let body = sql::entry(Expr::column([param.clone()]), field);
        Expr::call("array_transform", vec![entries, sql::lambda(&param, body)])
    }

    pub(super) fn keys(&mut self, of: &typed::Expr) -> Lowered<Value> {
        Ok(Value::Sql(match self.value(of)? {
            Value::Entries(entries) => self.each_entry(entries, "key"),
            other => Expr::call("map_keys", vec![self.native(other, of)?]),
        }))
    }

    pub(super) fn map_values(&mut self, of: &typed::Expr) -> Lowered<Value> {
        let values = match self.value(of)? {
            Value::Entries(entries) => self.each_entry(entries, "value"),
            other => Expr::call("map_values", vec![self.native(other, of)?]),
        };
        let lists = matches!(&of.of, Type::Map(_, value) if matches!(**value, Type::Array(_)));
        Ok(Value::Sql(if lists { Expr::call("flatten", vec![values]) } else { values }))
    }

    pub(super) fn map_entries(
        &mut self,
        of: &typed::Expr,
        key: Variable,
        value: Variable,
        body: &typed::Expr,
    ) -> Lowered<Value> {
        let map = self.value(of)?;
        let entries = self.entries(map, of)?;
        let param = self.param();
        let entry = Expr::column([param.clone()]);
        self.bind(key, Value::Sql(sql::entry(entry.clone(), "key")));
        self.bind(value, Value::Sql(sql::entry(entry, "value")));
        let made = self.sql(body)?;
        let list = Expr::call("array_transform", vec![entries, sql::lambda(&param, made)]);
        if !matches!(body.of, Type::Entry(..)) {
            return Ok(Value::Sql(list));
        }
        // Of entries with one key one is kept, those without a key are dropped.
        let param = self.param();
        let key = sql::entry(Expr::column([param.clone()]), "key");
        let groups = Expr::call("array_group_by", vec![list, sql::lambda(&param, key)]);
        let param = self.param();
        let one = sql::first(Expr::column([param.clone()]));
        let values = Expr::call("map_values", vec![groups]);
        Ok(Value::Entries(Expr::call("array_transform", vec![values, sql::lambda(&param, one)])))
    }

    /// The profile's own record of memberships, and the segments of the warehouse.
    pub(super) fn in_segment(&mut self, id: &str, span: crate::diagnostic::Span) -> Lowered<Expr> {
        let mut parts = vec![];
        let profile = self.context.profile();
        if let Some(memberships) = profile.field("segmentMembership")
            && let Type::Map(_, of_namespace) = memberships
            && let Type::Map(_, membership) = &**of_namespace
            && let Type::Object(membership) = &**membership
            && membership.field("status").is_some()
        {
            let column = self.profile_column("segmentMembership");
            let status = sql::entry(sql::entry(sql::entry(column, "ups"), id), "status");
            let list = vec![sql::text("realized"), sql::text("existing")];
            let node = crate::segment::Node::In { expr: Box::new(status), list, negated: false };
            parts.push(Expr::synthetic(node));
        }
        if let Some(name) = (self.context.segment)(id) {
            if self.in_event {
                return Err(Stop::Blocked);
            }
            parts.push(Expr::form(crate::segment::Form::InSegment, vec![sql::text(name)]));
        }
        let none = format!("there is no segment `{id}`, and profiles have no `segmentMembership`");
        let known = parts.into_iter().reduce(|a, b| a.binary(BinaryOp::Or, b));
        known.ok_or_else(|| super::unsupported(span, &none))
    }
}
