//! Determines which paths the ops of a key used in a system that has two, and what that means for a violation.
//!
//! A put is ordered by a clock timestamp, a compare-and-set by consensus, and neither waits for the other. A key used
//! both ways is therefore not linearizable even if the system is correct, and a key that is only put and got without
//! consensus has no such guarantee. This is a cause, not a proof: the verdict depends only on the ops.

use super::facts::KeyOps;
use heckle_history::Operation;

/// Returns the cause of a violation on this key, if its ops bypassed consensus.
pub(crate) fn cause(key: &KeyOps<'_>) -> Option<String> {
    let ops = || key.places.iter().map(|&place| key.op(place));
    let (cheap, consensus): (Vec<&Operation>, Vec<&Operation>) = ops().partition(|op| op.path.is_last_write_wins());
    // The final reads of a run use consensus on every key, so only updates are counted.
    let through = consensus.iter().filter(|op| op.call.writes().is_some()).count();
    let name = key.history.names.key_name(key.key);
    if cheap.is_empty() {
        return None;
    }
    let kinds = |ops: &[&Operation]| {
        let mut names: Vec<&str> = ops.iter().map(|op| op.name()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    };
    Some(if through == 0 {
        format!(
            "the updates of key {name} went without consensus ({} ops: {}): the last write wins by wall clock, and no order of all answers \
             was promised",
            cheap.len(),
            kinds(&cheap)
        )
    } else {
        format!(
            "ops of key {name} went through two paths: {} through consensus ({}) and {} without it ({}). The paths do not wait for each \
             other, which is the result of mixing them on one key; use one path per key",
            consensus.len(),
            kinds(&consensus),
            cheap.len(),
            kinds(&cheap)
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::{InProcess, Options, Verdict, judge};

    /// Returns the cause reported for the only violation of a drawn history.
    #[track_caller]
    fn cause(drawing: &str) -> Option<String> {
        let history = heckle_history::drawn::history(drawing);
        let mut judged = judge(&history, &Options::new(&InProcess)).linearizability;
        assert_eq!((judged.verdict, judged.violations.len()), (Verdict::Invalid, 1), "{judged:#?}");
        judged.violations.remove(0).explanation.cause
    }

    #[test]
    fn mixed_paths_are_reported_as_the_cause() {
        let said = cause(
            "c1 |w 1-->                 |
             c2 |       put 2-->        |
             c3 |                 r 1-->|",
        );
        let said = said.expect("a cause");
        assert!(said.contains("key k1 went through two paths: 2 through consensus (read, write) and 1 without it (put)"), "{said}");
    }

    #[test]
    fn consensus_is_not_excused() {
        let said = cause(
            "c1 |w 1-->                 |
             c2 |       w 2-->          |
             c3 |                 r 1-->|",
        );
        assert_eq!(said, None);
    }

    #[test]
    fn puts_on_other_keys_are_ignored() {
        let said = cause(
            "c1    |w 1-->                 |
             c2    |       w 2-->          |
             c4@k2 |       put 9-->        |
             c3    |                 r 1-->|",
        );
        assert_eq!(said, None);
    }

    #[test]
    fn a_key_without_consensus_is_not_blamed_on_a_mix_there_was_not() {
        let said = cause(
            "c1 |put 1-->                   |
             c2 |         put 2-->          |
             c3 |                  get 1--> |
             c4 |                          r 1-->|",
        );
        let said = said.expect("a cause");
        assert!(said.contains("went without consensus (3 ops: get, put)") && !said.contains("two paths"), "{said}");
    }

    #[test]
    fn puts_and_gets_are_writes_and_reads_of_the_same_register() {
        let valid = heckle_history::drawn::history(
            "c1 |w 1-->                          |
             c2 |       put 2-->                 |
             c3 |                 cas 2 3-->     |
             c4 |                           get 3-->|",
        );
        assert_eq!(judge(&valid, &Options::new(&InProcess)).linearizability.verdict, Verdict::Valid);
    }
}
