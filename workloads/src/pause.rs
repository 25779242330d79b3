//! How long a client waits before it retries.

use heckle_history::Nanos;
use rand::{Rng, RngExt};

/// Upper bound of the first wait after a failure (no quorum, no connection). It doubles with each failure.
const AFTER_FAILURE: Nanos = Nanos::from_ms(1);
/// Maximum wait after a failure. A node that has recovered is used again within this time.
const LONGEST: Nanos = Nanos::from_ms(64);

/// Draws a wait uniformly from zero to `max`. If `max` is zero, nothing is drawn.
pub(crate) fn up_to(max: Nanos, rng: &mut impl Rng) -> Nanos {
    if max == Nanos(0) { max } else { Nanos(rng.random_range(0..=max.0)) }
}

/// Draws the wait after the `failures`-th consecutive failure, counted from 1. It is never zero: connecting to a dead
/// node fails immediately, and retrying without a pause would keep a core busy.
pub(crate) fn after_failure(failures: u32, rng: &mut impl Rng) -> Nanos {
    let most = AFTER_FAILURE.0.saturating_mul(1 << failures.clamp(1, 20)).min(LONGEST.0);
    Nanos(rng.random_range(most / 2..=most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;

    #[test]
    fn waits_grow_and_stay_within_their_bounds() {
        let mut rng = Seed(1).stream("pauses");
        assert_eq!(up_to(Nanos(0), &mut rng), Nanos(0));
        assert!((0..100).all(|_| up_to(Nanos(5), &mut rng) <= Nanos(5)));
        for (failures, low, high) in [(1, 1_000_000, 2_000_000), (3, 4_000_000, 8_000_000), (40, 32_000_000, 64_000_000)] {
            for _ in 0..100 {
                let wait = after_failure(failures, &mut rng);
                assert!((low..=high).contains(&wait.0), "{failures}: {wait:?}");
            }
        }
    }
}
