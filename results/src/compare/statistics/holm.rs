//! Multiple testing: Holm's step-down adjustment (*Scandinavian Journal of Statistics* 1979). It bounds the probability of any
//! false claim by the level, whatever the dependence between figures.

/// Returns the adjusted probabilities in the given order: a claim is made at level a if its adjusted probability is at most a.
pub fn adjust(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut reached: f64 = 0.0;
    for (rank, i) in order.into_iter().enumerate() {
        reached = reached.max(p[i] * (p.len() - rank) as f64).min(1.0);
        adjusted[i] = reached;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_adjustments() {
        for (p, want) in [
            // Same as R's `p.adjust(p, "holm")`.
            (vec![0.01, 0.04, 0.03], vec![0.03, 0.06, 0.06]),
            (vec![0.01, 0.02, 0.03, 0.04], vec![0.04, 0.06, 0.06, 0.06]),
            (vec![0.5, 0.9], vec![1.0, 1.0]),
            (vec![], vec![]),
        ] {
            let got = adjust(&p);
            assert!(got.iter().zip(&want).all(|(g, w): (&f64, &f64)| (g - w).abs() < 1e-12), "{p:?}: {got:?}");
        }
    }
}
