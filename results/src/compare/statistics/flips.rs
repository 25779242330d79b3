//! Sign-flip tests of paired differences, for counts and shares. Zeros are valid values. The only assumption about the
//! distribution is that, without an effect, a difference is as likely as its negation. The runs within a pair are in random
//! order, so this holds by design.
//!
//! The test is based on the means of subsets of the differences (Hartigan, *Using subsample values as typical values*, JASA
//! 1969). Flipping the signs of a subset S raises the sum to at least the observed one exactly if the differences in S sum to at
//! most 0. So the one-sided probability under a shift `d` is the share of subsets, including the empty one, whose mean is at most
//! `d`. Up to [`MAX_EXACT_PAIRS`] pairs all subsets are enumerated; beyond that a seeded sample is drawn.

use heckle_history::prng::Seed;
use rand::RngExt;

/// Largest number of pairs for which all sign patterns are enumerated: 4,096 of them.
pub const MAX_EXACT_PAIRS: usize = 12;
/// Number of subsets sampled for more pairs. With the empty one they make 10,000.
const SAMPLED_SUBSETS: usize = 9_999;
/// The seed of the sample is fixed: the same differences give the same result everywhere.
const SEED: Seed = Seed(0x5175_1969);

/// Differences with the means of their subsets.
#[derive(Debug, Clone, PartialEq)]
pub struct SignFlipTest {
    mean: f64,
    /// Means of non-empty subsets, sorted.
    means: Vec<f64>,
    /// Tolerance for ties: sums differ in their last bits depending on the order of addition.
    slack: f64,
}

impl SignFlipTest {
    /// Prepares the test. Returns `None` if there are no differences.
    pub fn of(differences: &[f64]) -> Option<Self> {
        if differences.is_empty() {
            return None;
        }
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let mut means =
            if differences.len() <= MAX_EXACT_PAIRS { all_subset_means(differences) } else { sampled_subset_means(differences) };
        means.sort_by(f64::total_cmp);
        let slack = 1e-12 * differences.iter().fold(0.0, |most: f64, d| most.max(d.abs()));
        Some(SignFlipTest { mean, means, slack })
    }

    /// Returns the mean difference.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Returns the probability of a sum at least this high if the true difference were `d`.
    fn p_at_least(&self, d: f64) -> f64 {
        let below = self.means.partition_point(|m| *m <= d + self.slack);
        (1 + below) as f64 / (1 + self.means.len()) as f64
    }

    /// Returns the probability of a sum at least this low if the true difference were `d`.
    fn p_at_most(&self, d: f64) -> f64 {
        let above = self.means.len() - self.means.partition_point(|m| *m < d - self.slack);
        (1 + above) as f64 / (1 + self.means.len()) as f64
    }

    /// Returns the two-sided probability of such a difference if there were no effect.
    pub fn p(&self) -> f64 {
        (2.0 * self.p_at_least(0.0).min(self.p_at_most(0.0))).min(1.0)
    }

    /// Returns the probability of a mean this close to 0 if the true difference were `margin` or more in either direction: two
    /// one-sided tests.
    pub fn p_same(&self, margin: f64) -> f64 {
        self.p_at_least(-margin).max(self.p_at_most(margin))
    }

    /// Returns the interval of differences that the two-sided test does not reject at significance `1 - level`. A side is open
    /// if there are too few pairs to reject anything.
    pub fn interval(&self, level: f64) -> (Option<f64>, Option<f64>) {
        let rejected = ((1.0 - level) / 2.0 * (1 + self.means.len()) as f64 + 1e-9).floor() as usize;
        match rejected.checked_sub(1) {
            None => (None, None),
            Some(k) => (Some(self.means[k]), Some(self.means[self.means.len() - 1 - k])),
        }
    }
}

/// Returns the means of all non-empty subsets in Gray-code order, where each subset differs from the previous one by one member.
fn all_subset_means(differences: &[f64]) -> Vec<f64> {
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

fn sampled_subset_means(differences: &[f64]) -> Vec<f64> {
    let mut rng = SEED.stream("flips");
    let mut means = Vec::with_capacity(SAMPLED_SUBSETS);
    while means.len() < SAMPLED_SUBSETS {
        let (sum, members) =
            differences.iter().filter(|_| rng.random::<bool>()).fold((0.0, 0u32), |(sum, members), d| (sum + d, members + 1));
        if members > 0 {
            means.push(sum / f64::from(members));
        }
    }
    means
}

/// Returns the p-value of the two-sided sign test, for `up` differences above 0 and `down` below 0.
pub fn sign_test(up: u32, down: u32) -> f64 {
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
    fn assert_near(got: f64, want: f64, within: f64) {
        assert!((got - want).abs() <= within, "{got} is not {want}");
    }

    /// Darwin's maize: the fifteen differences of cross- and self-fertilised plants, in eighths of an inch, to which Fisher
    /// applied this test in 1935 (*The Design of Experiments*, section 21): 1,726 of 32,768 patterns have a sum of at least 314
    /// in either direction.
    const DARWIN: [f64; 15] = [49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0];

    #[test]
    fn fishers_example_is_reproduced() {
        assert_eq!(DARWIN.iter().sum::<f64>(), 314.0);
        let mut means = all_subset_means(&DARWIN);
        means.sort_by(f64::total_cmp);
        let exact = SignFlipTest { mean: 314.0 / 15.0, means, slack: 1e-9 };
        assert_near(exact.p(), 1_726.0 / 32_768.0, 1e-12);
        assert_near(SignFlipTest::of(&DARWIN).expect("differences").p(), 1_726.0 / 32_768.0, 0.006);
    }

    #[test]
    fn small_sets_match_results_by_hand() {
        // All four patterns of (1, 2): 3, 1, -1, -3. Two are at least as far from 0 as 3.
        assert_near(SignFlipTest::of(&[1.0, 2.0]).expect("two").p(), 0.5, 1e-12);
        assert_near(SignFlipTest::of(&[3.0; 8]).expect("eight").p(), 2.0 / 256.0, 1e-12);
        assert_near(SignFlipTest::of(&[0.0; 10]).expect("ten").p(), 1.0, 1e-12);
        assert_near(SignFlipTest::of(&[0.0; 8]).expect("eight").p_same(0.1), 1.0 / 256.0, 1e-12);
        assert_near(SignFlipTest::of(&[0.2; 8]).expect("eight").p_same(0.1), 1.0, 1e-12);
        assert_eq!(SignFlipTest::of(&[0.5; 5]).expect("five").interval(0.95), (None, None), "five pairs reject nothing at 5 %");
        assert_eq!(SignFlipTest::of(&[0.5; 8]).expect("eight").interval(0.95), (Some(0.5), Some(0.5)));
        assert_eq!(SignFlipTest::of(&[]), None);
    }

    /// The interval contains exactly the shifts that the test does not reject: at its ends, the shifted differences are just at the limit.
    #[test]
    fn the_interval_matches_the_test() {
        let data = [0.3, 1.2, -0.4, 2.2, 0.9, 1.7, -0.1, 0.6, 1.1, 0.2];
        let (low, high) = SignFlipTest::of(&data).expect("ten").interval(0.95);
        let p = |shift: f64| SignFlipTest::of(&data.map(|d| d - shift)).expect("ten").p();
        for (edge, outwards) in [(low.expect("closed"), -1e-6), (high.expect("closed"), 1e-6)] {
            assert!(p(edge + outwards) <= 0.05 && p(edge - outwards) > 0.05, "{} {}", p(edge + outwards), p(edge - outwards));
        }
    }

    #[test]
    fn the_sign_test_matches_the_binomial_distribution() {
        assert_near(sign_test(10, 0), 2.0 / 1_024.0, 1e-15);
        assert_near(sign_test(8, 2), 2.0 * (1.0 + 10.0 + 45.0) / 1_024.0, 1e-12);
        assert_near(sign_test(5, 5), 1.0, 1e-12);
        assert_near(sign_test(0, 0), 1.0, 1e-12);
    }
}
