//! Three-valued conditions as two-valued trees: a condition asked for one of its truth values.

use std::cmp::Ordering;

use crate::segment::{BinaryOp, Expr, Node, Test, UnaryOp, Value};

use super::constant::{mirrored, number};

/// Which truth value of a condition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// It is TRUE.
    True,
    /// It is FALSE.
    False,
    /// It is FALSE or NULL.
    NotTrue,
    /// It is TRUE or NULL.
    NotFalse,
}

impl Want {
    /// What is asked of `x` where this is asked of `NOT x`.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::NotTrue => Self::NotFalse,
            Self::NotFalse => Self::NotTrue,
        }
    }

    /// The opposite answer to the same question.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::True => Self::NotTrue,
            Self::False => Self::NotFalse,
            Self::NotTrue => Self::True,
            Self::NotFalse => Self::False,
        }
    }

    /// What is asked of `x` where this is asked of `coalesce(x, default)`.
    #[must_use]
    pub fn with_default(self, default: bool) -> Self {
        let positive = if default { Self::NotFalse } else { Self::True };
        if self.is_positive() { positive } else { positive.negated() }
    }

    /// Whether a truth value is what is asked for.
    pub fn holds(self, truth: Option<bool>) -> bool {
        match self {
            Self::True => truth == Some(true),
            Self::False => truth == Some(false),
            Self::NotTrue => truth != Some(true),
            Self::NotFalse => truth != Some(false),
        }
    }

    /// Whether TRUE is an answer to it: of a condition that is never NULL nothing else matters.
    pub fn is_positive(self) -> bool {
        matches!(self, Self::True | Self::NotFalse)
    }
}

/// A two-valued condition over leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Always so.
    Constant(bool),
    /// The leaf holds.
    Leaf(usize),
    /// The leaf does not hold.
    Not(usize),
    /// All hold.
    All(Vec<Tree>),
    /// Some holds.
    Any(Vec<Tree>),
}

impl Tree {
    /// Whether it holds, given what is known of leaves: none where that depends on the others.
    pub fn known(&self, leaf: &impl Fn(usize) -> Option<bool>) -> Option<bool> {
        // A part that has the deciding value settles it, and so do parts that all have the other one.
        let join = |parts: &[Self], deciding: bool| {
            let mut all = Some(!deciding);
            for part in parts {
                match part.known(leaf) {
                    Some(value) if value == deciding => return Some(deciding),
                    Some(_) => {}
                    None => all = None,
                }
            }
            all
        };
        match self {
            Self::Constant(value) => Some(*value),
            Self::Leaf(at) => leaf(*at),
            Self::Not(at) => leaf(*at).map(|value| !value),
            Self::All(parts) => join(parts, false),
            Self::Any(parts) => join(parts, true),
        }
    }

    /// What is left of it, given what is known of leaves.
    #[must_use]
    pub fn given(&self, leaf: &impl Fn(usize) -> Option<bool>) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(*value),
            Self::Leaf(at) => leaf(*at).map_or(Self::Leaf(*at), Self::Constant),
            Self::Not(at) => leaf(*at).map_or(Self::Not(*at), |value| Self::Constant(!value)),
            Self::All(parts) => Self::all(parts.iter().map(|part| part.given(leaf))),
            Self::Any(parts) => Self::any(parts.iter().map(|part| part.given(leaf))),
        }
    }

    /// What must hold of some leaves for it to hold, whatever the others are.
    #[must_use]
    pub fn relaxed(&self, of: &impl Fn(usize) -> bool) -> Self {
        match self {
            Self::Leaf(at) | Self::Not(at) if !of(*at) => Self::Constant(true),
            Self::Constant(_) | Self::Leaf(_) | Self::Not(_) => self.clone(),
            Self::All(parts) => Self::all(parts.iter().map(|part| part.relaxed(of))),
            Self::Any(parts) => Self::any(parts.iter().map(|part| part.relaxed(of))),
        }
    }

    /// The conjunction.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::join(parts, true)
    }

    /// The disjunction.
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::join(parts, false)
    }

    fn join(parts: impl IntoIterator<Item = Self>, all: bool) -> Self {
        let mut kept: Vec<Self> = vec![];
        for part in parts {
            match part {
                // TRUE adds nothing to a conjunction and decides a disjunction.
                Self::Constant(value) if value == all => {}
                Self::Constant(value) => return Self::Constant(value),
                Self::All(parts) if all => kept.extend(parts),
                Self::Any(parts) if !all => kept.extend(parts),
                part if kept.contains(&part) => {}
                part => kept.push(part),
            }
        }
        match kept.len() {
            0 => Self::Constant(all),
            1 => kept.remove(0),
            _ if all => Self::All(kept),
            _ => Self::Any(kept),
        }
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(!value),
            Self::Leaf(leaf) => Self::Not(leaf),
            Self::Not(leaf) => Self::Leaf(leaf),
            Self::All(parts) => Self::any(parts.into_iter().map(Self::negated)),
            Self::Any(parts) => Self::all(parts.into_iter().map(Self::negated)),
        }
    }

    /// Whether the tree holds, given which leaves do.
    pub fn holds(&self, leaf: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::Leaf(at) => leaf(*at),
            Self::Not(at) => !leaf(*at),
            Self::All(parts) => parts.iter().all(|part| part.holds(leaf)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(leaf)),
        }
    }

    /// Calls `f` with every leaf.
    pub fn visit(&self, f: &mut impl FnMut(usize)) {
        match self {
            Self::Constant(_) => {}
            Self::Leaf(at) | Self::Not(at) => f(*at),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(f)),
        }
    }
}

/// The condition asked for a truth value: boolean operators are taken apart, `leaf` says what the rest is.
pub(super) fn truth<E>(
    expr: &Expr,
    want: Want,
    leaf: &mut impl FnMut(&Expr, Want) -> Result<Tree, E>,
) -> Result<Tree, E> {
    match &expr.node {
        Node::Literal(Value::Boolean(value)) => Ok(Tree::Constant(want.holds(Some(*value)))),
        Node::Literal(Value::Null) => Ok(Tree::Constant(want.holds(None))),
        Node::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
            // A conjunction is TRUE where both parts are, not FALSE where neither is: the same question to both.
            // It is FALSE where some part is: any answer does.
            let every = (*op == BinaryOp::And) == want.is_positive();
            let parts = [truth(left, want, leaf)?, truth(right, want, leaf)?];
            Ok(if every { Tree::all(parts) } else { Tree::any(parts) })
        }
        Node::Unary { op: UnaryOp::Not, expr } => truth(expr, want.flipped(), leaf),
        Node::Is { expr: inner, test: test @ (Test::True | Test::False | Test::Unknown), negated } => {
            let positive = want.is_positive() != *negated;
            let ask = |want: Want| if positive { want } else { want.negated() };
            match test {
                Test::True => truth(inner, ask(Want::True), leaf),
                Test::False => truth(inner, ask(Want::False), leaf),
                _ => {
                    let parts = [Want::NotTrue, Want::NotFalse].map(|want| truth(inner, ask(want), leaf));
                    let [left, right] = parts;
                    let parts = [left?, right?];
                    Ok(if positive { Tree::all(parts) } else { Tree::any(parts) })
                }
            }
        }
        Node::Call(call) if call.name == "coalesce" && call.over.is_none() => match &call.args[..] {
            [inner, Expr { node: Node::Literal(Value::Boolean(default)), .. }] => {
                truth(inner, want.with_default(*default), leaf)
            }
            _ => leaf(expr, want),
        },
        Node::Between { expr: inner, low, high, negated } => {
            let bound = |op, bound: &Expr| (**inner).clone().binary(op, bound.clone());
            let within = bound(BinaryOp::GtEq, low).binary(BinaryOp::And, bound(BinaryOp::LtEq, high));
            truth(&within.at(expr.span), if *negated { want.flipped() } else { want }, leaf)
        }
        Node::Binary { op, left, right } => match with_default(*op, left, right) {
            Some((known, default)) => truth(&known.at(expr.span), want.with_default(default), leaf),
            None => leaf(expr, want),
        },
        _ => leaf(expr, want),
    }
}

/// A comparison `coalesce(x, k) < c` of numbers: `x < c`, and what it is where x is NULL.
fn with_default(op: BinaryOp, left: &Expr, right: &Expr) -> Option<(Expr, bool)> {
    let Some(constant) = number(right) else {
        number(left)?;
        return with_default(mirrored(op)?, right, left);
    };
    let Node::Call(call) = &left.node else { return None };
    let ([value, default], "coalesce", None) = (&call.args[..], call.name.as_str(), &call.over) else {
        return None;
    };
    let order = number(default)?.parse::<f64>().ok()?.partial_cmp(&constant.parse::<f64>().ok()?)?;
    let default = match op {
        BinaryOp::Eq => order == Ordering::Equal,
        BinaryOp::NotEq => order != Ordering::Equal,
        BinaryOp::Lt => order == Ordering::Less,
        BinaryOp::LtEq => order != Ordering::Greater,
        BinaryOp::Gt => order == Ordering::Greater,
        BinaryOp::GtEq => order != Ordering::Less,
        _ => return None,
    };
    Some((value.clone().binary(op, right.clone()), default))
}
