//! Conditions on events as atoms, with the instant before which they cannot hold.

use crate::segment::{BinaryOp, Expr, Node, Relation};

use super::constant::{mirrored, tick};
use super::question::{Of, question};
use super::truth::{Tree, Want, truth};
use super::{Atom, Compiler, Refusal};

/// The most terms of an atom. A condition that needs more is computed for each row.
const MAX_TERMS: usize = 32;

/// A condition: an atom, and that the event is not before an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) atom: usize,
    pub(super) since: i64,
}

impl Compiler<'_> {
    /// The condition that all of some expressions are TRUE for an event and some channels are not NULL.
    pub(super) fn condition(
        &mut self,
        table: usize,
        exprs: &[&Expr],
        valid: &[usize],
    ) -> Result<Condition, Refusal> {
        let mut since = i64::MIN;
        let mut parts = vec![];
        for expr in exprs {
            self.conjuncts(table, expr, &mut since, &mut parts);
        }
        let mut terms = vec![vec![]];
        for part in parts {
            terms = self.and(table, terms, &part)?;
        }
        let mut valid = valid.to_vec();
        valid.sort_unstable();
        valid.dedup();
        Ok(Condition { atom: self.atom(table, Atom { terms, valid }), since })
    }

    /// The condition, and also before (or at) an instant.
    pub(super) fn before(
        &mut self,
        table: usize,
        condition: Condition,
        bound: i64,
        or_equal: bool,
    ) -> Condition {
        let events = self.out.tables[table].events;
        let of = Of::Ordered(vec![self.program.store.store.events[events].timestamp.clone()]);
        let test = super::Test::Below { bound, or_equal };
        let literal = self.out.tables[table].questions.literal(of, test, Want::True);
        let mut atom = self.out.tables[table].atoms[condition.atom].clone();
        for term in &mut atom.terms {
            term.push(literal);
            term.sort_unstable();
            term.dedup();
        }
        Condition { atom: self.atom(table, atom), since: condition.since }
    }

    /// The conjuncts of a condition that are no lower bound of the timestamp; those become the instant.
    fn conjuncts(&self, table: usize, expr: &Expr, since: &mut i64, out: &mut Vec<Expr>) {
        match &expr.node {
            Node::Binary { op: BinaryOp::And, left, right } => {
                self.conjuncts(table, left, since, out);
                self.conjuncts(table, right, since, out);
            }
            Node::Between { expr: inner, low, high, negated: false } => {
                let part = |op, bound: &Expr| (**inner).clone().binary(op, bound.clone()).at(expr.span);
                self.conjuncts(table, &part(BinaryOp::GtEq, low), since, out);
                self.conjuncts(table, &part(BinaryOp::LtEq, high), since, out);
            }
            _ => match self.lower_bound(table, expr) {
                Some(bound) => *since = (*since).max(bound),
                None => out.push(expr.clone()),
            },
        }
    }

    /// The least timestamp that satisfies a comparison of the timestamp with a constant.
    fn lower_bound(&self, table: usize, expr: &Expr) -> Option<i64> {
        let Node::Binary { op, left, right } = &expr.node else { return None };
        let (op, constant) = if self.is_timestamp(table, left) {
            (*op, right)
        } else if self.is_timestamp(table, right) {
            (mirrored(*op)?, left)
        } else {
            return None;
        };
        let tick = tick(constant, self.timestamp_type(table)?)?;
        match op {
            BinaryOp::GtEq => tick.ceiling(),
            BinaryOp::Gt => tick.floor.checked_add(1),
            _ => None,
        }
    }

    /// Whether an expression is the table's timestamp column.
    pub(super) fn is_timestamp(&self, table: usize, expr: &Expr) -> bool {
        let events = self.out.tables[table].events;
        let timestamp = self.program.store.store.events.get(events).map(|events| &events.timestamp);
        matches!(&expr.node, Node::Attribute { relation: Relation::Events(at), path }
            if *at == events && path.len() == 1 && path.first() == timestamp)
    }

    /// The type of the table's timestamp column.
    pub(super) fn timestamp_type(&self, table: usize) -> Option<&arrow::datatypes::DataType> {
        let events = self.out.tables[table].events;
        let name = &self.program.store.store.events.get(events)?.timestamp;
        Some(self.program.store.events.get(events)?.field_with_name(name).ok()?.data_type())
    }

    /// Each term, and a condition too.
    fn and(&mut self, table: usize, terms: Vec<Vec<usize>>, part: &Expr) -> Result<Vec<Vec<usize>>, Refusal> {
        let tree = self.event_tree(table, part)?;
        let more = match disjunction(&tree) {
            Some(more) if more.len() * terms.len() <= MAX_TERMS => more,
            // Too many terms: one literal for the whole, computed for each row.
            _ => vec![vec![self.row_literal(table, part)?]],
        };
        let mut out = vec![];
        for term in &terms {
            for other in &more {
                let mut both: Vec<usize> = term.iter().chain(other).copied().collect();
                both.sort_unstable();
                both.dedup();
                if !out.contains(&both) {
                    out.push(both);
                }
            }
        }
        Ok(out)
    }

    fn event_tree(&mut self, table: usize, part: &Expr) -> Result<Tree, Refusal> {
        let home = Relation::Events(self.out.tables[table].events);
        let store = std::sync::Arc::clone(&self.program.store);
        let (questions, refusals) = (&mut self.out.tables[table].questions, self.refusals);
        truth(part, Want::True, &mut |expr, want| {
            if let Some(why) = refusals.exprs.get(expr) {
                return Err(why.clone());
            }
            let (of, test, want) = question(expr, want, home, &store);
            Ok(Tree::Leaf(questions.literal(of, test, want)))
        })
    }

    fn row_literal(&mut self, table: usize, part: &Expr) -> Result<usize, Refusal> {
        if let Some(why) = self.refusals.exprs.get(part) {
            return Err(why.clone());
        }
        let of = Of::Row(Box::new(part.clone()));
        Ok(self.out.tables[table].questions.literal(of, super::Test::Holds, Want::True))
    }
}

/// A tree of literals as an OR of ANDs; `None` where that is too long.
fn disjunction(tree: &Tree) -> Option<Vec<Vec<usize>>> {
    match tree {
        Tree::Constant(true) => Some(vec![vec![]]),
        Tree::Constant(false) => Some(vec![]),
        Tree::Leaf(literal) => Some(vec![vec![*literal]]),
        // `truth` asks leaves for the wanted value instead of negating them.
        Tree::Not(_) => None,
        Tree::Any(parts) => {
            let mut terms = vec![];
            for part in parts {
                terms.extend(disjunction(part)?);
            }
            (terms.len() <= MAX_TERMS).then_some(terms)
        }
        Tree::All(parts) => {
            let mut terms = vec![vec![]];
            for part in parts {
                let more = disjunction(part)?;
                if terms.len() * more.len() > MAX_TERMS {
                    return None;
                }
                terms = terms
                    .iter()
                    .flat_map(|term: &Vec<usize>| {
                        more.iter().map(|other| term.iter().chain(other).copied().collect())
                    })
                    .collect();
            }
            Some(terms)
        }
    }
}
