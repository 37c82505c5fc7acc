//! How far into a sequence of conditions the rows of a group came.
//!
//! Rows are sorted by time; bit `i` of a mask says that condition `i` holds. A row where several
//! conditions hold counts as an event of each, in the order of the conditions; so do several rows
//! of one time, all of one condition before any of the next.

mod few;

use super::span::Span;

/// The most conditions of a funnel: they are bits of a mask.
pub const MAX_STEPS: usize = 32;

/// What is asked of the rows.
#[derive(Debug, Clone)]
pub struct Funnel {
    /// The number of conditions.
    pub n_steps: usize,
    /// How long after the first event the others may come.
    pub window: Span,
    /// How long after the event before it an event may come, by condition; the first has no use for it.
    pub limits: Vec<Option<Span>>,
    /// Any event out of order ends the funnel.
    pub strict_order: bool,
    /// An event of a condition that was already reached ends the funnel.
    pub strict_deduplication: bool,
    /// Times must increase from step to step.
    pub strict_increase: bool,
    /// A row counts for one condition only.
    pub strict_once: bool,
    /// With `strict_order`: events that are too early do not end the funnel.
    pub allow_reentry: bool,
}

/// How the furthest chain that ends at a condition stands.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    /// Until when the window is open.
    deadline: i64,
    /// When the condition was met.
    last: i64,
}

impl Funnel {
    /// A funnel without any mode.
    pub fn new(n_steps: usize, window: Span) -> Self {
        Self {
            n_steps,
            window,
            limits: vec![None; n_steps],
            strict_order: false,
            strict_deduplication: false,
            strict_increase: false,
            strict_once: false,
            allow_reentry: false,
        }
    }

    /// Whether rows where no condition holds matter.
    pub fn needs_all_rows(&self) -> bool {
        self.strict_order
    }

    /// The number of conditions met in sequence.
    pub fn level(&self, ticks: &[i64], masks: &[u32]) -> usize {
        self.level_of_few(ticks, masks).unwrap_or_else(|| self.level_of_any(ticks, masks))
    }

    fn level_of_any(&self, ticks: &[i64], masks: &[u32]) -> usize {
        let plain = !self.strict_order
            && !self.strict_deduplication
            && !self.strict_increase
            && self.limits.iter().all(Option::is_none);
        if self.strict_once {
            self.level_once(ticks, masks)
        } else if plain {
            self.level_plain(ticks, masks)
        } else if self.n_steps <= 8 {
            // Clearing room for 32 chains would cost more than the rows of a small group.
            self.level_in_mode::<8>(ticks, masks)
        } else {
            self.level_in_mode::<MAX_STEPS>(ticks, masks)
        }
    }

    /// Without modes all that matters of the chain that ends at a condition is until when its window
    /// is open, and an event more of the same time changes nothing.
    fn level_plain(&self, ticks: &[i64], masks: &[u32]) -> usize {
        // `open[step]` is until when a chain of so many steps may go on. It never exceeds that of a
        // shorter chain: the later a chain began, the fewer steps it has.
        let mut open = [i64::MIN; MAX_STEPS];
        let last = self.n_steps - 1;
        let mut row = 0;
        while row < ticks.len() {
            let tick = ticks[row];
            let mut seen = masks[row];
            row += 1;
            while row < ticks.len() && ticks[row] == tick {
                seen |= masks[row];
                row += 1;
            }
            let start = self.window.reach(tick);
            while seen != 0 {
                // The remainder changes nothing, it spares a check of bounds.
                let step = seen.trailing_zeros() as usize % MAX_STEPS;
                seen &= seen - 1;
                let before = if step == 0 { start } else { open[step - 1] };
                open[step] = if tick <= before { before } else { open[step] };
            }
            if open[last] != i64::MIN {
                return self.n_steps;
            }
        }
        open.iter().take_while(|open| **open != i64::MIN).count()
    }

    /// Keeps one chain for each condition, always the one that began last.
    fn level_in_mode<const N: usize>(&self, ticks: &[i64], masks: &[u32]) -> usize {
        let mut chains = [Chain::default(); N];
        let mut reached = 0_u32;
        let mut row = 0;
        while row < ticks.len() {
            let (tick, end) = (ticks[row], end_of_time(ticks, row));
            let mut seen = masks[row..end].iter().fold(0, |all, mask| all | mask);
            if self.strict_order && reached & 1 != 0 && masks[row..end].contains(&0) {
                return level(reached);
            }
            while seen != 0 {
                let step = seen.trailing_zeros() as usize;
                seen &= seen - 1;
                let times = if end - row == 1 {
                    1
                } else {
                    masks[row..end].iter().filter(|mask| **mask >> step & 1 == 1).count()
                };
                for _ in 0..times {
                    if step == 0 {
                        chains[0] = Chain { deadline: self.window.reach(tick), last: tick };
                        reached |= 1;
                        continue;
                    }
                    let before = reached >> (step - 1) & 1 == 1;
                    if self.strict_deduplication && reached >> step & 1 == 1 {
                        return level(reached);
                    }
                    if self.strict_order && reached & 1 != 0 && !before {
                        if self.allow_reentry {
                            continue;
                        }
                        return reached.trailing_ones() as usize;
                    }
                    if !before {
                        continue;
                    }
                    let chain = chains[step - 1];
                    if tick <= chain.deadline && self.may_follow(step, chain, tick) {
                        chains[step] = Chain { last: tick, ..chain };
                        reached |= 1 << step;
                        if step + 1 == self.n_steps {
                            return self.n_steps;
                        }
                    }
                }
            }
            row = end;
        }
        level(reached)
    }

    fn may_follow(&self, step: usize, before: Chain, tick: i64) -> bool {
        (!self.strict_increase || before.last < tick)
            && self.limits[step].as_ref().is_none_or(|limit| tick <= limit.reach(before.last))
    }

    /// A row may serve one condition of a chain only, and which is best is not known when it comes:
    /// all chains that differ in what is still open to them are followed.
    fn level_once(&self, ticks: &[i64], masks: &[u32]) -> usize {
        let mut chains: Vec<Vec<OnceChain>> = vec![vec![]; self.n_steps];
        let reached = |chains: &[Vec<OnceChain>]| {
            chains.iter().rposition(|at_step| !at_step.is_empty()).map_or(0, |step| step + 1)
        };
        let mut row = 0;
        while row < ticks.len() {
            let (tick, end) = (ticks[row], end_of_time(ticks, row));
            chains.iter_mut().for_each(move_on);
            if self.strict_order && !chains[0].is_empty() && masks[row..end].contains(&0) {
                return reached(&chains);
            }
            for step in 0..self.n_steps {
                for event in (row..end).filter(|event| masks[*event] >> step & 1 == 1) {
                    if step == 0 {
                        let chain = Chain { deadline: self.window.reach(tick), last: tick };
                        chains[0].push(OnceChain { chain, used: vec![event] });
                        continue;
                    }
                    if self.strict_deduplication && !chains[step].is_empty() {
                        return reached(&chains);
                    }
                    if self.strict_order && !chains[0].is_empty() && chains[step - 1].is_empty() {
                        if self.allow_reentry {
                            continue;
                        }
                        return chains.iter().position(Vec::is_empty).unwrap_or(self.n_steps);
                    }
                    let (before, from) = chains.split_at_mut(step);
                    for OnceChain { chain, used } in &before[step - 1] {
                        if tick > chain.deadline
                            || used.contains(&event)
                            || !self.may_follow(step, *chain, tick)
                        {
                            continue;
                        }
                        if step + 1 == self.n_steps {
                            return self.n_steps;
                        }
                        let mut used = used.clone();
                        used.push(event);
                        used.sort_unstable();
                        let next = OnceChain { chain: Chain { last: tick, ..*chain }, used };
                        if !from[0].iter().any(|known| {
                            known.used == next.used && known.chain.deadline >= next.chain.deadline
                        }) {
                            from[0].push(next);
                        }
                    }
                }
            }
            row = end;
        }
        reached(&chains)
    }
}

/// A chain, and the rows of the present time that it has used.
#[derive(Debug, Clone)]
struct OnceChain {
    chain: Chain,
    used: Vec<usize>,
}

/// Time moves on: which rows were used no longer matters, and of two chains the one that is open
/// longer in both respects is as good as both.
fn move_on(chains: &mut Vec<OnceChain>) {
    if chains.len() == 1 {
        chains[0].used.clear();
        return;
    }
    chains.sort_unstable_by_key(|one| std::cmp::Reverse((one.chain.deadline, one.chain.last)));
    let mut latest = None;
    chains.retain_mut(|one| {
        one.used.clear();
        let better = latest < Some(one.chain.last);
        latest = latest.max(Some(one.chain.last));
        better
    });
}

/// The row after those of the same time as one.
fn end_of_time(ticks: &[i64], row: usize) -> usize {
    row + ticks[row..].iter().take_while(|tick| **tick == ticks[row]).count()
}

fn level(reached: u32) -> usize {
    (u32::BITS - reached.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn funnel(n_steps: usize, window: i64) -> Funnel {
        Funnel::new(n_steps, Span::Fixed { ticks: window, more: false })
    }

    fn level(funnel: &Funnel, rows: &[(i64, u32)]) -> usize {
        let (ticks, masks): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        funnel.level(&ticks, &masks)
    }

    #[test]
    fn counts_steps_within_the_window() {
        let three = funnel(3, 10);
        assert_eq!(level(&three, &[]), 0);
        assert_eq!(level(&three, &[(0, 2), (1, 4)]), 0);
        assert_eq!(level(&three, &[(0, 1), (5, 2), (10, 4)]), 3);
        assert_eq!(level(&three, &[(0, 1), (5, 2), (11, 4)]), 2);
        // A later start opens the window anew.
        assert_eq!(level(&three, &[(0, 1), (5, 1), (8, 2), (15, 4)]), 3);
        // One row may be all steps at once.
        assert_eq!(level(&three, &[(0, 7)]), 3);
    }

    #[test]
    fn modes() {
        let order = Funnel { strict_order: true, ..funnel(3, 10) };
        assert_eq!(level(&order, &[(0, 1), (1, 2), (2, 0), (3, 4)]), 2);
        assert_eq!(level(&order, &[(0, 0), (1, 1), (2, 4), (3, 2)]), 1);
        let reentry = Funnel { allow_reentry: true, ..order };
        assert_eq!(level(&reentry, &[(1, 1), (2, 4), (3, 2), (4, 4)]), 3);
        let deduplication = Funnel { strict_deduplication: true, ..funnel(3, 10) };
        assert_eq!(level(&deduplication, &[(0, 1), (1, 2), (2, 2), (3, 4)]), 2);
        let increase = Funnel { strict_increase: true, ..funnel(3, 10) };
        assert_eq!(level(&increase, &[(0, 1), (1, 2), (1, 4)]), 2);
        let once = Funnel { strict_once: true, ..funnel(3, 10) };
        assert_eq!(level(&once, &[(0, 3), (1, 4)]), 1);
        assert_eq!(level(&once, &[(0, 3), (0, 3), (1, 4)]), 3);
    }

    #[test]
    fn limits_hold_from_step_to_step() {
        let mut limited = funnel(3, 100);
        limited.limits[2] = Some(Span::Fixed { ticks: 5, more: false });
        assert_eq!(level(&limited, &[(0, 1), (50, 2), (56, 4)]), 2);
        assert_eq!(level(&limited, &[(0, 1), (50, 2), (52, 2), (56, 4)]), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8192))]

        #[test]
        fn few_steps_are_as_any(
            n_steps in 1..9_usize,
            rows in prop::collection::vec((0..3_i64, 0..256_u32, 0..256_u32), 0..16),
            one_condition: bool,
            window in 0..20_i64,
            limits in prop::collection::vec(prop::option::of(0..8_i64), 8),
            limited: bool,
            modes in 0..32_u32,
        ) {
            let mut tick = i64::MAX - 20;
            let mut rows = rows
                .iter()
                .map(|(since, mask, other)| {
                    tick = tick.saturating_add(*since);
                    let mask = if one_condition { 1 << (mask % 9) } else { mask & other };
                    (tick, mask & ((1 << n_steps) - 1))
                })
                .collect::<Vec<_>>();
            rows.sort_unstable();
            let (ticks, masks): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let span = |ticks: &Option<i64>| ticks.map(|ticks| Span::Fixed { ticks, more: false });
            let funnel = Funnel {
                limits: limits[..n_steps].iter().map(|limit| span(limit).filter(|_| limited)).collect(),
                strict_order: modes & 1 != 0,
                strict_deduplication: modes & 2 != 0,
                strict_increase: modes & 4 != 0,
                strict_once: modes & 8 != 0,
                allow_reentry: modes & 16 != 0,
                ..funnel(n_steps, window)
            };
            if let Some(level) = funnel.level_of_few(&ticks, &masks) {
                prop_assert_eq!(level, funnel.level_of_any(&ticks, &masks));
            }
        }
    }
}
