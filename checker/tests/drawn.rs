//! Histories drawn as text: valid and invalid ones for every kind of violation.

use heckle_checker::search::{InProcess, NoSearch};
use heckle_checker::{Checker, Engine, Options, Verdict, ViolationKind, judge};
use heckle_history::drawn;

#[track_caller]
fn good(drawing: &str) {
    let judgement = judge(&drawn::history(drawing), &Options::new(&InProcess));
    let report = judgement.linearizability;
    assert_eq!(report.verdict, Verdict::Valid, "{report:#?}");
    assert!(report.keys.iter().all(|k| k.engine == Engine::Both), "each key is small, so both engines judge it: {report:#?}");
}

/// Checks the kind, the number of ops and the text of the only violation.
#[track_caller]
fn bad(drawing: &str, kind: ViolationKind, ops: usize, words: &str) {
    let judgement = judge(&drawn::history(drawing), &Options::new(&InProcess));
    let report = judgement.linearizability;
    assert_eq!(report.verdict, Verdict::Invalid, "{report:#?}");
    let violation = &report.violations[0];
    assert_eq!((violation.kind, violation.ops.len(), violation.certified), (kind, ops, true), "{violation:#?}");
    assert!(violation.explanation.summary.contains(words), "{violation:#?}");
    let both = judge(&drawn::history(drawing), &Options { checker: Checker::Porcupine, ..Options::new(&InProcess) });
    assert_eq!(both.linearizability.verdict, Verdict::Invalid, "porcupine-rs does not agree");
}

#[test]
fn valid_histories_are_valid() {
    good("c1 |r null--> w 1--->  r 1-->|");
    // Overlapping writes may take effect in either order, and the reads decide which.
    good(
        "c1 |w 1------------>          |
         c2 |  w 2---------->          |
         c3 |                 r 2-->   |
         c3 |                        r 2-->|",
    );
    // The outcome is unknown, but the value is seen later, so the write happened.
    good(
        "c1 |w 1---->                      |
         c2 |        cas 1 2-----?         |
         c3 |                    r 2--->   |",
    );
    // The outcome is unknown and the value is never seen, so the write may not have happened.
    good(
        "c1 |w 1---->                             |
         c2 |        cas 1 2-----?                |
         c3 |                      cas 1 3--->    |
         c4 |                                 r 3-->|",
    );
    // A write may also take effect long after the client gave up.
    good(
        "c1 |w 1--->                                  |
         c2 |        w 2---?                          |
         c3 |                 r 1-->    r 2-->        |",
    );
    // A refused CAS is equivalent to a read, and a failed op has no effect.
    good(
        "c1 |w 1---->                       w 9--!      |
         c2 |        cas 5 6 saw 1-->                   |
         c3 |                        cas 1 2-->  r 2-->|",
    );
    // Touching intervals overlap.
    good(
        "c1 |w 1---->             |
         c2 |       cas 1 2-->    |
         c3 |                r 1->|",
    );
    good(
        "c1  |w 1--->   cas 1 2---?                     |
         c2  |                      r 2-->              |
         fate|                             2=applied    |",
    );
    good(
        "c1  |w 1--->   cas 1 2---?                     |
         c2  |                      r 1-->        r 1-->|
         fate|                             2=not_applied|",
    );
    good("c1@a|w 1--->   r 1-->|\nc2@b|  r null--> w 2--->|");
}

#[test]
fn a_stale_read_is_named() {
    bad(
        "c1 |w 16-->                               |
         c2 |        cas 16 17--->                 |
         c3 |                        r 16-->       |",
        ViolationKind::StaleRead,
        2,
        "op 1 set 16 to 17 and was acknowledged at 0.020000 s; op 2 was invoked at 0.024000 s, after that, and still read 16.",
    );
    bad("c1 |w 1-->          |\nc2 |       r null-->|", ViolationKind::StaleRead, 2, "still read null");
    // The order is evident from blind writes.
    bad(
        "c1 |w 1-->  w 2--> |\nc2 |               r 1-->|",
        ViolationKind::StaleRead,
        3,
        "op 2 was invoked at 0.015000 s, after that, and still read 1",
    );
    // The order is evident from another reader: the write itself has no outcome.
    bad(
        "c1 |w 1-->                          |
         c2 |       cas 1 2---?              |
         c3 |              r 2-->  r 1-->    |",
        ViolationKind::StaleRead,
        3,
        "op 2 read 2 and was answered at",
    );
    // The order is evident from a refusal.
    bad(
        "c1 |w 1-->                                  |
         c2 |       cas 1 2-->                       |
         c3 |                  cas 7 8 saw 1--->     |",
        ViolationKind::StaleRead,
        2,
        "was refused because it still found 1",
    );
    // The writes overlap, so either may be first, but the reads alternate between them.
    bad(
        "c1 |w 1----------------------------------->  |
         c2 |w 2----------------------------------->  |
         c3 |  r 1-->     r 2-->     r 1-->           |",
        ViolationKind::StaleRead,
        3,
        "still read 1",
    );
    // The read is two steps behind, and one of the updates it misses was not acknowledged.
    bad(
        "c1 |w 1-->                                        |
         c2 |       cas 1 2---------------------------?    |
         c3 |       cas 2 3--->                            |
         c4 |                       r 1-->                 |",
        ViolationKind::StaleRead,
        3,
        "still read 1",
    );
}

#[test]
fn a_lost_update_is_named() {
    bad(
        "c1 |w 1-->                 |
         c2 |       cas 1 2--->     |
         c3 |       cas 1 3--->     |",
        ViolationKind::LostUpdate,
        2,
        "both found 1, but the first of them took it away",
    );
    bad("c1 |cas null 2--->|\nc2 |cas null 3--->|", ViolationKind::LostUpdate, 2, "both found null");
    // A blind write is lost because a CAS builds on the value before it.
    bad(
        "c1 |w 1-->                           |
         c2 |       w 5--->                   |
         c3 |               cas 1 2-->        |",
        ViolationKind::LostUpdate,
        3,
        "still found 1 and set it to 2",
    );
}

#[test]
fn a_fork_is_named() {
    bad(
        "c1 |w 1-->                        |
         c2 |       cas 1 2----?           |
         c3 |       cas 1 3--->            |
         c4 |                      r 2-->  |",
        ViolationKind::Fork,
        3,
        "both found 1",
    );
}

#[test]
fn values_out_of_nowhere_are_named() {
    bad("c1 |w 1-->  r 9-->|", ViolationKind::ReadOfNeverWritten, 1, "no op of the history writes 9");
    bad("c1 |w 1--> cas 9 2-->|", ViolationKind::ReadOfNeverWritten, 1, "so it found 9; no op of the history writes 9");
    bad(
        "c1 |cas 9 2--------?         |
         c2 |               r 2-->    |",
        ViolationKind::ReadOfNeverWritten,
        2,
        "so it found 9; no op of the history writes 9",
    );
}

#[test]
fn a_future_read_is_named() {
    bad(
        "c1 |r 1-->        |\nc2 |       w 1--> |",
        ViolationKind::FutureRead,
        2,
        "but op 1, the only one that writes 1, was invoked at 0.007000 s, after that",
    );
    bad("c1 |cas 1 2-->        |\nc2 |           w 1--> |", ViolationKind::FutureRead, 2, "the only one that writes 1");
}

#[test]
fn an_aborted_read_is_named() {
    bad("c1 |w 1--!         |\nc2 |         r 1-->|", ViolationKind::AbortedRead, 2, "failed at 0.005000 s: it never happened");
    bad(
        "c1 |w 1-->                       |
         c2 |       cas 5 6 saw 1->       |
         c3 |                      r 6--> |",
        ViolationKind::AbortedRead,
        2,
        "only op 1 would have written 6, and it was refused",
    );
}

#[test]
fn a_real_time_cycle_is_named() {
    bad(
        "c1 |w 1-------------------------------------------->  |
         c2 |w 2-------------------------------------------->  |
         c3 | r 1-->                r 1-->                     |
         c4 |   r 2-->                                         |
         c5 |          r 2-------------------------->          |",
        ViolationKind::RealTimeCycle,
        4,
        "still read",
    );
}

#[test]
fn a_contradicted_fate_is_named() {
    bad(
        "c1  |w 1--->   cas 1 2---?                         |
         c2  |                      r 2-->                  |
         fate|                              2=not_applied   |",
        ViolationKind::FateContradicted,
        2,
        "it was found not applied: it never happened",
    );
    bad(
        "c1  |w 1--->   cas 1 2---?                         |
         c2  |                                      r 1-->  |
         fate|                      2=applied               |",
        ViolationKind::FateContradicted,
        2,
        "was found applied at 0.022000 s; op 2 was invoked at 0.038000 s, after that, and still read 1",
    );
}

#[test]
fn fates_are_distinguished_from_proofs_by_replies() {
    let history = drawn::history(
        "c1  |w 1--->   cas 1 2---?                         |
         c2  |                                      r 1-->  |
         fate|                      2=applied               |",
    );
    let with = judge(&history, &Options::new(&InProcess)).linearizability;
    assert_eq!((with.verdict, with.verdict_without_fates), (Verdict::Invalid, Some(Verdict::Valid)));
    let without = judge(&history, &Options { use_fates: false, ..Options::new(&InProcess) }).linearizability;
    assert_eq!((without.verdict, without.verdict_without_fates), (Verdict::Valid, None));
}

#[test]
fn a_refusal_by_what_was_expected_is_named() {
    bad("c1 |w 1--> cas 1 2 saw 1-->|", ViolationKind::RefusedThoughMet, 1, "it found the very value it expected");
}

#[test]
fn a_circle_of_cas_is_named() {
    bad("c1 |cas 1 2--->|\nc2 |cas 2 1--->|", ViolationKind::CasCycle, 2, "round in a circle");
}

#[test]
fn what_is_outside_is_searched_and_named() {
    let repeated = "c1 |w 1--> w 1--> r 2-->|";
    let report = judge(&drawn::history(repeated), &Options::new(&InProcess)).linearizability;
    assert_eq!(
        (report.verdict, report.checker, report.violations[0].kind),
        (Verdict::Invalid, Engine::Search, ViolationKind::NotLinearizable)
    );
    assert!(report.violations[0].certified, "{report:#?}");
    assert_eq!(report.keys[0].outside.as_deref(), Some("op 1: it writes 1, which op 0 writes too; values must be unique"));
    let report = judge(&drawn::history("c1 |w 1--> cas 1 1--> r 1-->|"), &Options::new(&InProcess)).linearizability;
    assert_eq!(report.verdict, Verdict::Valid);
    assert!(report.keys[0].outside.as_deref().is_some_and(|w| w.starts_with("op 1: it is a CAS from 1 to the same value")), "{report:#?}");
    for options in [Options { checker: Checker::Chain, ..Options::new(&InProcess) }, Options::new(&NoSearch)] {
        let report = judge(&drawn::history(repeated), &options).linearizability;
        assert_eq!(report.verdict, Verdict::Unknown, "without a search it is not decided, and never valid: {report:#?}");
        assert!(report.keys[0].note.is_some(), "{report:#?}");
    }
}

#[test]
fn a_bad_key_spoils_the_run_and_only_it_is_named() {
    let report = judge(&drawn::history("c1@a|w 1-->  r 1-->|\nc2@b|w 2-->  r 3-->|"), &Options::new(&InProcess)).linearizability;
    assert_eq!(report.verdict, Verdict::Invalid);
    assert_eq!(
        report.keys.iter().map(|k| (k.key.as_str(), k.verdict)).collect::<Vec<_>>(),
        [("a", Verdict::Valid), ("b", Verdict::Invalid)]
    );
    assert_eq!((report.violations.len(), report.violations[0].key.as_str(), report.violations[0].id), (1, "b", 1));
}
