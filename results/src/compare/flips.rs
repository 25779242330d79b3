//! Sign-flip tests of paired differences, for counts and shares: zeros are as good as any other value, and nothing is
//! assumed of the distribution but that without an effect a difference is as likely as its mirror image. The order of
//! the runs within a pair is drawn, so that this holds by design.
//!
//! Everything follows from the means of subsets of the differences (Hartigan, *Using subsample values as typical values*,
//! JASA 1969). Flipping the signs of a subset S raises the sum to at least what was seen exactly when S's differences sum
//! to at most 0, so the one-sided probability under a shift `d` is the share of subsets whose mean is at most `d`, the
//! empty one counted in. All subsets are gone through for up to [`EXACT_UP_TO`] pairs; beyond that, a seeded draw.

use heckle_history::prng::Seed;
use rand::RngExt;

/// Pairs up to which all sign patterns are gone through: 4,096 of them.
pub const EXACT_UP_TO: usize = 12;
/// Subsets drawn beyond that. With the empty one they make 10,000.
const DRAWN: usize = 9_999;
/// The draw is a computation, not a choice of the experiment: the same differences give the same answer everywhere.
const SEED: Seed = Seed(0x5175_1969);

/// Differences with the means of their subsets.
#[derive(Debug, Clone, PartialEq)]
pub struct Flips {
    mean: f64,
    /// Means of non-empty subsets, in order.
    means: Vec<f64>,
    /// Sums differ in their last bits by the order of adding; ties must count as ties.
    slack: f64,
}

impl Flips {
    /// Of at least one difference; `None` of none.
    pub fn of(differences: &[f64]) -> Option<Self> {
        if differences.is_empty() {
            return None;
        }
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let mut means = if differences.len() <= EXACT_UP_TO { all(differences) } else { drawn(differences) };
        means.sort_by(f64::total_cmp);
        let slack = 1e-12 * differences.iter().fold(0.0, |most: f64, d| most.max(d.abs()));
        Some(Flips { mean, means, slack })
    }

    /// The mean difference.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The probability of a sum at least this high, were the true difference `d`.
    fn at_least_so_high(&self, d: f64) -> f64 {
        let below = self.means.partition_point(|m| *m <= d + self.slack);
        (1 + below) as f64 / (1 + self.means.len()) as f64
    }

    /// The probability of a sum at least this low, were the true difference `d`.
    fn at_least_so_low(&self, d: f64) -> f64 {
        let above = self.means.len() - self.means.partition_point(|m| *m < d - self.slack);
        (1 + above) as f64 / (1 + self.means.len()) as f64
    }

    /// The two-sided probability of a difference like this one, were there none.
    pub fn p(&self) -> f64 {
        (2.0 * self.at_least_so_high(0.0).min(self.at_least_so_low(0.0))).min(1.0)
    }

    /// The probability of a mean so near 0, were the true difference `margin` or more either way: two one-sided tests.
    pub fn p_same(&self, margin: f64) -> f64 {
        self.at_least_so_high(-margin).max(self.at_least_so_low(margin))
    }

    /// The differences that the two-sided test at `1 - level` does not reject. A side is open where so few pairs can
    /// reject nothing.
    pub fn interval(&self, level: f64) -> (Option<f64>, Option<f64>) {
        let rejected = ((1.0 - level) / 2.0 * (1 + self.means.len()) as f64 + 1e-9).floor() as usize;
        match rejected.checked_sub(1) {
            None => (None, None),
            Some(k) => (Some(self.means[k]), Some(self.means[self.means.len() - 1 - k])),
        }
    }
}

/// Means of all non-empty subsets, by Gray code: each differs from the last by one member.
fn all(differences: &[f64]) -> Vec<f64> {
    let count = 1u32 << differences.len();
    let (mut sum, mut members) = (0.0, 0u32);
    let mut means = Vec::with_capacity(count as usize);
    let mut inside = vec![false; differences.len()];
    for step in 1..count {
        let i = step.trailing_zeros() as usize;
        inside[i] = !inside[i];
        if inside[i] {
            (sum, members) = (sum + differences[i], members + 1);
        } else {
            (sum, members) = (sum - differences[i], members - 1);
        }
        means.push(sum / f64::from(members));
    }
    means
}

fn drawn(differences: &[f64]) -> Vec<f64> {
    let mut rng = SEED.stream("flips");
    let mut means = Vec::with_capacity(DRAWN);
    while means.len() < DRAWN {
        let (sum, members) =
            differences.iter().filter(|_| rng.random::<bool>()).fold((0.0, 0u32), |(sum, members), d| (sum + d, members + 1));
        if members > 0 {
            means.push(sum / f64::from(members));
        }
    }
    means
}

/// The two-sided sign test: of `up` differences above 0 and `down` below, were both equally likely.
pub fn signs(up: u32, down: u32) -> f64 {
    let (n, fewer) = (up + down, up.min(down));
    let mut term = 0.5f64.powi(n as i32);
    let mut sum = 0.0;
    for k in 0..=fewer {
        sum += term;
        term *= f64::from(n - k) / f64::from(k + 1);
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(got: f64, want: f64, within: f64) {
        assert!((got - want).abs() <= within, "{got} is not {want}");
    }

    /// Darwin's maize: the fifteen differences of cross- and self-fertilised plants, in eighths of an inch, on which
    /// Fisher tried this very test in 1935 (*The Design of Experiments*, section 21): 1,726 of 32,768 patterns come to a
    /// sum of at least 314 either way.
    const DARWIN: [f64; 15] = [49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0];

    #[test]
    fn fishers_own_example_comes_out() {
        assert_eq!(DARWIN.iter().sum::<f64>(), 314.0);
        let mut means = all(&DARWIN);
        means.sort_by(f64::total_cmp);
        let exact = Flips { mean: 314.0 / 15.0, means, slack: 1e-9 };
        near(exact.p(), 1_726.0 / 32_768.0, 1e-12);
        near(Flips::of(&DARWIN).expect("differences").p(), 1_726.0 / 32_768.0, 0.006);
    }

    #[test]
    fn small_sets_by_hand() {
        // All four patterns of (1, 2): 3, 1, -1, -3. Two are as far out as 3.
        near(Flips::of(&[1.0, 2.0]).expect("two").p(), 0.5, 1e-12);
        near(Flips::of(&[3.0; 8]).expect("eight").p(), 2.0 / 256.0, 1e-12);
        near(Flips::of(&[0.0; 10]).expect("ten").p(), 1.0, 1e-12);
        near(Flips::of(&[0.0; 8]).expect("eight").p_same(0.1), 1.0 / 256.0, 1e-12);
        near(Flips::of(&[0.2; 8]).expect("eight").p_same(0.1), 1.0, 1e-12);
        assert_eq!(Flips::of(&[0.5; 5]).expect("five").interval(0.95), (None, None), "five pairs reject nothing at 5 %");
        assert_eq!(Flips::of(&[0.5; 8]).expect("eight").interval(0.95), (Some(0.5), Some(0.5)));
        assert_eq!(Flips::of(&[]), None);
    }

    /// The interval is what the test does not reject: shifted to its ends, the differences are just at the edge.
    #[test]
    fn interval_and_test_agree() {
        let data = [0.3, 1.2, -0.4, 2.2, 0.9, 1.7, -0.1, 0.6, 1.1, 0.2];
        let (low, high) = Flips::of(&data).expect("ten").interval(0.95);
        let p = |shift: f64| Flips::of(&data.map(|d| d - shift)).expect("ten").p();
        for (edge, outwards) in [(low.expect("closed"), -1e-6), (high.expect("closed"), 1e-6)] {
            assert!(p(edge + outwards) <= 0.05 && p(edge - outwards) > 0.05, "{} {}", p(edge + outwards), p(edge - outwards));
        }
    }

    #[test]
    fn the_sign_test_is_binomial() {
        near(signs(10, 0), 2.0 / 1_024.0, 1e-15);
        near(signs(8, 2), 2.0 * (1.0 + 10.0 + 45.0) / 1_024.0, 1e-12);
        near(signs(5, 5), 1.0, 1e-12);
        near(signs(0, 0), 1.0, 1e-12);
    }
}
