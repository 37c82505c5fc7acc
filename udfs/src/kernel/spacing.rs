//! How far apart things are in time, and where a value is heading.

/// What there is to say about the distances from one event to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spacing {
    /// The number of distances: one less than there are events.
    pub count: i64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, as of a sample; none of a single distance.
    pub sd: Option<f64>,
    /// The smallest, the quartiles and the largest.
    pub quartiles: [f64; 5],
}

/// Distances between sorted times; `seconds` says what ticks are worth. None where there are fewer than two times.
pub fn spacing(ticks: &[i64], seconds: impl Fn(f64) -> f64, scratch: &mut Vec<i64>) -> Option<Spacing> {
    scratch.clear();
    scratch.extend(ticks.windows(2).map(|pair| pair[1].saturating_sub(pair[0])));
    let (first, last) = (*ticks.first()?, *ticks.last()?);
    if scratch.is_empty() {
        return None;
    }
    scratch.sort_unstable();
    let n = scratch.len() as f64;
    // The distances telescope: their sum is exact.
    let mean = last.saturating_sub(first) as f64 / n;
    let squares = scratch.iter().map(|distance| (*distance as f64 - mean).powi(2)).sum::<f64>();
    let sd = (scratch.len() > 1).then(|| seconds((squares / (n - 1.0)).sqrt()));
    let quartiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|p| seconds(quantile(scratch, p)));
    let count = i64::try_from(scratch.len()).ok()?;
    Some(Spacing { count, mean: seconds(mean), sd, quartiles })
}

/// The quantile of sorted values, on the line between its neighbours.
fn quantile(sorted: &[i64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let (low, part) = (place.floor(), place.fract());
    let i = low as usize;
    let value = sorted[i] as f64;
    sorted.get(i + 1).map_or(value, |next| value + (*next as f64 - value) * part)
}

/// A straight line through points, kept as sums around the mean so that points can be added, taken
/// back and merged without losing digits to large times.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Line {
    /// The number of points.
    pub n: f64,
    /// The mean of x.
    pub mean_x: f64,
    /// The mean of y.
    pub mean_y: f64,
    /// The sum of squares of x around its mean.
    pub xx: f64,
    /// The sum of products of x and y around their means.
    pub xy: f64,
}

impl Line {
    /// Adds a point.
    pub fn add(&mut self, x: f64, y: f64) {
        self.merge(&Self { n: 1.0, mean_x: x, mean_y: y, xx: 0.0, xy: 0.0 });
    }

    /// Takes a point back.
    pub fn remove(&mut self, x: f64, y: f64) {
        if self.n <= 1.0 {
            *self = Self::default();
            return;
        }
        let n = self.n - 1.0;
        let (dx, dy) = (x - self.mean_x, y - self.mean_y);
        self.mean_x -= dx / n;
        self.mean_y -= dy / n;
        self.xx -= dx * (x - self.mean_x);
        self.xy -= dx * (y - self.mean_y);
        self.n = n;
    }

    /// Adds all points of another line.
    pub fn merge(&mut self, other: &Self) {
        let n = self.n + other.n;
        if other.n == 0.0 {
            return;
        }
        let (dx, dy) = (other.mean_x - self.mean_x, other.mean_y - self.mean_y);
        let weight = self.n * other.n / n;
        self.xx += other.xx + dx * dx * weight;
        self.xy += other.xy + dx * dy * weight;
        self.mean_x += dx * other.n / n;
        self.mean_y += dy * other.n / n;
        self.n = n;
    }

    /// How much y grows when x grows by 1; none where x is the same everywhere.
    pub fn slope(&self) -> Option<f64> {
        // What taking back leaves of a zero is no slope.
        let noise = f64::EPSILON * self.mean_x.abs().max(1.0);
        (self.n >= 2.0 && self.xx > noise).then(|| self.xy / self.xx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_of_few() {
        let mut scratch = vec![];
        assert_eq!(spacing(&[], |ticks| ticks, &mut scratch), None);
        assert_eq!(spacing(&[7], |ticks| ticks, &mut scratch), None);
        let two = spacing(&[7, 9], |ticks| ticks, &mut scratch).unwrap();
        assert_eq!((two.count, two.mean, two.sd, two.quartiles), (1, 2.0, None, [2.0; 5]));
        let four = spacing(&[0, 1, 3, 6], |ticks| ticks * 2.0, &mut scratch).unwrap();
        assert_eq!((four.mean, four.sd, four.quartiles), (4.0, Some(2.0), [2.0, 3.0, 4.0, 5.0, 6.0]));
    }

    #[test]
    fn a_line_goes_up_whatever_the_split() {
        let points = [(1.0, 2.0), (2.0, 4.5), (4.0, 8.0), (7.0, 13.0)];
        let mut whole = Line::default();
        points.iter().for_each(|(x, y)| whole.add(*x, *y));
        let (mut left, mut right) = (Line::default(), Line::default());
        points[..1].iter().for_each(|(x, y)| left.add(*x, *y));
        points[1..].iter().for_each(|(x, y)| right.add(*x, *y));
        right.merge(&left);
        assert!((whole.slope().unwrap() - right.slope().unwrap()).abs() < 1e-12);
        whole.remove(7.0, 13.0);
        whole.remove(4.0, 8.0);
        assert!((whole.slope().unwrap() - 2.5).abs() < 1e-12);
        whole.remove(1.0, 2.0);
        assert_eq!(whole.slope(), None);
    }
}
