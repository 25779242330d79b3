//! Estimates an effect and its interval, and the probabilities for the decision, from pairs of figures.
//!
//! Times and rates are compared by ratio: the effect is the mean log ratio over pairs, with Student's interval (at ten pairs the
//! coverage of the percentile bootstrap is too low). Counts and shares, which may be 0, are compared by difference with sign
//! flips. A figure with only a lower bound, because the run ended first, is compared by sign only.

use crate::compare::flips::{self, SignFlipTest};
use crate::compare::student;

/// The figure of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// The exact value.
    Exact(f64),
    /// A lower bound: censored by the end of the run.
    AtLeast(f64),
}

impl Reading {
    /// Returns the value or the bound.
    pub fn number(self) -> f64 {
        match self {
            Reading::Exact(x) | Reading::AtLeast(x) => x,
        }
    }

    /// Whether the value is only a bound.
    pub fn censored(self) -> bool {
        matches!(self, Reading::AtLeast(_))
    }
}

/// The two runs of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The run of the reference arm.
    pub reference: Reading,
    /// The run of the other arm.
    pub arm: Reading,
}

/// How the two readings of a figure are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// By ratio, for times and rates.
    Ratio,
    /// By difference, for shares, which are often 0.
    Difference,
    /// By difference, for an index between 0 and 1 that takes many values.
    Index,
    /// By difference, for a small whole number, which is often 0.
    Count,
}

/// The statistical method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Mean log ratio with Student's t.
    LogRatio,
    /// Mean difference with Student's t.
    MeanDifference,
    /// Mean difference with sign flips.
    SignFlip,
    /// Signs only, because some readings are only bounds.
    Sign,
}

/// The estimate for one figure over all pairs. Ratios are natural logarithms here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Number of pairs that have the figure in both runs.
    pub n: usize,
    /// The statistical method.
    pub method: Method,
    /// Log ratio or difference. Absent if there are bounds in both arms.
    pub effect: Option<f64>,
    /// Whether the effect is only a bound: the true effect is at least as far from 0.
    pub bound: bool,
    /// The 95 % interval. A side is open if the pairs cannot bound it. Both are open if there is no interval.
    pub interval: (Option<f64>, Option<f64>),
    /// Probability of such pairs if there were no effect.
    pub p: f64,
    /// Probability of pairs this similar if the effect were at least as large as the margin, or 1 if it cannot be computed.
    pub p_same: f64,
    /// Number of reference runs whose figure is only a bound.
    pub censored_reference: usize,
    /// Number of runs of the other arm whose figure is only a bound.
    pub censored_arm: usize,
}

/// Confidence level of all intervals.
pub const LEVEL: f64 = 0.95;

/// Estimates the effect from `pairs`. Returns `None` if there are none. `margin` is the effect that counts as the same, as a log
/// ratio or a difference.
pub fn estimate(pairs: &[Pair], scale: Scale, margin: f64) -> Option<Estimate> {
    if pairs.is_empty() {
        return None;
    }
    let censored = |of: fn(&Pair) -> Reading| pairs.iter().filter(|p| of(p).censored()).count();
    let (censored_reference, censored_arm) = (censored(|p| p.reference), censored(|p| p.arm));
    let numbers = || pairs.iter().map(|p| (p.reference.number(), p.arm.number()));
    let mut estimate = if censored_reference + censored_arm > 0 {
        by_sign(pairs, scale)
    } else if scale == Scale::Ratio && numbers().all(|(r, a)| r > 0.0 && a > 0.0) {
        by_t(&numbers().map(|(r, a)| (a / r).ln()).collect::<Vec<f64>>(), Method::LogRatio, margin)
    } else if scale == Scale::Index {
        by_t(&numbers().map(|(r, a)| a - r).collect::<Vec<f64>>(), Method::MeanDifference, margin)
    } else {
        // If either value is zero, the logarithm of the ratio does not exist, and a margin for ratios does not apply to differences.
        let margin = (scale != Scale::Ratio).then_some(margin);
        by_sign_flips(&numbers().map(|(r, a)| a - r).collect::<Vec<f64>>(), margin)
    };
    (estimate.censored_reference, estimate.censored_arm) = (censored_reference, censored_arm);
    Some(estimate)
}

/// Returns the estimate from the mean of log ratios or differences, with Student's interval.
fn by_t(effects: &[f64], method: Method, margin: f64) -> Estimate {
    let n = effects.len();
    let mean = effects.iter().sum::<f64>() / n as f64;
    let open = Estimate {
        n,
        method,
        effect: Some(mean),
        bound: false,
        interval: (None, None),
        p: 1.0,
        p_same: 1.0,
        censored_reference: 0,
        censored_arm: 0,
    };
    if n < 2 {
        return open;
    }
    let freedom = n - 1;
    let variance = effects.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / freedom as f64;
    // If all pairs have equal effects, the error is 0. The floor keeps t finite and is far below the resolution of any clock.
    let error = (variance / n as f64).sqrt().max(1e-12);
    let half = student::quantile(0.5 + LEVEL / 2.0, freedom) * error;
    let above = |d: f64| student::cumulative((d - mean) / error, freedom);
    Estimate {
        interval: (Some(mean - half), Some(mean + half)),
        p: student::two_sided(mean / error, freedom),
        p_same: above(-margin).max(1.0 - above(margin)),
        ..open
    }
}

fn by_sign_flips(differences: &[f64], margin: Option<f64>) -> Estimate {
    let flips = SignFlipTest::of(differences).expect("there are pairs");
    Estimate {
        n: differences.len(),
        method: Method::SignFlip,
        effect: Some(flips.mean()),
        bound: false,
        interval: flips.interval(LEVEL),
        p: flips.p(),
        p_same: margin.map_or(1.0, |m| flips.p_same(m)),
        censored_reference: 0,
        censored_arm: 0,
    }
}

/// Determines which reading is larger, if known: a bound is larger than any exact value below it, and never smaller than another
/// reading.
fn sign(pair: &Pair) -> std::cmp::Ordering {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (reference, arm) = (pair.reference.number(), pair.arm.number());
    match (pair.reference, pair.arm) {
        (Reading::Exact(_), Reading::Exact(_)) => arm.total_cmp(&reference),
        (Reading::Exact(_), Reading::AtLeast(_)) if arm >= reference => Greater,
        (Reading::AtLeast(_), Reading::Exact(_)) if reference >= arm => Less,
        (Reading::Exact(_) | Reading::AtLeast(_), Reading::AtLeast(_)) | (Reading::AtLeast(_), Reading::Exact(_)) => Equal,
    }
}

fn by_sign(pairs: &[Pair], scale: Scale) -> Estimate {
    use std::cmp::Ordering::{Greater, Less};
    let count = |which| pairs.iter().filter(|p| sign(p) == which).count() as u32;
    let (up, down) = (count(Greater), count(Less));
    let bounds = |of: fn(&Pair) -> Reading| pairs.iter().any(|p| of(p).censored());
    let effects = pairs.iter().map(|p| {
        let (reference, arm) = (p.reference.number(), p.arm.number());
        match scale {
            Scale::Ratio => (arm > 0.0 && reference > 0.0).then(|| (arm / reference).ln()),
            Scale::Difference | Scale::Index | Scale::Count => Some(arm - reference),
        }
    });
    // If only one arm has bounds, using them as values moves the effect towards 0, provided that arm is the larger one.
    let mean = effects.sum::<Option<f64>>().map(|sum| sum / pairs.len() as f64);
    let effect = match (bounds(|p| p.reference), bounds(|p| p.arm)) {
        (true, false) => mean.filter(|m| *m < 0.0),
        (false, true) => mean.filter(|m| *m > 0.0),
        (true, true) | (false, false) => None,
    };
    Estimate {
        n: pairs.len(),
        method: Method::Sign,
        effect,
        bound: true,
        interval: (None, None),
        p: flips::sign_test(up, down),
        p_same: 1.0,
        censored_reference: 0,
        censored_arm: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::Reading::{AtLeast, Exact};
    use super::*;

    fn pairs(of: &[(Reading, Reading)]) -> Vec<Pair> {
        of.iter().map(|(reference, arm)| Pair { reference: *reference, arm: *arm }).collect()
    }

    fn exact(of: &[(f64, f64)]) -> Vec<Pair> {
        of.iter().map(|(r, a)| Pair { reference: Exact(*r), arm: Exact(*a) }).collect()
    }

    #[track_caller]
    fn assert_near(got: f64, want: f64, within: f64) {
        assert!((got - want).abs() <= within, "{got} is not {want}");
    }

    /// Student's own data (*Biometrika* 1908, Cushny and Peebles' sleep data): mean difference 1.58, t = 4.0621 with 9 degrees of
    /// freedom, p = 0.002833, interval 0.7001 to 2.4599. The test uses them as log ratios.
    #[test]
    fn students_own_data_are_reproduced() {
        let first: [f64; 10] = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second: [f64; 10] = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let data: Vec<(f64, f64)> = first.iter().zip(second).map(|(a, b)| (a.exp(), b.exp())).collect();
        let e = estimate(&exact(&data), Scale::Ratio, 0.1).expect("ten");
        assert_eq!((e.n, e.method, e.bound), (10, Method::LogRatio, false));
        assert_near(e.effect.expect("one"), 1.58, 1e-9);
        assert_near(e.p, 0.002_833, 5e-7);
        assert_near(e.interval.0.expect("closed"), 0.700_1, 5e-5);
        assert_near(e.interval.1.expect("closed"), 2.459_9, 5e-5);
    }

    #[test]
    fn a_ratio_with_a_zero_is_compared_by_difference() {
        let e = estimate(&exact(&[(0.0, 1.0), (2.0, 5.0), (1.0, 2.0)]), Scale::Ratio, 0.1).expect("three");
        assert_eq!((e.method, e.p_same), (Method::SignFlip, 1.0));
        assert_near(e.effect.expect("one"), 5.0 / 3.0, 1e-12);
    }

    /// The same data, used as differences, gives the same t, and an index that does not move counts as the same.
    #[test]
    fn an_index_is_compared_by_its_mean_difference() {
        let first: [f64; 10] = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second: [f64; 10] = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let data: Vec<(f64, f64)> = first.into_iter().zip(second).collect();
        let e = estimate(&exact(&data), Scale::Index, 0.05).expect("ten");
        assert_eq!((e.n, e.method), (10, Method::MeanDifference));
        assert_near(e.effect.expect("one"), 1.58, 1e-9);
        assert_near(e.p, 0.002_833, 5e-7);
        let still = estimate(&exact(&[(0.97, 0.97); 10]), Scale::Index, 0.05).expect("ten");
        assert!(still.p > 0.99 && still.p_same < 1e-6, "{still:?}");
    }

    #[test]
    fn bounds_are_compared_by_sign() {
        // In eight pairs the reference never finished, and in two it finished but was slower: ten of ten.
        let mut data = vec![(AtLeast(10_000.0), Exact(500.0)); 8];
        data.extend([(Exact(900.0), Exact(450.0)); 2]);
        let e = estimate(&pairs(&data), Scale::Ratio, 0.1).expect("ten");
        assert_eq!((e.method, e.bound, e.interval), (Method::Sign, true, (None, None)));
        assert_eq!((e.censored_reference, e.censored_arm), (8, 0));
        assert_near(e.p, 2.0 / 1_024.0, 1e-12);
        assert_near(e.effect.expect("a bound"), (8.0 * f64::ln(0.05) + 2.0 * f64::ln(0.5)) / 10.0, 1e-12);
        // Bounds on both sides, and bounds below the value with which they are compared, give no information.
        let open = [(AtLeast(10.0), AtLeast(20.0)), (AtLeast(10.0), Exact(50.0)), (Exact(50.0), AtLeast(10.0))];
        let e = estimate(&pairs(&open), Scale::Ratio, 0.1).expect("three");
        assert_eq!((e.effect, e.p, e.p_same), (None, 1.0, 1.0));
    }

    #[test]
    fn equivalence_needs_an_interval_within_the_margin() {
        let near_one: Vec<(f64, f64)> = (0..10).map(|i| (100.0, 100.0 + f64::from(i % 3) - 1.0)).collect();
        assert!(estimate(&exact(&near_one), Scale::Ratio, 0.1).expect("ten").p_same < 1e-6);
        let at_margin: Vec<(f64, f64)> = (0..10).map(|i| (100.0, 111.0 + f64::from(i % 3) - 1.0)).collect();
        assert!(estimate(&exact(&at_margin), Scale::Ratio, 0.1).expect("ten").p_same > 0.5);
        assert_eq!(estimate(&[], Scale::Ratio, 0.1), None);
        let one = estimate(&exact(&[(1.0, 2.0)]), Scale::Ratio, 0.1).expect("one");
        assert_eq!((one.p, one.interval), (1.0, (None, None)), "one pair has no noise to measure with");
    }
}
