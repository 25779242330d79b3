//! When each op is due, in the open loop: arrivals go by the clock, not by completions, so that a stalled
//! system meets the load it would meet in life, and latency counts from the time an op was due.

use heckle_history::Nanos;
use rand::{Rng, RngExt};

/// The intended times of an open loop: op `i` is due at a uniformly random time within the `i`-th slot of
/// `1/rate`. The count is then exact over any window, while neighbours still collide as independent users do;
/// a plain Poisson stream would miss a 2 % rate bound by chance alone.
#[derive(Debug, Clone)]
pub struct Arrivals<R> {
    slot_ns: f64,
    next: u64,
    end: Nanos,
    rng: R,
}

impl<R: Rng> Arrivals<R> {
    /// Arrivals at `rate_per_s` from time zero until `end`.
    ///
    /// # Panics
    /// If the rate is not a positive number; plans are checked before.
    pub fn new(rate_per_s: f64, end: Nanos, rng: R) -> Self {
        assert!(rate_per_s.is_finite() && rate_per_s > 0.0, "a rate is a positive number");
        Arrivals { slot_ns: 1e9 / rate_per_s, next: 0, end, rng }
    }
}

impl<R: Rng> Iterator for Arrivals<R> {
    type Item = Nanos;

    fn next(&mut self) -> Option<Nanos> {
        let at = (self.next as f64 + self.rng.random::<f64>()) * self.slot_ns;
        self.next += 1;
        let due = Nanos(at as u64);
        (due < self.end).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;

    #[test]
    fn arrivals_are_exact_in_number_and_rising() {
        let all: Vec<Nanos> = Arrivals::new(400.0, Nanos::from_ms(20_000), Seed(1).stream("arrivals")).collect();
        assert_eq!(all.len(), 8_000);
        assert!(all.is_sorted());
        let gaps: std::collections::BTreeSet<u64> = all.windows(2).map(|w| (w[1].0 - w[0].0) / 1_000_000).collect();
        assert!(gaps.len() > 3, "gaps vary: {gaps:?}");
        let again: Vec<Nanos> = Arrivals::new(400.0, Nanos::from_ms(20_000), Seed(1).stream("arrivals")).collect();
        assert_eq!(all, again);
    }
}
