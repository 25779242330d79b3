//! Counts over time, in columns: the data of the line charts. Percentiles are in `quantiles`.

use super::grid::Grid;
use super::{End, EndedHistory};
use heckle_history::{Fate, Measure, Nanos};
use serde::Serialize;

/// Maximum number of slices. When readers zoom into a long run, the density chart shows the details between the points of a line.
const SLICES: u64 = 300;

/// The time series of a run, with a column per figure. An operation belongs to the slice in which it was sent.
#[derive(Debug, Default, Serialize)]
pub(super) struct Slices {
    length: f64,
    due: Vec<u32>,
    sent: Vec<u32>,
    answered: Vec<u32>,
    ok: Vec<u32>,
    not_met: Vec<u32>,
    failed: Vec<u32>,
    /// Unknown, and the fate was not determined.
    unknown: Vec<u32>,
    /// Unknown, later found to be applied.
    fate_applied: Vec<u32>,
    /// Unknown, later found not to be applied.
    fate_not_applied: Vec<u32>,
    in_flight_most: Vec<u32>,
    in_flight_mean: Vec<f64>,
    /// Attempts per slice, or `None` if the system does not report them.
    attempts: Option<Attempts>,
}

#[derive(Debug, Default, Serialize)]
struct Attempts {
    mean: Vec<Option<f64>>,
    most: Vec<u64>,
    preempted: Vec<u64>,
    repairs: Vec<u64>,
}

pub(super) fn of(ends: EndedHistory<'_>) -> Slices {
    let grid = Grid::new(ends.history.end, SLICES);
    let zero = || vec![0u32; grid.count];
    let mut s = Slices { length: grid.length.as_secs_f64(), ..Slices::default() };
    (s.due, s.sent, s.answered, s.ok, s.not_met, s.failed) = (zero(), zero(), zero(), zero(), zero(), zero());
    (s.unknown, s.fate_applied, s.fate_not_applied) = (zero(), zero(), zero());
    for (place, op) in (0u32..).zip(&ends.history.ops) {
        let sent = grid.place(op.invoked);
        s.due[grid.place(op.intended)] += 1;
        s.sent[sent] += 1;
        match (End::of(op), ends.history.fates.get(&place)) {
            (End::Ok, _) => s.ok[sent] += 1,
            (End::NotMet, _) => s.not_met[sent] += 1,
            (End::Failed, _) => s.failed[sent] += 1,
            (End::Unknown, Some((Fate::Applied, _))) => s.fate_applied[sent] += 1,
            (End::Unknown, Some((Fate::NotApplied, _))) => s.fate_not_applied[sent] += 1,
            (End::Unknown, Some((Fate::Evicted | Fate::Unresolved, _)) | None) => s.unknown[sent] += 1,
        }
        if matches!(End::of(op), End::Ok | End::NotMet) {
            s.answered[grid.place(op.completed)] += 1;
        }
    }
    (s.in_flight_most, s.in_flight_mean) = in_flight(ends, grid);
    s.attempts = attempts(ends, grid);
    s
}

/// Returns the maximum number of open operations in each slice, and the mean over the slice.
fn in_flight(ends: EndedHistory<'_>, grid: Grid) -> (Vec<u32>, Vec<f64>) {
    let mut completions: Vec<Nanos> = ends.history.ops.iter().map(|op| ends.completed(op)).collect();
    completions.sort_unstable();
    let mut open_ns = vec![0u64; grid.count];
    let mut most = vec![0u32; grid.count];
    let (mut open, mut t, mut next) = (0u32, Nanos(0), 0);
    // The number is constant between two changes, and is added to every slice that the interval overlaps.
    let mut advance = |to: Nanos, open: u32, t: &mut Nanos| {
        for slice in grid.place(*t)..=grid.place(to) {
            let (from, until) = (grid.length.0 * slice as u64, grid.length.0 * (slice as u64 + 1));
            let (a, b) = (t.0.max(from), to.0.min(until));
            open_ns[slice] += b.saturating_sub(a) * u64::from(open);
            if b > a {
                most[slice] = most[slice].max(open);
            }
        }
        *t = to;
    };
    for op in &ends.history.ops {
        while next < completions.len() && completions[next] <= op.invoked {
            advance(completions[next], open, &mut t);
            open = open.saturating_sub(1);
            next += 1;
        }
        advance(op.invoked, open, &mut t);
        open += 1;
    }
    for completed in &completions[next..] {
        advance(*completed, open, &mut t);
        open = open.saturating_sub(1);
    }
    let mean = open_ns.into_iter().map(|ns| crate::measure::round(ns as f64 / grid.length.0 as f64, 2)).collect();
    (most, mean)
}

fn attempts(ends: EndedHistory<'_>, grid: Grid) -> Option<Attempts> {
    let mut sums = vec![(0u64, 0u64); grid.count];
    let zero = || vec![0u64; grid.count];
    let mut all = Attempts { mean: vec![], most: zero(), preempted: zero(), repairs: zero() };
    let read = |measure| ends.history.names.reads(measure);
    let (attempts, preemptions, repairs) = (read(Measure::Attempts), read(Measure::Preemptions), read(Measure::Repairs));
    for (op, detail) in ends.history.ops.iter().zip(&ends.history.details) {
        let Some(reported) = &detail.diagnostics else { continue };
        let slice = grid.place(op.invoked);
        if let Some(n) = attempts(reported) {
            sums[slice] = (sums[slice].0.saturating_add(n), sums[slice].1 + 1);
            all.most[slice] = all.most[slice].max(n);
        }
        for (column, n) in [(&mut all.preempted, preemptions(reported)), (&mut all.repairs, repairs(reported))] {
            column[slice] = column[slice].saturating_add(n.unwrap_or(0));
        }
    }
    all.mean = sums.iter().map(|(sum, n)| (*n > 0).then(|| crate::measure::round(*sum as f64 / *n as f64, 2))).collect();
    sums.iter().any(|(_, n)| *n > 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Sample};

    #[test]
    fn slices_add_up() {
        let history = sample::history(Sample::default());
        let s = of(EndedHistory { history: &history });
        let sum = |column: &[u32]| column.iter().map(|n| *n as usize).sum::<usize>();
        let parts = [&s.ok, &s.not_met, &s.failed, &s.unknown, &s.fate_applied, &s.fate_not_applied];
        assert_eq!(parts.into_iter().map(|c| sum(c)).sum::<usize>(), history.ops.len());
        assert_eq!((sum(&s.due), sum(&s.sent)), (history.ops.len(), history.ops.len()));
        assert!(s.attempts.is_some());
    }

    #[test]
    fn open_operations_are_averaged_over_time() {
        let (header, names, events) = heckle_history::drawn::events(
            "c1 |r null----->      |
             c2 |   r null------>  |",
        );
        let history = heckle_history::History::from_events(header, names, events).unwrap();
        let s = of(EndedHistory { history: &history });
        assert_eq!(s.in_flight_most.iter().max(), Some(&2));
        let area: f64 = s.in_flight_mean.iter().sum::<f64>() * s.length;
        let want: f64 = history.ops.iter().map(|op| op.completed.since(op.invoked).as_secs_f64()).sum();
        assert!((area - want).abs() <= 0.02 * want + 0.005 * s.length * s.in_flight_mean.len() as f64, "{area} for {want}");
    }
}
