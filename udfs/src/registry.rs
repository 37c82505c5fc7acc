//! The list of functions. A new function is one line here; registration, the reference page, the
//! documentation tests and the benchmarks follow from it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};
use datafusion::prelude::SessionContext;

use crate::window_calls::WindowCalls;
use crate::{aggregate, higher_order, scalar, window};

/// Every scalar function.
pub fn all_scalar() -> Vec<Arc<ScalarUDF>> {
    vec![
        // recency, frequency, monetary
        scalar::days_since::days_since_udf(),
        // sets
        scalar::bitmap_and::bitmap_and_udf(),
        scalar::bitmap_and_not::bitmap_and_not_udf(),
        scalar::bitmap_contains::bitmap_contains_udf(),
        scalar::bitmap_count::bitmap_count_udf(),
        scalar::bitmap_from_array::bitmap_from_array_udf(),
        scalar::bitmap_or::bitmap_or_udf(),
        scalar::bitmap_to_array::bitmap_to_array_udf(),
        scalar::bitmap_xor::bitmap_xor_udf(),
        // sketches
        scalar::theta_union::theta_union_udf(),
        scalar::theta_intersect::theta_intersect_udf(),
        scalar::theta_a_not_b::theta_a_not_b_udf(),
        scalar::theta_estimate::theta_estimate_udf(),
        scalar::theta_lower_bound::theta_lower_bound_udf(),
        scalar::theta_upper_bound::theta_upper_bound_udf(),
        scalar::hll_union::hll_union_udf(),
        scalar::hll_estimate::hll_estimate_udf(),
        scalar::hll_lower_bound::hll_lower_bound_udf(),
        scalar::hll_upper_bound::hll_upper_bound_udf(),
        scalar::kll_union::kll_union_udf(),
        scalar::kll_quantile::kll_quantile_udf(),
        scalar::kll_rank::kll_rank_udf(),
        scalar::kll_count::kll_count_udf(),
        // lists and maps
        scalar::map_to_entries::map_to_entries_udf(),
        // sequences and text
        scalar::regexp_group::regexp_group_udf(),
        scalar::steps_in_order::steps_in_order_udf(),
        // calendar
        scalar::anniversary_in::anniversary_in_udf(),
        scalar::period_end::period_end_udf(),
        scalar::period_start::period_start_udf(),
        scalar::with_year::with_year_udf(),
        // splits
        scalar::split_bucket::split_bucket_udf(),
    ]
}

/// Every aggregate function; each is usable with `OVER` too.
pub fn all_aggregate() -> Vec<Arc<AggregateUDF>> {
    vec![
        // sequence
        aggregate::did_then::did_then_udaf(),
        aggregate::did_without::did_without_udaf(),
        aggregate::window_funnel::window_funnel_udaf(),
        aggregate::sequence_match::sequence_match_udaf(),
        aggregate::sequence_count::sequence_count_udaf(),
        aggregate::sequence_match_events::sequence_match_events_udaf(),
        aggregate::sequence_next_node::sequence_next_node_udaf(),
        aggregate::sequence_steps::sequence_steps_udaf(),
        aggregate::sequence_linked::sequence_linked_udaf(),
        // retention
        aggregate::retention::retention_udaf(),
        aggregate::cohort_retention::cohort_retention_udaf(),
        // session
        aggregate::session_count::session_count_udaf(),
        aggregate::session_durations::session_durations_udaf(),
        // recency, frequency, monetary
        aggregate::nth_time::nth_time_udaf(),
        aggregate::top_k_latest::top_k_latest_udaf(),
        aggregate::inter_event_time::inter_event_time_udaf(),
        aggregate::trend::trend_udaf(),
        // first and last
        aggregate::touch::first_touch_udaf(),
        aggregate::touch::last_touch_udaf(),
        aggregate::most_frequent::most_frequent_udaf(),
        aggregate::attribute::attribute_udaf(),
        // sets
        aggregate::bitmap_build::bitmap_build_udaf(),
        aggregate::bitmap_intersect_agg::bitmap_intersect_agg_udaf(),
        aggregate::bitmap_union_agg::bitmap_union_agg_udaf(),
        // sketches
        aggregate::theta_sketch::theta_sketch_udaf(),
        aggregate::theta_union_agg::theta_union_agg_udaf(),
        aggregate::theta_intersect_agg::theta_intersect_agg_udaf(),
        aggregate::hll_sketch::hll_sketch_udaf(),
        aggregate::hll_union_agg::hll_union_agg_udaf(),
        aggregate::kll_sketch::kll_sketch_udaf(),
        aggregate::kll_union_agg::kll_union_agg_udaf(),
    ]
}

/// Every function that exists only with `OVER`.
pub fn all_window() -> Vec<Arc<WindowUDF>> {
    vec![
        // session
        window::sessionize::sessionize_udwf(),
        // recency, frequency, monetary
        window::rfm_score::rfm_score_udwf(),
    ]
}

/// Every function that takes a lambda.
pub fn all_higher_order() -> Vec<Arc<HigherOrderUDF>> {
    vec![
        // lists and maps
        higher_order::array_all_match::array_all_match_hof(),
        higher_order::array_none_match::array_none_match_hof(),
        higher_order::array_exists::array_exists_hof(),
        higher_order::array_forall::array_forall_hof(),
        higher_order::array_reduce::array_reduce_hof(),
        higher_order::array_top_n::array_top_n_hof(),
        higher_order::array_bottom_n::array_bottom_n_hof(),
        higher_order::array_group_by::array_group_by_hof(),
        higher_order::map_filter::map_filter_hof(),
        higher_order::map_any_match::map_any_match_hof(),
    ]
}

/// Registers every function of the crate. Functions of the same name are replaced; all others,
/// DataFusion's own among them, stay.
pub fn register_all(ctx: &SessionContext) -> Result<()> {
    register_all_in(&mut ctx.state_ref().write())
}

/// [`register_all`] for a state that is still being made.
pub fn register_all_in(state: &mut SessionState) -> Result<()> {
    for function in all_scalar() {
        state.register_udf(function)?;
    }
    for function in all_aggregate() {
        state.register_udaf(function)?;
    }
    for function in all_window() {
        state.register_udwf(function)?;
    }
    for function in all_higher_order() {
        state.register_higher_order_function(function)?;
    }
    state.add_analyzer_rule(Arc::new(WindowCalls));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let mut seen = BTreeSet::new();
        fn named<'a>(name: &str, aliases: &'a [String]) -> impl Iterator<Item = String> + use<'a> {
            std::iter::once(name.to_string()).chain(aliases.iter().cloned())
        }
        let mut names = vec![];
        all_scalar().iter().for_each(|f| names.extend(named(f.name(), f.aliases())));
        all_aggregate().iter().for_each(|f| names.extend(named(f.name(), f.aliases())));
        all_window().iter().for_each(|f| names.extend(named(f.name(), f.aliases())));
        all_higher_order().iter().for_each(|f| names.extend(named(f.name(), f.aliases())));
        for name in names {
            assert!(seen.insert(name.clone()), "{name} is listed twice");
        }
    }
}
