//! The way through a pattern with times: the earliest is tried first and taken back where it fails,
//! in the order ClickHouse does it.
//!
//! Rows are in the order of time, so a way that crosses another can go on as the other does. Hence
//! whatever rows before one that a step has tried are open to a later way, they have been tried in
//! vain: each step goes over the rows once, however often the choices before it are taken back.
//! And where it finds no further row for its condition, there is no way at all.

use super::{Compare, Part};

/// Most patterns have so few steps. Room on the heap would cost more than the match.
const FEW_STEPS: usize = 8;

/// A pattern as steps from row to row.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    steps: Vec<Step>,
    /// The steps from this one on match no event at all.
    tail: usize,
    n_conditions: usize,
}

/// Lets rows pass, or not, and then looks at one.
#[derive(Debug, Clone, Copy)]
struct Step {
    passes: bool,
    /// How long after the row of the step before its row may be, in ticks.
    soonest: u64,
    latest: u64,
    /// What the mask of the row must have; 0 if any row will do.
    bit: u32,
    /// Whether the next step begins after the row (1) or with it (0).
    taken: usize,
    /// The last step before this one that lets rows pass: the choice to take back.
    choice: usize,
    /// How many conditions the steps before this one have.
    n_met: usize,
}

impl Walk {
    /// The first of the parts lets any rows pass.
    pub(super) fn new(parts: &[Part]) -> Self {
        debug_assert_eq!(parts.first(), Some(&Part::Star));
        let mut walk = Self { steps: vec![], tail: 0, n_conditions: 0 };
        let (mut at, mut choice) = (0, 0);
        while at < parts.len() {
            let (passes, (soonest, latest)) = match parts[at] {
                Part::Star => (true, (0, u64::MAX)),
                Part::Time(compare, distance) => (true, range(compare, distance.unsigned_abs())),
                Part::Condition(_) | Part::Any => (false, (0, u64::MAX)),
            };
            let begins_empty = is_empty(&parts[at]);
            at += usize::from(passes);
            let (bit, taken) = match parts.get(at) {
                Some(Part::Condition(bit)) => (*bit, 1),
                Some(Part::Any) => (0, 1),
                _ => (0, 0),
            };
            at += taken;
            let n_met = walk.n_conditions;
            walk.steps.push(Step { passes, soonest, latest, bit, taken, choice, n_met });
            walk.n_conditions += usize::from(bit != 0);
            if passes {
                choice = walk.steps.len() - 1;
            }
            if !begins_empty || taken == 1 {
                walk.tail = walk.steps.len();
            }
        }
        walk
    }

    /// Whether there is a way.
    pub(super) fn occurs(&self, ticks: &[i64], masks: &[u32]) -> bool {
        self.with_room(|next| self.walk(ticks, masks, 0, next, |_, _| ()).0)
    }

    /// How many ways there are, one from where the other ended.
    pub(super) fn count(&self, ticks: &[i64], masks: &[u32]) -> i64 {
        self.with_room(|next| {
            let (mut count, mut at) = (0, 0);
            while at < ticks.len() {
                let (found, end) = self.walk(ticks, masks, at, next, |_, _| ());
                if !found {
                    break;
                }
                count += 1;
                at = end;
            }
            count
        })
    }

    /// Appends to `out` the times of the events that met the conditions on the first way; without one,
    /// on the attempt that met most.
    pub(super) fn events(&self, ticks: &[i64], masks: &[u32], out: &mut Vec<i64>) {
        let start = out.len();
        let mut most = 0;
        self.with_room(|next| {
            self.walk(ticks, masks, 0, next, |step, next| {
                let n_met = self.steps.get(step).map_or(self.n_conditions, |step| step.n_met);
                if n_met > most {
                    most = n_met;
                    let met = self.steps[..step].iter().zip(next).filter(|(step, _)| step.bit != 0);
                    out.truncate(start);
                    out.extend(met.map(|(_, next)| ticks[*next - 1]));
                }
            });
        });
    }

    /// Room for a row of each step. It is all zero, which is where the first way begins.
    #[inline]
    fn with_room<T>(&self, work: impl FnOnce(&mut [usize]) -> T) -> T {
        if self.steps.len() <= FEW_STEPS {
            work(&mut [0; FEW_STEPS])
        } else {
            work(&mut vec![0; self.steps.len()])
        }
    }

    /// Walks from row `at` on: whether there is a way, and the row after it. `next` is for each step the
    /// first row that was not tried, which is the one after its row where there is one. `ended` hears
    /// before which step an attempt ended, and the rows up to there.
    #[inline]
    fn walk(
        &self,
        ticks: &[i64],
        masks: &[u32],
        at: usize,
        next: &mut [usize],
        mut ended: impl FnMut(usize, &[usize]),
    ) -> (bool, usize) {
        let n_rows = ticks.len();
        // Spares checks of bounds.
        let masks = &masks[..n_rows];
        if at > 0 {
            next.fill(at);
        }
        // `entry` is where the step begins, `base` the time of the row of the step before. The first
        // step does not ask for it.
        let (mut step, mut entry, mut base) = (0, at, 0);
        while step < self.steps.len() && entry < n_rows {
            let Step { passes, soonest, latest, bit, taken, .. } = self.steps[step];
            // Never negative, but possibly more than the type of a tick can hold.
            let since = |row: usize| ticks[row].wrapping_sub(base).cast_unsigned();
            let mut row = entry;
            let holds = if passes {
                row = row.max(next[step]);
                while row < n_rows && !((masks[row] & bit == bit) & (since(row) >= soonest)) {
                    row += 1;
                }
                row < n_rows && since(row) <= latest
            } else {
                masks[row] & bit == bit
            };
            if holds {
                next[step] = row + 1;
                base = ticks[row];
                entry = row + taken;
                step += 1;
                continue;
            }
            ended(step, next);
            // What matches no event may do so after the last row, on a way that gets there.
            if row == n_rows && step < self.tail {
                return (false, n_rows);
            }
            next[step] = row;
            loop {
                if step == 0 {
                    return (self.tail == 0, n_rows);
                }
                step = self.steps[step].choice;
                if next[step] < n_rows {
                    break;
                }
            }
            entry = next[step];
            base = if step == 0 { 0 } else { ticks[next[step - 1] - 1] };
        }
        ended(step, next);
        (step >= self.tail, entry.max(at + 1))
    }
}

/// The times that will do, from and to.
fn range(compare: Compare, distance: u64) -> (u64, u64) {
    match compare {
        Compare::AtMost => (0, distance),
        // No time is less than none.
        Compare::Less => distance.checked_sub(1).map_or((u64::MAX, 0), |latest| (0, latest)),
        Compare::AtLeast => (distance, u64::MAX),
        Compare::More => (distance.saturating_add(1), u64::MAX),
        Compare::Equal => (distance, distance),
    }
}

/// Whether a part matches no event at all.
fn is_empty(part: &Part) -> bool {
    match part {
        Part::Star | Part::Time(Compare::AtMost | Compare::Less, _) => true,
        Part::Time(Compare::AtLeast, distance) => *distance == 0,
        Part::Time(Compare::More | Compare::Equal, _) | Part::Condition(_) | Part::Any => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One part and one row after the other, every choice in the order of ClickHouse. Whether the parts
    /// match from row `at` on, the row after, and the times of the attempt that met most conditions.
    fn tried(parts: &[Part], rows: &[(i64, u32)], at: usize) -> (bool, usize, Vec<i64>) {
        let mut choices: Vec<(usize, usize, usize, Vec<i64>)> = vec![];
        let (mut part, mut row, mut base) = (0, at, at);
        let (mut met, mut most) = (vec![], vec![]);
        while part < parts.len() && row < rows.len() {
            let (tick, mask) = rows[row];
            let since = tick - rows[base].0;
            let (holds, passes) = match parts[part] {
                Part::Condition(bit) => (mask & bit != 0, false),
                Part::Any => (true, false),
                Part::Star => (true, true),
                Part::Time(Compare::AtMost, distance) => (since <= distance, true),
                Part::Time(Compare::Less, distance) => (since < distance, true),
                Part::Time(compare, distance) => {
                    let holds = match compare {
                        Compare::AtLeast => since >= distance,
                        Compare::More => since > distance,
                        _ => since == distance,
                    };
                    if !holds && row + 1 < rows.len() {
                        row += 1;
                        continue;
                    }
                    (holds, true)
                }
            };
            if holds {
                if let Part::Condition(_) = parts[part] {
                    met.push(tick);
                }
                if met.len() > most.len() {
                    most.clone_from(&met);
                }
                if passes {
                    choices.push((part, row, base, met.clone()));
                }
                base = row;
                row += usize::from(!passes);
                part += 1;
                continue;
            }
            loop {
                let Some(choice) = choices.pop() else {
                    return (parts[part..].iter().all(is_empty), row.max(at + 1), most);
                };
                (part, row, base, met) = (choice.0, choice.1 + 1, choice.2, choice.3);
                if row < rows.len() {
                    break;
                }
            }
        }
        (parts[part..].iter().all(is_empty), row.max(at + 1), most)
    }

    fn part() -> impl Strategy<Value = Part> {
        let compare = prop::sample::select(vec![
            Compare::AtMost,
            Compare::Less,
            Compare::AtLeast,
            Compare::More,
            Compare::Equal,
        ]);
        prop_oneof![
            3 => (0..3).prop_map(|condition| Part::Condition(1_u32 << condition)),
            1 => Just(Part::Any),
            1 => Just(Part::Star),
            2 => (compare, 0..6_i64).prop_map(|(compare, distance)| Part::Time(compare, distance)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn choices_need_not_be_tried_twice(
            more in prop::collection::vec(part(), 0..10),
            rows in prop::collection::vec((0..4_i64, 0..8_u32), 0..20),
        ) {
            // A time does not follow another.
            let mut parts = vec![Part::Star];
            for part in more {
                if !matches!((parts.last(), part), (Some(Part::Time(..)), Part::Time(..))) {
                    parts.push(part);
                }
            }
            let mut tick = 0;
            let mut rows = rows;
            for (since, _) in &mut rows {
                tick += *since;
                *since = tick;
            }
            let (ticks, masks): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
            let walk = Walk::new(&parts);
            let (occurs, _, times) = tried(&parts, &rows, 0);
            prop_assert_eq!(walk.occurs(&ticks, &masks), occurs);
            let (mut count, mut at) = (0, 0);
            while at < rows.len() {
                let (found, end, _) = tried(&parts, &rows, at);
                if !found {
                    break;
                }
                (count, at) = (count + 1, end);
            }
            prop_assert_eq!(walk.count(&ticks, &masks), count);
            let mut out = vec![-1];
            walk.events(&ticks, &masks, &mut out);
            prop_assert_eq!(&out[1..], &times);
        }
    }

    #[test]
    fn many_choices_are_no_work() {
        // Every way to choose twenty of ten thousand rows fails.
        let mut parts = [Part::Star, Part::Condition(1)].repeat(20);
        parts.extend([Part::Time(Compare::Equal, 0), Part::Condition(2)]);
        let ticks = (0..10_000).collect::<Vec<_>>();
        let mut masks = vec![1; ticks.len()];
        masks[9_999] = 2;
        let walk = Walk::new(&parts);
        assert!(!walk.occurs(&ticks, &masks));
        let mut out = vec![];
        walk.events(&ticks, &masks, &mut out);
        assert_eq!(out, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn times_may_be_longer_than_ticks_count() {
        let walk = Walk::new(&[
            Part::Star,
            Part::Condition(1),
            Part::Time(Compare::More, i64::MAX),
            Part::Condition(2),
        ]);
        assert!(walk.occurs(&[i64::MIN, i64::MAX], &[1, 2]));
        assert!(!walk.occurs(&[0, i64::MAX], &[1, 2]));
        assert!(!walk.occurs(&[i64::MAX, i64::MAX], &[1, 2]));
    }
}
