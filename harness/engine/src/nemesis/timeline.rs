//! The steps of a fault as moments, ordered by time.

use heckle_faults::Step;
use heckle_history::Nanos;

/// Kind of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MomentKind {
    /// The step's action is done.
    Do,
    /// The step's action is undone.
    Undo,
}

/// The time at which one step is done or undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Time since the beginning of the fault.
    pub(super) at: Nanos,
    /// Whether the step is done or undone.
    pub(super) due: MomentKind,
    /// Index of the step.
    pub(super) step: usize,
}

/// Returns all moments in order. If one step ends when another begins, the first is undone before the second is done,
/// so that consecutive steps never overlap.
pub(super) fn moments(steps: &[Step]) -> Vec<Moment> {
    let mut all = vec![];
    for (i, step) in steps.iter().enumerate() {
        // A step of zero length is done before it is undone.
        let undo_first = if step.from < step.to { 0 } else { 2 };
        all.push((step.from, 1, Moment { at: step.from, due: MomentKind::Do, step: i }));
        all.push((step.to, undo_first, Moment { at: step.to, due: MomentKind::Undo, step: i }));
    }
    all.sort_by_key(|(at, rank, _)| (*at, *rank));
    all.into_iter().map(|(_, _, moment)| moment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_faults::Action;

    #[track_caller]
    fn check(steps: &[(u64, u64)], want: &str) {
        let steps: Vec<Step> =
            steps.iter().map(|(from, to)| Step { from: Nanos(*from), to: Nanos(*to), action: Action::SetClocks(vec![]) }).collect();
        let words = moments(&steps).into_iter().map(|m| format!("{}{}", if m.due == MomentKind::Do { '+' } else { '-' }, m.step));
        assert_eq!(words.collect::<Vec<_>>().join(" "), want);
    }

    #[test]
    fn at_the_same_instant_ends_precede_starts() {
        check(&[(0, 9)], "+0 -0");
        check(&[(0, 0)], "+0 -0");
        check(&[(0, 3), (3, 6), (6, 9)], "+0 -0 +1 -1 +2 -2");
        check(&[(0, 5), (0, 3), (4, 9)], "+0 +1 -1 +2 -0 -2");
    }
}
