use super::*;
use crate::results_json::{Check, Crash, Fault, Gate, KeyVerdict, Violation};

fn held() -> Results {
    let mut r = Results::default();
    r.ops.invoked = 5_000;
    r.linearizability.verdict = Verdict::Valid;
    r.linearizability.keys = vec![KeyVerdict { key: "k1".into(), ops: 5_000, verdict: Verdict::Valid, ..Default::default() }];
    r.coverage.passed = true;
    r.faults = vec![Fault { id: 3, kind: "pause".into(), targets: vec!["n2".into()], effective: true, healed: true, ..Default::default() }];
    r
}

#[track_caller]
fn check(ending: Ending, change: impl FnOnce(&mut Results), verdict: RunVerdict, exit_code: i32, reason: &str) {
    let mut results = held();
    change(&mut results);
    results.conclude(&ending);
    assert_eq!((results.verdict, results.exit_code), (verdict, exit_code), "{:?}", results.reasons);
    assert!(results.reasons.iter().any(|r| r.contains(reason)), "{:?}", results.reasons);
    assert_eq!(results.status, if ending == Ending::Interrupted { Status::Interrupted } else { Status::Done });
    assert!(exit_code != 0 || results.verdict == RunVerdict::Valid || results.plan.expect == Expect::Invalid, "unknown never exits 0");
}

fn violate(r: &mut Results) {
    r.linearizability.verdict = Verdict::Invalid;
    r.linearizability.violations =
        vec![Violation { key: "k1".into(), kind: "stale_read".into(), words: "op 9 read 3".into(), ..Default::default() }];
}

fn gate(passed: bool, void: bool, actual: Option<f64>) -> Gate {
    Gate { expr: "p99_ms<50".into(), actual, passed, void }
}

#[test]
fn one_verdict_of_many_parts() {
    use RunVerdict::{Error, GateMissed, Invalid, Unknown, Valid};
    check(Ending::Done, |_| {}, Valid, 0, "one order explains all 5,000 ops under 1 fault");
    check(Ending::Done, violate, Invalid, 1, "stale read on key k1: op 9 read 3");
    check(
        Ending::Done,
        |r| {
            r.checks =
                vec![Check { name: "durability".into(), verdict: Verdict::Invalid, words: "op 5 is gone".into(), ..Default::default() }]
        },
        Invalid,
        1,
        "durability: op 5 is gone",
    );
    let cut = |r: &mut Results| r.history.problem = Some("the history has no end record".into());
    check(Ending::Done, cut, Unknown, 2, "no end record");
    check(Ending::Done, |r| r.coverage.passed = false, Unknown, 2, "coverage was not evaluated");
    check(Ending::Done, |r| r.faults[0].effective = false, Unknown, 2, "fault 3 (pause n2) left no evidence");
    check(Ending::Done, |r| r.linearizability.verdict = Verdict::Unknown, Unknown, 2, "linearizability is unknown");
    check(Ending::Done, |r| r.gates.push(gate(false, false, Some(61.0))), GateMissed, 3, "gate p99_ms<50 missed: it is 61");
    check(Ending::Done, |r| r.gates.push(gate(true, false, Some(41.0))), Valid, 0, "one order");
    check(Ending::Done, |r| r.gates.push(gate(false, true, Some(61.0))), Unknown, 2, "gates on speed are void");
    check(Ending::Done, |r| r.gates.push(gate(false, false, None)), Unknown, 2, "no such figure");
    check(Ending::Interrupted, |_| {}, Unknown, 130, "interrupted");
    check(Ending::Failed("n2 died; see nodes/n2/node.log".into()), |_| {}, Error, 4, "n2 died");
}

#[test]
fn a_violation_beats_everything_else() {
    for ending in [Ending::Done, Ending::Interrupted, Ending::Failed("disk full".into())] {
        let change = |r: &mut Results| {
            violate(r);
            r.coverage.passed = false;
            r.gates.push(gate(false, false, Some(61.0)));
        };
        check(ending, change, RunVerdict::Invalid, 1, "stale read");
    }
}

fn crash(r: &mut Results) {
    r.checks = vec![Check { name: "crash".into(), verdict: Verdict::Invalid, words: "n2 crashed".into(), ..Default::default() }];
    r.crashes = vec![Crash { id: 1, words: "n2 crashed at 3 s (signal 6 (SIGABRT)): held > promised".into(), ..Default::default() }];
}

#[test]
fn a_crash_is_a_violation_and_is_reported_once() {
    check(Ending::Done, crash, RunVerdict::Invalid, 1, "crash: n2 crashed at 3 s (signal 6");
    let mut results = held();
    crash(&mut results);
    results.conclude(&Ending::Done);
    assert_eq!(results.reasons.len(), 1, "{:?}", results.reasons);
    let of_check_alone = |r: &mut Results| {
        crash(r);
        r.crashes.clear();
    };
    check(Ending::Done, of_check_alone, RunVerdict::Invalid, 1, "crash: n2 crashed");
}

#[test]
fn a_failed_restart_is_reported_before_the_violation_that_it_must_not_hide() {
    let why = "n3 could not be restarted";
    for change in [violate, crash] {
        let mut results = held();
        change(&mut results);
        results.conclude(&Ending::Failed(why.into()));
        assert_eq!((results.verdict, results.exit_code), (RunVerdict::Invalid, 1));
        assert_eq!(results.reasons[0], format!("error of the run: {why}"));
        assert!(results.reasons.len() > 1, "{:?}", results.reasons);
    }
    let mut alone = held();
    alone.checks = vec![Check { name: "crash".into(), verdict: Verdict::Unknown, words: why.into(), ..Default::default() }];
    alone.conclude(&Ending::Done);
    assert_eq!((alone.verdict, alone.exit_code), (RunVerdict::Unknown, 2), "a node that stayed away is never passed over");
}

#[test]
fn an_expected_violation_is_met_or_missed() {
    let expected = |r: &mut Results| r.plan.expect = Expect::Invalid;
    check(
        Ending::Done,
        |r| {
            expected(r);
            violate(r)
        },
        RunVerdict::Invalid,
        0,
        "the plan expects a violation, and it was found",
    );
    check(Ending::Done, expected, RunVerdict::Unknown, 2, "the plan expects a violation, and none was found");
}

#[test]
fn an_aborted_load_is_a_missed_gate_unless_the_rest_is_in_doubt() {
    use RunVerdict::{GateMissed, Invalid, Unknown};
    let aborted = || Ending::Aborted("p99_ms>500 for 5s: 812".into());
    check(aborted(), |_| {}, GateMissed, 3, "p99_ms>500");
    check(aborted(), violate, Invalid, 1, "stale read");
    // A load that ended early does not cast doubt on the recorded part, but is mentioned.
    let cut_off = |r: &mut Results| {
        r.coverage.passed = false;
        r.coverage.rules = vec![CoverageRule { id: "ok_cas".into(), need: 10, got: 3, passed: false }];
        r.faults[0].effective = false;
        r.checks.push(Check { name: VACUITY.into(), words: "too little overlapped".into(), ..Check::default() });
    };
    for reason in ["p99_ms>500", "ok_cas", "left no evidence", "too little overlapped"] {
        check(aborted(), cut_off, GateMissed, 3, reason);
    }
    check(aborted(), |r| r.linearizability.verdict = Verdict::Unknown, Unknown, 2, "p99_ms>500");
    check(aborted(), |r| r.history.problem = Some("no end record".into()), Unknown, 2, "no end record");
    check(aborted(), |r| r.plan.expect = Expect::Invalid, Unknown, 2, "none was found");
}
