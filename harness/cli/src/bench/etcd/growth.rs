//! Fits a line to the memory samples of a process, and decides whether its memory is flat.
//!
//! The first fifth is left out, because caches, pools and the table of keys fill during it. The growth is the median of the last
//! fifth minus the median of the second. Medians are used because a compaction briefly holds a second copy. The slope is the
//! Theil-Sen estimator, the median of the slopes between all pairs of samples, which is also robust against such spikes (Sen,
//! *Estimates of the regression coefficient based on Kendall's tau*, 1968).

use heckle_results::median;

/// Growth below this is noise, whatever its share of the memory, because the allocator alone may cause it. Over the usual load of
/// ten minutes it amounts to less than a byte per operation, and any leak per operation would be larger.
pub(super) const NOISE_BYTES: f64 = 1e6;
/// Above the noise, memory is flat if it grows by less than this share.
pub(super) const FLAT_SHARE: f64 = 0.05;
/// Growth of this many bytes is never flat.
pub(super) const MAX_FLAT_BYTES: f64 = 8e6;
/// Minimum number of samples per fifth. With fewer, a median is meaningless.
const MIN_SAMPLES_PER_FIFTH: usize = 3;
/// Maximum number of samples for the slopes, which are taken between all pairs.
const MAX_FITTED_SAMPLES: usize = 400;

/// Growth of the memory of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// Median of the second fifth, in bytes.
    pub(super) early: f64,
    /// Median of the last fifth, in bytes.
    pub(super) late: f64,
    /// Theil-Sen slope from the second fifth on, in bytes per second.
    pub(super) slope_per_s: f64,
}

impl Growth {
    /// Computes the growth from samples in time order, as (seconds since the load began, bytes). Returns `None` if there are too few.
    pub(super) fn of(samples: &[(f64, f64)], lasts_s: f64) -> Option<Growth> {
        let fifth = |n: f64| {
            let (from, to) = ((n - 1.0) * lasts_s / 5.0, n * lasts_s / 5.0);
            let bytes: Vec<f64> = samples.iter().filter(|(t, _)| from <= *t && *t <= to).map(|s| s.1).collect();
            (bytes.len() >= MIN_SAMPLES_PER_FIFTH).then(|| median(&bytes)).flatten()
        };
        let warm: Vec<(f64, f64)> = samples.iter().copied().filter(|(t, _)| (lasts_s / 5.0..=lasts_s).contains(t)).collect();
        Some(Growth { early: fifth(2.0)?, late: fifth(5.0)?, slope_per_s: slope(&warm)? })
    }

    /// Returns the growth from the second fifth to the last, in bytes.
    pub(super) fn bytes(&self) -> f64 {
        self.late - self.early
    }

    /// Whether the memory counts as flat.
    pub(super) fn is_flat(&self) -> bool {
        let grown = self.bytes();
        grown < MAX_FLAT_BYTES && grown < (self.early * FLAT_SHARE).max(NOISE_BYTES)
    }
}

/// Returns the median of the slopes between all pairs of samples. If there are too many samples, uses an evenly spaced selection.
fn slope(samples: &[(f64, f64)]) -> Option<f64> {
    let every = samples.len().div_ceil(MAX_FITTED_SAMPLES).max(1);
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

    /// Returns the growth of samples taken once a second for ten minutes.
    fn ten_minutes(bytes: impl Fn(f64) -> f64) -> Growth {
        let samples: Vec<(f64, f64)> = (0..=600).map(|s| (f64::from(s), bytes(f64::from(s)))).collect();
        Growth::of(&samples, 600.0).expect("enough samples")
    }

    /// Returns an oscillation of a few pages, as seen in the memory of real processes.
    fn oscillation(t: f64) -> f64 {
        200e3 * (t * 1.7).sin()
    }

    #[test]
    fn memory_that_fills_once_is_flat() {
        let filled = ten_minutes(|t| 12e6 + 8e6 * (t / 100.0).min(1.0) + oscillation(t));
        assert!(filled.is_flat() && filled.slope_per_s.abs() * 600.0 < 300e3, "{filled:?}");
        // Every 30 s a compaction holds a second copy for one second.
        let spikes = ten_minutes(|t| 12e6 + oscillation(t) + if (t % 30.0) < 0.5 { 20e6 } else { 0.0 });
        assert!(spikes.is_flat() && spikes.slope_per_s.abs() * 600.0 < 300e3, "{spikes:?}");
        let shrinks = ten_minutes(|t| 30e6 - 10e3 * t);
        assert!(shrinks.is_flat() && (shrinks.slope_per_s + 10e3).abs() < 1.0, "{shrinks:?}");
    }

    #[test]
    fn detects_a_leak() {
        // Eight bytes per operation at 1,000 operations per second.
        let leak = ten_minutes(|t| 12e6 + 8e3 * t + oscillation(t));
        assert!(!leak.is_flat() && (leak.slope_per_s - 8e3).abs() < 500.0, "{leak:?}");
        // Growth by a small share is still a leak in a large process.
        let large = ten_minutes(|t| 2e9 + 25e3 * t);
        assert!(large.bytes() < large.early * FLAT_SHARE && !large.is_flat(), "{large:?}");
        // A vector that doubles grows in steps.
        let steps = ten_minutes(|t| 12e6 + 2f64.powf((t / 60.0).floor()) * 16e3);
        assert!(!steps.is_flat(), "{steps:?}");
    }

    #[test]
    fn growth_below_a_byte_per_operation_is_noise() {
        // The second and the last fifth are 360 s apart.
        let grows_by = |bytes: f64| ten_minutes(|t| 12e6 + bytes / 360.0 * t);
        assert!(grows_by(0.9e6).is_flat());
        assert!(!grows_by(1.1e6).is_flat());
    }

    #[test]
    fn too_few_samples_give_no_growth() {
        let samples: Vec<(f64, f64)> = (0..=10).map(|s| (f64::from(s), 1e6)).collect();
        assert_eq!(Growth::of(&samples[..4], 10.0), None);
        assert_eq!(Growth::of(&[], 10.0), None);
        assert!(Growth::of(&samples, 10.0).is_some());
    }
}
