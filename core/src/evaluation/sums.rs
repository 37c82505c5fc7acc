//! Sums and means of a profile's events, window by window, and the leaves about them.

use crate::compile::{Number, float_key};

use super::bits::small;

/// No window.
const NONE: u32 = u32::MAX;

/// How one measure is summed: by its own windows, narrowest first, each the events that the one before lacks.
#[derive(Debug)]
pub(super) struct Summing {
    /// For each of the table's edges the first of the measure's windows that holds an event there.
    window: Vec<u32>,
    n_windows: usize,
    kind: Kind,
    mean: bool,
    leaves: Vec<Below>,
}

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers, to a whole number.
    Whole,
    /// Whole numbers whose mean is asked for.
    WholeToMean,
    Float,
}

/// A leaf about a measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below {
    pub(super) since: i64,
    pub(super) bound: Number,
    pub(super) or_equal: bool,
    pub(super) leaf: u32,
    /// The position of its window among the measure's.
    pub(super) window: usize,
}

/// What is summed of one profile's events, by window.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    windows: Vec<Sum>,
    /// Whether anything was added.
    any: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    n: i64,
    float: f64,
    whole: i64,
}

impl Summing {
    pub(super) fn new(mut leaves: Vec<Below>, edges: &[i64], kind: Kind, mean: bool) -> Self {
        let mut windows: Vec<i64> = leaves.iter().map(|leaf| leaf.since).collect();
        windows.sort_unstable_by(|left, right| right.cmp(left));
        windows.dedup();
        for leaf in &mut leaves {
            leaf.window = windows.iter().position(|since| *since == leaf.since).unwrap_or_default();
        }
        let first = |edge: &i64| windows.iter().position(|since| since <= edge).map_or(NONE, small);
        Self { window: edges.iter().map(first).collect(), n_windows: windows.len(), kind, mean, leaves }
    }

    /// Sums to which nothing was added.
    pub(super) fn nothing(&self) -> Sums {
        Sums { windows: vec![Sum::default(); self.n_windows], any: false }
    }

    /// Adds a value, as it is kept of an event between two of the table's edges; says whether it is the first.
    pub(super) fn add(&self, sums: &mut Sums, edge: usize, value: u64) -> bool {
        let window = self.window[edge];
        if window == NONE {
            return false;
        }
        let sum = &mut sums.windows[window as usize];
        sum.n += 1;
        match self.kind {
            Kind::Whole => sum.whole = sum.whole.wrapping_add(value.cast_signed()),
            #[expect(clippy::cast_precision_loss, reason = "as SQL's mean of whole numbers")]
            Kind::WholeToMean => sum.float += value.cast_signed() as f64,
            Kind::Float => sum.float += f64::from_bits(value),
        }
        !std::mem::replace(&mut sums.any, true)
    }

    /// Calls `found` with each leaf that holds, and forgets the sums.
    pub(super) fn compare(&self, sums: &mut Sums, mut found: impl FnMut(u32)) {
        let mut total = Sum::default();
        for sum in &mut sums.windows {
            total.n += sum.n;
            total.float += sum.float;
            total.whole = total.whole.wrapping_add(sum.whole);
            *sum = total;
        }
        for leaf in &self.leaves {
            if self.holds(leaf, sums.windows[leaf.window]) {
                found(leaf.leaf);
            }
        }
        sums.windows.fill(Sum::default());
        sums.any = false;
    }

    fn holds(&self, leaf: &Below, sum: Sum) -> bool {
        if sum.n == 0 {
            return false;
        }
        let order = if self.kind == Kind::Whole {
            match leaf.bound.whole {
                Some(bound) => sum.whole.cmp(&bound),
                #[expect(clippy::cast_precision_loss, reason = "as SQL compares a whole number with another")]
                None => float_key(sum.whole as f64).cmp(&leaf.bound.float),
            }
        } else {
            #[expect(clippy::cast_precision_loss, reason = "a count")]
            let value = if self.mean { sum.float / sum.n as f64 } else { sum.float };
            float_key(value).cmp(&leaf.bound.float)
        };
        order.is_lt() || (leaf.or_equal && order.is_eq())
    }
}
