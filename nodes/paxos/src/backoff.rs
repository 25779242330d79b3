//! How long a coordinator waits after being outbid.
//!
//! The adaptive wait is the one from Cassandra's second version of Paxos (CEP-14, `ContentionStrategy` with its
//! defaults). It is drawn between bounds that follow the latencies of this node's own rounds, grow with the number of
//! attempts, and are capped at a maximum. A wait much shorter than a round would only outbid others, and a much
//! longer one would leave the register idle.

use crate::ids::MonoTime;
use rand::{Rng, RngExt};
use std::collections::VecDeque;

/// Minimum of the upper bound, used while rounds are fast or none has been measured.
const MIN_UPPER_NS: u64 = 10_000_000;
/// Minimum distance between the bounds: equal waits would collide again.
const MIN_SPREAD_NS: u64 = 5_000_000;
/// Growth factor of the upper bound per attempt.
const GROWTH: f64 = 1.8;
/// Exponent of the quantised exponential draw. Above 1, it favours long waits.
const POWER: f64 = 1.5;

/// Maximum number of latencies remembered.
const SAMPLES: usize = 128;
/// Time after which a latency is dropped, in nanoseconds.
const WINDOW_NS: u64 = 10_000_000_000;
/// Time after which the quantiles are recomputed, in nanoseconds.
const QUANTILES_VALID_NS: u64 = 100_000_000;

/// Latencies of this node's most recent prepare and propose rounds. Pure: time is an argument.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    samples: VecDeque<(MonoTime, u64)>,
    /// The last computed quantiles, and the time until which they are used.
    known: Option<(MonoTime, Quantiles)>,
}

/// Quantiles of latencies, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// The median.
    pub p50_ns: u64,
    /// The 95th percentile.
    pub p95_ns: u64,
}

impl Latencies {
    /// Records the latency of a round that has reached its quorum.
    pub fn record(&mut self, now: MonoTime, latency_ns: u64) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now, latency_ns));
    }

    /// The quantiles of recent rounds. Zero if there are none.
    pub fn quantiles(&mut self, now: MonoTime) -> Quantiles {
        if let Some((until, known)) = self.known
            && now < until
        {
            return known;
        }
        while self.samples.front().is_some_and(|(at, _)| now.since_ns(*at) > WINDOW_NS) {
            self.samples.pop_front();
        }
        let mut sorted: Vec<u64> = self.samples.iter().map(|(_, latency_ns)| *latency_ns).collect();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0);
        let known = Quantiles { p50_ns: at(50), p95_ns: at(95) };
        self.known = Some((now.after_ns(QUANTILES_VALID_NS), known));
        known
    }
}

/// The bounds of the adaptive wait after `attempts` lost attempts (at least 1), in nanoseconds.
#[must_use]
pub fn bounds(attempts: u32, quantiles: Quantiles, max_ns: u64) -> (u64, u64) {
    // 60 attempts are enough growth to reach any maximum. The cast saturates.
    let grown = quantiles.p95_ns as f64 * GROWTH.powi(attempts.min(60) as i32);
    let mut upper = (grown as u64).max(MIN_UPPER_NS).min(max_ns);
    let mut lower = (quantiles.p50_ns as f64 * 0.66) as u64;
    let spread = MIN_SPREAD_NS.max(quantiles.p50_ns / 2);
    // Adjust the upper bound first, up to the maximum, and then the lower one.
    if upper < lower.saturating_add(spread) {
        upper = lower.saturating_add(spread).min(max_ns);
        lower = lower.min(upper.saturating_sub(spread));
    }
    (lower, upper)
}

/// Draws the adaptive wait after `attempts` lost attempts (at least 1), in nanoseconds.
pub fn adaptive_wait<R: Rng + ?Sized>(attempts: u32, quantiles: Quantiles, max_ns: u64, rng: &mut R) -> u64 {
    let (lower, upper) = bounds(attempts, quantiles, max_ns);
    let attempts = u64::from(attempts.max(1));
    let quantum = (upper - lower) / attempts;
    if attempts == 1 || quantum == 0 {
        return rng.random_range(lower..=upper);
    }
    // There are as many buckets as attempts. One is drawn, favouring later ones, and then a uniform value within it.
    let share = rng.random_range(0.0..1.0f64).powf(POWER);
    let bucket = ((attempts as f64 * share) as u64).min(attempts - 1);
    upper - rng.random_range(quantum * bucket..=quantum * (bucket + 1))
}
