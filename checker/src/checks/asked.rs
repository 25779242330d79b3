//! Computes when a group of ops (on one key or one node) waited for an answer. Time without requests is not an outage.
//!
//! Time counts as *asked* while an op is open. After an op that ended without an ok, the time until the next op also
//! counts if that op starts within [`PAUSE`]: a client that failed and retries 20 ms later had no service in between. A
//! longer pause means that no client tried (the quiet tail, or the end of the load) and does not count.

use heckle_history::{History, Nanos, Operation, Outcome};

/// Longest pause, between an op that was not answered ok and the next op, that still counts as waiting. Clients retry
/// within their op timeout (1 s by default); the quiet tail is longer.
pub const PAUSE: Nanos = Nanos::from_ms(1_000);

/// Disjoint intervals in which a group of ops waited for an answer, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitIntervals {
    stretches: Vec<(Nanos, Nanos)>,
}

impl WaitIntervals {
    /// Computes the intervals of `ops`, which must be sorted by invocation. Ops without a completion are open until the
    /// end of the history.
    pub fn of<'o>(history: &History, ops: impl IntoIterator<Item = &'o Operation>) -> Self {
        let mut stretches: Vec<(Nanos, Nanos)> = vec![];
        // Whether the op that ended the last interval did so without an ok.
        let mut last_failed = false;
        for op in ops {
            let (from, to) = (op.invoked, op.completed.min(history.end).max(op.invoked));
            let ok = matches!(op.outcome, Outcome::Ok(_));
            match stretches.last_mut() {
                Some((_, end)) if from <= *end || (last_failed && from.since(*end) <= PAUSE) => {
                    // If two ops end at the same instant, an ok takes precedence, because the system did answer.
                    last_failed = match to.cmp(end) {
                        std::cmp::Ordering::Greater => !ok,
                        std::cmp::Ordering::Equal => last_failed && !ok,
                        std::cmp::Ordering::Less => last_failed,
                    };
                    *end = to.max(*end);
                }
                _ => {
                    stretches.push((from, to));
                    last_failed = !ok;
                }
            }
        }
        WaitIntervals { stretches }
    }

    /// Returns the amount of asked time between `from` and `to`.
    pub fn between(&self, from: Nanos, to: Nanos) -> Nanos {
        let first = self.stretches.partition_point(|(_, end)| *end <= from);
        let parts = self.stretches[first..].iter().take_while(|(began, _)| *began < to);
        Nanos(parts.map(|(began, end)| (*end).min(to).since((*began).max(from)).0).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::drawn;

    #[track_caller]
    fn check(drawing: &str, from_ms: u64, to_ms: u64, want_ms: u64) {
        let history = drawn::history(drawing);
        let asked = WaitIntervals::of(&history, &history.ops);
        assert_eq!(asked.between(Nanos::from_ms(from_ms), Nanos::from_ms(to_ms)), Nanos::from_ms(want_ms), "{asked:?}\n{drawing}");
    }

    #[test]
    fn time_counts_while_an_op_is_open() {
        //      0         1         2
        check("c1 |w 1-->          r 1-->   |", 0, 30, 10);
        check("c1 |w 1-->          r 1-->   |", 2, 18, 5);
        check("c1 |w 1---------->  |\nc2 |   w 2-->         |", 0, 20, 13);
    }

    #[test]
    fn refusals_count_until_the_next_attempt() {
        check("c1 |w 1--!          r 1-->   |", 0, 30, 21);
        check("c1 |w 1-->          r 1-->   |", 5, 16, 0);
        // Here another client received the last answer.
        check("c1 |w 1--!          r 1-->   |\nc2 |  w 2---->               |", 0, 30, 14);
    }

    #[test]
    fn long_pauses_are_not_counted() {
        let mut history = drawn::history("c1 |w 1--!          r 1-->   |");
        let later = PAUSE.0 + 1;
        (history.ops[1].invoked, history.ops[1].completed) = (Nanos(later + 5_000_000), Nanos(later + 9_000_000));
        history.end = history.ops[1].completed;
        assert_eq!(WaitIntervals::of(&history, &history.ops).between(Nanos(0), Nanos::NEVER), Nanos::from_ms(9));
    }

    #[test]
    fn an_op_without_an_end_is_open_to_the_end() {
        let history = drawn::history("c1 |w 1------   |\nc2 |         r 1-->|");
        let asked = WaitIntervals::of(&history, &history.ops);
        assert_eq!(asked.between(Nanos(0), history.end), history.end);
    }
}
