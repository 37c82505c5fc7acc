//! Rules as trees over facts about a profile.

use crate::resolve::Feature;
use crate::segment::{BinaryOp, Expr, Node, Relation, Test, walk};

use super::constant::mirrored;
use super::question::question;
use super::truth::{Tree, Want, truth};
use super::{Compiler, Leaf, Refusal};

impl Compiler<'_> {
    /// The rule as a tree.
    pub(super) fn rule(&mut self, expr: &Expr) -> Result<Tree, Refusal> {
        truth(expr, Want::True, &mut |expr, want| self.fact(expr, want))
    }

    /// A condition on a profile that no boolean operator stands above.
    fn fact(&mut self, expr: &Expr, want: Want) -> Result<Tree, Refusal> {
        if let Some(why) = self.refusals.exprs.get(expr) {
            return Err(why.clone());
        }
        if let Some(tree) = self.rank_fact(expr)? {
            // A rank is never NULL.
            return Ok(if want.is_positive() { tree } else { tree.negated() });
        }
        let features = self.features(expr)?;
        if features.is_empty() {
            return self.attribute(expr, want);
        }
        if let Some(tree) = self.count_fact(expr, want)? {
            return Ok(tree);
        }
        if let Node::Feature(feature) = expr.node
            && let Some(tree) = self.sequel_fact(feature, want)?
        {
            return Ok(tree);
        }
        for feature in features {
            self.value_feature(feature)?;
        }
        let positive = want.is_positive();
        let want = if positive { want } else { want.negated() };
        let value = super::intern(&mut self.values, &mut self.out.values, expr.clone());
        // TRUE or NULL is not FALSE.
        let leaf = self.leaf(Leaf::Value { value, truth: want == Want::True });
        let leaf = if want == Want::True { leaf } else { leaf.negated() };
        Ok(if positive { leaf } else { leaf.negated() })
    }

    /// The features that an expression over a profile is about.
    pub(super) fn features(&self, expr: &Expr) -> Result<Vec<usize>, Refusal> {
        let mut features = vec![];
        let mut fault = None;
        walk(expr, &mut |part| {
            match &part.node {
                Node::Feature(at) => features.push(*at),
                Node::Call(call) if call.over.is_some() => {
                    fault = Some(format!("`{}` ranges over all profiles", call.name));
                }
                Node::Call(call) if VOLATILE.contains(&call.name.as_str()) => {
                    fault = Some(format!("`{}` has another value each time", call.name));
                }
                Node::Attribute { relation: Relation::Lookup(_), .. } => {
                    fault = Some("it is about a lookup of the profile".to_owned());
                }
                _ => {}
            }
            true
        });
        fault.map_or(Ok(features), Err)
    }

    fn attribute(&mut self, expr: &Expr, want: Want) -> Result<Tree, Refusal> {
        let (of, test, want) = question(expr, want, Relation::Profiles, &self.program.store);
        let positive = matches!(want, Want::True | Want::False);
        let asked = if positive { want } else { want.negated() };
        let literal = self.out.profiles.literal(of, test, asked);
        let leaf = self.leaf(Leaf::Attribute(literal));
        Ok(if positive { leaf } else { leaf.negated() })
    }

    /// A comparison of one feature with a constant, or whether it is NULL, where counts say it.
    fn count_fact(&mut self, expr: &Expr, want: Want) -> Result<Option<Tree>, Refusal> {
        match &expr.node {
            Node::Binary { op, left, right } => {
                let (feature, op, constant) = match (&left.node, &right.node) {
                    (Node::Feature(at), _) => (*at, *op, right),
                    (_, Node::Feature(at)) => match mirrored(*op) {
                        Some(op) => (*at, op, left),
                        None => return Ok(None),
                    },
                    _ => return Ok(None),
                };
                if !is_comparison(op) {
                    return Ok(None);
                }
                self.compared(feature, op, constant, want)
            }
            Node::Is { expr, test: Test::Null, negated } => match expr.node {
                Node::Feature(feature) => {
                    let Some(tree) = self.is_known(feature)? else { return Ok(None) };
                    // `IS NULL` is never NULL itself.
                    let null = want.is_positive() != *negated;
                    Ok(Some(if null { tree.negated() } else { tree }))
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// A feature's table, if it is an aggregate over a profile's events.
    pub(super) fn feature_table(&mut self, feature: usize) -> Option<usize> {
        let events = self.program.events_of(self.program.features.get(feature)?)?;
        Some(self.table(events))
    }

    /// The feature that an expression stands for.
    pub(super) fn feature(&self, at: usize) -> Result<Feature, Refusal> {
        self.program.features.get(at).cloned().ok_or_else(|| "it is about an unknown feature".to_owned())
    }
}

/// Functions whose value differs from call to call.
const VOLATILE: [&str; 3] = ["random", "uuid", "gen_random_uuid"];

fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq
    )
}
