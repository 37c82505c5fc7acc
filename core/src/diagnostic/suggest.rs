//! "Did you mean …?": one distance for every list of names.

/// The candidate nearest to what was written, if it is near enough to be a slip of the keyboard: at most a third
/// of its letters wrong, compared without regard to case.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let target: Vec<char> = written.to_lowercase().chars().collect();
    let limit = (target.len() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().collect();
            let near = letters.len().abs_diff(target.len()) <= limit;
            let distance = if near { distance(&target, &letters) } else { usize::MAX };
            (distance <= limit).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, &y) in b.iter().enumerate() {
            row[j + 1] = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_slips_only() {
        let names = ["event_type", "timestamp", "sku", "price"];
        assert_eq!(nearest("event_tpye", names), Some("event_type"));
        assert_eq!(nearest("EVENTTYPE", names), Some("event_type"));
        assert_eq!(nearest("sk", names), Some("sku"));
        assert_eq!(nearest("colour", names), None);
    }
}
