//! Sessions: rows of which none is further than a gap from the one before.

use super::span::Span;

/// Calls `session` with the first and last row of each session. Times are sorted.
pub fn sessions(ticks: &[i64], gap: &Span, mut session: impl FnMut(usize, usize)) {
    let mut first = 0;
    for (i, pair) in ticks.windows(2).enumerate() {
        if pair[1] > gap.reach(pair[0]) {
            session(first, i);
            first = i + 1;
        }
    }
    if !ticks.is_empty() {
        session(first, ticks.len() - 1);
    }
}

/// The number of sessions. Times are sorted.
pub fn session_count(ticks: &[i64], gap: &Span) -> i64 {
    match gap {
        // Without a calendar the whole is a sum over the gaps, which the compiler vectorises.
        Span::Fixed { ticks: gap, .. } => {
            let breaks =
                ticks.windows(2).map(|pair| i64::from(pair[1].saturating_sub(pair[0]) > *gap)).sum::<i64>();
            i64::from(!ticks.is_empty()) + breaks
        }
        Span::Calendar { .. } => {
            let mut n = 0;
            sessions(ticks, gap, |_, _| n += 1);
            n
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_just_that_length_is_no_break() {
        let gap = Span::Fixed { ticks: 10, more: false };
        let count = |ticks: &[i64]| session_count(ticks, &gap);
        assert_eq!((count(&[]), count(&[3]), count(&[0, 10, 20]), count(&[0, 10, 21, 21])), (0, 1, 1, 2));
        let mut found = vec![];
        sessions(&[0, 5, 16, 40, 41], &gap, |first, last| found.push((first, last)));
        assert_eq!(found, [(0, 1), (2, 2), (3, 4)]);
    }
}
