//! Random numbers that are the same on every machine and in every release.
//!
//! Only additions, multiplications and square roots, which IEEE 754 defines to the last bit: a logarithm may differ
//! from one C library to the next, and with it every number that the documentation shows.

/// A stream of numbers (`splitmix64`), one per profile, so that profiles can be made in any order.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream number `stream` of `seed`.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut start = Self(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        Self(start.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f64 {
        // 53 bits: every such integer is a double.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(n);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number in `low..high`.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high.saturating_sub(low)).unwrap_or(0);
        low + i64::try_from(self.below(span)).unwrap_or(0)
    }

    /// An index of a list of `n`.
    pub(super) fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap_or(0)
    }

    /// An index of a list of `n` whose first entries are the popular ones.
    pub(super) fn popular(&mut self, n: usize) -> usize {
        let skewed = self.unit() * self.unit();
        whole(skewed * n as f64).min(n.saturating_sub(1))
    }

    /// An index by weight.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut left = self.below(total);
        for (at, weight) in weights.iter().enumerate() {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return at,
            }
        }
        weights.len().saturating_sub(1)
    }

    /// At least 1, usually below 3, now and then hundreds: a Pareto distribution with exponent 4/3.
    pub(super) fn heavy(&mut self) -> f64 {
        let root = (1.0 - self.unit()).sqrt();
        1.0 / (root * root.sqrt())
    }
}

/// The whole part of a number that is not negative.
pub(super) fn whole(number: f64) -> usize {
    // A float-to-integer `as` saturates: there is nothing to lose here but the fraction.
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_never_change() {
        let mut random = Random::new(1, 2);
        let drawn: Vec<u64> = (0..4).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, Random::new(1, 2).first(4, 1000));
        assert_ne!(drawn, Random::new(1, 3).first(4, 1000));
    }

    #[test]
    fn draws_stay_in_range() {
        let mut random = Random::new(7, 7);
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&random.unit()));
            assert!((-5..5).contains(&random.between(-5, 5)));
            assert!(random.popular(3) < 3);
            assert_eq!(random.weighted(&[0, 1, 0]), 1);
            assert!(random.heavy() >= 1.0);
        }
        assert_eq!(random.below(0), 0);
        assert_eq!(random.between(5, 5), 5);
    }

    impl Random {
        fn first(mut self, n: usize, below: u64) -> Vec<u64> {
            (0..n).map(|_| self.below(below)).collect()
        }
    }
}
