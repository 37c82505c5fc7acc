//! `unnest` of another table's column, in `FROM` of statements about the catalog.
//!
//! DataFusion unnests a column in `SELECT` only. So the table that has the column is replaced with a query that has the
//! items beside its own columns:
//!
//! ```sql
//! FROM pg_constraint c CROSS JOIN unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
//! FROM (SELECT *, unnest(c.conkey) AS attnum, unnest(pg_subscripts(c.conkey)) AS place FROM pg_constraint c) AS c
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, Ident, JoinConstraint, JoinOperator, OrderBy, Select,
    SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Value, Visitor, VisitorMut,
};

use super::super::visit;
use super::subquery::{head, name_of};
use super::tree::call;

/// `unnest(list) [WITH ORDINALITY] AS alias (item, place)`
struct Unnested {
    list: Expr,
    name: Ident,
    columns: Vec<Ident>,
    with_place: bool,
}

/// Moves what a query unnests to the tables whose columns it unnests; `order` is how it is sorted.
pub(super) fn unnest(select: &mut Select, order: &mut Option<OrderBy>) {
    let mut at = 0;
    while at < select.from.len() {
        let mut join = 0;
        while join < select.from[at].joins.len() {
            let joined = &select.from[at].joins[join];
            let moved = match &joined.join_operator {
                JoinOperator::CrossJoin(JoinConstraint::None) => {
                    unnested(&joined.relation).map(|u| (u, None))
                }
                JoinOperator::Join(JoinConstraint::On(on)) | JoinOperator::Inner(JoinConstraint::On(on)) => {
                    unnested(&joined.relation).map(|u| (u, Some(on.clone())))
                }
                _ => None,
            };
            if let Some((unnested, on)) = moved
                && let Some(owner) = attach(&mut select.from, (at, join), &unnested)
            {
                select.from[at].joins.remove(join);
                if let Some(on) = on.filter(|on| !is_true(on)) {
                    select.selection = Some(match select.selection.take() {
                        Some(other) => Expr::BinaryOp {
                            left: Box::new(other),
                            op: BinaryOperator::And,
                            right: Box::new(on),
                        },
                        None => on,
                    });
                }
                rename(select, order, &unnested, &owner);
            } else {
                join += 1;
            }
        }
        // `FROM t, unnest(t.list) u`
        let alone = select.from[at].joins.is_empty().then(|| unnested(&select.from[at].relation)).flatten();
        if let Some(unnested) = alone
            && let Some(owner) = attach(&mut select.from, (at, 0), &unnested)
        {
            select.from.remove(at);
            rename(select, order, &unnested, &owner);
        } else {
            at += 1;
        }
    }
}

/// The list that a table is, where it is one.
pub(super) fn list_of(factor: &TableFactor) -> Option<(&Ident, Expr)> {
    let Unnested { list, .. } = unnested(factor)?;
    let (TableFactor::UNNEST { alias, .. }
    | TableFactor::Table { alias, .. }
    | TableFactor::Function { alias, .. }) = factor
    else {
        return None;
    };
    Some((&alias.as_ref()?.name, list))
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Value::Boolean(true))
}

fn unnested(factor: &TableFactor) -> Option<Unnested> {
    fn only(args: &[FunctionArg]) -> Option<&Expr> {
        match args {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(list))] => Some(list),
            _ => None,
        }
    }
    let (list, alias, with_place) = match factor {
        TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
            let [list] = &array_exprs[..] else { return None };
            (list, alias, *with_ordinality)
        }
        TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. }
            if name.0.last()?.as_ident()?.value.eq_ignore_ascii_case("unnest") =>
        {
            (only(&args.args)?, alias, *with_ordinality)
        }
        TableFactor::Function { name, args, alias, with_ordinality, .. }
            if name.0.last()?.as_ident()?.value.eq_ignore_ascii_case("unnest") =>
        {
            (only(args)?, alias, *with_ordinality)
        }
        _ => return None,
    };
    let alias = alias.as_ref()?;
    let mut columns: Vec<Ident> = alias.columns.iter().map(|column| column.name.clone()).collect();
    // A function's only column is called as its table.
    if columns.is_empty() {
        columns.push(alias.name.clone());
    }
    if with_place && columns.len() == 1 {
        columns.push(Ident::new("ordinality"));
    }
    Some(Unnested { list: list.clone(), name: alias.name.clone(), columns, with_place })
}

/// Puts the items beside the columns of the table before `end` that has the list; returns its name.
fn attach(from: &mut [TableWithJoins], end: (usize, usize), unnested: &Unnested) -> Option<Ident> {
    let wanted = match owner(&unnested.list) {
        Owner::Nobody => return None,
        Owner::Table(name) => Some(name),
        Owner::Unsaid => None,
    };
    let mut before: Vec<&mut TableFactor> = vec![];
    for (at, table) in from.iter_mut().enumerate().take(end.0 + 1) {
        let (joins, itself) =
            if at == end.0 { (end.1, !table.joins.is_empty()) } else { (table.joins.len(), true) };
        if itself {
            before.push(&mut table.relation);
        }
        before.extend(table.joins.iter_mut().take(joins).map(|join| &mut join.relation));
    }
    let target = match wanted {
        Some(name) => before.into_iter().find(|factor| name_of(factor).as_deref() == Some(name.as_str())),
        // Whose column it is only the only table makes sure.
        None if before.len() == 1 => before.pop(),
        None => None,
    };
    let target = target?;
    let name = Ident::new(name_of(target)?);
    let mut query = super::adapt::one_row(Expr::Value(Value::Null.into()), Ident::new("one"))?;
    let SetExpr::Select(inner) = &mut *query.body else { return None };
    let item = |expr: Expr, alias: &Ident| SelectItem::ExprWithAlias { expr, alias: alias.clone() };
    inner.projection = vec![SelectItem::Wildcard(Default::default())];
    if let Some(column) = unnested.columns.first() {
        inner.projection.push(item(call("unnest", vec![unnested.list.clone()]), column));
    }
    if unnested.with_place
        && let Some(column) = unnested.columns.get(1)
    {
        let places = call("unnest", vec![call("pg_subscripts", vec![unnested.list.clone()])]);
        inner.projection.push(item(places, column));
    }
    inner.from = vec![TableWithJoins { relation: target.clone(), joins: vec![] }];
    let alias = TableAlias { explicit: true, name: name.clone(), columns: vec![], at: None };
    *target =
        TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None };
    Some(name)
}

enum Owner {
    /// It has no columns.
    Nobody,
    /// It has columns that do not say whose they are.
    Unsaid,
    Table(String),
}

fn owner(list: &Expr) -> Owner {
    struct Look(Owner);
    impl Visitor for Look {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::CompoundIdentifier(_) => {
                    self.0 = head(expr).map_or(Owner::Unsaid, Owner::Table);
                    ControlFlow::Break(())
                }
                Expr::Identifier(_) => {
                    self.0 = Owner::Unsaid;
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let mut look = Look(Owner::Nobody);
    let _ = visit::read(list, &mut look);
    look.0
}

/// `k.attnum` is now a column of the table that has the list.
fn rename(select: &mut Select, order: &mut Option<OrderBy>, unnested: &Unnested, owner: &Ident) {
    struct Rename<'a>(&'a Unnested, &'a Ident);
    impl VisitorMut for Rename<'_> {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::CompoundIdentifier(parts) = &*expr
                && let [table, column] = &parts[..]
                && table.value.eq_ignore_ascii_case(&self.0.name.value)
                && self.0.columns.iter().any(|known| known.value.eq_ignore_ascii_case(&column.value))
            {
                *expr = Expr::CompoundIdentifier(vec![self.1.clone(), column.clone()]);
            }
            ControlFlow::Continue(())
        }
    }
    let mut rename = Rename(unnested, owner);
    let _ = visit::change(select, &mut rename);
    let _ = visit::change(order, &mut rename);
}
