//! On which key an op falls.

use rand::{Rng, RngExt};

/// Chooses among `count` keys, sending the share `hot` of all ops to the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyChoice {
    count: u32,
    hot: f64,
}

impl KeyChoice {
    /// `hot` is between 0 (all keys alike) and 1 (only the first).
    ///
    /// # Panics
    /// Without keys, or with a share that is none; plans are checked before.
    pub fn new(count: u32, hot: f64) -> Self {
        assert!(count > 0 && (0.0..=1.0).contains(&hot), "one key or more, and a share between 0 and 1");
        KeyChoice { count, hot }
    }

    /// The place of the next key.
    pub fn draw(&self, rng: &mut impl Rng) -> u32 {
        if self.hot > 0.0 && rng.random::<f64>() < self.hot { 0 } else { rng.random_range(0..self.count) }
    }

    /// The names of all keys: `k1` …
    pub fn names(&self) -> Vec<String> {
        (1..=self.count).map(|i| format!("k{i}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;

    #[test]
    fn shares_are_as_asked() {
        let mut rng = Seed(3).stream("keys");
        for (hot, expected) in [(0.0, 0.25), (0.6, 0.7), (1.0, 1.0)] {
            let keys = KeyChoice::new(4, hot);
            let first = (0..20_000).filter(|_| keys.draw(&mut rng) == 0).count() as f64 / 20_000.0;
            assert!((first - expected).abs() < 0.02, "{hot}: {first}");
        }
    }
}
