//! Which part of a rule DataFusion cannot plan: the smallest expression that fails, so that the user's own text can
//! be underlined.
//!
//! Only runs when planning has failed: each part is planned alone, from the whole rule downwards.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr as SqlExpr, LogicalPlan};

use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::error::{Error, Result};
use crate::planner;
use crate::resolve::{Feature, Program, Rule};
use crate::segment::{Call, Expr, Node, Value, children, walk};

use super::scope::Scope;

/// The same error with the place of the smallest part that causes it.
pub(super) async fn blame(scope: &Arc<Scope>, program: &Program, error: Error) -> Error {
    let Some(rule) = program.rules.first() else { return error };
    // A feature that fails alone is at fault, whatever the rule does with it.
    for (at, feature) in program.features.iter().enumerate() {
        if let Some(error) = fails(scope, program, &Expr::synthetic(Node::Feature(at))).await {
            let place = find_feature(&rule.expr, at).unwrap_or(rule.expr.span);
            return match within_feature(scope, program, feature).await {
                Some(found) => found,
                None => placed(error, place),
            };
        }
    }
    match deepest(scope, program, &rule.expr).await {
        Some(found) => found,
        None => placed(error, rule.expr.span),
    }
}

/// A text that stands where it would have to become what it cannot, as in `age = 'thirty'`: such a rule plans, and fails on
/// the first row.
pub(super) fn impossible(
    scope: &Arc<Scope>,
    rule: &Rule,
    program: &Program,
    plan: &LogicalPlan,
) -> Result<Option<Diagnostic>> {
    let state = scope.state();
    let typed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let mut found = None;
    typed.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let SqlExpr::Cast(cast) = part
                    && let SqlExpr::Literal(value, _) = &*cast.expr
                    && let Some(Some(text)) = value.try_as_str()
                    && value.cast_to(cast.field.data_type()).is_err()
                {
                    found = Some((text.to_owned(), cast.field.data_type().clone()));
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let Some((text, to)) = found else { return Ok(None) };
    let features = program.features.iter().map(|feature| match feature {
        Feature::Aggregate { call, .. } => Expr::synthetic(Node::Call(Box::new(call.clone()))),
        Feature::Groups { rule, .. } => rule.clone(),
    });
    let place = std::iter::once(rule.expr.clone()).chain(features).find_map(|expr| place_of(&expr, &text));
    let fault = Diagnostic::new(Kind::Type, format!("`'{text}'` is not of type {to}"));
    Ok(Some(fault.at(place.unwrap_or(rule.expr.span))))
}

/// Where a text stands in an expression.
fn place_of(expr: &Expr, text: &str) -> Option<Span> {
    let mut place = None;
    walk(expr, &mut |part| {
        if matches!(&part.node, Node::Literal(Value::String(own)) if own == text) {
            place.get_or_insert(part.span);
        }
        place.is_none()
    });
    place
}

/// The smallest failing part of a feature's aggregate.
async fn within_feature(scope: &Arc<Scope>, program: &Program, feature: &Feature) -> Option<Error> {
    let Feature::Aggregate { call, events, .. } = feature else { return None };
    for part in call.args.iter().chain(call.filter.as_deref()) {
        // A part is about one event: asked of its maximum, it is about a profile.
        let probe = |part: &Expr| {
            let filter = Expr::synthetic(Node::Is {
                expr: Box::new(part.clone()),
                test: crate::segment::Test::Null,
                negated: false,
            });
            let call =
                Call { name: "count".into(), star: true, filter: Some(Box::new(filter)), ..Call::default() };
            Feature::Aggregate { events: *events, per: None, call }
        };
        if let Some(found) = deepest_with(scope, program, part, &probe).await {
            return Some(found);
        }
    }
    None
}

/// The smallest failing part of an expression about a profile.
async fn deepest(scope: &Arc<Scope>, program: &Program, expr: &Expr) -> Option<Error> {
    let error = fails(scope, program, expr).await?;
    for child in children(expr) {
        if !matches!(child.node, Node::Lambda { .. })
            && let Some(found) = Box::pin(deepest(scope, program, child)).await
        {
            return Some(found);
        }
    }
    Some(placed(error, expr.span))
}

/// The smallest failing part of an expression that `probe` makes a feature of.
async fn deepest_with(
    scope: &Arc<Scope>,
    program: &Program,
    expr: &Expr,
    probe: &(dyn Fn(&Expr) -> Feature + Sync),
) -> Option<Error> {
    let mut alone = program.clone();
    alone.features = vec![probe(expr)];
    let error = fails(scope, &alone, &Expr::synthetic(Node::Feature(0))).await?;
    for child in children(expr) {
        if !matches!(child.node, Node::Lambda { .. })
            && let Some(found) = Box::pin(deepest_with(scope, program, child, probe)).await
        {
            return Some(found);
        }
    }
    Some(placed(error, expr.span))
}

/// Why an expression about a profile cannot be planned, if so. Only the features it uses take part.
async fn fails(scope: &Arc<Scope>, program: &Program, expr: &Expr) -> Option<Error> {
    let mut used = vec![];
    walk(expr, &mut |part| {
        if let Node::Feature(at) = part.node {
            used.push(at);
        }
        true
    });
    let mut alone = program.clone();
    for (at, feature) in alone.features.iter_mut().enumerate() {
        if !used.contains(&at)
            && let Feature::Aggregate { per: None, call, .. } = feature
        {
            *call = Call { name: "count".into(), star: true, ..Call::default() };
        }
    }
    alone.rules = vec![Rule { name: String::new(), expr: expr.clone() }];
    scope.fault_in(&planner::condition_types(&alone)).await
}

fn find_feature(expr: &Expr, at: usize) -> Option<Span> {
    let mut found = None;
    walk(expr, &mut |part| {
        if part.node == Node::Feature(at) {
            found = Some(part.span);
        }
        true
    });
    found
}

fn placed(error: Error, span: Span) -> Error {
    match error {
        Error::Wrong(faults) => {
            // The places that DataFusion knows are in the generated statement, not in the user's.
            Error::Wrong(faults.into_iter().map(|fault| Diagnostic { span: Some(span), ..fault }).collect())
        }
        failed => failed,
    }
}
