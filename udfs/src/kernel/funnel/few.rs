//! Funnels of few steps, without a branch on what a row is.
//!
//! Which condition comes next is as good as random. A processor that guesses wrong loses more time
//! than all steps take, so each row is tried for every step, and what it means is a selection.

use super::{Funnel, level};
use crate::kernel::span::Span;

impl Funnel {
    /// The level, where steps and modes are few enough for this to pay.
    #[inline]
    pub(super) fn level_of_few(&self, ticks: &[i64], masks: &[u32]) -> Option<usize> {
        let Span::Fixed { ticks: window, .. } = self.window else { return None };
        // The earliest time of all stands for a step that was not reached.
        if ticks.first().is_none_or(|tick| *tick == i64::MIN) {
            return None;
        }
        if self.strict_once && !self.once_forbids_nothing(ticks, masks) {
            return None;
        }
        let ordered = self.strict_order || self.strict_deduplication;
        let limited = self.limits.iter().any(Option::is_some);
        match (self.n_steps, self.strict_increase, ordered, limited) {
            (..=4, false, false, false) => self.few::<4, false, false, false>(ticks, masks, window),
            (..=4, false, false, true) => self.few::<4, false, false, true>(ticks, masks, window),
            (..=4, false, true, false) => self.few::<4, false, true, false>(ticks, masks, window),
            (..=4, false, true, true) => self.few::<4, false, true, true>(ticks, masks, window),
            (..=4, true, false, false) => self.few::<4, true, false, false>(ticks, masks, window),
            (..=4, true, false, true) => self.few::<4, true, false, true>(ticks, masks, window),
            (..=4, true, true, false) => self.few::<4, true, true, false>(ticks, masks, window),
            (..=4, true, true, true) => self.few::<4, true, true, true>(ticks, masks, window),
            // With modes, trying eight steps takes longer than guessing wrong.
            (..=8, false, false, false) => self.few::<8, false, false, false>(ticks, masks, window),
            (..=8, true, false, false) => self.few::<8, true, false, false>(ticks, masks, window),
            _ => None,
        }
    }

    /// Whether every row is an event of one condition at most. With `strict_increase` rows of one time
    /// matter, too: with `strict_once` a chain does not hide those that began before it.
    fn once_forbids_nothing(&self, ticks: &[i64], masks: &[u32]) -> bool {
        masks.iter().fold(0, |all, mask| all | mask & mask.wrapping_sub(1)) == 0
            && !(self.strict_increase && ticks.windows(2).any(|pair| pair[0] == pair[1]))
    }

    #[inline]
    fn few<const N: usize, const INCREASE: bool, const ORDERED: bool, const LIMITED: bool>(
        &self,
        ticks: &[i64],
        masks: &[u32],
        window: i64,
    ) -> Option<usize> {
        let n_rows = ticks.len();
        // Spares checks of bounds.
        let masks = &masks[..n_rows];
        let mut limits = [u64::MAX; N];
        if LIMITED {
            for (ticks, limit) in limits.iter_mut().zip(&self.limits) {
                match limit {
                    Some(Span::Fixed { ticks: limit, .. }) => *ticks = limit.unsigned_abs(),
                    Some(Span::Calendar { .. }) => return None,
                    None => {}
                }
            }
        }
        // Of the furthest chain that ends at a step, always the one that began last: until when its
        // window is open, and when the step was met.
        let mut open = [i64::MIN; N];
        let mut last = [0; N];
        let mut reached = 0_u32;
        let mut row = 0;
        while row < n_rows {
            let tick = ticks[row];
            let mut seen = masks[row];
            let (mut none, mut twice) = (seen == 0, 0);
            row += 1;
            while row < n_rows && ticks[row] == tick {
                none |= masks[row] == 0;
                twice |= seen & masks[row];
                seen |= masks[row];
                row += 1;
            }
            if ORDERED {
                if self.strict_order && none && reached & 1 == 1 {
                    return Some(level(reached));
                }
                if self.strict_deduplication {
                    // Whether the second of the same time ends the funnel depends on what the first did.
                    if twice & !1 != 0 {
                        return None;
                    }
                    if seen & reached & !1 != 0 {
                        return Some(level(reached));
                    }
                }
            }
            let (mut before_open, mut before_last) = (tick.saturating_add(window), tick);
            for step in 0..N {
                let (old_open, old_last) = (open[step], last[step]);
                let mut takes = (seen >> step & 1 == 1) & (tick <= before_open);
                if LIMITED {
                    takes &= tick.wrapping_sub(before_last).cast_unsigned() <= limits[step];
                    last[step] = if takes { tick } else { old_last };
                    before_last = if INCREASE { old_last } else { last[step] };
                }
                open[step] = if takes { before_open } else { old_open };
                before_open = match (INCREASE, takes) {
                    (false, _) => open[step],
                    // The next step must be later than this one, which is now.
                    (true, true) => i64::MIN,
                    (true, false) => old_open,
                };
                if ORDERED {
                    reached |= u32::from(takes) << step;
                }
            }
            let out_of_order = seen & !(reached << 1 | 1) != 0;
            if ORDERED && self.strict_order && !self.allow_reentry && reached & 1 == 1 && out_of_order {
                return Some(level(reached));
            }
            if open[N - 1] != i64::MIN {
                return Some(N);
            }
        }
        Some(open.iter().map(|open| usize::from(*open != i64::MIN)).sum())
    }
}
