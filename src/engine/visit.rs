//! Walks over the parser's syntax trees.
//!
//! A walk is generic over its visitor: each type of visitor is some eight hundred functions more for the compiler. Here
//! is the only one of each kind; the visitors are called through it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor,
    VisitorMut,
};

/// Walks over a tree.
pub(super) fn read(tree: &impl Visit, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()> {
    tree.visit(&mut Reading(visitor))
}

/// Walks over a tree to change it.
pub(super) fn change(tree: &mut impl VisitMut, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()> {
    tree.visit(&mut Changing(visitor))
}

struct Reading<'a>(&'a mut dyn Visitor<Break = ()>);

struct Changing<'a>(&'a mut dyn VisitorMut<Break = ()>);

macro_rules! forward {
    ($($before:ident $after:ident $node:ident;)+) => {
        impl Visitor for Reading<'_> {
            type Break = ();

            $(
                fn $before(&mut self, node: &$node) -> ControlFlow<()> {
                    self.0.$before(node)
                }

                fn $after(&mut self, node: &$node) -> ControlFlow<()> {
                    self.0.$after(node)
                }
            )+
        }

        impl VisitorMut for Changing<'_> {
            type Break = ();

            $(
                fn $before(&mut self, node: &mut $node) -> ControlFlow<()> {
                    self.0.$before(node)
                }

                fn $after(&mut self, node: &mut $node) -> ControlFlow<()> {
                    self.0.$after(node)
                }
            )+
        }
    };
}

forward! {
    pre_visit_query post_visit_query Query;
    pre_visit_select post_visit_select Select;
    pre_visit_relation post_visit_relation ObjectName;
    pre_visit_table_factor post_visit_table_factor TableFactor;
    pre_visit_expr post_visit_expr Expr;
    pre_visit_statement post_visit_statement Statement;
    pre_visit_value post_visit_value ValueWithSpan;
}
