//! Checks whether memory grew after the warm-up.

use crate::bench::statistics::Spread;

use super::samples::Sample;

/// The trend of a memory metric, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    /// The median of the first third after the warm-up.
    pub early: f64,
    /// The median of the last third.
    pub late: f64,
    /// The median of the slopes between all samples after the warm-up (Theil and Sen), a second.
    pub slope: f64,
}

// === impl Trend ===

impl Trend {
    /// The trend of this metric; zeros if there are too few samples.
    pub fn of(samples: &[Sample], metric: impl Fn(&Sample) -> u64) -> Self {
        let end = samples.last().map_or(0.0, |sample| sample.at);
        let warm: Vec<_> = samples
            .iter()
            .filter(|sample| sample.at >= end * WARM_UP)
            .map(|sample| (sample.at, metric(sample) as f64))
            .collect();
        let third = warm.len() / 3;
        let Some(last) = warm.len().checked_sub(third).filter(|_| third > 0) else {
            return Self::default();
        };
        let median = |part: &[(f64, f64)]| {
            Spread::of(&part.iter().map(|(_, value)| *value).collect::<Vec<_>>()).median
        };
        Self { early: median(&warm[..third]), late: median(&warm[last..]), slope: slope(&warm) }
    }

    /// Whether it grew by more than [`MOST_GROWTH`].
    pub fn grows(&self) -> bool {
        self.late > self.early * (1.0 + MOST_GROWTH)
    }
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::new();
    for (at, (x1, y1)) in points.iter().enumerate() {
        slopes.extend(points[at + 1..].iter().map(|(x2, y2)| (y2 - y1) / (x2 - x1)));
    }
    Spread::of(&slopes).median
}

/// The part of the time until caches are full, V8 has optimised what runs often, and each kind of disturbance has come once:
/// the first of a kind can take memory that the later ones use again. In ten minutes, with 25 %, it counted as growth.
pub const WARM_UP: f64 = 0.5;

/// From the first third after that to the last.
pub const MOST_GROWTH: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(resident: impl Fn(f64) -> f64) -> Vec<Sample> {
        let at = |n| Sample {
            at: f64::from(n),
            resident: resident(f64::from(n)) as u64,
            ..Sample::default()
        };
        (1..=100).map(at).collect()
    }

    #[test]
    fn memory_constant_after_the_warm_up_does_not_grow() {
        let trend = Trend::of(&samples(|at| 1e8 + at.min(20.0) * 1e7), |sample| sample.resident);
        assert_eq!((trend.early, trend.late, trend.slope), (3e8, 3e8, 0.0));
        assert!(!trend.grows());
    }

    #[test]
    fn leak_is_detected_as_growth() {
        let trend = Trend::of(&samples(|at| 1e8 + at * 1e6), |sample| sample.resident);
        assert_eq!(trend.slope, 1e6);
        assert!(trend.grows(), "{trend:?}");
    }

    #[test]
    fn single_peak_is_not_growth() {
        let peak = |at| if at == 99.0 { 9e8 } else { 1e8 };
        assert!(!Trend::of(&samples(peak), |sample| sample.resident).grows());
    }
}
