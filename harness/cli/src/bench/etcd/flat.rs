//! Whether memory stays what it is: a line through the samples of a process, and the rule that calls it flat.
//!
//! The first fifth is left out, as caches, pools and the table of keys fill then. What counts is how far the median of the
//! last fifth lies above that of the second: medians, since a compaction holds a second copy for a moment. The slope is
//! Theil and Sen's, the median of the slopes between all pairs of samples, which such moments do not tilt either (Sen,
//! *Estimates of the regression coefficient based on Kendall's tau*, 1968).

use heckle_results::median;

/// Growth that is no growth, whatever it is a share of: what an allocator may do by itself. Over the ten minutes of the usual
/// load it is less than a byte an operation, and nothing that is kept for an operation is so small.
pub(super) const NOISE_BYTES: f64 = 1e6;
/// Above the noise, growth of less than this share is flat.
pub(super) const SHARE: f64 = 0.05;
/// Growth of so much is never flat.
pub(super) const MOST_BYTES: f64 = 8e6;
/// Samples a fifth, at least; with fewer a median tells nothing.
const SAMPLES_A_FIFTH: usize = 3;
/// Samples that slopes are drawn between, at most: all pairs of so many.
const FITTED: usize = 400;

/// How a process's memory went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// Median of the second fifth, bytes.
    pub(super) early: f64,
    /// Median of the last fifth, bytes.
    pub(super) late: f64,
    /// Theil and Sen's slope from the second fifth on, bytes a second.
    pub(super) slope_per_s: f64,
}

impl Growth {
    /// Of samples in the order of time: seconds since the load began, and bytes. None where there are too few.
    pub(super) fn of(samples: &[(f64, f64)], lasts_s: f64) -> Option<Growth> {
        let fifth = |n: f64| {
            let (from, to) = ((n - 1.0) * lasts_s / 5.0, n * lasts_s / 5.0);
            let bytes: Vec<f64> = samples.iter().filter(|(t, _)| from <= *t && *t <= to).map(|s| s.1).collect();
            (bytes.len() >= SAMPLES_A_FIFTH).then(|| median(&bytes)).flatten()
        };
        let warm: Vec<(f64, f64)> = samples.iter().copied().filter(|(t, _)| (lasts_s / 5.0..=lasts_s).contains(t)).collect();
        Some(Growth { early: fifth(2.0)?, late: fifth(5.0)?, slope_per_s: slope(&warm)? })
    }

    /// From the second fifth to the last.
    pub(super) fn bytes(&self) -> f64 {
        self.late - self.early
    }

    /// Whether that is none.
    pub(super) fn is_flat(&self) -> bool {
        let grown = self.bytes();
        grown < MOST_BYTES && grown < (self.early * SHARE).max(NOISE_BYTES)
    }
}

/// The median of the slopes between all pairs, of evenly chosen samples where there are many.
fn slope(samples: &[(f64, f64)]) -> Option<f64> {
    let every = samples.len().div_ceil(FITTED).max(1);
    let chosen: Vec<(f64, f64)> = samples.iter().copied().step_by(every).collect();
    let mut slopes = vec![];
    for (i, a) in chosen.iter().enumerate() {
        slopes.extend(chosen[i + 1..].iter().filter(|b| b.0 > a.0).map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    median(&slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample a second for ten minutes.
    fn ten_minutes(bytes: impl Fn(f64) -> f64) -> Growth {
        let samples: Vec<(f64, f64)> = (0..=600).map(|s| (f64::from(s), bytes(f64::from(s)))).collect();
        Growth::of(&samples, 600.0).expect("enough samples")
    }

    /// Up and down by a few pages, as a process is seen to do.
    fn wobble(t: f64) -> f64 {
        200e3 * (t * 1.7).sin()
    }

    #[test]
    fn what_fills_and_then_stays_is_flat() {
        let filled = ten_minutes(|t| 12e6 + 8e6 * (t / 100.0).min(1.0) + wobble(t));
        assert!(filled.is_flat() && filled.slope_per_s.abs() * 600.0 < 300e3, "{filled:?}");
        // A compaction each half minute that holds a second copy for a second.
        let spikes = ten_minutes(|t| 12e6 + wobble(t) + if (t % 30.0) < 0.5 { 20e6 } else { 0.0 });
        assert!(spikes.is_flat() && spikes.slope_per_s.abs() * 600.0 < 300e3, "{spikes:?}");
        let shrinks = ten_minutes(|t| 30e6 - 10e3 * t);
        assert!(shrinks.is_flat() && (shrinks.slope_per_s + 10e3).abs() < 1.0, "{shrinks:?}");
    }

    #[test]
    fn a_leak_is_found() {
        // Eight bytes an operation at 1,000 a second.
        let leak = ten_minutes(|t| 12e6 + 8e3 * t + wobble(t));
        assert!(!leak.is_flat() && (leak.slope_per_s - 8e3).abs() < 500.0, "{leak:?}");
        // A small share of a large process is a leak all the same.
        let large = ten_minutes(|t| 2e9 + 25e3 * t);
        assert!(large.bytes() < large.early * SHARE && !large.is_flat(), "{large:?}");
        // A vector that doubles grows in steps.
        let steps = ten_minutes(|t| 12e6 + 2f64.powf((t / 60.0).floor()) * 16e3);
        assert!(!steps.is_flat(), "{steps:?}");
    }

    #[test]
    fn less_than_a_byte_an_operation_is_noise_and_more_is_not() {
        // From the second fifth to the last there are 360 s.
        let grows_by = |bytes: f64| ten_minutes(|t| 12e6 + bytes / 360.0 * t);
        assert!(grows_by(0.9e6).is_flat());
        assert!(!grows_by(1.1e6).is_flat());
    }

    #[test]
    fn too_few_samples_tell_nothing() {
        let samples: Vec<(f64, f64)> = (0..=10).map(|s| (f64::from(s), 1e6)).collect();
        assert_eq!(Growth::of(&samples[..4], 10.0), None);
        assert_eq!(Growth::of(&[], 10.0), None);
        assert!(Growth::of(&samples, 10.0).is_some());
    }
}
