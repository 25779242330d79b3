//! Computes when each op of the open loop is due. Arrivals follow the clock, not completions, so that a stalled system
//! receives the load it would receive in production, and latency is measured from the time an op was due.

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
    /// If the rate is not a positive number; plans are validated earlier.
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

/// How arrivals are distributed in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Spread evenly, where neighbours may collide as with independent users.
    Even,
    /// All arrivals of a period at its start, as a convoy.
    Bursts {
        /// The period.
        every: Nanos,
    },
}

impl Pace {
    /// When an arrival drawn for `at` is due.
    pub fn due(self, at: Nanos) -> Nanos {
        match self {
            Pace::Even => at,
            Pace::Bursts { every } => Nanos(at.0 - at.0 % every.0.max(1)),
        }
    }

    /// When a client of the closed loop that is free at `at` starts its next intent.
    pub fn next(self, at: Nanos) -> Nanos {
        match self {
            Pace::Even => at,
            Pace::Bursts { every } => Nanos(at.0.next_multiple_of(every.0.max(1))),
        }
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

    #[test]
    fn bursts_start_each_period_and_lose_no_arrivals() {
        let bell = Pace::Bursts { every: Nanos(100) };
        assert_eq!((bell.due(Nanos(99)), bell.due(Nanos(100)), bell.due(Nanos(250))), (Nanos(0), Nanos(100), Nanos(200)));
        assert_eq!((bell.next(Nanos(100)), bell.next(Nanos(101))), (Nanos(100), Nanos(200)));
        assert_eq!((Pace::Even.due(Nanos(99)), Pace::Even.next(Nanos(99))), (Nanos(99), Nanos(99)));
    }
}
