//! Medians and quartiles of samples.

/// A median with the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// A quarter of the samples is below.
    pub low: f64,
    /// Half of them.
    pub median: f64,
    /// A quarter is above.
    pub high: f64,
}

// === impl Spread ===

impl Spread {
    /// Of these samples; zeros where there are none.
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |fraction| quantile(&sorted, fraction);
        Self { low: at(0.25), median: at(0.5), high: at(0.75) }
    }
}

/// The sample below which this fraction is, between two where it falls between them. `sorted` is.
pub fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = fraction * last as f64;
    let below = place.floor() as usize;
    let low = sorted.get(below).copied().unwrap_or_default();
    let high = sorted.get((below + 1).min(last)).copied().unwrap_or(low);
    low + (high - low) * (place - below as f64)
}

/// The mean of the middle half of the samples, which outliers do not move; zero without samples. Sorts them.
pub fn mid_mean(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let cut = samples.len() / 4;
    let middle = samples.get(cut..samples.len() - cut).unwrap_or_default();
    middle.iter().sum::<f64>() / middle.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_of_the_middle_half_ignores_outliers() {
        assert_eq!(mid_mean(&mut [900.0, 2.0, 3.0, -800.0]), 2.5);
        assert_eq!(mid_mean(&mut [7.0]), 7.0);
        assert_eq!(mid_mean(&mut []), 0.0);
    }

    #[test]
    fn median_is_between_the_quartiles() {
        let spread = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { low: 2.0, median: 3.0, high: 4.0 });
    }

    #[test]
    fn quantile_between_two_samples_is_interpolated() {
        assert_eq!(quantile(&[10.0, 20.0], 0.75), 17.5);
        assert_eq!(quantile(&[10.0], 0.99), 10.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
