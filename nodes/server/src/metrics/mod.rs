//! A lock-free histogram that two threads can share.

pub(crate) mod http;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Number of sub-buckets per power of two: values are accurate to within 1/16.
const SUB_BUCKETS: usize = 16;
const SUB_BITS: u32 = SUB_BUCKETS.ilog2();
/// Number of powers of two above the first `SUB_BUCKETS` microseconds. The last bucket holds all values above 2^36 us
/// (19 hours).
const POWERS: usize = 32;

/// A histogram of durations in microseconds, with bucket widths that grow with the value.
#[derive(Debug)]
pub(crate) struct LatencyHistogram {
    buckets: [AtomicU64; SUB_BUCKETS * (POWERS + 1)],
    max_us: AtomicU64,
}

impl Default for LatencyHistogram {
    fn default() -> LatencyHistogram {
        LatencyHistogram { buckets: std::array::from_fn(|_| AtomicU64::new(0)), max_us: AtomicU64::new(0) }
    }
}

impl LatencyHistogram {
    pub(crate) fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(us)].fetch_add(1, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    /// The duration, in microseconds, not exceeded by this share of the recorded values. Zero if there are none.
    pub(crate) fn quantile_us(&self, share: f64) -> u64 {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let rank = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        bucket.map_or(0, |bucket| upper_us(bucket).min(self.max_us()))
    }

    pub(crate) fn max_us(&self) -> u64 {
        self.max_us.load(Ordering::Relaxed)
    }
}

fn bucket_of(us: u64) -> usize {
    if us < SUB_BUCKETS as u64 {
        return us as usize;
    }
    let power = us.ilog2() - SUB_BITS;
    let sub = (us >> power) as usize - SUB_BUCKETS;
    (SUB_BUCKETS * (power as usize + 1) + sub).min(SUB_BUCKETS * (POWERS + 1) - 1)
}

/// The largest value of a bucket.
fn upper_us(bucket: usize) -> u64 {
    if bucket < SUB_BUCKETS {
        return bucket as u64;
    }
    let (power, sub) = (bucket / SUB_BUCKETS - 1, bucket % SUB_BUCKETS);
    (((SUB_BUCKETS + sub + 1) as u64) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_sixteenth() {
        let histogram = LatencyHistogram::default();
        assert_eq!(histogram.quantile_us(0.5), 0);
        for us in 1..=10_000 {
            histogram.record(Duration::from_micros(us));
        }
        for (share, exact) in [(0.5, 5_000.0), (0.9, 9_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let got = histogram.quantile_us(share) as f64;
            assert!((exact..=exact * 17.0 / 16.0).contains(&got), "{share}: {got} for {exact}");
        }
        assert_eq!(histogram.max_us(), 10_000);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.max_us(), u64::MAX);
    }

    #[test]
    fn every_value_is_within_its_bucket() {
        for us in (0..5_000).chain([1 << 20, (1 << 20) + 1, (1 << 30) - 1]) {
            let bucket = bucket_of(us);
            assert!(us <= upper_us(bucket) && (bucket == 0 || us > upper_us(bucket - 1)), "{us}");
        }
    }
}
