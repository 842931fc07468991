//! Paired samples of two modules: the ratio of their costs, with a confidence interval.

use super::statistics::{mid_mean, quantile};

/// One round: CPU time for a request, in microseconds, in three turns that follow one another.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Without a filter.
    pub without: f64,
    /// With the old module.
    pub old: f64,
    /// With the new one.
    pub new: f64,
}

/// The rounds that one Envoy served.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Whether the listeners of the new module came before those of the old one: that alone can make a percent.
    pub new_first: bool,
    /// Its rounds.
    pub rounds: Vec<Round>,
}

/// What of a round is compared.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// All CPU time of the process.
    Total,
    /// What the module adds to the time without a filter.
    OverNoFilter,
}

/// The new cost divided by the old one, with the bounds of its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The lower bound.
    pub low: f64,
    /// The estimate.
    pub value: f64,
    /// The upper bound.
    pub high: f64,
}

/// What an interval says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The new module costs more.
    Slower,
    /// It costs less.
    Faster,
    /// A difference, if there is one, is at most [`MARGIN`] or so.
    Same,
    /// Too wide for any of these.
    Unclear {
        /// How many rounds a run with a narrow interval needs, if they are as noisy as these.
        rounds: usize,
    },
}

// === impl Ratio ===

impl Ratio {
    /// By a bootstrap over the starts of Envoy and over their rounds. `None` if the old cost is not clearly above zero:
    /// the noise hides it.
    ///
    /// Old and new turns of a round are subtracted first: noise that lasts longer than a round cancels out. Envoys differ from
    /// start to start in how code and memory are placed, so rounds of one Envoy are not independent of one another.
    pub fn of(starts: &[Start], part: Part) -> Option<Self> {
        let value = estimate(starts.iter().flat_map(|start| &start.rounds), part)?;
        // Each order keeps its share, so that its effect cancels out in every resample.
        let (one, other): (Vec<_>, Vec<_>) = starts.iter().partition(|start| start.new_first);
        let mut random = Random(SEED);
        let mut resampled = (0..RESAMPLES)
            .map(|_| {
                let mut drawn = Vec::new();
                for starts in [&one, &other] {
                    // One start less than there are: with as many, few starts would seem to differ less than they do
                    // (Rao and Wu, Resampling Inference With Complex Survey Data, 1988).
                    for start in random.draw(starts, starts.len().saturating_sub(1).max(1)) {
                        drawn.extend(random.draw(&start.rounds, start.rounds.len()));
                    }
                }
                estimate(drawn.iter(), part)
            })
            .collect::<Option<Vec<_>>>()?;
        resampled.sort_unstable_by(f64::total_cmp);
        Some(Self { low: quantile(&resampled, 0.025), value, high: quantile(&resampled, 0.975) })
    }

    /// What the interval says, after this number of rounds.
    pub fn finding(&self, rounds: usize) -> Finding {
        // Noise of independent rounds shrinks with the square root of their number.
        let times = ((self.high - self.low) / (2.0 * MARGIN)).powi(2);
        match self {
            Self { low, .. } if *low > 1.0 => Finding::Slower,
            Self { high, .. } if *high < 1.0 => Finding::Faster,
            _ if times <= 1.0 => Finding::Same,
            _ => Finding::Unclear { rounds: (rounds as f64 * times).ceil() as usize },
        }
    }
}

// === private ===

fn estimate<'r>(rounds: impl Iterator<Item = &'r Round>, part: Part) -> Option<f64> {
    let sample = |round: &Round| {
        let old = match part {
            Part::Total => round.old,
            Part::OverNoFilter => round.old - round.without,
        };
        (round.new - round.old, old)
    };
    let (mut more, mut old): (Vec<_>, Vec<_>) = rounds.map(sample).unzip();
    let (more, old) = (mid_mean(&mut more), mid_mean(&mut old));
    (old > 0.0).then(|| 1.0 + more / old)
}

/// SplitMix64 (Steele, Lea, Flood 2014). The same samples give the same interval.
struct Random(u64);

impl Random {
    /// So many of these, with replacement.
    fn draw<T: Clone>(&mut self, from: &[T], count: usize) -> Vec<T> {
        (0..count).filter_map(|_| from.get(self.below(from.len())).cloned()).collect()
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * limit as u128) >> 64) as usize
    }
}

/// A difference of this size must be visible.
pub const MARGIN: f64 = 0.03;

const RESAMPLES: usize = 1000;
const SEED: u64 = 0x5a_5a;

#[cfg(test)]
mod tests {
    use super::*;

    /// Six starts with so many rounds in all. Each turn has noise of up to `noise`, the turns of a round share a drift, and
    /// the module that comes first in an Envoy costs one microsecond more.
    fn starts(count: usize, old: f64, new: f64, noise: f64) -> Vec<Start> {
        let mut random = Random(7);
        let mut noisy = |cost: f64| cost + noise * (random.below(2001) as f64 / 1000.0 - 1.0);
        let mut round = |at: usize, new_first: bool| {
            let base = if at.is_multiple_of(3) { 150.0 } else { 100.0 };
            let [old, new] = if new_first { [old, new + 1.0] } else { [old + 1.0, new] };
            Round { without: noisy(base), old: noisy(base + old), new: noisy(base + new) }
        };
        let mut start = |new_first| Start {
            new_first,
            rounds: (0..count / 6).map(|at| round(at, new_first)).collect(),
        };
        [false, true, false, true, false, true].map(&mut start).into()
    }

    /// Two starts with this round alone, over and over.
    fn same(round: Round) -> [Start; 2] {
        [false, true].map(|new_first| Start { new_first, rounds: vec![round; 4] })
    }

    fn over(starts: &[Start]) -> Option<Ratio> {
        Ratio::of(starts, Part::OverNoFilter)
    }

    #[test]
    fn total_includes_the_time_without_a_filter() {
        let starts = same(Round { without: 60.0, old: 100.0, new: 110.0 });
        let ratio = |part| Ratio::of(&starts, part).map(|ratio| (ratio.value * 1000.0).round());
        assert_eq!(ratio(Part::Total), Some(1100.0));
        assert_eq!(ratio(Part::OverNoFilter), Some(1250.0));
    }

    #[test]
    fn interval_without_noise_is_a_point() {
        let exact = Ratio { low: 1.5, value: 1.5, high: 1.5 };
        assert_eq!(over(&same(Round { without: 100.0, old: 140.0, new: 160.0 })), Some(exact));
    }

    #[test]
    fn equal_modules_are_equal_after_enough_rounds() {
        let many = over(&starts(900, 40.0, 40.0, 10.0)).expect("a ratio");
        assert!(many.low < 1.0 && 1.0 < many.high, "{many:?}");
        assert_eq!(many.finding(900), Finding::Same, "{many:?}");
        let few = over(&starts(42, 40.0, 40.0, 20.0)).expect("a ratio");
        assert!(matches!(few.finding(42), Finding::Unclear { rounds: 43.. }), "{few:?}");
    }

    #[test]
    fn difference_of_five_percent_is_found_in_both_directions() {
        let slower = over(&starts(900, 40.0, 42.0, 10.0)).expect("a ratio");
        assert_eq!(slower.finding(900), Finding::Slower, "{slower:?}");
        assert!(slower.low < 1.05 && 1.05 < slower.high, "{slower:?}");
        let faster = over(&starts(900, 40.0, 38.0, 10.0)).expect("a ratio");
        assert_eq!(faster.finding(900), Finding::Faster, "{faster:?}");
    }

    /// Rounds of one Envoy that agree with one another say nothing of the next Envoy.
    #[test]
    fn differences_between_starts_widen_the_interval() {
        let with = |more: f64| {
            let round = Round { without: 100.0, old: 140.0, new: 140.0 + more };
            same(round)
        };
        let starts: Vec<_> = [-4.0, 0.0, 4.0].into_iter().flat_map(with).collect();
        let ratio = over(&starts).expect("a ratio");
        assert!(ratio.low < 0.95 && ratio.high > 1.05, "{ratio:?}");
    }

    /// Nominally in 95 of 100 runs; here the Envoys differ by as much as their rounds.
    #[test]
    fn interval_covers_the_true_ratio_at_its_nominal_rate() {
        let mut random = Random(11);
        let mut noise = |width: f64| width * (random.below(2001) as f64 / 1000.0 - 1.0);
        let covers = |_: &usize| {
            let mut start = |new_first| {
                let more = noise(3.0);
                let round = |_| Round {
                    without: 100.0 + noise(10.0),
                    old: 140.0 + noise(10.0),
                    new: 144.0 + more + noise(10.0),
                };
                Start { new_first, rounds: (0..10).map(round).collect() }
            };
            let starts: Vec<_> = (0..8).map(|at| start(at % 2 == 0)).collect();
            let ratio = over(&starts).expect("a ratio");
            ratio.low <= 1.1 && 1.1 <= ratio.high
        };
        let covered = (0..100).filter(covers).count();
        assert!((90..=99).contains(&covered), "{covered} of 100");
    }

    #[test]
    fn interval_is_deterministic() {
        let samples = starts(120, 40.0, 41.0, 20.0);
        assert_eq!(over(&samples), over(&samples));
    }

    #[test]
    fn no_ratio_if_noise_hides_the_cost() {
        assert_eq!(over(&starts(42, 0.5, 0.5, 30.0)), None);
        assert_eq!(over(&[]), None);
    }
}
