//! Estimates durations, some of which have not ended yet (Kaplan and Meier, *Nonparametric estimation from incomplete
//! observations*, 1958).
//!
//! Ignoring unfinished waits would make the worst starvation look best, because a client that never gets its lock has
//! no finished wait at all. Here an unfinished wait counts for as long as it was observed.

use heckle_history::Nanos;

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The duration.
    pub time: Nanos,
    /// Whether the duration ended at that time; otherwise it is censored and lasted at least that long.
    pub ended: bool,
}

/// The estimated share of waits that are still unfinished after a given time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Steps of the curve: from each time on, the given share is still waiting. Times increase and shares decrease.
    pub steps: Vec<(Nanos, f64)>,
    /// Times of the censored samples, ascending.
    pub censored: Vec<Nanos>,
    /// Number of samples.
    pub count: u64,
}

/// Estimates the curve from samples.
pub fn curve(mut samples: Vec<Sample>) -> Curve {
    // At the same time, ended samples come before censored ones, because a censored sample is still at risk at that time.
    samples.sort_by_key(|s| (s.time, !s.ended));
    let mut curve = Curve { count: samples.len() as u64, ..Curve::default() };
    let (mut waiting, mut at_risk, mut at) = (1.0, samples.len(), 0);
    while at < samples.len() {
        let time = samples[at].time;
        let here = samples[at..].iter().take_while(|s| s.time == time).count();
        let ended = samples[at..at + here].iter().filter(|s| s.ended).count();
        if ended > 0 {
            waiting *= 1.0 - ended as f64 / at_risk as f64;
            curve.steps.push((time, waiting));
        }
        curve.censored.extend(std::iter::repeat_n(time, here - ended));
        at_risk -= here;
        at += here;
    }
    curve
}

impl Curve {
    /// Returns the time by which the share `q` has ended; `None` if too many samples were censored.
    pub fn quantile(&self, q: f64) -> Option<Nanos> {
        // Neither a share such as 0.99 nor a product of many shares is exact in binary.
        self.steps.iter().find(|(_, waiting)| 1.0 - waiting >= q - 1e-9).map(|(time, _)| *time)
    }

    /// Returns the mean of the durations, counting each for at most `limit`: the area under the curve up to the limit (Irwin,
    /// *The standard error of an estimate of expectation of life*, 1949). `None` without a sample.
    ///
    /// If the longest sample was censored before the limit, nothing is known beyond it. The curve then drops to zero at that point,
    /// as proposed by Efron (*The two sample problem with censored data*, 1967), so the mean exists.
    pub fn restricted_mean(&self, limit: Nanos) -> Option<Nanos> {
        let last_step = self.steps.last().map_or(Nanos(0), |(time, _)| *time);
        let longest = self.censored.last().map_or(last_step, |time| last_step.max(*time));
        if self.count == 0 {
            return None;
        }
        let until = longest.min(limit);
        let (mut area, mut from, mut waiting) = (0.0, Nanos(0), 1.0);
        for (time, after) in self.steps.iter().filter(|(time, _)| *time < until) {
            area += time.since(from).0 as f64 * waiting;
            (from, waiting) = (*time, *after);
        }
        Some(Nanos((area + until.since(from).0 as f64 * waiting).round() as u64))
    }

    /// Returns the share that is still waiting after `time`.
    pub fn waiting_after(&self, time: Nanos) -> f64 {
        let passed = self.steps.partition_point(|(t, _)| *t <= time);
        passed.checked_sub(1).map_or(1.0, |i| self.steps[i].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(ended: &[u64], censored: &[u64]) -> Vec<Sample> {
        let of = |times: &[u64], ended| times.iter().map(move |t| Sample { time: Nanos(*t), ended }).collect::<Vec<_>>();
        [of(censored, false), of(ended, true)].concat()
    }

    /// Weeks of remission under 6-mercaptopurine (Freireich et al. 1963), the textbook example.
    #[test]
    fn the_textbook_curve_comes_out() {
        let curve = curve(samples(&[6, 6, 6, 7, 10, 13, 16, 22, 23], &[6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]));
        let expected = [(6, 0.857), (7, 0.807), (10, 0.753), (13, 0.690), (16, 0.627), (22, 0.538), (23, 0.448)];
        assert_eq!(curve.steps.len(), expected.len());
        for ((time, waiting), (t, w)) in curve.steps.iter().zip(expected) {
            assert!(time.0 == t && (waiting - w).abs() < 0.0005, "{time:?} {waiting} is not {t} {w}");
        }
        assert_eq!((curve.quantile(0.5), curve.quantile(0.25)), (Some(Nanos(23)), Some(Nanos(13))));
        assert_eq!(curve.quantile(0.9), None, "over 44 % were still in remission: unknown");
        assert_eq!((curve.censored.len(), curve.count), (12, 21));
        assert!((curve.waiting_after(Nanos(8)) - 0.807).abs() < 0.0005 && curve.waiting_after(Nanos(5)) == 1.0);
    }

    #[test]
    fn uncensored_curves_match_plain_quantiles() {
        let curve = curve(samples(&(1..=100).collect::<Vec<_>>(), &[]));
        for (q, t) in [(0.5, 50), (0.99, 99), (1.0, 100), (0.005, 1)] {
            assert_eq!(curve.quantile(q), Some(Nanos(t)), "{q}");
        }
        assert_eq!(super::curve(vec![]).quantile(0.5), None);
        assert_eq!(super::curve(samples(&[], &[5])).quantile(0.01), None);
    }

    /// The 6-mercaptopurine arm again. Up to week 10, the area is 6 weeks at 1, one week at 0.857 and three weeks at 0.807. Up to
    /// week 35, the end of the data, it covers all steps: the published restricted mean is 23.3 weeks.
    #[test]
    fn restricted_means_match_hand_computed_areas() {
        let textbook = curve(samples(&[6, 6, 6, 7, 10, 13, 16, 22, 23], &[6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]));
        // Scaled because durations are whole nanoseconds.
        let scaled = |c: &Curve| Curve {
            steps: c.steps.iter().map(|(t, s)| (Nanos(t.0 * 1_000_000), *s)).collect(),
            censored: c.censored.iter().map(|t| Nanos(t.0 * 1_000_000)).collect(),
            count: c.count,
        };
        let mean = |limit: u64| scaled(&textbook).restricted_mean(Nanos(limit * 1_000_000)).expect("samples").0 as f64 / 1e6;
        let by_hand = 6.0 + 0.857_142_9 + 3.0 * 0.806_722_7;
        assert!((mean(10) - by_hand).abs() < 1e-5, "{} is not {by_hand}", mean(10));
        assert!((mean(35) - 23.287).abs() < 0.01, "{}", mean(35));
        assert_eq!(mean(5), 5.0, "nothing ended before");
    }

    #[test]
    fn restricted_means_of_simple_cases() {
        let mean = |ended: &[u64], censored: &[u64], limit| curve(samples(ended, censored)).restricted_mean(Nanos(limit)).map(|m| m.0);
        assert_eq!(mean(&[10, 20, 30], &[], 100), Some(20), "without censoring, the mean");
        assert_eq!(mean(&[10, 20, 90], &[], 30), Some(20), "each counts for at most the limit");
        // Half of the samples end at 10. The others are censored beyond the limit, so they count for the whole limit.
        assert_eq!(mean(&[10, 10], &[50, 60], 40), Some(25));
        // A sample censored before any other ended shows only that it lasted at least 10.
        assert_eq!(mean(&[20], &[10], 100), Some(20));
        // The longest sample is censored before the limit, so the curve drops to zero there.
        assert_eq!(mean(&[10], &[20], 100), Some(15));
        assert_eq!((mean(&[], &[7], 100), mean(&[], &[], 100)), (Some(7), None));
    }

    /// Waits are exponential, intents begin at uniformly distributed times, and the end of the run cuts off unfinished waits. The
    /// estimate is correct on average. The mean of the finished waits alone is far too low, and so is the mean that treats cut-off
    /// waits as finished.
    #[test]
    fn the_restricted_mean_is_unbiased_under_censoring() {
        use heckle_history::prng::Seed;
        use rand::RngExt;
        const RUNS: u32 = 400;
        let (mean_ms, run_ms, limit_ms) = (300.0, 1_000.0, 500.0);
        let truth = mean_ms * (1.0 - f64::exp(-limit_ms / mean_ms));
        let mut rng = Seed(5).stream("restricted mean");
        let (mut estimates, mut ended_only, mut as_whole) = (vec![], 0.0, 0.0);
        for _ in 0..RUNS {
            let samples: Vec<Sample> = (0..200)
                .map(|_| {
                    let (due, u): (f64, f64) = (run_ms * rng.random::<f64>(), rng.random());
                    let wait = -mean_ms * (1.0 - u).ln();
                    let seen = wait.min(run_ms - due);
                    Sample { time: Nanos((seen * 1e6) as u64), ended: wait <= run_ms - due }
                })
                .collect();
            let of = |s: &[&Sample]| s.iter().map(|s| s.time.as_ms_f64().min(limit_ms)).sum::<f64>() / s.len() as f64;
            ended_only += of(&samples.iter().filter(|s| s.ended).collect::<Vec<_>>()) / f64::from(RUNS);
            as_whole += of(&samples.iter().collect::<Vec<_>>()) / f64::from(RUNS);
            estimates.push(curve(samples).restricted_mean(Nanos::from_ms(500)).expect("samples").as_ms_f64());
        }
        let mean = estimates.iter().sum::<f64>() / f64::from(RUNS);
        let spread = (estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / f64::from(RUNS - 1)).sqrt();
        let error = spread / f64::from(RUNS).sqrt();
        println!(
            "restricted mean: {mean:.1} ms of {truth:.1} ms, standard error {error:.2}; ended only {ended_only:.1}, as whole {as_whole:.1}"
        );
        assert!((mean - truth).abs() < 4.0 * error, "{mean} is not {truth}, standard error {error}");
        assert!(ended_only < truth - 20.0 * error && as_whole < truth - 20.0 * error, "{ended_only} {as_whole} {truth}");
    }

    #[test]
    fn censored_samples_raise_the_tail() {
        let won: Vec<u64> = (1..=90).collect();
        let starving = samples(&won, &[1_000; 10]);
        let curve = curve(starving);
        assert_eq!(curve.quantile(0.9), Some(Nanos(90)));
        assert_eq!(curve.quantile(0.99), None);
    }
}
