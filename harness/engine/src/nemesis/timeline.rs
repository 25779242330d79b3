//! The steps of a fault as moments in the order of time.

use heckle_faults::Step;
use heckle_history::Nanos;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The action of the step.
    Do,
    /// What undoes it.
    Undo,
}

/// One action or its undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// When, counted from the beginning of the fault.
    pub(super) at: Nanos,
    /// What is due.
    pub(super) due: Due,
    /// Of which step, by its place.
    pub(super) step: usize,
}

/// All moments. What ends at a time is undone before what begins then is done, so that steps that follow each other never
/// overlap.
pub(super) fn moments(steps: &[Step]) -> Vec<Moment> {
    let mut all = vec![];
    for (i, step) in steps.iter().enumerate() {
        // A step of no length is done before it is undone.
        let undo_first = if step.from < step.to { 0 } else { 2 };
        all.push((step.from, 1, Moment { at: step.from, due: Due::Do, step: i }));
        all.push((step.to, undo_first, Moment { at: step.to, due: Due::Undo, step: i }));
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
        let words = moments(&steps).into_iter().map(|m| format!("{}{}", if m.due == Due::Do { '+' } else { '-' }, m.step));
        assert_eq!(words.collect::<Vec<_>>().join(" "), want);
    }

    #[test]
    fn what_ends_is_undone_before_what_begins_at_that_time_is_done() {
        check(&[(0, 9)], "+0 -0");
        check(&[(0, 0)], "+0 -0");
        check(&[(0, 3), (3, 6), (6, 9)], "+0 -0 +1 -1 +2 -2");
        check(&[(0, 5), (0, 3), (4, 9)], "+0 +1 -1 +2 -0 -2");
    }
}
