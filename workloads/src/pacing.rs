//! Computes when each op of the open loop is due. Arrivals follow the clock, not completions. A stalled system
//! therefore receives the same load as in production, and latency is measured from the time an op was due.

use crate::shape::{Shape, Stage};
use heckle_history::Nanos;
use rand::{Rng, RngExt};

/// The intended times of an open loop. Op `i` of a stage is due at a uniformly random time within the `i`-th slot, in which the
/// integral of the rate grows by one. The number of arrivals in a stage is then its integral, to within one, while neighbours
/// still collide as independent users do. A plain Poisson stream would miss a 2 % rate bound by chance alone.
#[derive(Debug, Clone)]
pub struct Arrivals<R> {
    shape: Shape,
    /// Index of the current stage.
    stage: usize,
    /// Slot in the current stage.
    next: u64,
    rng: R,
}

impl<R: Rng> Arrivals<R> {
    /// Creates arrivals at `rate_per_s` from time zero until `end`.
    ///
    /// # Panics
    /// If the rate is not a positive number; plans are validated earlier.
    pub fn new(rate_per_s: f64, end: Nanos, rng: R) -> Self {
        Arrivals::shaped(Shape::new([Stage::hold(end, rate_per_s)]), rng)
    }

    /// Creates arrivals whose rate per second follows `shape`.
    pub fn shaped(shape: Shape, rng: R) -> Self {
        Arrivals { shape, stage: 0, next: 0, rng }
    }
}

impl<R: Rng> Iterator for Arrivals<R> {
    type Item = Nanos;

    fn next(&mut self) -> Option<Nanos> {
        while let Some((start, stage)) = self.shape.stages().get(self.stage) {
            let offset = stage.offset(self.next as f64 + self.rng.random::<f64>());
            self.next += 1;
            // The last slot may extend beyond the stage. A falling rate never gets there, because its integral ends
            // first.
            let within = stage.from == stage.to || self.next as f64 - 1.0 < stage.integral();
            let due = Nanos(offset as u64);
            if within && due < stage.lasts {
                return Some(Nanos(start.0 + due.0));
            }
            (self.stage, self.next) = (self.stage + 1, 0);
        }
        None
    }
}

/// How the clients of the closed loop start intents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClosedLoop {
    /// Time that a client waits after an intent.
    pub think: Nanos,
    /// Number of active clients over time; without it, all are active. A client that becomes inactive finishes its intent
    /// first.
    pub clients: Option<Shape>,
}

impl ClosedLoop {
    /// Returns when a client that is free at `at` may start: immediately, or when it is next active. `None` if it never
    /// is.
    pub fn next(&self, client: u32, at: Nanos) -> Option<Nanos> {
        self.clients.as_ref().map_or(Some(at), |shape| shape.next_active(client, at))
    }
}

/// How arrivals are distributed in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Spread evenly, where neighbours may collide as with independent users.
    Even,
    /// All arrivals of a period at its start.
    Bursts {
        /// Length of the period.
        every: Nanos,
    },
}

impl Pace {
    /// Returns when an arrival drawn for `at` is due.
    pub fn due(self, at: Nanos) -> Nanos {
        match self {
            Pace::Even => at,
            Pace::Bursts { every } => Nanos(at.0 - at.0 % every.0.max(1)),
        }
    }

    /// Returns when a client of the closed loop that is free at `at` starts its next intent.
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

    fn count(arrivals: &[Nanos], from: Nanos, until: Nanos) -> f64 {
        arrivals.iter().filter(|t| from <= **t && **t < until).count() as f64
    }

    /// In every stage of a drawn shape, the number of arrivals equals the integral of the rate to within one. The `SEED` in the
    /// message reproduces the shape.
    #[test]
    fn a_stage_has_as_many_arrivals_as_its_rate_asks_for() {
        for seed in 0..400 {
            let mut rng = Seed(seed).stream("shapes");
            let stages: Vec<Stage> = (0..rng.random_range(1..6))
                .map(|_| {
                    let lasts = Nanos(rng.random_range(10_000_000..3_000_000_000));
                    let (from, to) = (rng.random_range(0.5..900.0), rng.random_range(0.5..900.0));
                    if rng.random::<bool>() { Stage::hold(lasts, from) } else { Stage { lasts, from, to } }
                })
                .collect();
            let shape = Shape::new(stages);
            let all: Vec<Nanos> = Arrivals::shaped(shape.clone(), Seed(seed).stream("arrivals")).collect();
            assert!(all.is_sorted(), "SEED {seed}");
            let mut counted = 0.0;
            for (start, stage) in shape.stages() {
                let got = count(&all, *start, Nanos(start.0 + stage.lasts.0));
                counted += got;
                assert!(
                    (got - stage.integral()).abs() <= 1.0,
                    "SEED {seed}: {got} arrivals in {stage:?}, whose integral is {}",
                    stage.integral()
                );
                // Half of a stage has the integral of that half, so the rate really changes within the stage.
                let half = Nanos(stage.lasts.0 / 2);
                let first = Stage { lasts: half, from: stage.from, to: (stage.from + stage.to) / 2.0 };
                let got = count(&all, *start, Nanos(start.0 + half.0));
                assert!((got - first.integral()).abs() <= 1.01, "SEED {seed}: {got} arrivals in the first half of {stage:?}");
            }
            assert_eq!(counted, all.len() as f64, "SEED {seed}: arrivals outside of all stages");
        }
    }

    #[test]
    fn one_stage_is_the_constant_rate() {
        let end = Nanos::from_ms(5_000);
        let constant: Vec<Nanos> = Arrivals::new(123.0, end, Seed(3).stream("arrivals")).collect();
        let staged = Shape::new([Stage::hold(end, 123.0)]);
        assert_eq!(constant, Arrivals::shaped(staged, Seed(3).stream("arrivals")).collect::<Vec<_>>());
        // The choices are the same as before stages were introduced.
        let mut rng = Seed(3).stream("arrivals");
        let before: Vec<Nanos> =
            (0u64..615).map(|i| Nanos(((i as f64 + rng.random::<f64>()) * (1e9 / 123.0)) as u64)).filter(|t| *t < end).collect();
        assert_eq!(constant, before);
    }

    #[test]
    fn bursts_start_each_period_and_lose_no_arrivals() {
        let bell = Pace::Bursts { every: Nanos(100) };
        assert_eq!((bell.due(Nanos(99)), bell.due(Nanos(100)), bell.due(Nanos(250))), (Nanos(0), Nanos(100), Nanos(200)));
        assert_eq!((bell.next(Nanos(100)), bell.next(Nanos(101))), (Nanos(100), Nanos(200)));
        assert_eq!((Pace::Even.due(Nanos(99)), Pace::Even.next(Nanos(99))), (Nanos(99), Nanos(99)));
    }
}
