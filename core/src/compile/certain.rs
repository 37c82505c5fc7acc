//! What is certain to plan and to have its type, so that nobody has to ask DataFusion: the common shapes of rules.

use arrow::datatypes::DataType;

use crate::profile::Bound;
use crate::segment::{BinaryOp, Expr, Node, Relation, UnaryOp, Value};

use super::question::{is_text, type_of};
use super::{Evaluation, Of, Test};

impl Evaluation {
    /// Whether every rule takes part, and nothing in them is left for DataFusion to check.
    pub fn is_certain(&self) -> bool {
        let tables = self.tables.iter().all(|table| {
            let home = Relation::Events(table.events);
            certain_questions(&table.questions)
                && table.channels.iter().all(|channel| is_certain_value(channel, home, &self.store))
                && table.aggregates.is_empty()
        });
        self.refused.is_empty() && tables && self.values.is_empty() && certain_questions(&self.profiles)
    }
}

fn certain_questions(questions: &super::Questions) -> bool {
    questions.subjects.iter().all(|subject| {
        !matches!(subject.of, Of::Row(_) | Of::Lookup(_))
            && subject.tests.iter().all(|test| !matches!(test, Test::Expr(_)))
    })
}

/// Whether an expression about a row is certainly a value that can be kept.
fn is_certain_value(expr: &Expr, home: Relation, store: &Bound) -> bool {
    if is_number(expr, home, store) {
        return true;
    }
    let of_row = |expr: &Expr| type_of(expr, home, store);
    match &expr.node {
        Node::Attribute { .. } => of_row(expr).is_some_and(is_text),
        Node::Cast { expr, to, lenient: false } => {
            let timestamp = of_row(expr).is_some_and(|found| matches!(found, DataType::Timestamp(..)));
            timestamp && to.eq_ignore_ascii_case("DATE")
        }
        _ => false,
    }
}

/// Whether an expression about a row of a table is certainly a number that fits in eight bytes.
pub(super) fn is_number(expr: &Expr, home: Relation, store: &Bound) -> bool {
    match &expr.node {
        Node::Literal(Value::Number(_)) => true,
        Node::Attribute { .. } => type_of(expr, home, store).is_some_and(|found| {
            matches!(
                found,
                DataType::Int8
                    | DataType::Int16
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::UInt8
                    | DataType::UInt16
                    | DataType::UInt32
                    | DataType::Float32
                    | DataType::Float64
            )
        }),
        Node::Unary { op: UnaryOp::Minus, expr } => is_number(expr, home, store),
        Node::Binary { op: BinaryOp::Plus | BinaryOp::Minus | BinaryOp::Multiply, left, right } => {
            is_number(left, home, store) && is_number(right, home, store)
        }
        _ => false,
    }
}
