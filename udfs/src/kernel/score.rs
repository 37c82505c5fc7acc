//! Scores from 1 to n, by rank or by fixed cuts.

/// The quantile each value lies in: 1 for the lowest, `n` for the highest. Equal values get the same
/// score, that of the lowest of them. NaN counts as the highest value.
pub fn quantile_scores(values: &[Option<f64>], n: usize) -> Vec<Option<i64>> {
    let mut sorted = values.iter().flatten().copied().collect::<Vec<_>>();
    sorted.sort_unstable_by(f64::total_cmp);
    let score = |value: f64| {
        let below = sorted.partition_point(|other| other.total_cmp(&value).is_lt());
        class(below * n / sorted.len())
    };
    values.iter().map(|value| value.map(score)).collect()
}

/// The number of cuts a value reaches, and 1: below all of them is 1. Cuts are sorted.
pub fn cut_scores(values: &[Option<f64>], cuts: &[f64]) -> Vec<Option<i64>> {
    let score = |value: f64| class(cuts.partition_point(|cut| cut.total_cmp(&value).is_le()));
    values.iter().map(|value| value.map(score)).collect()
}

/// Classes are counted from 1.
fn class(before: usize) -> i64 {
    i64::try_from(before).map_or(i64::MAX, |before| before.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0].map(Some);
        assert_eq!(quantile_scores(&values, 5), [5, 1, 4, 2, 3].map(Some));
        assert_eq!(quantile_scores(&values, 2), [2, 1, 2, 1, 1].map(Some));
        assert_eq!(
            quantile_scores(&[Some(1.0), Some(1.0), None, Some(2.0)], 3),
            [Some(1), Some(1), None, Some(3)]
        );
        assert_eq!(quantile_scores(&[None], 5), [None]);
    }

    #[test]
    fn cuts() {
        let values = [Some(9.0), Some(10.0), Some(50.5), None];
        assert_eq!(cut_scores(&values, &[10.0, 50.0]), [Some(1), Some(2), Some(3), None]);
    }
}
