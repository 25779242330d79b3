//! When a group of ops (those of a key, those at a node) waited for an answer: silence in which nothing was asked is no
//! outage.
//!
//! Time is *asked* while an op is open. After an op that ended without an ok, it stays asked until the next op, if that
//! comes within [`PAUSE`]: a client that was refused and tries again 20 ms later was without service meanwhile. A longer
//! pause means that nobody tried (the quiet tail, a load that is over), and is not counted.

use heckle_history::{History, Nanos, Operation, Outcome};

/// The longest pause between an op that was not answered ok and the next one that still counts as waiting. Clients
/// retry within their op timeout, a second by default; the quiet tail is longer.
pub const PAUSE: Nanos = Nanos::from_ms(1_000);

/// Stretches of time in which a group of ops waited for an answer; apart, and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    stretches: Vec<(Nanos, Nanos)>,
}

impl Asked {
    /// The stretches of `ops`, which stand in the order of their invokes. Ops without an end are open to the end of the
    /// history.
    pub fn of<'o>(history: &History, ops: impl IntoIterator<Item = &'o Operation>) -> Self {
        let mut stretches: Vec<(Nanos, Nanos)> = vec![];
        // Whether the op that ended the last stretch left its client without an ok.
        let mut unmet = false;
        for op in ops {
            let (from, to) = (op.invoked, op.completed.min(history.end).max(op.invoked));
            let ok = matches!(op.outcome, Outcome::Ok(_));
            match stretches.last_mut() {
                Some((_, end)) if from <= *end || (unmet && from.since(*end) <= PAUSE) => {
                    // If two ops end at the same instant, an ok wins: the system did answer.
                    unmet = match to.cmp(end) {
                        std::cmp::Ordering::Greater => !ok,
                        std::cmp::Ordering::Equal => unmet && !ok,
                        std::cmp::Ordering::Less => unmet,
                    };
                    *end = to.max(*end);
                }
                _ => {
                    stretches.push((from, to));
                    unmet = !ok;
                }
            }
        }
        Asked { stretches }
    }

    /// How much of the time between `from` and `to` was asked.
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
        let asked = Asked::of(&history, &history.ops);
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
    fn a_refusal_waits_for_the_next_try_and_an_ok_for_nothing() {
        check("c1 |w 1--!          r 1-->   |", 0, 30, 21);
        check("c1 |w 1-->          r 1-->   |", 5, 16, 0);
        // Another client was answered last.
        check("c1 |w 1--!          r 1-->   |\nc2 |  w 2---->               |", 0, 30, 14);
    }

    #[test]
    fn nobody_asks_in_a_long_pause() {
        let mut history = drawn::history("c1 |w 1--!          r 1-->   |");
        let later = PAUSE.0 + 1;
        (history.ops[1].invoked, history.ops[1].completed) = (Nanos(later + 5_000_000), Nanos(later + 9_000_000));
        history.end = history.ops[1].completed;
        assert_eq!(Asked::of(&history, &history.ops).between(Nanos(0), Nanos::NEVER), Nanos::from_ms(9));
    }

    #[test]
    fn an_op_without_an_end_is_open_to_the_end() {
        let history = drawn::history("c1 |w 1------   |\nc2 |         r 1-->|");
        let asked = Asked::of(&history, &history.ops);
        assert_eq!(asked.between(Nanos(0), history.end), history.end);
    }
}
