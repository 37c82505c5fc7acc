//! How the credit for a conversion is shared among the touches that led to it.

/// The rule by which credit is shared. The touches of a path share a credit of 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Model {
    /// All to the first.
    First,
    /// All to the last.
    Last,
    /// The same to each.
    Linear,
    /// 40 % to the first, 40 % to the last, 20 % shared by those between; two share evenly.
    Position,
    /// Half as much for each half-life, in ticks, between the touch and the conversion.
    TimeDecay {
        /// Ticks, above 0.
        half_life: i64,
    },
}

/// The credit of each touch of a path, given their times in order and that of the conversion.
pub fn credits(model: Model, touches: &[i64], conversion: i64) -> Vec<f64> {
    let n = touches.len();
    let mut credits = vec![0.0; n];
    let (Some(last), true) = (n.checked_sub(1), n > 0) else { return credits };
    match model {
        Model::First => credits[0] = 1.0,
        Model::Last => credits[last] = 1.0,
        Model::Linear => credits.fill(1.0 / n as f64),
        Model::Position if n <= 2 => credits.fill(1.0 / n as f64),
        Model::Position => {
            credits.fill(0.2 / (n - 2) as f64);
            credits[0] = 0.4;
            credits[last] = 0.4;
        }
        Model::TimeDecay { half_life } => {
            // Measured from the last touch: the shares are the same, and the weights of a path long
            // before its conversion do not all vanish.
            let last = touches[last].min(conversion);
            let weight = |touch: &i64| (-(last.saturating_sub(*touch) as f64) / half_life as f64).exp2();
            let sum = touches.iter().map(weight).sum::<f64>();
            credits.iter_mut().zip(touches).for_each(|(credit, touch)| *credit = weight(touch) / sum);
        }
    }
    credits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_adds_up_to_one() {
        let models =
            [Model::First, Model::Last, Model::Linear, Model::Position, Model::TimeDecay { half_life: 7 }];
        for model in models {
            assert_eq!(credits(model, &[], 5), [0.0; 0]);
            for n in 1..6 {
                let sum = credits(model, &(0..n).collect::<Vec<_>>(), 50).iter().sum::<f64>();
                assert!((sum - 1.0).abs() < 1e-12, "{model:?}");
            }
        }
    }

    #[test]
    fn shares() {
        assert_eq!(credits(Model::Position, &[1, 2, 3, 4], 5), [0.4, 0.1, 0.1, 0.4]);
        assert_eq!(credits(Model::Position, &[1, 2], 5), [0.5, 0.5]);
        assert_eq!(credits(Model::TimeDecay { half_life: 7 }, &[0, 7], 7), [1.0 / 3.0, 2.0 / 3.0]);
    }
}
