//! One event after another, or in spite of another.
//!
//! Rows are sorted by time. Bit 0 of a mask says that the row is an `a`, bit 1 that it is a `b`.

use super::span::Span;

const A: u32 = 1;
const B: u32 = 2;

/// Whether some `b` comes strictly after some `a`, and at most `within` after it.
pub fn did_then(ticks: &[i64], masks: &[u32], within: Option<&Span>) -> bool {
    // The longest reach of any earlier `a`. Rows of one time do not reach each other, so an `a`
    // counts only once time has moved on.
    let mut deadline = None;
    let mut waiting: Option<i64> = None;
    for (tick, mask) in ticks.iter().zip(masks) {
        if let Some(a) = waiting
            && a < *tick
        {
            let reach = within.map_or(i64::MAX, |within| within.reach(a));
            deadline = deadline.max(Some(reach));
            waiting = None;
        }
        if mask & B != 0 && deadline.is_some_and(|deadline| *tick <= deadline) {
            return true;
        }
        if mask & A != 0 {
            waiting = Some(*tick);
        }
    }
    false
}

/// Whether some `a` has had its time, `within`, by `as_of`, and no `b` came strictly after it and
/// at most `within` after it.
pub fn did_without(ticks: &[i64], masks: &[u32], within: &Span, as_of: i64) -> bool {
    // From the end: `next_b` is the first `b` strictly after the row at hand.
    let (mut next_b, mut here, mut b_here) = (None, None, false);
    for (tick, mask) in ticks.iter().zip(masks).rev() {
        if here != Some(*tick) {
            if b_here {
                next_b = here;
            }
            (here, b_here) = (Some(*tick), false);
        }
        if mask & A != 0
            && within.over(*tick) <= as_of
            && next_b.is_none_or(|next_b| next_b > within.reach(*tick))
        {
            return true;
        }
        b_here |= mask & B != 0;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(ticks: i64) -> Span {
        Span::Fixed { ticks, more: false }
    }

    #[test]
    fn then_is_strictly_later_and_at_most_within() {
        let then =
            |ticks: &[i64], masks: &[u32], within: Option<Span>| did_then(ticks, masks, within.as_ref());
        assert!(!then(&[], &[], None));
        assert!(!then(&[1], &[A | B], None));
        assert!(!then(&[1, 1], &[A, B], None));
        assert!(then(&[1, 2], &[A, B], None));
        assert!(!then(&[1, 2], &[B, A], None));
        assert!(then(&[1, 2], &[A | B, A | B], None));
        assert!(then(&[1, 4], &[A, B], Some(fixed(3))));
        assert!(!then(&[1, 5], &[A, B], Some(fixed(3))));
        // The second `a` is at the same time as the `b`, the first one is close enough.
        assert!(then(&[1, 3, 3], &[A, A, B], Some(fixed(3))));
        assert!(!then(&[1, 2], &[A, B], Some(fixed(0))));
    }

    #[test]
    fn without_needs_the_time_to_have_passed() {
        let without = |ticks: &[i64], masks: &[u32], as_of| did_without(ticks, masks, &fixed(3), as_of);
        assert!(!without(&[], &[], 100));
        assert!(!without(&[1], &[A], 3));
        assert!(without(&[1], &[A], 4));
        assert!(without(&[1], &[A | B], 4));
        assert!(without(&[1, 1], &[A, B], 4));
        assert!(!without(&[1, 4], &[A, B], 100));
        assert!(without(&[1, 5], &[A, B], 100));
        // The second `a` is the one without.
        assert!(without(&[1, 2, 9], &[A, B, A], 100));
        assert!(!without(&[1, 2, 9], &[A, B, A], 11));
    }
}
