//! Latencies in fixed buckets, as in Prometheus. Unlike percentiles, bucket counts of several runs and periods can be added.

use heckle_history::Nanos;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets, in nanoseconds: from 100 us to 1 min, in readable steps. The last bucket has no bound.
pub const BOUNDS_NS: [u64; 18] = [
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// Counts of latencies by bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Buckets {
    /// Counts by bucket, not cumulative. The last bucket has no upper bound. Empty if nothing was counted.
    pub counts: Vec<u64>,
    /// Sum of all latencies.
    pub sum_ns: u64,
}

impl Buckets {
    /// Counts a latency.
    pub fn add(&mut self, latency: Nanos) {
        self.counts.resize(BOUNDS_NS.len() + 1, 0);
        // A bound belongs to its own bucket: `le` means less or equal.
        self.counts[BOUNDS_NS.partition_point(|bound| *bound < latency.0)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(latency.0);
    }

    /// Returns the number of latencies.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Returns the upper bounds in nanoseconds, each with the number of latencies up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut so_far = 0u64;
        BOUNDS_NS.into_iter().enumerate().map(move |(i, bound)| {
            so_far = so_far.saturating_add(self.counts.get(i).copied().unwrap_or(0));
            (bound, so_far)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut buckets = Buckets::default();
        for ns in [0, 100_000, 100_001, 1_000_000, 60_000_000_000, 60_000_000_001, u64::MAX] {
            buckets.add(Nanos(ns));
        }
        let cumulative: Vec<u64> = buckets.cumulative().map(|(_, n)| n).collect();
        assert_eq!((cumulative[0], cumulative[1], cumulative[3], cumulative[17]), (2, 3, 4, 5));
        assert_eq!((buckets.count(), buckets.sum_ns), (7, u64::MAX), "a sum does not wrap around");
        assert!(BOUNDS_NS.is_sorted());
        assert_eq!(Buckets::default().cumulative().last(), Some((60_000_000_000, 0)));
    }
}
