//! The order of the runs of a sweep. All points are run once before any is repeated, and each round has a newly drawn order. A
//! drift of the machine thus affects all arms and values alike, and an interrupted sweep has as many complete rounds as possible.

use heckle_history::prng::Seed;
use heckle_results::sweep::sweep_json::AxisValue;
use rand::RngExt;

/// One run to be executed.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Index of the arm.
    pub arm: usize,
    /// The value of the axis.
    pub value: AxisValue,
    /// Number of the repeat, counted from 1.
    pub repeat: u32,
}

/// Returns all runs of a grid in order.
pub fn grid(seed: Seed, arms: &[usize], values: &[AxisValue], repeats: u32) -> Vec<Cell> {
    let round = |repeat: u32| {
        let cells = arms.iter().flat_map(|arm| values.iter().map(move |value| Cell { arm: *arm, value: value.clone(), repeat }));
        shuffled(seed, &format!("round/{repeat}"), cells.collect())
    };
    (1..=repeats).flat_map(round).collect()
}

/// Shuffles cells (Fisher-Yates) with the named part of the seed.
pub fn shuffled(seed: Seed, name: &str, mut cells: Vec<Cell>) -> Vec<Cell> {
    let mut rng = seed.stream(&format!("order/{name}"));
    for i in (1..cells.len()).rev() {
        cells.swap(i, rng.random_range(0..=i));
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn values(n: u32) -> Vec<AxisValue> {
        (1..=n).map(|i| AxisValue { text: i.to_string(), number: f64::from(i) }).collect()
    }

    #[test]
    fn every_round_has_every_point_once() {
        let (arms, values) = ([0, 2], values(5));
        let all = grid(Seed(7), &arms, &values, 3);
        assert_eq!(all.len(), 30);
        for (i, round) in all.chunks(10).enumerate() {
            assert!(round.iter().all(|c| c.repeat == i as u32 + 1));
            let points: BTreeSet<(usize, &str)> = round.iter().map(|c| (c.arm, c.value.text.as_str())).collect();
            assert_eq!(points.len(), 10);
        }
    }

    #[test]
    fn the_order_is_drawn_by_the_seed_and_anew_in_each_round() {
        let (arms, values) = ([0, 1, 2], values(7));
        let order = |seed| grid(Seed(seed), &arms, &values, 2);
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        let both = order(7);
        let key = |c: &Cell| (c.arm, c.value.text.clone());
        let [first, second] = [&both[..21], &both[21..]].map(|round| round.iter().map(key).collect::<Vec<_>>());
        assert_ne!(first, second);
        // Every arm and every value comes first for some seed.
        let starts: BTreeSet<(usize, String)> = (0..200).map(|seed| key(&order(seed)[0])).collect();
        assert!(starts.len() > 15, "{starts:?}");
    }
}
