//! Computes fault-free time. The cost of a fault is reported with the fault and must not count as starvation.

use crate::coverage;
use heckle_history::{History, Nanos};

/// Active time of faults: disjoint intervals in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultTime(Vec<(Nanos, Nanos)>);

impl FaultTime {
    /// Computes the active intervals of all faults of a history. Each fault counts until it heals.
    pub fn of(history: &History) -> Self {
        Self::from_intervals(coverage::faults(history).iter().map(|f| (f.began, f.healed.unwrap_or(f.ended))).collect())
    }

    fn from_intervals(mut all: Vec<(Nanos, Nanos)>) -> Self {
        all.sort_unstable();
        let mut merged: Vec<(Nanos, Nanos)> = vec![];
        for (from, to) in all {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                Some(_) | None => merged.push((from, to)),
            }
        }
        FaultTime(merged)
    }

    /// Returns the amount of fault-free time between `from` and `to`.
    pub fn calm(&self, from: Nanos, to: Nanos) -> Nanos {
        let disturbed: u64 = self.overlapping(from, to).map(|(a, b)| b.min(to).since(a.max(from)).0).sum();
        Nanos(to.since(from).0 - disturbed)
    }

    /// Returns whether a fault was active at any time from `from` to `to`.
    pub fn disturb(&self, from: Nanos, to: Nanos) -> bool {
        self.overlapping(from, to).next().is_some()
    }

    fn overlapping(&self, from: Nanos, to: Nanos) -> impl Iterator<Item = (Nanos, Nanos)> {
        let first = self.0.partition_point(|(_, end)| *end < from);
        self.0[first..].iter().copied().take_while(move |(began, _)| *began <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_faults_are_subtracted_once() {
        let n = Nanos;
        let faults = FaultTime::from_intervals(vec![(n(50), n(60)), (n(10), n(20)), (n(15), n(30))]);
        for (from, to, calm) in [(0, 100, 70), (12, 18, 0), (0, 10, 10), (25, 55, 20), (30, 50, 20), (60, 60, 0)] {
            assert_eq!(faults.calm(n(from), n(to)), n(calm), "{from}..{to}");
        }
        assert!(faults.disturb(n(29), n(40)) && faults.disturb(n(0), n(10)) && !faults.disturb(n(31), n(49)));
    }
}
