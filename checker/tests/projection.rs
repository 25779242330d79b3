//! Counters count by one, and locks have one holder. Each rule is broken once.

use heckle_checker::Verdict;
use heckle_checker::checks::projection;
use heckle_history::drawn;

#[track_caller]
fn holds(rule: &str, drawing: &str, verdict: Verdict, words: &str) {
    let mut history = drawn::history(drawing);
    history.header.more.insert(projection::IN_HEADER.into(), rule.into());
    let found = projection::check(&history).expect("the header names a rule");
    assert_eq!(found.verdict, verdict, "{found:#?}");
    assert!(found.words.contains(words), "{found:#?}");
}

#[test]
fn a_counter_counts_by_one() {
    holds(
        "counter",
        "c1 |cas null 1:1 i0-->  cas 1 2:2 i1-->  |\nc2 |    cas null 3:1 i2 saw 1-->  cas 2 4:3 i2-->|",
        Verdict::Valid,
        "3 steps",
    );
    holds("counter", "c1 |cas null 1:1 i0-->  cas 1 2:3 i1-->|", Verdict::Invalid, "sets the count to 3, and 2 is due");
    holds("counter", "c1 |cas null 1:7 i0-->|", Verdict::Invalid, "and 1 is due");
    // The CAS was not acknowledged but its value was observed, so it took effect.
    holds("counter", "c1 |cas null 1:5 i0--?|\nc2 |                     r 1-->|", Verdict::Invalid, "and 1 is due");
    // The value was never seen, so the check claims nothing about it.
    holds("counter", "c1 |cas null 1:5 i0--?|\nc2 |cas null 2:1 i1-->|", Verdict::Valid, "1 steps");
    holds("counter", "c1 |w 1:1 i0-->|", Verdict::Invalid, "overwrites");
    holds("counter", "c1 |r null-->|", Verdict::Unknown, "no step");
    // An acknowledged op builds on the value, so the CAS that wrote it took effect too.
    holds("counter", "c1 |cas null 1:2 i0--?|\nc2 |                     cas 1 2:3 i1-->|", Verdict::Invalid, "and 1 is due");
}

#[test]
fn a_lock_has_one_holder() {
    let take_release = "c1 |cas null 1:1 i0-->  cas 1 2:0 i0-->                      |\n";
    holds("mutex", take_release, Verdict::Valid, "2 steps");
    holds("mutex", &format!("{take_release}c2 |                                        cas 2 3:8 i7-->|"), Verdict::Valid, "3 steps");
    holds(
        "mutex",
        "c1 |cas null 1:1 i0-->|\nc2 |                     cas 1 2:8 i7-->|",
        Verdict::Invalid,
        "takes a lock that holder 1 has",
    );
    holds(
        "mutex",
        "c1 |cas null 1:1 i0-->|\nc2 |                     cas 1 2:0 i7-->|",
        Verdict::Invalid,
        "releases a lock that holder 1 has",
    );
    holds("mutex", "c1 |cas null 1:0 i0-->|", Verdict::Invalid, "is not held");
    holds("mutex", "c1 |cas null 1:5 i0-->|", Verdict::Invalid, "not its own intent");
    // A holder whose release has an unknown outcome never acts again. Its lock may be broken only after that release
    // was invoked.
    let gone = "c1 |cas null 1:1 i0-->  cas 1 2:0 i0---?                      |\n";
    holds("mutex", &format!("{gone}c2 |                                          cas 1 3:8 i7-->|"), Verdict::Valid, "2 steps");
    holds("mutex", &format!("{gone}c2 |                      cas 1 3:8 i7-->|"), Verdict::Invalid, "takes a lock that holder 1 has");
}

#[test]
fn unknown_rules_are_not_skipped() {
    holds("ledger", "c1 |w 1-->|", Verdict::Unknown, "`ledger`");
    assert!(projection::check(&drawn::history("c1 |w 1-->|")).is_none());
}
