//! Measures how equal shares are, as a single number.

/// Computes Jain's index (Jain, Chiu and Hawe, *A quantitative measure of fairness*, 1984): 1 if all shares are equal,
/// `1/n` if one of n takes everything. `None` if all shares are zero.
///
/// ```
/// use heckle_checker::fairness::shares::jain;
/// assert_eq!(jain(&[5.0, 5.0, 5.0, 5.0]), Some(1.0));
/// assert_eq!(jain(&[8.0, 0.0, 0.0, 0.0]), Some(0.25));
/// assert_eq!(jain(&[0.0, 0.0]), None);
/// ```
pub fn jain(shares: &[f64]) -> Option<f64> {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|x| x * x).sum();
    (squares > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

/// Approximates the expected value of Jain's index when `won` successes are distributed randomly over `clients` with
/// equal chances. Few successes are never spread evenly, even by a fair system.
///
/// With `N` successes on `k` clients, the mean of the sum of squares is `N + N (N - 1) / k`. Because the mean of a
/// quotient is not the quotient of the means, the result is up to 0.05 too low for very few successes.
pub fn expected_jain(won: u64, clients: usize) -> f64 {
    if won == 0 { 1.0 } else { won as f64 / (won as f64 + clients as f64 - 1.0) }
}

/// Computes the Gini coefficient: 0 if all shares are equal, `1 - 1/n` if one of n takes everything. `None` if all
/// shares are zero.
///
/// ```
/// use heckle_checker::fairness::shares::gini;
/// assert_eq!(gini(&[3.0, 3.0, 3.0]), Some(0.0));
/// assert_eq!(gini(&[0.0, 0.0, 0.0, 10.0]), Some(0.75));
/// // One and three: each of the four pairs differs by 0 or 2, half of the mean.
/// assert_eq!(gini(&[1.0, 3.0]), Some(0.25));
/// ```
pub fn gini(shares: &[f64]) -> Option<f64> {
    let n = shares.len() as f64;
    let sum: f64 = shares.iter().sum();
    if sum <= 0.0 {
        return None;
    }
    let mut sorted = shares.to_vec();
    sorted.sort_by(f64::total_cmp);
    let weighted: f64 = sorted.iter().enumerate().map(|(i, x)| (i + 1) as f64 * x).sum();
    Some((2.0 * weighted / (n * sum) - (n + 1.0) / n).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // (10 + 8 + 6)^2 / (3 * (100 + 64 + 36)) = 576 / 600.
        assert!((jain(&[10.0, 8.0, 6.0]).unwrap() - 0.96).abs() < 1e-12);
        assert!((jain(&[1.0, 2.0, 3.0, 4.0]).unwrap() - 100.0 / 120.0).abs() < 1e-12);
        assert!((gini(&[1.0, 2.0, 3.0, 4.0]).unwrap() - 0.25).abs() < 1e-12);
        assert!((gini(&[4.0, 1.0, 3.0, 2.0]).unwrap() - 0.25).abs() < 1e-12, "the order does not matter");
        assert_eq!((jain(&[]), gini(&[]), gini(&[0.0])), (None, None, None));
    }

    #[test]
    fn one_who_takes_all_shows_in_both() {
        for n in 2..20usize {
            let mut shares = vec![0.0; n];
            shares[n / 2] = 7.0;
            assert!((jain(&shares).unwrap() - 1.0 / n as f64).abs() < 1e-12);
            assert!((gini(&shares).unwrap() - (1.0 - 1.0 / n as f64)).abs() < 1e-12);
        }
    }

    #[test]
    fn jain_of_luck_matches_random_draws() {
        use heckle_history::prng::Seed;
        use rand::Rng;
        let mut rng = Seed(5).stream("luck");
        for (won, clients) in [(20u64, 16usize), (200, 16), (3, 2)] {
            let mean = (0..2_000)
                .map(|_| {
                    let mut shares = vec![0.0; clients];
                    (0..won).for_each(|_| shares[(rng.next_u64() % clients as u64) as usize] += 1.0);
                    jain(&shares).unwrap()
                })
                .sum::<f64>()
                / 2_000.0;
            assert!((mean - expected_jain(won, clients)).abs() < 0.055, "{won} on {clients}: {mean}");
        }
    }
}
