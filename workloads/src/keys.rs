//! Chooses the key of each op.

use rand::{Rng, RngExt};

/// Distribution from which keys are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyChoice {
    count: u32,
    spread: Spread,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Spread {
    /// A share of all ops uses the first key; the rest is spread evenly over all keys.
    Hot(f64),
    Zipf(Zipf),
}

impl KeyChoice {
    /// Creates a choice where `hot` is between 0 (all keys equally likely) and 1 (only the first key).
    ///
    /// # Panics
    /// If there are no keys or the share is out of range; plans are validated earlier.
    pub fn new(count: u32, hot: f64) -> Self {
        assert!(count > 0 && (0.0..=1.0).contains(&hot), "one key or more, and a share between 0 and 1");
        KeyChoice { count, spread: Spread::Hot(hot) }
    }

    /// Creates a choice where the i-th key is chosen with probability proportional to `1 / i^exponent`.
    ///
    /// # Panics
    /// If there are no keys, or the exponent is not above 0 and at most [`MAX_EXPONENT`]; plans are validated earlier.
    pub fn zipf(count: u32, exponent: f64) -> Self {
        assert!(count > 0 && exponent > 0.0 && exponent <= MAX_EXPONENT, "one key or more, and an exponent in bounds");
        KeyChoice { count, spread: Spread::Zipf(Zipf::new(count, exponent)) }
    }

    /// Draws the index of the next key.
    pub fn draw(&self, rng: &mut impl Rng) -> u32 {
        match self.spread {
            Spread::Hot(hot) => {
                if hot > 0.0 && rng.random::<f64>() < hot {
                    0
                } else {
                    rng.random_range(0..self.count)
                }
            }
            Spread::Zipf(zipf) => zipf.draw(rng),
        }
    }

    /// Returns the number of keys.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the names of all keys: `k1` …
    pub fn names(&self) -> Vec<String> {
        (1..=self.count).map(|i| format!("k{i}")).collect()
    }
}

/// Maximum exponent. Above it, the second key is hardly ever chosen.
pub const MAX_EXPONENT: f64 = 10.0;

/// Draws ranks by rejection and inversion, without a table (Hörmann and Derflinger, *Rejection-inversion to generate
/// variates from monotone discrete distributions*, 1996).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Zipf {
    count: f64,
    exponent: f64,
    /// Ends of the range in which values of the integral are drawn.
    first: f64,
    last: f64,
    /// A point within this distance of its rank is accepted without another test.
    near: f64,
}

impl Zipf {
    fn new(count: u32, exponent: f64) -> Self {
        let mut zipf = Zipf { count: f64::from(count), exponent, first: 0.0, last: 0.0, near: 0.0 };
        zipf.first = zipf.integral(1.5) - 1.0;
        zipf.last = zipf.integral(f64::from(count) + 0.5);
        zipf.near = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    fn draw(&self, rng: &mut impl Rng) -> u32 {
        loop {
            let at = self.last + rng.random::<f64>() * (self.first - self.last);
            let x = self.inverse(at);
            let rank = x.round().clamp(1.0, self.count);
            // For any exponent, more than four out of five points are accepted on the first try.
            if rank - x <= self.near || at >= self.integral(rank + 0.5) - self.density(rank) {
                return rank as u32 - 1;
            }
        }
    }

    fn density(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// Returns the integral of the density from 1 to `x`. The obvious quotient would suffer from cancellation near an
    /// exponent of 1.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let t = (1.0 - self.exponent) * log;
        log * if t.abs() > 1e-8 { t.exp_m1() / t } else { 1.0 + t / 2.0 }
    }

    fn inverse(&self, y: f64) -> f64 {
        let t = (y * (1.0 - self.exponent)).max(-1.0);
        (y * if t.abs() > 1e-8 { t.ln_1p() / t } else { 1.0 - t / 2.0 }).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;

    #[test]
    fn the_hot_key_gets_the_configured_share() {
        let mut rng = Seed(3).stream("keys");
        for (hot, expected) in [(0.0, 0.25), (0.6, 0.7), (1.0, 1.0)] {
            let keys = KeyChoice::new(4, hot);
            let first = (0..20_000).filter(|_| keys.draw(&mut rng) == 0).count() as f64 / 20_000.0;
            assert!((first - expected).abs() < 0.02, "{hot}: {first}");
        }
    }

    #[test]
    fn ranks_follow_their_law() {
        const DRAWS: usize = 200_000;
        for exponent in [0.5, 1.0, 1.1, 3.0] {
            for count in [1u32, 2, 50] {
                let keys = KeyChoice::zipf(count, exponent);
                let mut rng = Seed(7).stream("zipf");
                let mut drawn = vec![0u32; count as usize];
                for _ in 0..DRAWS {
                    drawn[keys.draw(&mut rng) as usize] += 1;
                }
                let total: f64 = (1..=count).map(|i| f64::from(i).powf(-exponent)).sum();
                for (i, n) in (1u32..).zip(&drawn) {
                    let expected = f64::from(i).powf(-exponent) / total;
                    let share = f64::from(*n) / DRAWS as f64;
                    // The tolerance is five standard deviations of a share.
                    let slack = 5.0 * (expected * (1.0 - expected) / DRAWS as f64).sqrt();
                    assert!((share - expected).abs() <= slack, "s {exponent} n {count} rank {i}: {share} for {expected}");
                }
            }
        }
    }
}
