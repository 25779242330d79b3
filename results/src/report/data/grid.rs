//! Equal intervals of time from zero to the end of a history, with a readable length.

use heckle_history::Nanos;

const LENGTHS_MS: [u64; 17] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000];

/// Equal intervals of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Length of an interval.
    pub length: Nanos,
    /// Number of intervals, at least one.
    pub count: usize,
}

impl Grid {
    /// Divides a history that ends at `end` into about `wanted` intervals at most.
    pub fn new(end: Nanos, wanted: u64) -> Self {
        let least_ms = (end.0 / 1_000_000).div_ceil(wanted.max(1)).max(1);
        let length = Nanos::from_ms(LENGTHS_MS.into_iter().find(|ms| *ms >= least_ms).unwrap_or(least_ms));
        Grid { length, count: (end.0 / length.0) as usize + 1 }
    }

    /// Returns the index of the interval that contains `t`. Times after the end are in the last interval.
    pub fn place(self, t: Nanos) -> usize {
        ((t.0 / self.length.0) as usize).min(self.count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_its_history_with_few_intervals() {
        for end_ms in [0, 1, 999, 30_000, 36_123, 3_600_000, 900_000_000] {
            let grid = Grid::new(Nanos::from_ms(end_ms), 240);
            assert!(grid.count <= 241, "{end_ms}: {grid:?}");
            assert!(grid.length.0 * grid.count as u64 > end_ms * 1_000_000, "{end_ms}: {grid:?}");
            assert_eq!(grid.place(Nanos::NEVER), grid.count - 1);
        }
        assert_eq!(Grid::new(Nanos::from_ms(30_000), 240).length, Nanos::from_ms(200));
    }
}
