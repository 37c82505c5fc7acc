//! `WITH RECURSIVE` in subqueries that are values, in statements about the catalog.
//!
//! DataFusion plans what `WITH` names apart from the outer query. So where its first step asks for rows of the outer
//! query's column, it asks for all rows and keeps what they were asked by, which the subquery then compares:
//!
//! ```sql
//! (WITH RECURSIVE b AS (SELECT t.oid FROM t WHERE t.oid = o.id UNION ALL SELECT … FROM t JOIN b ON …) SELECT max(oid) FROM b)
//! (WITH RECURSIVE b AS (SELECT t.oid, t.oid AS asked_by FROM t UNION ALL SELECT …, b.asked_by FROM t JOIN b ON …)
//!  SELECT max(oid) FROM b WHERE b.asked_by = o.id)
//! ```

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SelectItem, SetExpr, TableAliasColumnDef, TableFactor,
    Visitor,
};

use super::super::visit;
use super::subquery::{conjunction, head, is_aggregate, name_of, split};

const ASKED_BY: &str = "asked_by";

/// Makes what is named independent of the outer query; `None` where that is not possible.
pub(super) fn apart(query: &mut Query) -> Option<()> {
    let inner = names(query);
    let asks = |expr: &Expr| head(expr).is_some_and(|head| !inner.contains(&head));
    let with = query.with.as_mut()?;
    let named: HashSet<String> =
        with.cte_tables.iter().map(|cte| cte.alias.name.value.to_lowercase()).collect();
    if !with.cte_tables.iter().any(|cte| has(&cte.query, &asks)) {
        return Some(());
    }
    let [cte] = &mut with.cte_tables[..] else { return None };
    let SetExpr::SetOperation { left, right, .. } = &mut *cte.query.body else { return None };
    let (SetExpr::Select(first), SetExpr::Select(next)) = (&mut **left, &mut **right) else { return None };
    let SetExpr::Select(last) = &mut *query.body else { return None };
    let mut conjuncts = vec![];
    split(first.selection.clone()?, &mut conjuncts);
    let at = conjuncts.iter().position(|conjunct| equality(conjunct, &asks).is_some())?;
    let (own, outer) = equality(&conjuncts.remove(at), &asks)?;
    let is_plain = first.projection.iter().chain(&next.projection).all(|item| !is_aggregate(item));
    if !is_plain || first.distinct.is_some() {
        return None;
    }
    let (before, after) = (reader(next, &named)?, reader(last, &named)?);
    first.selection = conjunction(conjuncts);
    first.projection.push(SelectItem::ExprWithAlias { expr: own, alias: Ident::new(ASKED_BY) });
    next.projection.push(SelectItem::UnnamedExpr(column(before)));
    if !cte.alias.columns.is_empty() {
        cte.alias.columns.push(TableAliasColumnDef::from_name(ASKED_BY));
    }
    if has(&cte.query, &asks) {
        return None;
    }
    let asked =
        Expr::BinaryOp { left: Box::new(column(after)), op: BinaryOperator::Eq, right: Box::new(outer) };
    last.selection = conjunction(last.selection.take().into_iter().chain([asked]).collect());
    Some(())
}

fn column(table: String) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::new(table), Ident::new(ASKED_BY)])
}

/// The two sides of `column = outer column`, in this order.
fn equality(expr: &Expr, asks: &dyn Fn(&Expr) -> bool) -> Option<(Expr, Expr)> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match (asks(left), asks(right)) {
            (false, true) => Some(((**left).clone(), (**right).clone())),
            (true, false) => Some(((**right).clone(), (**left).clone())),
            _ => None,
        },
        Expr::Nested(inner) => equality(inner, asks),
        _ => None,
    }
}

/// By which name a SELECT reads what is named.
fn reader(select: &Select, named: &HashSet<String>) -> Option<String> {
    let factors = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    factors.into_iter().find_map(|factor| match factor {
        TableFactor::Table { name, args: None, .. } => {
            let only = name.0.last().filter(|_| name.0.len() == 1)?.as_ident()?.value.to_lowercase();
            named.contains(&only).then(|| name_of(factor)).flatten()
        }
        _ => None,
    })
}

/// The names of all tables in a query.
fn names(query: &Query) -> HashSet<String> {
    struct Look(HashSet<String>);
    impl Visitor for Look {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            self.0.extend(name_of(factor));
            ControlFlow::Continue(())
        }
    }
    let mut look = Look(HashSet::new());
    let _ = visit::read(query, &mut look);
    look.0
}

fn has(query: &Query, asks: &dyn Fn(&Expr) -> bool) -> bool {
    struct Look<'a>(&'a dyn Fn(&Expr) -> bool);
    impl Visitor for Look<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if (self.0)(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    visit::read(query, &mut Look(asks)).is_break()
}
