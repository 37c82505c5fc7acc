//! The functions of a session, as name resolution asks for them.

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;

use crate::resolve::{Functions, Sort};

/// The functions registered in a session.
pub struct Registered<'a>(pub &'a SessionState);

impl Functions for Registered<'_> {
    fn sort(&self, name: &str) -> Option<Sort> {
        let state = self.0;
        // Some names are both: `first_value` without `OVER` is an aggregate.
        if state.aggregate_functions().contains_key(name) {
            Some(Sort::Aggregate)
        } else if state.scalar_functions().contains_key(name)
            || state.higher_order_functions().contains_key(name)
            || BUILT_IN.contains(&name)
        {
            Some(Sort::Scalar)
        } else if state.window_functions().contains_key(name) {
            Some(Sort::Window)
        } else {
            None
        }
    }

    fn names(&self) -> Vec<String> {
        let state = self.0;
        let names = state.udfs().into_iter().chain(state.udafs()).chain(state.udwfs());
        let higher = state.higher_order_functions().keys().cloned();
        let mut names: Vec<String> = names.chain(higher).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Functions that DataFusion's planner knows without a registration.
const BUILT_IN: &[&str] = &["struct", "row", "grouping"];
