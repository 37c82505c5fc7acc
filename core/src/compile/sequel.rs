//! One event after another, or in spite of another, as counts of events with a sequel.

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use coterie_udfs::kernel::span::{Scale, Span};

use crate::resolve::Feature;
use crate::segment::{Expr, Node, Value};

use super::condition::Condition;
use super::constant::{number, tick};
use super::feature::plain;
use super::truth::{Tree, Want};
use super::{Compiler, Counter, Leaf, Refusal, Second, Sequel};

impl Compiler<'_> {
    /// `did_then` and `did_without` as a count; `None` where a feature is something else.
    ///
    /// Some `a` has a `b` after it: at least one event of `a` is counted that has the sequel. Such a feature is never
    /// NULL.
    pub(super) fn sequel_fact(&mut self, feature: usize, want: Want) -> Result<Option<Tree>, Refusal> {
        if let Some(why) = self.refusals.features.get(&feature) {
            return Err(why.clone());
        }
        let Some(table) = self.feature_table(feature) else { return Ok(None) };
        let Feature::Aggregate { per: None, call, .. } = self.feature(feature)? else { return Ok(None) };
        if !plain(&call) || call.distinct {
            return Ok(None);
        }
        let (first, second, within, now) = match (call.name.as_str(), &call.args[..]) {
            ("did_then", [time, first, second]) if self.is_timestamp(table, time) => {
                (first, second, None, None)
            }
            ("did_then", [time, first, second, within]) if self.is_timestamp(table, time) => {
                (first, second, Some(within), None)
            }
            ("did_without", [time, first, second, within, now]) if self.is_timestamp(table, time) => {
                (first, second, Some(within), Some(now))
            }
            _ => return Ok(None),
        };
        let Some(time_type) = self.timestamp_type(table).cloned() else { return Ok(None) };
        let span = match within.map(|within| span(within, &time_type)) {
            None => None,
            Some(Some(span)) => Some(span),
            Some(None) => return Ok(None),
        };
        let missing_at = match now.map(|now| tick(now, &time_type)) {
            None => None,
            Some(Some(now)) => Some(now.floor),
            Some(None) => return Ok(None),
        };
        let filter = call.filter.as_deref();
        let both = |condition| filter.into_iter().chain([condition]).collect::<Vec<&Expr>>();
        let Condition { atom, since } = self.condition(table, &both(first), &[])?;
        let second = self.condition(table, &both(second), &[])?;
        let second = self.second(table, Second { atom: second.atom, since: second.since });
        let key = (second, within.cloned(), missing_at);
        let sequels = &mut self.out.tables[table].sequels;
        let sequel = *self.interned[table].sequels.entry(key).or_insert_with(|| {
            sequels.push(Sequel { second, within: span, missing_at });
            sequels.len() - 1
        });
        let counter = self.counter(table, Counter { sequel: Some(sequel), ..Counter::of(atom) });
        let leaf = self.leaf(Leaf::Count { table, counter, since, least: 1 });
        Ok(Some(if want.is_positive() { leaf } else { leaf.negated() }))
    }

    fn second(&mut self, table: usize, second: Second) -> usize {
        super::intern(&mut self.interned[table].seconds, &mut self.out.tables[table].seconds, second)
    }
}

/// A constant length of time in a timestamp column's own terms; `None` where the function itself has to say what it
/// is.
fn span(within: &Expr, time_type: &arrow::datatypes::DataType) -> Option<Span> {
    let scale = Scale::of(time_type)?;
    match &within.node {
        // A number without a unit is not left to guesses.
        Node::Literal(Value::Interval(text)) if text.contains(|c: char| c.is_ascii_alphabetic()) => {
            Span::from_interval(parse_interval_month_day_nano(text).ok()?, &scale).ok()
        }
        Node::Literal(Value::Number(_)) => Span::from_number(number(within)?.parse().ok()?, &scale).ok(),
        _ => None,
    }
}
