//! Estimates durations if some have not ended yet (Kaplan and Meier, *Nonparametric estimation from incomplete
//! observations*, 1958).
//!
//! Ignoring unfinished waits would make the worst starvation look best, because a client that never gets its lock has
//! no waiting time at all. Here an unfinished wait counts for as long as it was observed.

use heckle_history::Nanos;

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The duration.
    pub time: Nanos,
    /// Whether it ended at that time; otherwise it is censored and lasted at least that long.
    pub ended: bool,
}

/// The estimated share that still waits after a given time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Steps of the curve: from each time on, the given share still waits. Times increase and shares decrease.
    pub steps: Vec<(Nanos, f64)>,
    /// Times of the censored samples, ascending.
    pub censored: Vec<Nanos>,
    /// Observations.
    pub count: u64,
}

/// Estimates the curve.
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
        // A share such as 0.99 is not exact in binary, nor is a product of many shares.
        self.steps.iter().find(|(_, waiting)| 1.0 - waiting >= q - 1e-9).map(|(time, _)| *time)
    }

    /// Returns the share that still waits after `time`.
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
        assert_eq!(curve.quantile(0.9), None, "over 44 % were still in remission: nobody knows");
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

    #[test]
    fn censored_samples_raise_the_tail() {
        let won: Vec<u64> = (1..=90).collect();
        let starving = samples(&won, &[1_000; 10]);
        let curve = curve(starving);
        assert_eq!(curve.quantile(0.9), Some(Nanos(90)));
        assert_eq!(curve.quantile(0.99), None);
    }
}
