//! Whether rows can be assigned to steps, each strictly later than that of the step before, so that all links hold.
//!
//! Without links the earliest row of each step is the best. With links a row that does may have to be taken back. What
//! is left to the later steps depends on when the last row was and on the rows that they are linked to; where those are
//! that row alone, what failed once is not tried again, and the search takes as long as there are pairs of rows.

use super::links::{Field, Link};

/// The most steps: they are bits of a mask.
pub const MAX_STEPS: usize = 32;

/// How many rows one search may look at before it is given up.
const MAX_TRIES: usize = if cfg!(test) { 1_000_000 } else { 100_000_000 };

/// A search took more than a hundred million tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooHard;

/// What is asked of the rows.
#[derive(Debug, Clone)]
pub struct Steps {
    counts: Vec<usize>,
    /// By the last step they are about.
    links: Vec<Vec<Link>>,
    /// Of each step, as bits, the steps up to it that later ones are linked to.
    remembered: Vec<u32>,
}

impl Steps {
    /// Steps that need so many rows each, and what links them: the step that needs several rows may be linked to
    /// earlier ones, but has no row that later ones could be linked to. Such a step is the error.
    pub fn new(counts: Vec<usize>, links: Vec<Link>) -> Result<Self, usize> {
        let mut by_step = vec![vec![]; counts.len()];
        let mut remembered = vec![0; counts.len()];
        for link in links {
            let (mut used, mut last) = (0_u32, 0);
            link.fields(&mut |Field { step, .. }| {
                used |= 1 << step;
                last = last.max(step);
            });
            for step in (0..last).filter(|step| used >> step & 1 == 1) {
                if counts[step] > 1 {
                    return Err(step);
                }
                for kept in &mut remembered[step..last] {
                    *kept |= 1 << step;
                }
            }
            by_step[last].push(link);
        }
        Ok(Self { counts, links: by_step, remembered })
    }

    /// Whether the steps were taken. The rows are sorted by time; bit `i` of a mask says that a row can be one of
    /// step `i`. `holds` is asked whether a link that is not made of others holds of the rows of the steps.
    pub fn taken(
        &self,
        ticks: &[i64],
        masks: &[u32],
        holds: impl Fn(&Link, &[usize]) -> bool,
    ) -> Result<bool, TooHard> {
        let linked = self.remembered.iter().any(|steps| *steps != 0);
        let failed = if linked { vec![vec![]; self.counts.len()] } else { vec![] };
        let rows = vec![0; self.counts.len()];
        Search { steps: self, ticks, masks, holds, rows, failed, tries: 0 }.from(0, 0)
    }
}

struct Search<'a, H> {
    steps: &'a Steps,
    ticks: &'a [i64],
    masks: &'a [u32],
    holds: H,
    /// The row of each step taken.
    rows: Vec<usize>,
    /// By step, the rows after which the later steps could not be taken.
    failed: Vec<Vec<bool>>,
    tries: usize,
}

impl<H: Fn(&Link, &[usize]) -> bool> Search<'_, H> {
    /// Whether the steps from `step` on can be taken from row `start` on.
    fn from(&mut self, step: usize, start: usize) -> Result<bool, TooHard> {
        let steps = self.steps;
        let Some(count) = steps.counts.get(step) else { return Ok(true) };
        let mut missing = *count;
        for row in start..self.ticks.len() {
            if self.masks[row] >> step & 1 == 0 {
                continue;
            }
            self.tries += 1;
            if self.tries > MAX_TRIES {
                return Err(TooHard);
            }
            self.rows[step] = row;
            if !steps.links[step].iter().all(|link| link_holds(link, &self.rows, &self.holds)) {
                continue;
            }
            missing -= 1;
            if missing > 0 {
                continue;
            }
            missing = 1;
            let remembered = steps.remembered[step];
            let by_row_alone = remembered == 1 << step;
            if by_row_alone && self.failed[step].get(row).is_some_and(|failed| *failed) {
                continue;
            }
            let tick = self.ticks[row];
            let next = row + self.ticks[row..].partition_point(|other| *other <= tick);
            if self.from(step + 1, next)? {
                return Ok(true);
            }
            if remembered >> step & 1 == 0 {
                // Later rows leave even less to the later steps.
                return Ok(false);
            }
            if by_row_alone {
                self.failed[step].resize(self.ticks.len(), false);
                self.failed[step][row] = true;
            }
        }
        Ok(false)
    }
}

fn link_holds(link: &Link, rows: &[usize], holds: &impl Fn(&Link, &[usize]) -> bool) -> bool {
    match link {
        Link::All(links) => links.iter().all(|link| link_holds(link, rows, holds)),
        Link::Any(links) => links.iter().any(|link| link_holds(link, rows, holds)),
        Link::Not(link) => !link_holds(link, rows, holds),
        Link::True(_) | Link::Compare(..) => holds(link, rows),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::links::Operator;
    use super::*;

    /// Every assignment, one after the other.
    fn by_trying(
        counts: &[usize],
        links: &[Link],
        ticks: &[i64],
        masks: &[u32],
        holds: &impl Fn(&Link, &[usize]) -> bool,
        rows: &mut Vec<usize>,
    ) -> bool {
        let step = rows.len();
        let Some(count) = counts.get(step) else { return true };
        let after = rows.last().map_or(i64::MIN, |row| ticks[*row]);
        let candidates = (0..ticks.len()).filter(|row| ticks[*row] > after && masks[*row] >> step & 1 == 1);
        let candidates = candidates.collect::<Vec<_>>().into_iter().filter(|row| {
            let mut all = rows.clone();
            all.push(*row);
            all.resize(counts.len(), 0);
            links.iter().filter(|link| last(link) == step).all(|link| link_holds(link, &all, holds))
        });
        candidates.collect::<Vec<_>>().into_iter().skip(count - 1).any(|row| {
            rows.push(row);
            let taken = by_trying(counts, links, ticks, masks, holds, rows);
            rows.pop();
            taken
        })
    }

    fn last(link: &Link) -> usize {
        let mut last = 0;
        link.fields(&mut |field| last = last.max(field.step));
        last
    }

    fn links() -> impl Strategy<Value = Vec<Link>> {
        let operators = [Operator::Equal, Operator::NotEqual, Operator::Less, Operator::GreaterEqual];
        let field = (0..4_usize).prop_map(|step| Field { step, field: 0 });
        let compare = (field.clone(), prop::sample::select(operators.to_vec()), field)
            .prop_map(|(left, operator, right)| Link::Compare(left, operator, right));
        let link = compare.prop_recursive(2, 4, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|link| Link::Not(Box::new(link))),
                prop::collection::vec(inner, 1..3).prop_map(Link::Any),
            ]
        });
        prop::collection::vec(link, 0..4)
    }

    proptest! {
        #[test]
        fn steps_are_taken_if_some_assignment_holds(
            rows in prop::collection::vec((0..8_i64, 0..16_u32, 0..3_u8), 0..12),
            counts in prop::collection::vec(1..3_usize, 4),
            links in links(),
        ) {
            let mut rows = rows;
            rows.sort();
            let ticks = rows.iter().map(|row| row.0).collect::<Vec<_>>();
            let masks = rows.iter().map(|row| row.1).collect::<Vec<_>>();
            let holds = |link: &Link, at: &[usize]| {
                let Link::Compare(left, operator, right) = link else { return false };
                let order = rows[at[left.step]].2.cmp(&rows[at[right.step]].2);
                operator.holds(order)
            };
            if let Ok(steps) = Steps::new(counts.clone(), links.clone()) {
                let expected = by_trying(&counts, &links, &ticks, &masks, &holds, &mut vec![]);
                prop_assert_eq!(steps.taken(&ticks, &masks, holds), Ok(expected));
            }
        }
    }

    #[test]
    fn what_failed_once_is_not_tried_again() {
        // Each step is linked to the one before, and the last never holds.
        let n = 12;
        let links = (1..n).map(|step| {
            let field = |step| Field { step, field: 0 };
            Link::Compare(field(step), Operator::Equal, field(step - 1))
        });
        let steps = Steps::new(vec![1; n], links.collect()).unwrap();
        let ticks = (0..200).collect::<Vec<_>>();
        let masks = vec![u32::MAX; 200];
        let last = n - 1;
        let holds = |link: &Link, _: &[usize]| !matches!(link, Link::Compare(left, ..) if left.step == last);
        assert_eq!(steps.taken(&ticks, &masks, holds), Ok(false));
    }

    #[test]
    fn a_hopeless_search_ends() {
        // Everything is linked to everything before: every assignment is different.
        let n = 8;
        let field = |step| Field { step, field: 0 };
        let links = (1..n).flat_map(|step| {
            (0..step).map(move |before| Link::Compare(field(step), Operator::Equal, field(before)))
        });
        let steps = Steps::new(vec![1; n], links.collect()).unwrap();
        let ticks = (0..500).collect::<Vec<_>>();
        let last = n - 1;
        let holds = |link: &Link, _: &[usize]| !matches!(link, Link::Compare(left, ..) if left.step == last);
        assert_eq!(steps.taken(&ticks, &vec![u32::MAX; 500], holds), Err(TooHard));
    }

    #[test]
    fn a_step_of_several_rows_has_none_to_link_to() {
        let link = Link::Compare(Field { step: 1, field: 0 }, Operator::Equal, Field { step: 0, field: 0 });
        assert_eq!(Steps::new(vec![2, 1], vec![link.clone()]).unwrap_err(), 0);
        assert!(Steps::new(vec![1, 2], vec![link]).is_ok());
    }
}
