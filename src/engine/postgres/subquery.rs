//! Subqueries of statements about the catalog, in the forms that DataFusion takes apart.
//!
//! DataFusion turns a correlated subquery into a join by its equalities with columns of the outer query. Other
//! predicates about outer columns are put into words without them, or before the subquery.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, GroupByExpr, Ident, JoinOperator, Query, Select, SelectItem, SetExpr,
    TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Value, Visitor, VisitorMut,
};

use super::super::visit;
use super::adapt::has_aggregate;
use super::tree::call;
use super::{catalog, recursive};

/// What a subquery that is a value is replaced with; `None` where it may stay.
pub(super) fn replacement(query: &mut Query) -> Option<Expr> {
    if query.with.as_ref().is_some_and(|with| with.recursive) {
        // What else is recursive and looks at the outer query cannot be taken apart. Drivers ask so about domains, of
        // which there are none.
        if recursive::apart(query).is_none() {
            return Some(null());
        }
    } else {
        inline(query);
    }
    let outer = {
        let SetExpr::Select(select) = &mut *query.body else { return None };
        if reads_nothing(select) && !select.projection.iter().any(is_aggregate) {
            return Some(null());
        }
        pull(select)
    };
    super::adapt::to_one_row(query);
    if outer.is_empty() {
        return None;
    }
    let result = Expr::Subquery(Box::new(query.clone()));
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: conjunction(outer)?, result }],
        else_result: None,
    })
}

/// Puts the named queries of `WITH` in a subquery's place where they are read: DataFusion plans them apart from the outer
/// query, whose columns they may name.
fn inline(query: &mut Query) {
    let Some(with) = query.with.take() else { return };
    for cte in with.cte_tables.into_iter().rev() {
        let mut put =
            Put { name: cte.alias.name.value.clone(), columns: cte.alias.columns.clone(), query: cte.query };
        let _ = visit::change(&mut query.body, &mut put);
    }
}

/// Puts a query where its name is read.
struct Put {
    name: String,
    columns: Vec<TableAliasColumnDef>,
    query: Box<Query>,
}

impl VisitorMut for Put {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = &*factor else {
            return ControlFlow::Continue(());
        };
        let is_read = match &name.0[..] {
            [only] => only.as_ident().is_some_and(|only| only.value.eq_ignore_ascii_case(&self.name)),
            _ => false,
        };
        if is_read {
            let mut alias = alias.clone().unwrap_or_else(|| TableAlias {
                explicit: true,
                name: Ident::new(self.name.clone()),
                columns: vec![],
                at: None,
            });
            if alias.columns.is_empty() {
                alias.columns = self.columns.clone();
            }
            let (subquery, alias) = (self.query.clone(), Some(alias));
            *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
        }
        ControlFlow::Continue(())
    }
}

/// Whether there are rows, as a value: DataFusion knows `EXISTS` as a condition only, and else their number.
pub(super) fn exists_as_counts(select: &mut Select) {
    struct Counts {
        depth: usize,
    }
    impl VisitorMut for Counts {
        type Break = ();
        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.depth == 0
                && let Expr::Exists { subquery, negated } = &mut *expr
                && let SetExpr::Select(select) = &mut *subquery.body
                && matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty())
                && !select.projection.iter().any(is_aggregate)
            {
                let one = Expr::Value(Value::Number("1".to_owned(), false).into());
                select.projection = vec![SelectItem::UnnamedExpr(call("count", vec![one]))];
                select.distinct = None;
                subquery.order_by = None;
                subquery.limit_clause = None;
                let op = if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
                let nothing = Expr::Value(Value::Number("0".to_owned(), false).into());
                let count = Expr::Subquery(subquery.clone());
                *expr = Expr::Nested(Box::new(Expr::BinaryOp {
                    left: Box::new(count),
                    op,
                    right: Box::new(nothing),
                }));
            }
            ControlFlow::Continue(())
        }
    }
    let _ = visit::change(&mut select.projection, &mut Counts { depth: 0 });
}

/// Every row of PostgreSQL's knows the number of its table, in a column that no `*` shows.
pub(super) fn name_tables(select: &mut Select) {
    struct Numbers(HashMap<String, i32>);
    impl VisitorMut for Numbers {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::CompoundIdentifier(parts) = &*expr
                && parts.last().is_some_and(|last| last.value.eq_ignore_ascii_case("tableoid"))
                && let Some(number) = head(expr).and_then(|table| self.0.get(&table))
            {
                *expr = Expr::Value(Value::Number(number.to_string(), false).into());
            }
            ControlFlow::Continue(())
        }
    }
    let numbers = factors(select).filter_map(|factor| {
        let TableFactor::Table { name, args: None, .. } = factor else { return None };
        let table = name.0.last()?.as_ident()?.value.to_lowercase();
        Some((name_of(factor)?, catalog::number_of(&table)?))
    });
    let numbers: HashMap<_, _> = numbers.collect();
    if !numbers.is_empty() {
        let _ = visit::change(select, &mut Numbers(numbers));
    }
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

pub(super) fn is_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => has_aggregate(expr),
        _ => false,
    }
}

/// Makes predicates independent of the outer query where an equality allows it; returns those about the outer query alone.
fn pull(select: &mut Select) -> Vec<Expr> {
    let inner = aliases(select);
    let Some(selection) = select.selection.take() else { return vec![] };
    let mut conjuncts = vec![];
    split(selection, &mut conjuncts);
    let is_outer = |expr: &Expr| head(expr).is_some_and(|head| !inner.contains(&head));
    let is_inner = |expr: &Expr| head(expr).is_some_and(|head| inner.contains(&head));
    let mut same = HashMap::new();
    let mut equalities = vec![];
    let mut others = vec![];
    for conjunct in conjuncts {
        if is_never(&conjunct) {
            equalities.push(Expr::Value(Value::Boolean(false).into()));
            continue;
        }
        match &conjunct {
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } if is_inner(left) && is_outer(right) => {
                same.insert(right.to_string(), (**left).clone());
                equalities.push(conjunct);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } if is_outer(left) && is_inner(right) => {
                same.insert(left.to_string(), (**right).clone());
                equalities.push(conjunct);
            }
            _ => others.push(conjunct),
        }
    }
    let mut outer = vec![];
    for mut conjunct in others {
        let (has_inner, has_outer) = columns(&conjunct, &inner);
        if has_outer && !has_inner {
            outer.push(conjunct);
            continue;
        }
        let _ = visit::change(&mut conjunct, &mut Replace(&same));
        equalities.push(conjunct);
    }
    select.selection = conjunction(equalities);
    outer
}

/// psql asks which columns have another collation than their type: without the answer, that is every collation beside
/// every type.
fn is_never(conjunct: &Expr) -> bool {
    let is = |expr: &Expr, name: &str| matches!(expr, Expr::CompoundIdentifier(parts) if parts.last().is_some_and(|last| last.value == name));
    matches!(
        conjunct,
        Expr::BinaryOp { left, op: BinaryOperator::NotEq, right } if is(left, "attcollation") && is(right, "typcollation")
    )
}

pub(super) fn split(expr: Expr, into: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            split(*left, into);
            split(*right, into);
        }
        Expr::Nested(inner) if matches!(*inner, Expr::BinaryOp { op: BinaryOperator::And, .. }) => {
            split(*inner, into)
        }
        other => into.push(other),
    }
}

pub(super) fn conjunction(conjuncts: Vec<Expr>) -> Option<Expr> {
    conjuncts.into_iter().reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    })
}

/// The table that a column says it is of.
pub(super) fn head(expr: &Expr) -> Option<String> {
    match expr {
        // Before the column stands its table, and perhaps a schema before that.
        Expr::CompoundIdentifier(parts) => {
            let table = parts.len().checked_sub(2).and_then(|at| parts.get(at))?;
            Some(table.value.to_lowercase())
        }
        _ => None,
    }
}

/// Whether an expression has columns of the subquery, and of the outer query. Columns without a table are the subquery's.
fn columns(expr: &Expr, inner: &[String]) -> (bool, bool) {
    struct Look<'a>(&'a [String], bool, bool);
    impl Visitor for Look<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 = true;
            ControlFlow::Break(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match head(expr) {
                Some(head) if self.0.contains(&head) => self.1 = true,
                Some(_) => self.2 = true,
                None => self.1 |= matches!(expr, Expr::Identifier(_)),
            }
            ControlFlow::Continue(())
        }
    }
    let mut look = Look(inner, false, false);
    let _ = visit::read(expr, &mut look);
    (look.1, look.2)
}

struct Replace<'a>(&'a HashMap<String, Expr>);

impl VisitorMut for Replace<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::CompoundIdentifier(_))
            && let Some(inner) = self.0.get(&expr.to_string())
        {
            *expr = inner.clone();
        }
        ControlFlow::Continue(())
    }
}

fn factors(select: &Select) -> impl Iterator<Item = &TableFactor> {
    select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
}

/// The names by which a query's columns can say whose they are.
fn aliases(select: &Select) -> Vec<String> {
    factors(select).filter_map(name_of).collect()
}

/// The name of a table in a query, in small letters.
pub(super) fn name_of(factor: &TableFactor) -> Option<String> {
    let name = match factor {
        TableFactor::Table { name, alias, .. } => {
            let own = name.0.last().and_then(|part| part.as_ident()).map(|part| part.value.clone());
            alias.as_ref().map(|alias| alias.name.value.clone()).or(own)
        }
        TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias.as_ref().map(|alias| alias.name.value.clone()),
        _ => None,
    };
    name.map(|name| name.to_lowercase())
}

/// Whether a query reads a table that is always empty, so that it has no rows.
pub(super) fn reads_nothing(select: &Select) -> bool {
    let is_empty = |factor: &TableFactor| match factor {
        TableFactor::Table { name, args: None, .. } => name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .is_some_and(|part| catalog::is_empty(&part.value.to_lowercase())),
        _ => false,
    };
    let no_rows = |from: &TableWithJoins| {
        let keeps_left = from.joins.iter().all(|join| {
            !matches!(
                join.join_operator,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
            )
        });
        let inner = from.joins.iter().filter(|join| {
            matches!(
                join.join_operator,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
            )
        });
        keeps_left && (is_empty(&from.relation) || inner.into_iter().any(|join| is_empty(&join.relation)))
    };
    select.from.iter().any(no_rows)
}
